"""The table of Accel-NASBench."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from archwright import spaces
from archwright._files import Content
from archwright.bench._repeats import Repeats
from archwright.bench._table import Column, Table
from archwright.space import Architecture, Space
from archwright.spaces.accel_nasbench import LAYERS

_PERCENT = 0.01
_BOOLEANS = {"True": True, "False": False}


def read(content: Content, dataset: str) -> Table:
    """Return the table of a file, with the mean of repeated networks; docs/tables.md describes its columns."""
    columns = content.columns()
    decided: dict[str, list[int] | list[bool]] = {}
    for block in range(len(LAYERS)):
        for name, letter in (("expansion", "e"), ("kernel", "k"), ("layers", "l")):
            decided[f"block_{block}.{name}"] = [int(text) for text in columns.texts(f"block{block}_{letter}")]
        decided[f"block_{block}.squeeze"] = [_BOOLEANS[text] for text in columns.texts(f"block{block}_se")]
    repeats = Repeats(
        [Architecture(dict(zip(decided, row, strict=True))) for row in zip(*decided.values(), strict=True)]
    )

    def mean(name: str, scale: float = 1.0) -> Column:
        return repeats.mean(columns.numbers(name, scale))

    metrics = {"parameters": mean("params", 1e6), "macs": mean("macs", 1e6), "top5": mean("val_top5", _PERCENT)}
    for name in columns.names:
        measure, _, device = name.partition("_")
        if measure in ("latency", "throughput"):
            metrics[f"latency_ms_{device}" if measure == "latency" else name] = mean(name)
    space, accuracy = spaces.create("accel-nasbench", classes=1000), mean("val_top1", _PERCENT)
    return Table(
        space,
        repeats.listed,
        {1: accuracy},
        seconds=mean("train_time"),
        metrics=metrics,
        nearest=Nearest(space, repeats.listed, accuracy),
    )


class Nearest:
    """Finds the listed network that is nearest to another.

    The distance is the sum of the absolute differences of the vectors (`Space.encode`), each slot weighed by how much
    the accuracy changes along it: by its coefficient in a linear fit to the table (least squares). Without weights a
    kernel, which hardly matters, would count as much as a threefold width.
    """

    def __init__(self, space: Space, networks: Sequence[Architecture], accuracy: Column) -> None:
        self._space = space
        self._networks = networks
        self._accuracy = accuracy

    @cached_property
    def weights(self) -> Column:
        """The (slots,) weights."""
        vectors, known = self._vectors, ~np.isnan(self._accuracy)
        centred = vectors[known] - vectors[known].mean(0)
        weights: Column = np.abs(np.linalg.lstsq(centred, self._accuracy[known], rcond=None)[0])
        return weights

    def __call__(self, architecture: Architecture) -> int:
        """Return the row of the nearest network; the first of several."""
        return int((np.abs(self._vectors - self._space.encode(architecture)) @ self.weights).argmin())

    @cached_property
    def _vectors(self) -> Column:
        return np.array([self._space.encode(network) for network in self._networks])
