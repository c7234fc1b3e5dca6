"""Preprocessing and results of forecasts; a part of the `predict.py` of networks that forecast."""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archwright.datasets._preprocess import (
    Noted,
    Preprocess,
    Result,
    Sample,
    Target,
    check_numbers,
    free_path,
    moments,
    outputs_source,
)
from archwright.datasets._reading import GIGABYTES, InputError
from archwright.datasets._series_table import GAPS, SeriesTable, Spacing, last_day, read_series

__all__ = ["Forecast", "RawSeries", "SeriesPreprocess"]

_SHOWN = 6  # columns that are printed


@dataclass(frozen=True)
class Forecast(Result):
    """The values that a network expects after the end of a series.

    Args:
        times: The time stamp of each step.
        values: The values by column, in the units of the data.
        time: The name of the column of time stamps.
        history: The last values before, shape (steps, columns), and their time stamps, for a picture.

    Example:
        >>> Forecast("sales.csv", 36, ["2024-01-01", "2024-02-01"], {"sold": [5.0, 6.5]}).cells()
        {'from': '2024-01-01', 'to': '2024-02-01', 'sold': '5 ... 6.5'}
    """

    times: list[str]
    values: dict[str, list[float]]
    time: str = "time"
    history: Tensor | None = dataclasses.field(default=None, repr=False, compare=False)

    def cells(self) -> dict[str, str]:
        """Return the first and the last time stamp and value, of the first columns."""
        shown = {name: f"{each[0]:.6g} ... {each[-1]:.6g}" for name, each in list(self.values.items())[:_SHOWN]}
        rest = len(self.values) - len(shown)
        return {"from": self.times[0], "to": self.times[-1], **shown} | ({f"{rest} more": "see --out"} if rest else {})

    def to_json(self) -> dict[str, Any]:
        """Return the time stamps and all values."""
        return {"file": self.file, "row": self.row, "times": self.times, "values": self.values}

    def save(self, folder: Path) -> list[Path]:
        """Write the values as a table, and a picture of them if matplotlib is installed.

        Args:
            folder: A folder that exists. Files in it are not overwritten: new names get a number.

        Returns:
            `NAME-forecast.csv` and `NAME-forecast.png`.
        """
        name = f"sample-{self.row}" if self.file is None else Path(self.file).stem
        written = [free_path(folder / f"{name}-forecast.csv")]
        with written[0].open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow([self.time, *self.values])
            table.writerows(zip(self.times, *self.values.values(), strict=True))
        try:
            from matplotlib.figure import Figure
        except ImportError:
            return written
        shown = list(self.values.items())[:_SHOWN]
        figure = Figure(figsize=(8, 2.2 * len(shown)), layout="constrained")
        for place, (column, values) in enumerate(shown):
            axes = figure.add_subplot(len(shown), 1, place + 1)
            axes.set_ylabel(column, parse_math=False)  # a dollar sign is one
            if self.history is not None:
                before = self.history[-3 * len(values) :, place].tolist()
                axes.plot(range(1 - len(before), 1), before, color="0.4", label="series")
            axes.plot(range(1, len(values) + 1), values, color="tab:orange", label="forecast")
        figure.axes[0].legend(loc="upper left")
        axes.set_xlabel(f"steps from {self.times[0]} to {self.times[-1]}")
        written.append(free_path(folder / f"{name}-forecast.png"))
        figure.savefig(written[-1])
        return written


