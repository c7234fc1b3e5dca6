"""NAS-Bench-101 against its published table, and its cells against a plain reading of the paper."""

from __future__ import annotations

import copy
import csv
import functools
import gzip
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from archwright import spaces
from archwright.errors import ArchitectureError
from archwright.space import Architecture, Space
from archwright.spaces.nasbench101 import MOST_EDGES, OPERATIONS, canonical, from_matrix, is_cell, to_matrix

CONV3, CONV1, POOL = OPERATIONS
FULL = [  # seven vertices, nine edges
    [0, 1, 1, 0, 0, 1, 1],
    [0, 0, 1, 0, 0, 0, 0],
    [0, 0, 0, 1, 0, 0, 0],
    [0, 0, 0, 0, 1, 0, 0],
    [0, 0, 0, 0, 0, 0, 1],
    [0, 0, 0, 0, 0, 0, 1],
    [0, 0, 0, 0, 0, 0, 0],
]
NAMES = ["input", CONV3, CONV1, POOL, CONV3, CONV1, "output"]


@pytest.fixture(scope="module")
def table(data_file: Callable[[str], Path]) -> list[dict[str, str]]:
    with gzip.open(data_file("benchmarks/nasbench101_subset_30001.csv.gz"), "rt") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def space() -> Space:
    return spaces.create("nasbench101")


@functools.cache
def made() -> Space:
    return spaces.create("nasbench101", input_shape=(3, 8, 8), C=7, N=1)


@pytest.fixture(scope="module")
def small() -> Space:
    return made()


def cell_of(row: dict[str, str]) -> tuple[list[list[int]], list[str]]:
    n, bits = int(row["n"]), int(row["adj_bits"])
    matrix = [[0] * n for _ in range(n)]
    for bit, (late, early) in enumerate((j, i) for j in range(n) for i in range(j)):
        matrix[early][late] = bits >> bit & 1
    return matrix, ["input", *(OPERATIONS[int(digit)] for digit in row["ops"]), "output"]


def orders(matrix: list[list[int]], operations: list[str]):
    """Yield a cell with its inner vertices in every order in which edges still lead to later ones."""
    n = len(operations)
    for inner in itertools.permutations(range(1, n - 1)):
        order = [0, *inner, n - 1]
        moved = np.array(matrix)[np.ix_(order, order)]
        if not np.tril(moved).any():
            yield moved.tolist(), [operations[vertex] for vertex in order]


def parameters(space: Space, architecture: Architecture) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in space.build(architecture).parameters())


def sampled(space: Space, seed: int) -> Architecture:
    return space.sample(np.random.default_rng(seed))


# ---------------------------------------------------------------------- the published table


def test_parameters_are_as_published(space: Space, table: list[dict[str, str]]) -> None:
    """In 399 rows the published number is that of the same cell with its vertices in another order."""
    few = [row for row in table if row["n"] in "2345"]
    others = 0
    for row in [*table[::1500], *few[:10]]:
        cell = cell_of(row)
        if parameters(space, from_matrix(*cell)) != int(row["params"]):
            others += 1
            assert any(parameters(space, from_matrix(*moved)) == int(row["params"]) for moved in orders(*cell))
    assert others <= 2


def test_every_cell_of_the_table_is_read_and_written_back(space: Space, table: list[dict[str, str]]) -> None:
    for row in table[::60]:
        cell = cell_of(row)
        architecture = from_matrix(*cell)
        assert to_matrix(architecture) == cell
        assert is_cell(architecture)
    assert from_matrix(*cell) in space


def test_the_table_lists_each_cell_once(table: list[dict[str, str]]) -> None:
    rows = table[:400]
    assert len({canonical(from_matrix(*cell_of(row))) for row in rows}) == len(rows)


# ---------------------------------------------------------------------- matrices and cells


