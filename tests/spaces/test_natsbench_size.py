"""The sizes of NATS-Bench against their published table."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from archwright import spaces
from archwright.space import Architecture


@pytest.fixture(scope="module")
def table(data_file: Callable[[str], Path]) -> list[dict[str, str]]:
    with gzip.open(data_file("benchmarks/natsbench_sss.csv.gz"), "rt") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("prefix", "classes", "size"), [("cifar10", 10, 32), ("cifar100", 100, 32), ("imagenet", 120, 16)]
)
def test_parameters_are_as_published(table: list[dict[str, str]], prefix: str, classes: int, size: int) -> None:
    space = spaces.create("natsbench-size", classes=classes, input_shape=(3, size, size))
    for row in table[size :: len(table) // 12]:
        widths = {f"width_{place}": int(width) for place, width in enumerate(row["arch"].split(":"))}
        with torch.device("meta"):
            model = space.build(Architecture(widths))
        assert sum(parameter.numel() for parameter in model.parameters()) == int(row[f"{prefix}_params"]), row["arch"]


def test_the_table_and_the_space_hold_the_same_sizes(table: list[dict[str, str]]) -> None:
    space = spaces.create("natsbench-size")
    listed = {":".join(str(architecture[f"width_{place}"]) for place in range(5)) for architecture in space.enumerate()}
    assert listed == {row["arch"] for row in table}
    assert len(table) == space.size == 32_768


def test_a_way_past_changes_the_width_only_where_it_has_to() -> None:
    space = spaces.create("natsbench-size", input_shape=(3, 8, 8))
    model = space.build(Architecture({"width_0": 8, "width_1": 16, "width_2": 24, "width_3": 8, "width_4": 8}))
    ways = [cell.shortcut for cell in (model[1], model[3], model[5])]
    assert [type(way) for way in ways] == [torch.nn.Identity, torch.nn.Sequential, torch.nn.Identity]
    assert ways[1][0].weight.shape == (24, 16, 1, 1)
    assert model[2](torch.randn(2, 8, 8, 8)).shape == (2, 16, 4, 4)
