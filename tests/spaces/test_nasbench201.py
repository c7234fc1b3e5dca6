"""NAS-Bench-201 against its published table."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from archwright import spaces
from archwright.errors import ArchitectureError
from archwright.space import Architecture, Space
from archwright.spaces.nasbench201 import OPERATIONS, from_string, to_string

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|none~2|"


@pytest.fixture(scope="module")
def table(data_file: Callable[[str], Path]) -> list[dict[str, str]]:
    with gzip.open(data_file("benchmarks/nasbench201.csv.gz"), "rt") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def space() -> Space:
    return spaces.create("nasbench201")


def parameters(space: Space, text: str) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in space.build(from_string(text)).parameters())


def published_as_one(text: str) -> str:
    """Return the expression by which the benchmark told cells apart; where it is equal, they were trained once."""
    nodes = ["0"]
    for node in text.split("+"):
        terms = []
        for edge in node.strip("|").split("|"):
            operation, source = edge.split("~")
            value = nodes[int(source)]
            terms.append(value if operation == "skip_connect" else f"({value})@{operation}")
        nodes.append("+".join(sorted(terms)))
    return nodes[-1]


def test_the_table_and_the_space_hold_the_same_cells(space: Space, table: list[dict[str, str]]) -> None:
    strings = [to_string(architecture) for architecture in space.enumerate()]
    assert len(strings) == len(set(strings)) == space.size == 15_625
    assert set(strings) == {row["arch"] for row in table}


def test_each_string_of_the_table_is_read_and_written_back(space: Space, table: list[dict[str, str]]) -> None:
    assert all(to_string(from_string(row["arch"])) == row["arch"] for row in table)
    assert all(from_string(row["arch"]) in space for row in table[::50])


@pytest.mark.parametrize(("dataset", "classes"), [("cifar10", 10), ("cifar100", 100)])
def test_parameters_are_as_published(table: list[dict[str, str]], dataset: str, classes: int) -> None:
    """In the table 150 cells have the parameters of another that was taken for the same: those are left out."""
    space = spaces.create("nasbench201", classes=classes)
    alike = defaultdict(set)
    for row in table:
        alike[published_as_one(row["arch"])].add(tuple(sorted(row["arch"].count(op) for op in OPERATIONS[2:4])))
    alone = [row for row in table if len(alike[published_as_one(row["arch"])]) == 1]
    assert len(alone) > 14_000
    for row in alone[classes::900]:
        assert round(parameters(space, row["arch"]) / 1e6, 5) == float(row[f"{dataset}_params_mb"]), row["arch"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        # nothing but stem, reductions and classifier
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", 73_306),
        ("|skip_connect~0|+|skip_connect~0|avg_pool_3x3~1|+|skip_connect~0|none~1|none~2|", 73_306),
        # five cells of 9 c^2 + 2 c parameters in each stage, wherever the operation leads and comes from
        ("|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|", 316_346),
        ("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|", 316_346),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|", 316_346),
    ],
)
def test_operations_count_even_where_nothing_reaches_or_leaves_them(space: Space, text: str, count: int) -> None:
    assert parameters(space, text) == count


def test_operations_that_lead_nowhere_do_not_matter(space: Space) -> None:
    dead = space.build(from_string("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")).eval()
    plain = space.build(from_string("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")).eval()
    weights = {name: value for name, value in dead.state_dict().items() if ".edge_0_1." not in name}
    plain.load_state_dict(weights)
    inputs = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(dead(inputs), plain(inputs))


def test_an_operation_on_nothing_still_adds_its_bias() -> None:
    space = spaces.create("nasbench201", input_shape=(3, 8, 8), C=4, N=1)
    model = space.build(from_string("|none~0|+|none~0|none~1|+|skip_connect~0|nor_conv_1x1~1|none~2|")).eval()
    inputs = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        before = model(inputs)
        model[1].edge_1_3[2].bias += 1
        assert not torch.equal(model(inputs), before)


def test_a_cell_computes_what_its_string_says() -> None:
    space = spaces.create("nasbench201", input_shape=(3, 8, 8), C=4, N=1)
    model = space.build(from_string(CELL)).eval()
    cell, x = model[1], torch.randn(2, 4, 8, 8)
    with torch.no_grad():
        one = cell.edge_0_1(x)
        expected = torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False) + cell.edge_1_3(one)
        assert torch.equal(cell(x), expected)


def test_width_doubles_and_size_halves_twice() -> None:
    space = spaces.create("nasbench201", input_shape=(3, 16, 16), C=4, N=2)
    model, x, shapes = space.build(from_string(CELL)).eval(), torch.randn(2, 3, 16, 16), []
    for layer in model:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(4, 16, 16)] * 3 + [(8, 8, 8)] * 3 + [(16, 4, 4)] * 5 + [(10,)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the form is"),
        ("|none~0|", "the form is"),
        (CELL.replace("none~0", "none~1"), "the form is"),
        (CELL[:-1], "the form is"),
        (CELL + "+|none~0|", "the form is"),
        (CELL.replace("|none~2", ""), "the form is"),
        (CELL.replace("nor_conv_1x1", "conv_7x7"), "unknown: conv_7x7"),
    ],
)
def test_malformed_strings_are_refused(text: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        from_string(text)


def test_an_architecture_of_another_space_has_no_string() -> None:
    with pytest.raises(ArchitectureError, match=r"it lacks 'cell\.edge_0_1'"):
        to_string(Architecture({"depth": 2}))