def test_vertices_that_lead_nowhere_are_left_out() -> None:
    matrix = np.array(FULL)
    matrix[4, 6] = 0  # vertices 2, 3 and 4 lead nowhere now, and 1 too
    pruned, operations = to_matrix(from_matrix(matrix, NAMES))
    assert operations == ["input", CONV1, "output"]
    assert pruned == [[0, 1, 1], [0, 0, 1], [0, 0, 0]]


def test_vertices_that_come_from_nowhere_are_left_out() -> None:
    matrix = np.array(FULL)
    matrix[0, 5] = 0
    pruned, operations = to_matrix(from_matrix(matrix, NAMES))
    assert operations == [*NAMES[:5], "output"]
    assert sum(map(sum, pruned)) == 7


def test_the_smallest_cell_is_input_and_output(space: Space) -> None:
    architecture = from_matrix([[0, 1], [0, 0]], ["input", "output"])
    assert to_matrix(architecture) == ([[0, 1], [0, 0]], ["input", "output"])
    assert parameters(space, architecture) == 882_570


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_the_vertices_does_not_matter(seed: int) -> None:
    cell = to_matrix(sampled(made(), seed))
    moved = list(orders(*cell))
    assert len({canonical(from_matrix(*one)) for one in moved}) == 1
    form = canonical(from_matrix(*cell))
    assert canonical(form) == form
    assert to_matrix(form) in moved


