"""Classical forecasts, as baselines."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from archwright.datasets import Windows
from archwright.tasks._baseline import ClassicalMethod
from archwright.tasks._forecasting import Forecasting

_PENALTY = 1e-3  # of the squares of the weights, times the number of windows
_AT_A_TIME = 4_000  # windows of one column

Predict = Callable[[Tensor], Tensor]


def forecasts(task: Forecasting) -> list[ClassicalMethod]:
    """Return ridge regression on the lookback, and the forecast by the value of a season ago."""
    train = task.train
    assert isinstance(train, Windows)
    season = task.season if task.season <= train.lookback else 1
    note = f"season of {season} steps" if season > 1 else "last value"
    return [
        ClassicalMethod("linear regression", partial(_fit_linear, task), f"on {train.lookback} steps, in closed form"),
        ClassicalMethod("seasonal naive" if season > 1 else "naive", partial(_fit_naive, task, season), note),
    ]


def _fit_linear(task: Forecasting, samples: Windows, share: float) -> Predict:
    """Fit one linear map from the lookback of a column to its next values, the same for all columns."""
    count = len(samples) * samples.forecast
    square = torch.zeros(samples.lookback + 1, samples.lookback + 1, dtype=torch.float64)
    size = max(1, _AT_A_TIME // samples.forecast)
    cross = torch.zeros(samples.lookback + 1, samples.horizon, dtype=torch.float64)
    for inputs, targets in samples.batches(torch.split(torch.arange(len(samples)), size)):
        x = _features(task, inputs)
        square += x.T @ x
        cross += x.T @ task.standardised(targets).double().transpose(1, 2).flatten(0, 1)
    penalty = torch.full((samples.lookback + 1,), _PENALTY * count, dtype=torch.float64)
    penalty[-1] = 1e-9 * count  # of the constant
    weights: Tensor = torch.linalg.solve(square + penalty.diag(), cross)

    def predict(inputs: Tensor) -> Tensor:
        found = (_features(task, inputs) @ weights).float()
        return found.view(len(inputs), -1, weights.shape[1]).transpose(1, 2)

    return predict


def _features(task: Forecasting, inputs: Tensor) -> Tensor:
    """Return the standardised steps of each column and a constant, float64 of shape (n * columns, lookback + 1)."""
    x = task.prepare(inputs)[..., : len(task.names)].double().transpose(1, 2).flatten(0, 1)
    return torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)


def _fit_naive(task: Forecasting, season: int, samples: Windows, share: float) -> Predict:
    places = samples.lookback - season + torch.arange(samples.horizon) % season
    return lambda inputs: task.prepare(inputs)[:, places, : len(task.names)]