@dataclass(frozen=True)
class SeriesPreprocess(Preprocess):
    """Preprocessing of time series.

    Args:
        columns: The columns that a network takes, those that it forecasts first, with mean and standard deviation.
        forecast: How many of them it forecasts.
        lookback: The number of steps that it takes.
        horizon: The number of steps that it forecasts.
        spacing: The distance between two steps.
        time: The name of the column of time stamps, or its position, from 1, if columns have no names.
        gaps: One of "refuse", "interpolate" and "ignore": what is done about missing steps and cells.

    Example:
        >>> column = Target("sold", mean=10.0, std=2.0)
        >>> preprocess = SeriesPreprocess((column,), 1, 3, 2, Spacing("months", 1.0), "month")
        >>> preprocess.item({"sold": [8, 10, 12]}).tolist()
        [[8.0], [10.0], [12.0]]
    """

    kind = "series"
    takes = "tables with the last steps of a time series (CSV)"
    uses = (SeriesTable,)
    classes = ()

    columns: tuple[Target, ...]
    forecast: int
    lookback: int
    horizon: int
    spacing: Spacing
    time: str
    gaps: str = "refuse"

    @property
    def targets(self) -> tuple[Target, ...]:  # type: ignore[override]
        """The columns that are forecast."""
        return self.columns[: self.forecast]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return (self.lookback, len(self.columns))

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean of each column."""
        return tuple(each.mean for each in self.columns)

    @property
    def std(self) -> tuple[float, ...]:
        """The standard deviation of each column."""
        return tuple(each.std for each in self.columns)

    def normalise(self, raw: Tensor) -> Tensor:
        """Return raw series (n, steps, columns) as (raw - mean) / std, float32."""
        centre, spread = (torch.tensor(each, device=raw.device) for each in (self.mean, self.std))
        return (raw.to(torch.float32) - centre) / spread

    def read(self, path: str | os.PathLike[str], *, gigabytes: float = GIGABYTES) -> Iterator[Sample]:
        """Yield the last steps of the series in a file, float32 (lookback, columns).

        Raises:
            InputError: The file cannot be read or lacks a column, or the series is too short or not evenly spaced.
        """
        names = [each.name for each in self.columns]
        table = read_series(Path(path), time=self.time, columns=names, gigabytes=gigabytes)
        if isinstance(table.stamps[0], datetime) == (self.spacing.unit == "numbers"):
            held = "numbers" if self.spacing.unit == "numbers" else "dates"
            raise InputError(f"{path}: the time stamps are not {held}, as in the training data.")
        table, *_ = table.last(self.lookback).complete(self.spacing, self.gaps)
        table = table.last(self.lookback)
        if len(table.rows) < self.lookback:
            raise InputError(
                f"{path} has {len(table.rows)} rows, and the network looks back over {self.lookback}. Give the last "
                f"{self.lookback} rows of the series, or more."
            )
        day = last_day(table.stamps) if self.spacing.unit == "months" else 0
        try:
            times = [self.spacing.after(table.stamps[-1], step + 1, day) for step in range(self.horizon)]
        except InputError as error:
            raise InputError(f"{path}, row {table.rows[-1]}: {error}") from error
        yield (
            table.rows[-1],
            Noted(_finite(table.values, str(path)), (list(map(self.spacing.written, times)), table.values)),
        )

    def item(self, given: Any) -> Tensor | Noted:
        """Return the steps of one series, float32 (lookback, columns).

        Args:
            given: A mapping from column names to lists of the last values; other columns are ignored.

        Raises:
            InputError: It is no mapping, or a column is missing or of another length.
        """
        if not isinstance(given, Mapping):
            return super().item(given)
        lists = []
        for each in self.columns:
            try:
                values = list(given.get(each.name, ()))
            except TypeError as error:
                raise InputError(
                    f"column {each.name!r} is {given[each.name]!r:.40}; give a list of its last {self.lookback} values."
                ) from error
            if len(values) < self.lookback:
                raise InputError(
                    f"column {each.name!r} has {len(values)} values, and the network looks back over {self.lookback}."
                )
            lists.append(values[-self.lookback :])
        try:
            return _finite(torch.tensor(lists, dtype=torch.float64).T, "the series")
        except (TypeError, ValueError) as error:
            raise InputError(f"a series holds numbers: {error}.") from error

    def batch(self, raw: Tensor) -> Tensor:
        """Return raw series (n, lookback, columns) unchanged, after a check.

        Raises:
            InputError: The shape is wrong, or a value is not a number.
        """
        if tuple(raw.shape[1:]) != self.shape:
            wanted = ", ".join(map(str, self.shape))
            raise InputError(f"the network takes series of shape (n, {wanted}), not {tuple(raw.shape)}.")
        check_numbers(raw)
        return raw

    def adapted(self, network: nn.Module) -> nn.Module:
        """Return a network for raw series, which forecasts in the units of the data."""
        return RawSeries(network, self)

    def checked(self, outputs: Any, size: int) -> Tensor:
        """Return forecasts (n, horizon, columns), after a check of their shape."""
        wanted = (size, self.horizon, self.forecast)
        if not isinstance(outputs, Tensor) or outputs.shape != wanted:
            got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise InputError(f"the network returned {got}, and not a value for each step and column, {wanted}.")
        return outputs.float().cpu()

    def results(self, outputs: Any, places: Sequence[Any]) -> list[Forecast]:
        """Return the forecast after each series."""
        found = []
        for (file, row, *note), forecast in zip(places, outputs, strict=True):
            steps = [str(step + 1) for step in range(self.horizon)]  # of a series in memory
            times, history = note[0] if note else (steps, None)
            names = [each.name for each in self.targets]
            values = dict(zip(names, forecast.T.tolist(), strict=True))
            time = self.time if self.time and not self.time.isdecimal() else "time"
            found.append(Forecast(file, row, times, values, time, history))
        return found

    def source(self) -> str:
        """Return the source of the constants and of the functions `preprocess` and `postprocess`."""
        steps, columns = self.shape
        return outputs_source(self, f"(n, {steps}, {columns})", "view(-1)")

    def to_json(self) -> dict[str, Any]:
        """Return the content of `preprocess.json`."""
        return {
            "version": 1,
            "kind": self.kind,
            "time": self.time,
            "columns": [dataclasses.asdict(each) for each in self.columns],
            "forecast": self.forecast,
            "lookback": self.lookback,
            "horizon": self.horizon,
            "spacing": dataclasses.asdict(self.spacing),
            "gaps": self.gaps,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SeriesPreprocess:
        """Return the preprocessing written by `to_json`.

        Raises:
            InputError: The value is not a preprocessing of series.
        """
        columns, spacing = data.get("columns"), data.get("spacing")
        if not isinstance(columns, list) or not columns or not all(isinstance(each, dict) for each in columns):
            raise InputError("a series needs columns.")
        found = tuple(Target(str(each.get("name")), *moments(each.get("mean"), each.get("std"))) for each in columns)
        counts = [data.get(name) for name in ("forecast", "lookback", "horizon")]
        forecast, lookback, horizon = (each if type(each) is int else 0 for each in counts)
        if not 1 <= forecast <= len(found) or lookback < 1 or horizon < 1:
            raise InputError(f"forecast, lookback and horizon are whole numbers of 1 or more, not {counts}.")
        if not isinstance(spacing, dict) or spacing.get("unit") not in ("seconds", "months", "numbers"):
            raise InputError(f"{spacing!r} is no spacing of time stamps.")
        _, step = moments(0.0, spacing.get("step"))
        time, gaps = data.get("time"), data.get("gaps")
        if not isinstance(time, str) or gaps not in GAPS:
            raise InputError("a series needs the name of the column of time stamps, and what is done about gaps.")
        return cls(found, forecast, lookback, horizon, Spacing(spacing["unit"], step), time, gaps)


class RawSeries(nn.Module):
    """A network on raw series, whose forecasts are in the units of the data.

    Args:
        network: The network on normalised series.
        preprocess: Its preprocessing.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, preprocess: SeriesPreprocess) -> None:
        super().__init__()
        self.network = network
        weight = next(network.parameters(), None)
        device = None if weight is None else weight.device
        self.register_buffer("mean", torch.tensor(preprocess.mean, device=device))
        self.register_buffer("std", torch.tensor(preprocess.std, device=device))
        self.forecast = preprocess.forecast

    def forward(self, raw: Tensor) -> Tensor:
        """Return the forecast (n, horizon, columns) of raw series (n, lookback, columns)."""
        y = self.network((raw.to(torch.float32) - self.mean) / self.std)
        forecast: Tensor = y * self.std[: self.forecast] + self.mean[: self.forecast]
        return forecast


def _finite(values: Tensor, where: str) -> Tensor:
    found = values.to(torch.float32)
    if not bool(found.isfinite().all()):
        raise InputError(f"{where}: a value is missing, infinite or too large for float32.")
    return found