def test_cells_that_differ_have_forms_that_differ() -> None:
    chain = [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    one = canonical(from_matrix(chain, ["input", CONV3, POOL, "output"]))
    other = canonical(from_matrix(chain, ["input", POOL, CONV3, "output"]))
    assert one != other


@given(st.integers(0, 2**32 - 1))
def test_what_is_drawn_is_a_cell(seed: int) -> None:
    architecture = sampled(made(), seed)
    matrix, operations = to_matrix(architecture)
    held = np.array(matrix)
    assert 1 <= held.sum() <= MOST_EDGES
    assert held[:, 1:].any(0).all()
    assert held[:-1].any(1).all()
    assert to_matrix(from_matrix(matrix, operations)) == (matrix, operations)


def test_encoders_see_the_cell_without_what_leads_nowhere(space: Space) -> None:
    for seed in range(40):
        architecture = sampled(space, seed)
        seen = space.encode(architecture, "cells")["cell"]
        kept = [0, *(vertex for vertex in range(1, 6) if seen.nodes[vertex]), 6]
        matrix, operations = to_matrix(architecture)
        assert seen.adjacency[np.ix_(kept, kept)].tolist() == matrix
        assert seen.adjacency.sum() == np.sum(matrix)
        assert [seen.nodes[vertex] for vertex in kept[1:-1]] == operations[1:-1]


def test_encoders_see_the_paths(space: Space) -> None:
    found = space.encode(from_matrix(FULL, NAMES), "paths")["cell"]
    ways = {tuple(step for step in path if step in OPERATIONS) for path in found}
    assert ways == {(), (CONV1,), (CONV3, CONV1, POOL, CONV3), (CONV1, POOL, CONV3)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, names: (m[:-1], names), "square matrix"),
        (lambda m, names: (m, names[:-1]), "square matrix"),
        (lambda m, names: ([[0]], ["input"]), "2 to 7 vertices"),
        (lambda m, names: (np.pad(m, (0, 1)), [*names, "output"]), "2 to 7 vertices"),
        (lambda m, names: (np.array(m).T, names), "only from a vertex to a later one"),
        (lambda m, names: (2 * np.array(m), names), "holds 0 and 1"),
        (lambda m, names: (m, [CONV3, *names[1:]]), "are 'input', any of conv3x3-bn-relu"),
        (lambda m, names: (m, ["input", "conv5x5", *names[2:]]), "conv5x5"),
        (lambda m, names: (np.zeros((7, 7), int), names), "nothing leads"),
        (lambda m, names: (np.triu(np.ones((7, 7), int), 1), names), "at most 9 edges; 21"),
    ],
)
def test_what_is_no_cell_is_refused(change: Any, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        from_matrix(*change(FULL, NAMES))


def test_an_architecture_of_another_space_has_no_matrix() -> None:
    with pytest.raises(ArchitectureError, match=r"it lacks 'cell\.edge_0_1'"):
        to_matrix(Architecture({"depth": 2}))


# ---------------------------------------------------------------------- networks


class Plain(torch.nn.Module):
    """A cell as the paper describes it, around the layers of a cell that was built."""

    def __init__(self, built: torch.nn.Module, architecture: Architecture, outputs: int) -> None:
        super().__init__()
        self.built, self.outputs = built, outputs
        self.takes = {j: [i for i in range(j) if architecture[f"cell.edge_{i}_{j}"] == "edge"] for j in range(1, 7)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        layers: dict[str, Any] = dict(self.built.named_children())
        values: dict[int, torch.Tensor] = {}
        last = [vertex for vertex in self.takes[6] if vertex]

        def width(vertex: int) -> int:
            if vertex in last:
                return self.outputs // len(last) + (last.index(vertex) < self.outputs % len(last))
            leads_to = [later for later in range(1, 6) if f"vertex_{later}" in layers and vertex in self.takes[later]]
            return max(map(width, leads_to))

        for vertex in range(1, 6):
            if f"vertex_{vertex}" not in layers:
                continue
            parts = [
                layers[f"projection_{vertex}"](x) if source == 0 else values[source] for source in self.takes[vertex]
            ]
            values[vertex] = layers[f"vertex_{vertex}"](sum(part[:, : width(vertex)] for part in parts))
            assert values[vertex].shape[1] == width(vertex)
        ends = [values[vertex] for vertex in last]
        y = torch.cat(ends, 1) if ends else torch.zeros(len(x), self.outputs, *x.shape[2:])
        return y + layers["projection"](x) if 0 in self.takes[6] else y


@pytest.mark.parametrize("seed", range(12))
def test_a_cell_computes_what_the_paper_says(small: Space, seed: int) -> None:
    architecture = sampled(small, seed)
    torch.manual_seed(seed)
    cell = small.build(architecture).train()[1]
    x = torch.randn(2, 7, 8, 8)
    y = cell(x)
    assert y.shape == x.shape
    torch.testing.assert_close(y, Plain(cell, architecture, 7)(x))


def test_the_output_is_shared_out_and_the_first_vertices_take_the_rest(small: Space) -> None:
    matrix = np.zeros((7, 7), int)
    matrix[0, 1:4] = matrix[1:4, 6] = 1
    cell = small.build(from_matrix(matrix, NAMES))[1]
    assert [cell.get_submodule(f"vertex_{vertex}")[0].out_channels for vertex in (1, 2)] == [3, 2]
    assert cell.projection_3[0].out_channels == 2
    matrix[[0, 4], [4, 3]] = 1  # a vertex before the last is as wide as the last
    matrix[[4, 3], [3, 4]] = [0, 1]
    matrix[4, 6] = 1
    matrix[3, 6] = 0
    assert small.build(from_matrix(matrix, NAMES))[1].projection_3[0].out_channels == 2


def test_width_doubles_and_size_halves_twice() -> None:
    space = spaces.create("nasbench101", input_shape=(3, 9, 9), C=8, N=2)
    model, x, shapes = space.build(from_matrix(FULL, NAMES)).eval(), torch.randn(2, 3, 9, 9), []
    for layer in model:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    sizes = [(8, 9, 9)] * 3 + [(8, 5, 5)] + [(16, 5, 5)] * 2 + [(16, 3, 3)] + [(32, 3, 3)] * 2
    assert shapes == [*sizes, (32, 1, 1), (32,), (10,)]


def test_networks_can_be_copied_and_have_nothing_of_ours_inside(small: Space) -> None:
    model = small.build(from_matrix(FULL, NAMES)).eval()
    twin = copy.deepcopy(model)
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(twin(x), model(x))
    assert {type(part).__module__.split(".")[0] for part in model.modules()} == {"torch"}
