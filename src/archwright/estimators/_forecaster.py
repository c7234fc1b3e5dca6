"""The estimator of time series."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import r2_score
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from archwright._words import counted
from archwright.estimators._estimators import Estimator
from archwright.tasks import Forecasting


class Forecaster(Estimator):
    """Forecaster of time series: a search for a network in `fit`; see `TabularClassifier`.

    A series has a row for each step, and a column for each value; `validation` is the share or number of steps at its
    end on which networks are compared.

    Example:
        >>> from archwright.estimators import Forecaster
        >>> y = np.sin(np.arange(200) / 3)
        >>> forecaster = Forecaster(minutes=None, trials=1, epochs=1, random_state=0).fit(y, horizon=4)
        >>> forecaster.predict().shape, forecaster.predict(2).shape
        ((4,), (2,))
    """

    def fit(
        self, y: ArrayLike, X: ArrayLike | None = None, *, horizon: int, lookback: int | None = None, season: int = 1
    ) -> Self:
        """Search a network, and train the best one on the whole series.

        Args:
            y: The series, shape (n,) or (n, k).
            X: Other columns of the same steps that the network sees, but does not forecast.
            horizon: The number of steps to forecast.
            lookback: The largest number of steps that a network sees; by default up to five times the horizon.
            season: The number of steps of a season; 1 for none.

        Raises:
            ValueError: The series cannot be used, or the search found no network.
        """
        series, self._columns = _joined(y, X)
        self._is_flat = np.ndim(y) == 1
        task = self._search({"horizon": horizon, "lookback": lookback, "season": season}, series)
        self.horizon_, self.lookback_ = task.series.horizon, task.series.lookback
        self.n_features_in_ = series.shape[1]
        self._end = series[-self.lookback_ :]
        return self

    def _load(self, inputs: Any, targets: NDArray[Any], seed: int) -> Forecasting:
        """Return the task of a series, with its options."""
        series = torch.tensor(targets)
        return Forecasting.of_series(series, forecast=self._columns, validation=self.validation, **inputs)

    def predict(
        self, horizon: int | None = None, *, y: ArrayLike | None = None, X: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return the next values of a series, shape (horizon,) or (horizon, k), in its units.

        Args:
            horizon: The number of steps; by default, and at most, that of `fit`.
            y: A series to go on with, at least the last `lookback_` steps of it; by default that of `fit`.
            X: Its other columns, if there were such in `fit`.

        Raises:
            ValueError: The horizon is too long, or the series is too short or has other columns.
        """
        check_is_fitted(self, "predictor_")
        steps = self.horizon_ if horizon is None else horizon
        if not 1 <= steps <= self.horizon_:
            raise ValueError(f"horizon={horizon!r} must be 1 to {self.horizon_}, the horizon of fit")
        series = self._end if y is None else self._as_fitted(y, X)
        if len(series) < self.lookback_:
            raise ValueError(f"the network looks back over {self.lookback_} steps; {len(series)} were given")
        values = self._forecasts(series[-self.lookback_ :])[0, :steps]
        return values[:, 0] if self._is_flat else values

    def score(self, y: ArrayLike, X: ArrayLike | None = None) -> float:
        """Return R^2, the coefficient of determination, of forecasts of the steps that follow the series of `fit`.

        The first forecast is made at the end of that series. If there are more steps than the horizon, further ones are
        made at each step after it, as long as a horizon fits, from the true values up to there. R^2 is taken over all
        steps of all forecasts, and is the mean over the columns: 1 is best, 0 that of a constant, the mean.

        Args:
            y: The true values, shape (n,) or (n, k), of two steps or more.
            X: The other columns of the same steps, if there were such in `fit`.

        Raises:
            ValueError: There are too few steps, or the series has other columns.
        """
        check_is_fitted(self, "predictor_")
        series = self._as_fitted(y, X)
        if len(series) < 2:
            raise ValueError(f"R^2 is defined for two steps or more; y has {len(series)}")
        steps = min(self.horizon_, len(series))
        # The last forecast begins `steps` before the end.
        forecasts = self._forecasts(np.concatenate([self._end, series])[: len(self._end) + len(series) - steps])
        true = [series[start : start + steps, : self._columns] for start in range(len(forecasts))]
        return float(r2_score(np.concatenate(true), forecasts[:, :steps].reshape(-1, self._columns)))

    def _forecasts(self, series: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what follows each `lookback_` steps of a series, shape (n, horizon, columns)."""
        windows = torch.tensor(series, dtype=torch.float32).unfold(0, self.lookback_, 1).transpose(1, 2)
        found = torch.cat([self.predictor_.scores(part.contiguous()) for part in torch.split(windows, 256)])
        values: NDArray[np.float64] = found.numpy().astype(np.float64)
        return values

    def _as_fitted(self, y: ArrayLike, X: ArrayLike | None) -> NDArray[np.float64]:
        """Return the columns of y and X side by side, which are those of `fit`."""
        series, columns = _joined(y, X)
        if X is None and self.n_features_in_ > self._columns:
            others = counted(self.n_features_in_ - self._columns, "column")
            raise ValueError(f"X is missing: fit had {others} in it")
        if columns != self._columns or series.shape[1] != self.n_features_in_:
            raise ValueError(
                f"a series of {columns} + {series.shape[1] - columns} columns was given, and fit had "
                f"{self._columns} + {self.n_features_in_ - self._columns}"
            )
        return series


def _joined(y: ArrayLike, X: ArrayLike | None) -> tuple[NDArray[np.float64], int]:
    """Return the columns of y and X side by side, and how many y has."""
    values = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    values = values[:, None] if values.ndim == 1 else values
    if X is None:
        return values, values.shape[1]
    others = check_array(X, dtype=np.float64, input_name="X")
    if len(others) != len(values):
        raise ValueError(f"y has {len(values)} steps and X has {len(others)}; both have a row for each step")
    return np.concatenate([values, others], 1), values.shape[1]
