"""Forecasting: the next values of time series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archwright._scalars import is_whole, scalar
from archwright._words import counted
from archwright.datasets import (
    GAPS,
    InputError,
    SeriesPreprocess,
    SeriesTable,
    Spacing,
    Target,
    Windows,
    looks_like_series,
    moments_of,
    read_series,
    spacing_of,
    split_in_order,
    windows_between,
)
from archwright.errors import DataError, unknown
from archwright.tasks._baseline import ClassicalMethod
from archwright.tasks._classification import check_floats
from archwright.tasks._registry import register
from archwright.tasks._task import Task

_HORIZON, _SHARE = 96, 12  # steps to forecast, at most a twelfth of the series, unless they are given
_LOOKBACK, _LEAST = 5, 8  # times the horizon or the season, which counts as 8 steps or more
_SEASONS = {  # steps of a season, by the length of a step
    ("seconds", 60.0): 1440,
    ("seconds", 300.0): 288,
    ("seconds", 600.0): 144,
    ("seconds", 900.0): 96,
    ("seconds", 1800.0): 48,
    ("seconds", 3600.0): 24,
    ("seconds", 86_400.0): 7,
    ("seconds", 604_800.0): 52,
    ("months", 1.0): 12,
    ("months", 3.0): 4,
}


class Forecasting(Task):
    """Forecasting of time series.

    A network sees the last steps of all columns, shape (n, lookback, columns), and gives the next values of those that
    it forecasts, shape (n, horizon, columns), standardised by mean and standard deviation over the training part. The
    loss is the mean squared error. Metrics are "mse" and "mae" of the standardised values, as in the literature; and
    "mase", the mean over the columns of the mean absolute error over that of the seasonal naive forecast one step ahead
    on the training part (Hyndman and Koehler 2006).

    Args:
        train: Windows to learn from.
        validation: Windows of the same series that come later.
        test: Windows that come later still; may be empty.
        names: The names of the columns, those that are forecast first.
        spacing: The distance between two steps.
        season: The number of steps of a season; 1 for none.
        time: The name of the column of time stamps.
        gaps: What is done about missing steps and cells of files, one of "refuse", "interpolate" and "ignore".
        name: The name.

    Raises:
        DataError: There are no windows to learn from, or no column changes.

    Example:
        >>> from archwright.datasets import Spacing, windows_between
        >>> from archwright.tasks import Forecasting
        >>> series = torch.arange(200.0).sin()[:, None]
        >>> parts = [windows_between(series, *ends, lookback=12, horizon=4) for ends in ((0, 120), (120, 150))]
        >>> Forecasting(*parts, parts[1].select(slice(0)), ("wave",), Spacing("numbers", 1.0)).objective
        'min mse'
    """

    space = "forecaster"
    metrics = frozenset(("loss", "mse", "mae", "mase"))
    batch_size = 32
    least_steps = 500
    is_ordered = True

    def __init__(
        self,
        train: Windows,
        validation: Windows,
        test: Windows,
        names: Sequence[str],
        spacing: Spacing,
        *,
        season: int = 1,
        time: str = "time",
        gaps: str = "refuse",
        name: str = "forecasting",
    ) -> None:
        if not len(train) or not len(validation):
            raise DataError(
                f"{name!r} has {len(train)} training and {len(validation)} validation windows of {train.lookback} + "
                f"{train.horizon} steps: give a longer series, or a smaller lookback= or horizon="
            )
        self.season = season
        self.names = tuple(names[: train.forecast])
        span = train.span
        mean, std = moments_of(span)
        columns = tuple(map(Target, names, mean.tolist(), std.tolist()))
        self.series = SeriesPreprocess(columns, train.forecast, train.lookback, train.horizon, spacing, time, gaps)
        self.preprocess = self.series
        self.mean, self.std = mean[: train.forecast], std[: train.forecast]
        known = (span[:, : train.forecast].double() - self.mean) / self.std
        for period in (min(season, len(known) - 1), 1):  # 1 for a series that repeats itself exactly
            self.scale = (known[period:] - known[:-period]).abs().mean(0)
            if (self.scale > 0).any():
                break
        else:
            raise DataError(f"{name!r}: the columns that are forecast do not change over the training part")
        self.space_options = {
            "input_shape": (train.lookback, len(columns)),
            "classes": train.forecast,
            "horizon": train.horizon,
        }
        super().__init__(
            train=train,
            validation=validation,
            test=test,
            loss=F.mse_loss,
            objective="min mse",
            example_input=(train.lookback, len(columns)),
            name=name,
        )

    @classmethod
    def of_series(
        cls,
        series: Tensor,
        *,
        horizon: int,
        lookback: int | None = None,
        forecast: int | None = None,
        season: int = 1,
        validation: float = 0.1,
    ) -> Forecasting:
        """Return the task of a series in memory, without a test part.

        Args:
            series: The steps, shape (n, columns).
            horizon: The number of steps to forecast.
            lookback: The largest number of steps to look back; the default is as in files.
            forecast: The number of columns that are forecast, the first ones; by default all.
            season: The number of steps of a season; 1 for none.
            validation: Share or number of steps for validation, the last ones.

        Raises:
            DataError: The series is too short.
        """
        steps = _whole("horizon", horizon)
        learnt, _, _ = split_in_order(range(len(series)), validation=validation, test=0, official={"test": ()})
        end, total = len(learnt), len(series)
        back = _whole("lookback", lookback) or _default_lookback(end, steps, _whole("season", season))
        if back + steps > end:
            raise DataError(
                f"the training part has {counted(end, 'step')}; a lookback of {back} and a horizon of {steps} take "
                f"{back + steps}"
            )
        options = {"lookback": back, "horizon": steps, "forecast": forecast or series.shape[1]}
        values = series.float()
        train, held = (windows_between(values, *each, **options) for each in ((0, end), (end, total)))
        names = [f"column {place}" for place in range(1, series.shape[1] + 1)]
        return cls(train, held, held.select(slice(0)), names, Spacing("numbers", 1.0), season=season)

    @property
    def baselines(self) -> Sequence[ClassicalMethod]:
        """A linear model in closed form, and the seasonal naive forecast."""
        from archwright.tasks._classical_forecasts import forecasts

        return forecasts(self)

    def prepare(self, inputs: Any) -> Tensor:
        """Return series less the mean of the training part, over its standard deviation."""
        return self.series.normalise(inputs)

    def standardised(self, targets: Tensor) -> Tensor:
        """Return target values (n, horizon, columns) less their mean, over their standard deviation."""
        return (targets - self.mean.to(targets.device)) / self.std.to(targets.device)

    def check_outputs(self, outputs: Any, size: int) -> None:
        """Check that the outputs are floating-point numbers for each step and column.

        Raises:
            EvaluationError: The shape or type is wrong.
        """
        shape = (size, self.series.horizon, self.series.forecast)
        check_floats(outputs, shape, "a number for each step and column")

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float | None = None) -> Tensor:
        """Return the mean squared error of standardised values, a scalar.

        Args:
            outputs: Shape (n, horizon, columns), standardised.
            targets: Likewise, in the units of the data.
            label_smoothing: Not used: there are no labels.
        """
        return F.mse_loss(outputs, self.standardised(targets).to(outputs.dtype))

    def distillation(self, outputs: Tensor, teacher_outputs: Tensor) -> Tensor:
        """Return the mean squared difference from the outputs of another network, a scalar."""
        return F.mse_loss(outputs, teacher_outputs)

    def meter(self, device: str = "cpu") -> ForecastErrors:
        """Return the metrics of a part, computed from sums over it."""
        return ForecastErrors(self, device)

    def decode(self, outputs: Tensor) -> list[Tensor]:
        """Return the forecast of each window in the units of the data, shape (horizon, columns)."""
        return list(outputs.cpu() * self.std + self.mean)


class ForecastErrors:
    """The metrics of forecasts, computed batch by batch in float64.

    Args:
        task: The task.
        device: Where outputs and targets are.
    """

    def __init__(self, task: Forecasting, device: str) -> None:
        self._task = task
        self._values = 0  # of a column
        kind = torch.float32 if torch.device(device).type == "mps" else torch.float64
        self._sums = torch.zeros((2, len(task.names)), dtype=kind, device=device)

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in standardised outputs and targets in the units of the data, both (n, horizon, columns)."""
        error = outputs.to(self._sums.dtype) - self._task.standardised(targets).to(self._sums.dtype)
        self._sums += torch.stack([error.square().sum((0, 1)), error.abs().sum((0, 1))])
        self._values += error.shape[0] * error.shape[1]

    def compute(self) -> dict[str, float]:
        """Return "mse", "mae" and "mase"; a column that is constant over the training part has no share in the last."""
        squares, absolutes = self._sums.cpu().double() / self._values
        scale = self._task.scale
        varies = scale > 0
        return {
            "mse": squares.mean().item(),
            "mae": absolutes.mean().item(),
            "mase": (absolutes[varies] / scale[varies]).mean().item(),
        }


