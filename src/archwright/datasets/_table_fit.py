"""What the training part of a table decides: the columns that are of use, and what takes the place of missing cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from archwright.datasets._data import Part
from archwright.datasets._table_preprocess import Column

_MISSING, _CONSTANT = "as missing altogether in the training part", "as constant in the training part"


def fit_columns(
    columns: Sequence[Column], parts: Sequence[Part]
) -> tuple[tuple[Column, ...], list[Part], dict[str, list[str]]]:
    """Return the columns with what takes the place of missing cells, the parts without these, and what is left out.

    Numbers that are missing become the median of the training part; a column in which some are missing there gets a
    second feature, which is 1 where they are. Categories that the training part never shows are no features. Columns
    that are constant or missing altogether in the training part are left out.

    Args:
        columns: The columns as the reader returned them.
        parts: The training part, and others; their inputs are float32 (n, features), NaN where a number is missing.

    Returns:
        The columns that are kept; the parts; and the names of the others, by the reason.
    """
    values = parts[0].inputs.numpy()
    medians, gaps = np.zeros(values.shape[1], dtype=np.float32), np.isnan(values).any(0)
    with np.errstate(invalid="ignore"):
        low, high = np.fmin.reduce(values, 0), np.fmax.reduce(values, 0)  # NaN where all cells are missing
    kept: list[Column] = []
    left: dict[str, list[str]] = {_MISSING: [], _CONSTANT: []}
    places: list[int] = []  # of each new feature, the one that it is made of
    marks: list[int] = []  # the new features that say where a cell is missing
    start = 0
    for column in columns:
        here = range(start, start + column.features)
        start = here.stop
        if column.categories is not None:
            seen = [place for place in here if high[place] > 0]
            categories = tuple(column.categories[place - here.start] for place in seen)
            if len(seen) < 2:
                left[_CONSTANT if any(categories) else _MISSING].append(column.name)
                continue
            kept.append(replace(column, categories=categories))
            places += seen
        elif np.isnan(low[here.start]):
            left[_MISSING].append(column.name)
        elif low[here.start] == high[here.start] and not gaps[here.start]:
            left[_CONSTANT].append(column.name)
        else:
            place, marked = here.start, bool(gaps[here.start])
            cells = values[:, place].astype(np.float64)  # in float32 the mean of two large numbers is infinite
            medians[place] = np.nanmedian(cells) if marked else np.median(cells)
            if marked:
                marks.append(len(places) + 1)
            kept.append(replace(column, fill=float(medians[place]), marked=marked))
            places += [place] * (1 + marked)
    return tuple(kept), [_filled(part, places, marks, medians) for part in parts], left


def _filled(part: Part, places: list[int], marks: list[int], medians: npt.NDArray[np.float32]) -> Part:
    inputs: torch.Tensor = part.inputs[:, places]
    missing = inputs.isnan()
    inputs = torch.where(missing, torch.from_numpy(medians[places]), inputs)
    inputs[:, marks] = missing[:, marks].float()
    return Part(inputs, part.targets)
