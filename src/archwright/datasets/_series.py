"""Time series in tables, and their windows."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archwright.datasets._data import Part
from archwright.datasets._reading import TABLES, InputError, read_rows, to_number
from archwright.datasets._series_table import MISSING, SeriesTable, read_series, spacing_of, to_stamp

_LOOKED_AT, _LEAST = 100, 20  # rows that are looked at, and that a series has
_EVEN = 0.75  # of the steps of rows that are most likely a series; working days have 0.8


class Windows(Part):
    """Windows of a time series: the steps that a network sees, and those that it forecasts.

    The windows are views of the series, which is kept once.

    Args:
        series: float32 of shape (steps, columns), the columns that are forecast first.
        starts: The first step of each window, int64 of shape (n,).
        lookback: How many steps a network sees.
        horizon: How many steps after these it forecasts.
        forecast: How many columns it forecasts.

    Example:
        >>> part = Windows(torch.arange(10.0)[:, None], torch.arange(6), lookback=3, horizon=2, forecast=1)
        >>> part.inputs[1].flatten().tolist(), part.targets[1].flatten().tolist()
        ([1.0, 2.0, 3.0], [4.0, 5.0])
    """

    def __init__(self, series: Tensor, starts: Tensor, *, lookback: int, horizon: int, forecast: int) -> None:
        self.series, self.starts = series, starts
        self.lookback, self.horizon, self.forecast = lookback, horizon, forecast

    @property
    def inputs(self) -> Tensor:
        """What a network sees, shape (n, lookback, columns)."""
        return self._of(self.series, 0, self.lookback, self.starts)

    @property
    def targets(self) -> Tensor:
        """What it forecasts, shape (n, horizon, columns that are forecast)."""
        return self._of(self.series[:, : self.forecast], self.lookback, self.horizon, self.starts)

    @property
    def span(self) -> Tensor:
        """The steps of the series from the first to the last of any window, shape (steps, columns)."""
        end = int(self.starts.max()) + self.lookback + self.horizon
        return self.series[int(self.starts.min()) : end]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.starts)

    def __add__(self, other: Part) -> Windows:
        """Return the windows of both, which are of one series."""
        if not isinstance(other, Windows) or other.series.data_ptr() != self.series.data_ptr():
            raise TypeError("windows of different series cannot be joined")
        return self._with(self.series, torch.cat([self.starts, other.starts]))

    def at(self, places: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of some windows.

        Args:
            places: Indices, int64 of shape (n,), or a slice.
        """
        chosen = self.select(places)
        return chosen.inputs, chosen.targets

    def select(self, places: Tensor | slice) -> Windows:
        """Return some of the windows.

        Args:
            places: Indices, int64 of shape (n,), or a slice.
        """
        return self._with(self.series, self.starts[places])

    def placed(self, inputs: Callable[[Any], Any], targets: Callable[[Tensor], Tensor]) -> Windows:
        """Return the windows on another device.

        Args:
            inputs: Moves the series.
            targets: Not needed: the targets are a part of the series.
        """
        return self._with(inputs(self.series), inputs(self.starts))

    def _with(self, series: Tensor, starts: Tensor) -> Windows:
        return Windows(series, starts, lookback=self.lookback, horizon=self.horizon, forecast=self.forecast)

    @staticmethod
    def _of(series: Tensor, offset: int, length: int, starts: Tensor) -> Tensor:
        windows = series[offset:].unfold(0, length, 1).transpose(1, 2)
        if len(starts) and starts.device.type == "cpu":  # elsewhere looking at values takes long
            first = int(starts[0])
            if torch.equal(starts, torch.arange(first, first + len(starts))):
                return windows[first : first + len(starts)]  # a view
        return windows[starts]


def windows_between(
    series: Tensor, first: int, end: int, *, lookback: int, horizon: int, forecast: int | None = None
) -> Windows:
    """Return the windows whose targets lie between two steps; what they look back at may lie before.

    Args:
        series: float32 of shape (steps, columns), the columns that are forecast first.
        first: The first step of the targets.
        end: The step after their last one.
        lookback: How many steps a network sees.
        horizon: How many steps it forecasts.
        forecast: How many columns it forecasts; by default all.

    Example:
        >>> len(windows_between(torch.zeros(30, 1), 20, 30, lookback=8, horizon=2))
        9
    """
    starts = torch.arange(max(0, first - lookback), max(0, end - lookback - horizon + 1))
    columns = series.shape[1] if forecast is None else forecast
    return Windows(series, starts, lookback=lookback, horizon=horizon, forecast=columns)


def looks_like_series(path: Path) -> bool:
    """Tell whether a file is surely a table with dates in its first column, ascending and evenly spaced, and numbers.

    Example:
        >>> looks_like_series(Path("nothing.csv"))
        False
    """
    stamps = _dates(path)
    if not stamps:
        return False
    try:
        if any(second <= first for first, second in pairwise(stamps)):
            return False
        _table(path, stamps).complete(spacing_of(_table(path, stamps)), "refuse")
    except (InputError, TypeError):  # dates with and without a time zone are not compared
        return False
    return True


def series_doubt(path: Path) -> str | None:
    r"""Return why a table is no time series where most of its rows are one; `None` for other files.

    Example:
        >>> rows = [f"2024-01-{day:02},{day}" for day in range(1, 31) if day != 9]
        >>> _ = Path("sold.csv").write_text("\n".join(["day,sold", *rows]))
        >>> series_doubt(Path("sold.csv"))[:66]
        'sold.csv, row 10: 2024-01-10 is 2 steps of 1 day after 2024-01-08.'
    """
    stamps = _dates(path, but=MISSING)
    if not stamps:
        return None
    try:
        spacing = spacing_of(_table(path, stamps))
        if [spacing.between(*each) for each in pairwise(stamps)].count(1.0) < _EVEN * len(stamps):
            return None
    except TypeError:
        return None
    try:
        table = read_series(path)
        table.complete(spacing_of(table), "refuse")
    except InputError as error:
        return str(error)
    return None


def _dates(path: Path, but: Collection[str] = ()) -> list[Any]:
    """Return the first dates of a table of dates and numbers, or of some texts in their place; else none."""
    if not path.name.lower().endswith(TABLES) or not path.is_file():
        return []
    try:
        _, *rows = (row for _, row in islice(read_rows(path), _LOOKED_AT))
    except (InputError, ValueError):
        return []
    cells = (cell for row in rows for cell in row[1:])
    if len(rows) < _LEAST or len(rows[0]) < 2 or any(to_number(x) is None and x.casefold() not in but for x in cells):
        return []
    stamps = [None if to_number(row[0]) is not None else to_stamp(row[0]) for row in rows]
    return [] if None in stamps else stamps


def _table(path: Path, stamps: list[Any]) -> SeriesTable:
    return SeriesTable(path, "", (), stamps, torch.zeros(len(stamps), 0), list(range(len(stamps))))
