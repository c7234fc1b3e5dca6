"""The table of NAS-Bench-101, with the identity of and distance between its cells."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from archwright import spaces
from archwright._files import Content
from archwright.bench._table import Table
from archwright.space import Architecture
from archwright.spaces.nasbench101 import MOST_EDGES, OPERATIONS, from_matrix, to_matrix

_EPOCHS = (4, 12, 36, 108)
_INNER = 5
_LAST = _INNER + 1
_LABELS = (0b000, 0b011, 0b101, 0b110)  # no vertex, and the three operations: any two differ in two bits

Codes = NDArray[np.int64]
Small = NDArray[np.int8]


def read(content: Content, dataset: str) -> Table:
    """Return the table of a file; docs/tables.md describes its columns."""
    columns = content.columns()
    vertices = columns.numbers("n").astype(np.int64)
    operations = [text.zfill(n - 2) if n > 2 else "" for n, text in zip(vertices, columns.texts("ops"), strict=True)]
    cells = Cells(vertices, columns.numbers("adj_bits").astype(np.int64), operations)
    return Table(
        spaces.create("nasbench101"),
        cells,
        {epochs: columns.numbers(f"val{epochs}") for epochs in _EPOCHS if f"val{epochs}" in columns},
        test=columns.numbers("test108") if "test108" in columns else None,
        seconds=columns.numbers("train_s"),
        metrics={"parameters": columns.numbers("params")},
        nearest=cells.nearest,
        key=key,
        keys=cells.keys.tolist(),
    )


class Cells(Sequence[Architecture]):
    """Listed cells, and the nearest of them to any other. An architecture is made when it is asked for.

    Args:
        vertices: (cells,) how many vertices each has, 2 to 7.
        bits: (cells,) the upper triangle of its adjacency matrix, column after column, the first entry in bit 0.
        operations: For each inner vertex a digit, 0 to 2, the place in `OPERATIONS`.

    Attributes:
        keys: (cells,) what tells them apart, see `key`.

    Raises:
        ValueError: A cell has another number of operations, or a vertex that leads nowhere or comes from nowhere.
    """

    def __init__(self, vertices: Codes, bits: Codes, operations: Sequence[str]) -> None:
        self._given = list(zip(vertices.tolist(), bits.tolist(), operations, strict=True))
        wrong = sum(not 2 <= n <= _LAST + 1 or len(text) != n - 2 for n, _, text in self._given)
        if wrong:
            raise ValueError(f"a cell has 2 to 7 vertices, and an operation for each but two; {wrong} cells have not")
        matrices = np.zeros((len(self), _LAST + 1, _LAST + 1), dtype=np.int8)
        labels = np.zeros((len(self), _INNER), dtype=np.int8)
        for n in range(2, _LAST + 2):
            rows = np.flatnonzero(vertices == n)
            places = [*range(n - 1), _LAST]
            for bit, (early, late) in enumerate(_triangle(n)):
                matrices[rows, places[early], places[late]] = bits[rows] >> bit & 1
            for place in range(n - 2):
                labels[rows, place] = [int(operations[row][place]) + 1 for row in rows.tolist()]
        if labels.max(initial=0) > len(OPERATIONS):
            raise ValueError("an operation is 0, 1 or 2")
        fan_in, fan_out = matrices.sum(1), matrices.sum(2)
        whole = ((labels > 0) == (fan_in * fan_out > 0)[:, 1:-1]).all() and (fan_in[:, -1] > 0).all()
        if not whole or fan_in.sum(1).max(initial=0) > MOST_EDGES:
            raise ValueError("a listed cell has up to 9 edges; each vertex is on a way from input to output")
        self._numbers = _numbers(matrices, labels)
        self._codes = _renamed(self._numbers, 0)
        self._counts = _counts(matrices, labels)
        self.keys = self._codes.copy()
        for order in range(1, len(_tables().inner)):
            np.minimum(self.keys, _renamed(self._numbers, order), out=self.keys)

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self._given)

    @overload
    def __getitem__(self, row: int) -> Architecture: ...
    @overload
    def __getitem__(self, row: slice) -> list[Architecture]: ...
    def __getitem__(self, row: int | slice) -> Architecture | list[Architecture]:
        """Return the architecture of one row, or of several."""
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        n, bits, operations = self._given[row]
        matrix = np.zeros((n, n), dtype=np.int64)
        for bit, place in enumerate(_triangle(n)):
            matrix[place] = bits >> bit & 1
        return from_matrix(matrix, ["input", *(OPERATIONS[int(digit)] for digit in operations), "output"])

    def nearest(self, architecture: Architecture) -> int:
        """Return the row of the cell that is nearest to an architecture; the first of several.

        The distance of two cells is the number of edges that only one of them has, plus two for each vertex whose
        operation differs or that only one of them has, when their inner vertices are matched in the best way.
        """
        matrix, labels = _of(architecture)
        codes = np.unique(_all_names(_numbers(matrix, labels)))[:, None]
        counts = _counts(matrix, labels)[:, None]
        least = np.abs(self._counts - counts).sum(0, dtype=np.int8)  # no cell is nearer than its counts are
        best, row = 99, -1
        for bound in range(int(least.max()) + 1):
            if bound > best:
                break
            rows = np.flatnonzero(least == bound)
            if rows.size:
                distances = np.bitwise_count(codes ^ self._codes[rows]).min(0)
                place = int(distances.argmin())
                best, row = min((best, row), (int(distances[place]), int(rows[place])))
        return row


def key(architecture: Architecture) -> int:
    """Return a number that two architectures share exactly if their cells are the same.

    A cell is written as bits: one for each edge, three for the operation of each inner vertex. Naming the inner
    vertices in another order moves the bits; the key is the least of the 120 numbers.
    """
    return int(_all_names(_numbers(*_of(architecture))).min())


class _Numbers(NamedTuple):
    """A cell, or cells, as three numbers: edges between inner vertices, edges at the ends, operations."""

    inner: Codes
    ends: Codes
    labels: Codes


class _Tables(NamedTuple):
    """The bits of each such number under each of the 120 namings: (120, numbers) each."""

    inner: Codes
    ends: Codes
    labels: Codes


@cache
def _tables() -> _Tables:
    orders = np.array(list(itertools.permutations(range(_INNER))))
    inner, ends = np.zeros((len(orders), 1), dtype=np.int64), np.zeros((len(orders), 1), dtype=np.int64)
    labels = inner
    for early, late in itertools.combinations(range(_INNER), 2):
        inner = _with_bit(inner, orders[:, early] * _INNER + orders[:, late])
    first = _INNER * _INNER
    for start in (first, first + _INNER):
        for vertex in range(_INNER):
            ends = _with_bit(ends, start + orders[:, vertex])
    first += 2 * _INNER
    ends = _with_bit(ends, np.full(len(orders), first))
    for vertex in range(_INNER):
        places = first + 1 + 3 * orders[:, [vertex]]
        labels = np.concatenate([labels | (label << places) for label in _LABELS], axis=1)
    return _Tables(inner, ends, labels)


def _with_bit(table: Codes, places: Codes) -> Codes:
    """Return a table for numbers with one bit more, which is moved to a place of its own in each row."""
    doubled: Codes = np.concatenate([table, table | (1 << places[:, None])], axis=1)
    return doubled


def _renamed(cells: _Numbers, order: int) -> Codes:
    inner, ends, labels = _tables()
    renamed: Codes = inner[order][cells.inner] | ends[order][cells.ends] | labels[order][cells.labels]
    return renamed


def _all_names(cell: _Numbers) -> Codes:
    tables = _tables()
    return tables.inner[:, cell.inner] | tables.ends[:, cell.ends] | tables.labels[:, cell.labels]


def _numbers(matrices: Small, labels: Small) -> _Numbers:
    """Return cells as numbers: (..., 7, 7) adjacency matrices and (..., 5) labels, 0 where there is no vertex."""
    inner, ends, operations = (np.zeros(matrices.shape[:-2], dtype=np.int64) for _ in range(3))
    for bit, (early, late) in enumerate(itertools.combinations(range(1, _LAST), 2)):
        inner |= _shifted(matrices[..., early, late], bit)
    for vertex in range(_INNER):
        ends |= _shifted(matrices[..., 0, vertex + 1], vertex)
        ends |= _shifted(matrices[..., vertex + 1, _LAST], vertex + _INNER)
        operations |= _shifted(labels[..., vertex], 2 * vertex)
    return _Numbers(inner, ends | _shifted(matrices[..., 0, _LAST], 2 * _INNER), operations)


def _shifted(values: Small, bits: int) -> Codes:
    shifted: Codes = np.left_shift(values, bits, dtype=np.int64)
    return shifted


def _counts(matrices: Small, labels: Small) -> Small:
    """Return (8, ...) counts that no naming changes: of edges of each kind, and of vertices with each label."""
    inner = matrices[..., 1:-1, 1:-1].sum((-1, -2))
    edges = [inner, matrices[..., 0, 1:-1].sum(-1), matrices[..., 1:-1, -1].sum(-1), matrices[..., 0, -1]]
    kinds = [(labels == label).sum(-1) for label in range(len(_LABELS))]
    return np.stack([*edges, *kinds]).astype(np.int8)


def _of(architecture: Architecture) -> tuple[Small, Small]:
    """Return the (7, 7) adjacency matrix of a cell and its (5,) labels, unused vertices last."""
    small, operations = to_matrix(architecture)
    n = len(operations)
    matrix, labels = np.zeros((_LAST + 1, _LAST + 1), dtype=np.int8), np.zeros(_INNER, dtype=np.int8)
    places = [*range(n - 1), _LAST]
    matrix[np.ix_(places, places)] = small
    labels[: n - 2] = [OPERATIONS.index(name) + 1 for name in operations[1:-1]]
    return matrix, labels


def _triangle(n: int) -> list[tuple[int, int]]:
    """Return the places of an upper triangle, column after column."""
    return [(early, late) for late in range(n) for early in range(late)]
