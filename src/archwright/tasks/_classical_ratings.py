"""Biases, matrix factorisation, and logistic regression, as baselines of recommendation."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import scipy.sparse
import sklearn.linear_model
import torch
from torch import Tensor

from archwright.datasets import Part
from archwright.tasks._baseline import ClassicalMethod
from archwright.tasks._recommendation import Recommendation

_ITEM, _USER = 25.0, 10.0  # ratings, as many as which the mean counts
_ITERATIONS = 200
_RANKS, _PENALTIES = (1, 2, 4, 8), (1.0, 4.0)  # of matrix factorisation
_SWEEPS, _ROWS = 10, 50_000  # of it, and samples that are summed at a time

Predict = Callable[[Tensor], Tensor]


def raters(task: Recommendation) -> list[ClassicalMethod]:
    """Return the mean with biases and matrix factorisation, or logistic regression for clicks."""
    if task.is_click:
        return [ClassicalMethod("logistic regression", partial(_fit_logistic, task), "on users and items")]
    return [
        ClassicalMethod("biases", partial(_fit_biases, task), "mean of all, of the item and of the user"),
        ClassicalMethod("matrix factorisation", partial(_fit_factors, task), "alternating least squares"),
    ]


def _fit_biases(task: Recommendation, samples: Part, share: float) -> Predict:
    """Fit regularised deviations of items from the mean, and of users from both (Koren 2010)."""
    users, items = samples.inputs.T
    values = task.standardised(samples.targets)
    mean = values.mean()
    of_item = _shrunk(values - mean, items, task.space_options["items"] + 1, _ITEM)
    of_user = _shrunk(values - mean - of_item[items], users, task.space_options["users"] + 1, _USER)
    return lambda inputs: (mean + of_user[inputs[:, 0]] + of_item[inputs[:, 1]])[:, None]


def _fit_factors(task: Recommendation, samples: Part, share: float) -> Predict:
    """Fit matrix factorisation with biases; a tenth of the samples decides on its rank and the penalty."""
    values = task.standardised(samples.targets).double()
    sweeps = max(1, round(share * _SWEEPS))
    mixed = torch.randperm(len(samples), generator=torch.Generator().manual_seed(0))
    held, others = mixed.tensor_split([max(1, len(samples) // 10)])
    best, found = float("inf"), (0, 0.0)
    for rank in _RANKS:
        if found[0] < rank // 2:
            break  # the rank before was already too high
        for penalty in _PENALTIES:
            predict = _alternating(task, samples.inputs[others], values[others], rank, penalty, sweeps)
            error = float((predict(samples.inputs[held])[:, 0] - values[held]).square().mean())
            if error < best:
                best, found = error, (rank, penalty)
    return _alternating(task, samples.inputs, values, *found, sweeps)


def _alternating(
    task: Recommendation, pairs: Tensor, values: Tensor, rank: int, penalty: float, sweeps: int
) -> Predict:
    """Fit biases and factors of users and of items in turn by penalised least squares (Koren, Bell, Volinsky 2009)."""
    generator = torch.Generator().manual_seed(0)
    mean = values.mean()
    # A user's row is a 1, their bias and their factors, an item's its bias, a 1 and its factors: the rating is the
    # scalar product. The 1 is never fitted.
    tables = []
    for place, name in enumerate(("users", "items")):
        table = torch.zeros(task.space_options[name] + 1, rank + 2, dtype=torch.float64)
        table[:, place] = 1
        table[1:, 2:] = 0.1 * torch.randn(len(table) - 1, rank, generator=generator, dtype=torch.float64)
        tables.append(table)
    for _ in range(sweeps):
        for place in (0, 1):
            mine, other = tables[place], tables[1 - place][pairs[:, 1 - place]]
            free = [1 - place, *range(2, rank + 2)]
            features, left = other[:, free], values - mean - other[:, place]
            size = rank + 1
            gram = torch.zeros(len(mine), size * size, dtype=torch.float64)
            for rows in torch.split(torch.arange(len(values)), _ROWS):
                outer = features[rows, :, None] * features[rows, None]
                gram.index_add_(0, pairs[rows, place], outer.flatten(1))
            sums = torch.zeros(len(mine), size, dtype=torch.float64)
            sums.index_add_(0, pairs[:, place], features * left[:, None])
            system = gram.view(-1, size, size) + penalty * torch.eye(size, dtype=torch.float64)
            mine[:, free] = torch.linalg.solve(system, sums)
            mine[0, free] = 0  # an unknown one
    users, items = tables
    return lambda inputs: (mean + (users[inputs[:, 0]] * items[inputs[:, 1]]).sum(1))[:, None]


def _shrunk(values: Tensor, groups: Tensor, count: int, weight: float) -> Tensor:
    """Return the sums of groups over their sizes plus a weight; that of unknown ones, group 0, is 0."""
    sums = torch.zeros(count, dtype=torch.float64).index_add(0, groups, values.double())
    sizes = torch.bincount(groups, minlength=count)
    found = sums / (sizes + weight)
    found[0] = 0
    return found


def _fit_logistic(task: Recommendation, samples: Part, share: float) -> Predict:
    iterations = max(1, round(share * _ITERATIONS))
    model = sklearn.linear_model.LogisticRegression(C=1.0, max_iter=iterations)
    targets = samples.targets[:, 0].long().numpy()
    if len(np.unique(targets)) < 2:
        return lambda inputs: torch.zeros(len(inputs), 1, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the last digits have not converged, say
        model.fit(_indicators(task, samples.inputs), targets)
    return lambda inputs: torch.from_numpy(model.decision_function(_indicators(task, inputs)))[:, None]


def _indicators(task: Recommendation, pairs: Tensor) -> scipy.sparse.csr_matrix:
    """Return a 0/1 column for each user and each item, shape (n, users + items); none for unknown ones."""
    users, items = task.space_options["users"] + 1, task.space_options["items"] + 1
    places = (pairs + torch.tensor([0, users])).numpy()
    shown = (pairs > 0).double().numpy()
    rows = np.repeat(np.arange(len(pairs)), 2)
    return scipy.sparse.csr_matrix((shown.ravel(), (rows, places.ravel())), shape=(len(pairs), users + items))
