"""The mobile networks of Accel-NASBench against their published table."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from archwright import spaces
from archwright.space import Architecture, Space


@pytest.fixture(scope="module")
def space() -> Space:
    return spaces.create("accel-nasbench")


def read(row: dict[str, str]) -> Architecture:
    decisions: dict[str, bool | int] = {}
    for block in range(7):
        for name, letter in (("kernel", "k"), ("expansion", "e"), ("layers", "l")):
            decisions[f"block_{block}.{name}"] = int(row[f"block{block}_{letter}"])
        decisions[f"block_{block}.squeeze"] = row[f"block{block}_se"] == "True"
    return Architecture(decisions)


def test_parameters_are_as_published(space: Space, data_file: Callable[[str], Path]) -> None:
    with gzip.open(data_file("benchmarks/accel_nasbench.csv.gz"), "rt") as file:
        rows = list(csv.DictReader(file))
    for row in rows[::350]:
        architecture = read(row)
        assert architecture in space
        with torch.device("meta"):
            model = space.build(architecture)
        assert sum(parameter.numel() for parameter in model.parameters()) == round(float(row["params"]) * 1e6)


def test_there_are_as_many_as_the_published_choices_give(space: Space) -> None:
    assert space.size == (3 * 2 * 3 * 2) ** 6 * (3 * 2 * 4 * 2)


def test_widths_and_sizes_are_those_of_efficientnet(space: Space) -> None:
    model, x = space.build(space.sample(np.random.default_rng(0))).eval(), torch.zeros(1, 3, 224, 224)
    shapes = []
    with torch.no_grad():
        for layer in model:
            x = layer(x)
            shapes.append(tuple(x.shape[1:3]))
    assert shapes[:3] == [(32, 112)] * 3
    assert shapes[3:10] == [(16, 112), (24, 56), (40, 28), (80, 14), (112, 14), (192, 7), (320, 7)]
    assert tuple(x.shape) == (1, 1000)


def test_layers_of_a_block_share_what_is_decided_and_not_their_weights() -> None:
    space = spaces.create("accel-nasbench", input_shape=(3, 32, 32), classes=2)
    rng = np.random.default_rng(1)
    architecture = Architecture(
        {
            **space.sample(rng),
            "block_2.layers": 3,
            "block_2.kernel": 5,
            "block_2.expansion": 4,
            "block_2.squeeze": True,
        }
    )
    first, second, third = space.build(architecture)[5]
    depthwise = [first[3], second.inner[3], third.inner[3]]
    assert [(layer.kernel_size, layer.stride, layer.groups) for layer in depthwise] == [
        ((5, 5), (2, 2), 96),
        ((5, 5), (1, 1), 160),
        ((5, 5), (1, 1), 160),
    ]
    assert not torch.equal(depthwise[1].weight, depthwise[2].weight)
    x = torch.randn(2, 40, 4, 4)
    second.eval()
    with torch.no_grad():
        torch.testing.assert_close(second(x), x + second.inner(x))
        gate = second.inner[6]
        y = torch.randn(2, 160, 4, 4)
        weights = gate(y) / y
    torch.testing.assert_close(weights, weights[:, :, :1, :1].expand_as(weights))
    assert ((weights > 0) & (weights < 1)).all()
