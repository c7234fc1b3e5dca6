"""Reading of time series; a part of the `predict.py` of networks that forecast."""

from __future__ import annotations

import calendar
import dataclasses
import math
import re
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archwright.datasets._reading import GIGABYTES, InputError, limit_text, read_rows, to_number

__all__ = ["GAPS", "MISSING", "SeriesTable", "Spacing", "Stamp", "last_day", "read_series", "spacing_of", "to_stamp"]

GAPS = ("refuse", "interpolate", "ignore")
"""What is done about missing steps and cells; "ignore" takes rows as evenly spaced."""

Stamp = Any
"""A time stamp: a number, or a datetime."""

_DATE = re.compile(
    r"(\d{4})[-/.](\d{1,2})(?:[-/.](\d{1,2}))?(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.0*)?)?)?"  # such as 2016/7/1 0:00
)
MISSING = frozenset({"", "na", "n/a", "nan", "null"})
"""What stands in place of a missing number, in lower case."""

_CLOSE = 1e-6  # of a step


@dataclass(frozen=True)
class Spacing:
    """The distance between the time stamps of a series.

    Args:
        unit: "seconds", "months", or "numbers" for time stamps that are numbers.
        step: How many of them.

    Example:
        >>> Spacing("seconds", 3600.0).text
        '1 hour'
    """

    unit: str
    step: float

    @property
    def text(self) -> str:
        """The distance in words."""
        size, unit = self.step, {"seconds": "second", "months": "month", "numbers": ""}[self.unit]
        if self.unit == "seconds":
            for length, name in ((604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute")):
                if size % length == 0:
                    size, unit = size / length, name
                    break
        return f"{size:g} {unit}{'' if size == 1 or not unit else 's'}".strip()

    def between(self, first: Stamp, second: Stamp) -> float:
        """Return the distance of two time stamps in steps."""
        if self.unit == "seconds":
            return float((second - first).total_seconds() / self.step)
        if self.unit == "months":
            whole = _month(second) - _month(first)
            return whole / self.step if second.day == first.day or _is_end(first, second) else float("nan")
        return float((second - first) / self.step)

    def after(self, stamp: Stamp, steps: int, day: int = 0) -> Stamp:
        """Return a time stamp so many steps later.

        Args:
            stamp: The time stamp.
            steps: How many.
            day: For months, the day of the month that is meant, such as 31 for the last one.

        Raises:
            InputError: It is beyond the year 9999.
        """
        try:
            if self.unit == "seconds":
                return stamp + timedelta(seconds=self.step * steps)
            if self.unit == "months":
                year, month = divmod(_month(stamp) + round(self.step * steps), 12)
                return stamp.replace(year=year, month=month + 1, day=min(day or stamp.day, _days(year, month + 1)))
        except (OverflowError, ValueError) as error:
            told = f"{self.written(stamp)} and {steps} steps of {self.text}"
            raise InputError(f"{told} are beyond the year 9999, where dates end: correct the time stamps.") from error
        return stamp + self.step * steps

    def written(self, stamp: Stamp) -> str:
        """Return a time stamp as text."""
        if self.unit == "numbers":
            return str(int(stamp)) if float(stamp).is_integer() else f"{stamp:.12g}"
        is_day = self.unit == "months" or self.step % 86_400 == 0
        is_midnight = stamp.tzinfo is None and stamp.time().isoformat() == "00:00:00"
        return str(stamp.date().isoformat() if is_day and is_midnight else stamp.isoformat(sep=" "))


@dataclass(frozen=True)
class SeriesTable:
    """The rows of a file with a time series.

    Args:
        path: The file.
        time: The name of the column of time stamps, or its position, from 1, if columns have no names.
        names: The names of the columns of numbers, likewise.
        stamps: The time stamps, ascending: numbers, or datetimes.
        values: float64 of shape (rows, columns), NaN where a cell is missing.
        rows: Where each row stands in the file, from 1.
        texts: Columns without numbers, which are left out.

    Example:
        >>> table = SeriesTable(Path("sold.csv"), "day", ("sold",), [1.0, 2.0, 4.0], torch.ones(3, 1), [2, 3, 4])
        >>> complete, added, filled = table.complete(spacing_of(table), "interpolate")
        >>> complete.stamps, added
        ([1.0, 2.0, 3.0, 4.0], 1)
    """

    path: Path
    time: str
    names: tuple[str, ...]
    stamps: list[Stamp]
    values: Tensor
    rows: list[int]
    texts: tuple[str, ...] = ()

    def last(self, count: int) -> SeriesTable:
        """Return the last rows."""
        changes = {name: getattr(self, name)[-count:] for name in ("stamps", "values", "rows")}
        return dataclasses.replace(self, **changes)

    def complete(self, spacing: Spacing, gaps: str) -> tuple[SeriesTable, int, int]:
        """Return the series with evenly spaced rows and without missing cells.

        Args:
            spacing: The distance of the rows.
            gaps: One of `GAPS`.

        Returns:
            The series, the number of steps and the number of cells that were interpolated.

        Raises:
            InputError: A step or a cell is missing, and is not to be interpolated.
        """
        table, added = (self, 0) if gaps == "ignore" else self._evenly(spacing, fill=gaps == "interpolate")
        missing = table.values.isnan()
        lost = int(self.values.isnan().sum())
        if lost and gaps != "interpolate":
            row, column = (int(each) for each in missing.nonzero()[0])
            raise InputError(
                f"{self.path}, row {self.rows[row]}: column {self.names[column]!r} is missing (of {lost} missing "
                'cells the first). Fill it in, or have missing cells interpolated: gaps="interpolate", or '
                "--option gaps=interpolate."
            )
        if missing.any():
            columns = zip(table.values.T, self.names, strict=True)
            filled = [_interpolated(column, self.path, name) for column, name in columns]
            table = dataclasses.replace(table, values=torch.stack(filled, 1))
        return table, added, lost

    def _evenly(self, spacing: Spacing, *, fill: bool) -> tuple[SeriesTable, int]:
        places, stamps, rows, at = [0], [self.stamps[0]], [self.rows[0]], 0
        day = last_day(self.stamps) if spacing.unit == "months" else 0
        for (before, after), row in zip(pairwise(self.stamps), self.rows[1:], strict=True):
            steps = spacing.between(before, after)
            count = round(steps) if math.isfinite(steps) else 0
            if not abs(steps - count) <= _CLOSE * max(1, count) or count < 1:
                raise InputError(
                    f"{self.path}, row {row}: the time stamp {spacing.written(after)} is not a whole number of steps "
                    f"of {spacing.text} after {spacing.written(before)}. Give evenly spaced rows, or have them taken "
                    'as such: gaps="ignore", or --option gaps=ignore.'
                )
            if count > 1 and not fill:
                raise InputError(
                    f"{self.path}, row {row}: {spacing.written(after)} is {count} steps of {spacing.text} after "
                    f"{spacing.written(before)}. Add the missing rows, have them interpolated "
                    '(gaps="interpolate", or --option gaps=interpolate), or take the rows as evenly spaced '
                    '(gaps="ignore", or --option gaps=ignore).'
                )
            if at + count > 2 * len(self.stamps):
                raise InputError(f"{self.path}: more than half of the steps of {spacing.text} are missing.")
            stamps += [spacing.after(before, step, day) for step in range(1, count)] + [after]
            rows += [row] * count
            at += count
            places.append(at)
        values = self.values.new_full((at + 1, len(self.names)), float("nan"))
        values[places] = self.values
        return dataclasses.replace(self, stamps=stamps, rows=rows, values=values), at + 1 - len(places)


def read_series(
    path: Path,
    *,
    time: str | None = None,
    columns: Sequence[str] | None = None,
    gigabytes: float = GIGABYTES,
) -> SeriesTable:
    r"""Return the time series in a table.

    A first row of names is recognised by its first cell, which is then no time stamp.

    Args:
        path: The file.
        time: The column of time stamps, by name, or position if columns have no names; by default the first one.
        columns: The columns to read, in this order; by default all but those of texts.
        gigabytes: The limit of its size.

    Raises:
        InputError: The file cannot be read; or time stamps are not ascending, or a cell is no number.

    Example:
        >>> _ = Path("sold.csv").write_text("month,sold\n2024-01,3\n2024-02,5\n")
        >>> table = read_series(Path("sold.csv"))
        >>> table.names, table.values.tolist()
        (('sold',), [[3.0], [5.0]])
    """
    lines = read_rows(path, gigabytes)
    first = next(lines, None)
    if first is None:
        raise InputError(f"{path} is empty; it should hold a column of time stamps and columns of numbers.")
    heads = first[1]
    by_place = time is not None and time.isdecimal()
    start = int(time or 1) - 1 if by_place or time is None else 0
    has_names = not by_place and (time is not None or to_stamp(heads[0]) is None)
    names = list(heads) if has_names else [str(place + 1) for place in range(len(heads))]
    if has_names and time is not None:
        start = _place(path, names, time)
    if not 0 <= start < len(names) or len(names) < 2:
        raise InputError(f"{path} has {len(names)} columns; a series needs one of time stamps and one of numbers.")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"{path}: two columns are called {twice[0]!r}; give each a name of its own.")
    others = [place for place in range(len(names)) if place != start]
    chosen = others if columns is None else [_place(path, names, name) for name in columns]
    is_head = has_names or to_stamp(heads[start]) is None
    stamps: list[Stamp] = []
    numbers, rows = array("d"), array("q")
    odd: dict[int, tuple[int, str]] = {}  # the first cell of a column that is no number
    texts: Counter[int] = Counter()
    for row, cells in lines if is_head else chain([first], lines):
        stamp = to_stamp(cells[start])
        if stamp is None:
            raise InputError(
                f"{path}, row {row}: the time stamp {cells[start][:40]!r} is neither a number nor a date such as "
                "2024-01-31 or 2024-01-31 13:00."
            )
        _check_order(f"{path}, row {row}", stamps[-1] if stamps else None, stamp, cells[start])
        stamps.append(stamp)
        rows.append(row)
        for place in chosen:
            value = to_number(cells[place])
            if value is None:
                if cells[place].casefold() not in MISSING:
                    odd.setdefault(place, (row, cells[place]))
                    texts[place] += 1
                value = float("nan")
            elif abs(value) > 3e38:
                raise InputError(f"{path}, row {row}: column {names[place]!r} is infinite or too large for float32.")
            numbers.append(value)
        if 8 * len(numbers) + 100 * len(rows) > gigabytes * 1e9:
            raise InputError(f"{path} takes, as a series in memory, more than {limit_text(gigabytes)}")
    if len(stamps) < 2:
        raise InputError(f"{path} holds {len(stamps)} rows; a series has at least two.")
    values = torch.frombuffer(numbers, dtype=torch.float64).view(len(rows), len(chosen)).clone()
    held = values.isfinite().any(0).tolist()
    left = [place for place, is_held in zip(chosen, held, strict=True) if columns is None and not is_held]
    for place, (row, cell) in odd.items():
        if place not in left:
            raise InputError(
                f"{path}, row {row}: column {names[place]!r} holds {cell[:40]!r} where a number is required "
                f"({texts[place]} such cells)."
            )
    kept = [index for index, place in enumerate(chosen) if place not in left]
    if not kept:
        raise InputError(f"{path} has no column of numbers beside the time stamps.")
    return SeriesTable(
        path,
        names[start] if has_names else str(start + 1),
        tuple(names[chosen[index]] for index in kept),
        stamps,
        values[:, kept],
        rows.tolist(),
        tuple(names[place] for place in left),
    )


def last_day(stamps: Sequence[Stamp]) -> int:
    """Return the latest day of the month of dates."""
    return max(int(stamp.day) for stamp in stamps)


def spacing_of(table: SeriesTable) -> Spacing:
    """Return the distance between most time stamps of a series.

    Example:
        >>> stamps = [datetime(2024, 1, 31), datetime(2024, 2, 29), datetime(2024, 3, 31)]
        >>> spacing_of(SeriesTable(Path("sold.csv"), "month", ("sold",), stamps, torch.zeros(3, 1), [2, 3, 4]))
        Spacing(unit='months', step=1)
    """
    stamps = table.stamps
    if not isinstance(stamps[0], datetime):
        steps = Counter(float(f"{second - first:.9g}") for first, second in pairwise(stamps))
        return Spacing("numbers", steps.most_common(1)[0][0])
    seconds = Counter((second - first).total_seconds() for first, second in pairwise(stamps))
    day = last_day(stamps)
    is_monthly = len({stamp.timetz() for stamp in stamps}) == 1 and all(
        stamp.day == min(day, _days(stamp.year, stamp.month)) for stamp in stamps
    )
    months = Counter(_month(second) - _month(first) for first, second in pairwise(stamps))
    if is_monthly and 0 not in months:
        return Spacing("months", months.most_common(1)[0][0])
    return Spacing("seconds", seconds.most_common(1)[0][0])


def to_stamp(cell: str) -> Stamp | None:
    """Return the time stamp that a cell holds: a number or a date; `None` for anything else.

    Example:
        >>> to_stamp("2016/7/1 0:00"), to_stamp("1949-01"), to_stamp("month")
        (datetime.datetime(2016, 7, 1, 0, 0), datetime.datetime(1949, 1, 1, 0, 0), None)
    """
    number = to_number(cell)
    if number is not None:
        return number if abs(number) < 1e300 else None
    try:
        return datetime.fromisoformat(cell)
    except ValueError:
        pass
    found = _DATE.fullmatch(cell)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    try:
        return datetime(year, month, day or 1, hour, minute, second)
    except ValueError:
        return None


def _check_order(where: str, before: Stamp | None, stamp: Stamp, cell: str) -> None:
    if before is None:
        return
    mixed = isinstance(before, datetime) != isinstance(stamp, datetime)
    if mixed or (isinstance(stamp, datetime) and (stamp.tzinfo is None) != (before.tzinfo is None)):
        raise InputError(f"{where}: the time stamp {cell!r} is of another kind than that of the row before.")
    if stamp == before:
        raise InputError(f"{where}: the time stamp {cell!r} comes twice; keep one row of each.")
    if stamp < before:
        raise InputError(f"{where}: the time stamp {cell!r} is before that of the row above; sort the rows by time.")


def _place(path: Path, names: Sequence[str], name: str) -> int:
    if name not in names:
        raise InputError(f"{path} has no column {name!r}; it has {', '.join(map(repr, names[:20]))}.")
    return list(names).index(name)


def _interpolated(values: Tensor, path: Path, name: str) -> Tensor:
    """Return a column (rows,) with straight lines in place of missing values, and constants at its ends."""
    known = values.isfinite().nonzero()[:, 0]
    if not len(known):
        raise InputError(f"{path}: column {name!r} has no values.")
    places = torch.arange(len(values))
    after = torch.searchsorted(known, places).clamp(max=len(known) - 1)
    before = (torch.searchsorted(known, places, right=True) - 1).clamp(min=0)
    low, high = known[before], known[after]
    share = ((places - low) / (high - low).clamp(min=1)).clamp(0, 1)
    return values[low] + share * (values[high] - values[low])


def _month(stamp: datetime) -> int:
    return stamp.year * 12 + stamp.month - 1


def _days(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def _is_end(*stamps: Stamp) -> bool:
    """Tell whether days of the month are as near to one day as their months allow: the last of a shorter month."""
    day = last_day(stamps)
    return all(each.day == min(day, _days(each.year, each.month)) for each in stamps)
