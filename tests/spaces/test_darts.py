"""The space of DARTS against what was published."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from archwright import spaces
from archwright.errors import ArchitectureError
from archwright.space import Architecture
from archwright.spaces.darts import OPERATIONS, Genotype, from_genotype, to_genotype

SEP, DIL, SKIP, MAX = "sep_conv_3x3", "dil_conv_3x3", "skip_connect", "max_pool_3x3"
DARTS_V2 = Genotype(
    normal=((SEP, 0), (SEP, 1), (SEP, 0), (SEP, 1), (SEP, 1), (SKIP, 0), (SKIP, 0), (DIL, 2)),
    reduce=((MAX, 0), (MAX, 1), (SKIP, 2), (MAX, 1), (MAX, 0), (SKIP, 2), (SKIP, 2), (MAX, 1)),
)


def test_the_published_network_has_the_published_parameters() -> None:
    space = spaces.create("darts", C=36, layers=20)
    architecture = from_genotype(*DARTS_V2)
    assert architecture in space
    with torch.device("meta"):
        model = space.build(architecture)
    assert sum(parameter.numel() for parameter in model.parameters()) == 3_349_342


def test_the_size_is_that_of_two_cells() -> None:
    cell = math.prod(math.comb(inputs, 2) * len(OPERATIONS) ** 2 for inputs in (2, 3, 4, 5))
    assert spaces.create("darts", input_shape=(1, 8, 8)).size == cell**2


def test_none_is_an_option_only_on_request() -> None:
    plain = spaces.create("darts", input_shape=(1, 8, 8))
    relaxed = spaces.create("darts", input_shape=(1, 8, 8), none=True)
    edges = [name for name in plain.decisions if "edge" in name]
    assert len(edges) == 28
    assert all(tuple(plain.decisions[name].values()) == OPERATIONS for name in edges)
    assert all(tuple(relaxed.decisions[name].values()) == ("none", *OPERATIONS) for name in edges)
    empty = from_genotype([("none", 0), ("none", 1)] * 4, DARTS_V2.reduce)
    assert empty in relaxed
    assert empty not in plain
    assert relaxed.build(empty)(torch.randn(2, 1, 8, 8)).shape == (2, 10)
    blind = relaxed.build(from_genotype(DARTS_V2.normal, [("none", 0), ("none", 1)] * 4))
    with torch.no_grad():
        assert not blind.layer_2.cell(torch.randn(2, 32, 8, 8), torch.randn(2, 32, 8, 8)).any()


def test_all_layers_share_two_cells() -> None:
    space = spaces.create("darts", input_shape=(3, 32, 32), C=4, layers=6)
    model = space.build(from_genotype(*DARTS_V2)).eval()
    x0 = x1 = model.stem(torch.randn(2, 3, 32, 32))
    shapes, kinds = [], []
    for index in range(6):
        layer = getattr(model, f"layer_{index}")
        x0, x1 = x1, layer(x0, x1)
        shapes.append(tuple(x1.shape[1:]))
        kinds.append(type(layer.cell).__name__)
    assert kinds == ["Normal", "Normal", "Reduction", "Normal", "Reduction", "Normal"]
    assert shapes == [(16, 32, 32)] * 2 + [(32, 16, 16)] * 2 + [(64, 8, 8)] * 2


def test_a_factorised_reduction_sees_the_even_and_the_odd_pixels() -> None:
    space = spaces.create("darts", input_shape=(3, 8, 8), C=4, layers=3)
    genotype = from_genotype(DARTS_V2.normal, [(SKIP, 0), (SKIP, 1)] * 4)
    halve = space.build(genotype).layer_1.cell.edge_0_2.eval()
    x = torch.randn(2, 8, 8, 8)
    with torch.no_grad():
        even, odd = halve.even(x.relu()), halve.odd(x.relu()[:, :, 1:, 1:])
        assert torch.equal(halve(x), halve.norm(torch.cat([even, odd], dim=1)))


@pytest.mark.parametrize("seed", range(5))
def test_genotypes_go_both_ways(seed: int) -> None:
    space = spaces.create("darts", input_shape=(1, 8, 8))
    architecture = space.sample(np.random.default_rng(seed))
    assert from_genotype(*to_genotype(architecture)) == architecture


def test_the_order_of_the_two_inputs_does_not_matter() -> None:
    swapped = [DARTS_V2.normal[index ^ 1] for index in range(8)]
    assert swapped != list(DARTS_V2.normal)
    assert from_genotype(swapped, DARTS_V2.reduce) == from_genotype(*DARTS_V2)


@pytest.mark.parametrize(
    ("normal", "message"),
    [
        (DARTS_V2.normal[:-1], "8 pairs per cell; normal has 7"),
        (((SEP, 0), (SEP, 0), *DARTS_V2.normal[2:]), r"node 2 of normal takes two different nodes before it"),
        (((SEP, 0), (SEP, 2), *DARTS_V2.normal[2:]), r"node 2 of normal takes two different nodes before it"),
        (((SEP, 0), ("conv_9x9", 1), *DARTS_V2.normal[2:]), "'conv_9x9' is none of max_pool_3x3"),
    ],
)
def test_malformed_genotypes_are_refused(normal: tuple[tuple[str, int], ...], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        from_genotype(normal, DARTS_V2.reduce)


def test_an_architecture_of_another_space_has_no_genotype() -> None:
    with pytest.raises(ArchitectureError, match=r"it lacks 'normal\.edge_0_2'"):
        to_genotype(Architecture({"depth": 2}))