def _recognise(path: Path) -> str | None:
    return "dates in ascending order, evenly spaced, and numbers" if looks_like_series(path) else None


@register("forecasting", recognise=_recognise)
def forecasting(
    source: Path,
    *,
    horizon: int | None = None,
    lookback: int | None = None,
    targets: str | Sequence[str] | None = None,
    time: str | None = None,
    train: int | None = None,
    validation: float = 0.1,
    test: float = 0.2,
    season: int | None = None,
    gaps: str = "refuse",
    max_gigabytes: float = 4.0,
) -> Forecasting:
    """Forecasting of the next values of time series in a table.

    Args:
        source: A CSV file with a column of time stamps, ascending dates or numbers, and columns of numbers.
        horizon: The number of steps to forecast; by default 96, or a twelfth of a short series.
        lookback: The largest number of steps to look back; by default five times the horizon, or the season if that is
            longer; less for short series.
        targets: The columns to forecast, a list or a text with commas; by default all. The others are inputs.
        time: The column of time stamps; by default the first one.
        train: The number of steps of the training part; by default all that come before the other parts. With it, steps
            after the test part are left out.
        validation: Share or number of steps for validation, those before the test.
        test: Likewise for the test, the last ones.
        season: The number of steps of a season, for "mase" and the naive baseline; by default that of the step, such
            as 24 for hours.
        gaps: What to do about missing steps and cells: "refuse"; "interpolate", along straight lines; or "ignore" the
            time stamps and take the rows as evenly spaced, such as those of working days.
        max_gigabytes: The most memory that the series may take.
    """
    if gaps not in GAPS:
        raise unknown("way to deal with gaps", str(gaps), GAPS)
    try:
        table = read_series(source, time=time, gigabytes=max_gigabytes)
        spacing = spacing_of(table)
        table, added, filled = table.complete(spacing, gaps)
    except InputError as error:
        raise DataError(str(error)) from error
    order = _order(table, targets)
    forecast = len(table.names) if targets is None else len(_listed(targets, table.names))
    total = len(table.rows)
    ends = _ends(total, train, validation, test)
    steps = _whole("horizon", horizon) or min(_HORIZON, max(1, total // _SHARE))
    period = _whole("season", season) or _SEASONS.get((spacing.unit, float(spacing.step)), 1)
    period = period if period < ends[0] else 1
    back = _whole("lookback", lookback) or _default_lookback(ends[0], steps, period)
    if back + steps > ends[0]:
        raise DataError(
            f"{source}: the training part has {ends[0]} steps, and a lookback of {back} and a horizon of {steps} need "
            f"{back + steps}: give smaller ones, such as lookback={max(1, ends[0] // 4)} and "
            f"horizon={max(1, ends[0] // 8)}"
        )
    for part, first, end in (("validation", *ends[:2]), ("test", *ends[1:])):
        if end - first < steps:
            raise DataError(
                f"{source}: the {part} part has {counted(end - first, 'step')}, fewer than the horizon of {steps}: "
                f"give a smaller horizon=, or a larger {part}="
            )
    series = table.values[:, order].float()
    options = {"lookback": back, "horizon": steps, "forecast": forecast}
    learnt, held, final = (windows_between(series, *each, **options) for each in ((0, ends[0]), ends[:2], ends[1:]))
    made = Forecasting(
        learnt,
        held,
        final,
        [table.names[place] for place in order],
        spacing,
        season=period,
        time=table.time,
        gaps=gaps,
        name=source.stem,
    )
    step = f" of {spacing.text}" if spacing.unit != "numbers" else ""
    made.told = (f"horizon: {counted(steps, 'step')}{step}, looking back over up to {back}; season {period}",)
    if table.texts:
        made.told += (f"left out: columns without numbers, {', '.join(map(repr, table.texts))}",)
    if added or filled:
        made.told += (f"interpolated: {counted(added, 'missing step')} and {counted(filled, 'missing cell')}",)
    if ends[2] < total:
        made.told += (f"left out: the last {counted(total - ends[2], 'step')}, after the test part",)
    return made


def _ends(total: int, train: int | None, validation: float, test: float) -> tuple[int, int, int]:
    """Return the ends of the training, the validation and the test part."""
    counts = []
    for name, share in (("validation", scalar(validation)), ("test", scalar(test))):
        if not (is_whole(share) and share >= 1) and not (isinstance(share, float) and 0 < share < 1):
            raise DataError(f"{name}={share!r} must be a fraction between 0 and 1, or a number of steps of 1 or more")
        counts.append(share if is_whole(share) else round(share * total))
    first = _whole("train", train) or total - sum(counts)
    if first < 1 or first + sum(counts) > total:
        raise DataError(
            f"the series has {total} steps, and validation={validation} and test={test} leave {total - sum(counts)} to "
            f"learn from{'' if train is None else f', not train={train}'}"
        )
    return first, first + counts[0], first + sum(counts)


def _default_lookback(train: int, horizon: int, season: int) -> int:
    """Return the multiple of horizon or season, up to five, that leaves half of the training part, if there is one."""
    unit = max(horizon, season, _LEAST)
    fitting = [times * unit for times in range(1, _LOOKBACK + 1) if 2 * times * unit <= train - horizon]
    return fitting[-1] if fitting else min(horizon, max(1, (train - horizon) // 2))


def _whole(name: str, value: object) -> int:
    """Return a number of steps, 0 where none is given."""
    found = scalar(value)
    if found is None:
        return 0
    if not is_whole(found) or found < 1:
        raise DataError(f"{name}={value!r} must be a whole number of steps, 1 or more")
    return int(found)


def _listed(targets: str | Sequence[str], names: Sequence[str]) -> list[str]:
    if isinstance(targets, str):
        return [targets] if targets in names else [name.strip() for name in targets.split(",")]
    return list(map(str, targets))


def _order(table: SeriesTable, targets: str | Sequence[str] | None) -> list[int]:
    """Return the places of the columns, those to forecast first."""
    if targets is None:
        return list(range(len(table.names)))
    wanted = _listed(targets, table.names)
    for name in wanted:
        if name not in table.names:
            raise DataError(f"{table.path}: there is no column {name!r} of numbers; there are {', '.join(table.names)}")
    if not wanted or len(set(wanted)) < len(wanted):
        raise DataError(f"targets={targets!r} must name different columns")
    chosen = [table.names.index(name) for name in wanted]
    return chosen + [place for place in range(len(table.names)) if place not in chosen]
