"""The searched recurrent cells of language models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import archwright as aw
from archwright import spaces
from archwright.errors import SpaceError
from archwright.spaces._decoder import Recurrence
from archwright.spaces.language import _cell
from archwright.supernet import Supernet
from archwright.testing._supernets import check_path

WIDTH, LENGTH = 6, 5
LSTM = {
    **{f"node_{gate}": ("linear", "x", "state") for gate in (1, 2, 3, 4)},  # input, forget, cell, output
    **{f"node_{gate + 4}": ("tanh" if gate == 3 else "sigmoid", f"node_{gate}") for gate in (1, 2, 3, 4)},
    "node_9": ("product", "node_6", "memory"),
    "node_10": ("product", "node_5", "node_7"),
    "node_11": ("sum", "node_9", "node_10"),
    "node_12": ("tanh", "node_11"),
    "node_13": ("product", "node_8", "node_12"),
}


def decided(recipe: Mapping[str, tuple[str, ...]], memory: str = "none") -> dict[str, Any]:
    """Return the decisions of a cell: the operation of each node, and what it takes."""
    found = {"memory": memory}
    for node, (operation, *taken) in recipe.items():
        found |= {f"{node}.operation": operation}
        found |= {f"{node}.{place}": each for place, each in zip(("first", "second", "third"), taken, strict=False)}
    return found


def run_over_sequences(nodes: int, decisions: Mapping[str, Any]) -> Recurrence:
    """Return one cell that is run over sequences of shape (n, LENGTH, WIDTH)."""
    space = aw.Space(model=aw.lazy(Recurrence)(_cell(WIDTH, nodes)), example_input=(LENGTH, WIDTH))
    return space.build({name: value for name, value in decisions.items() if name in space.decisions})


def take_over(model: Recurrence, layer: nn.RNNBase, nodes: list[int]) -> None:
    """Give the linear nodes of a cell the weights of the gates of a layer of torch."""
    for gate, node in enumerate(nodes):
        for name, kind in (("first", "ih"), ("second", "hh")):
            linear = getattr(model.cell, f"{name}_{node}")
            linear.weight.data = getattr(layer, f"weight_{kind}_l0").chunk(len(nodes))[gate]
            linear.bias.data = getattr(layer, f"bias_{kind}_l0").chunk(len(nodes))[gate]


@pytest.fixture(scope="module")
def space() -> aw.Space:
    return spaces.create("language", input_shape=(12,), vocabulary=20, widths=(16, 32))


@pytest.fixture(scope="module")
def gru(space: aw.Space) -> aw.Architecture:
    return spaces.starts(space)[-1]


def searched(space: aw.Space, count: int) -> list[aw.Architecture]:
    """Return random architectures with a searched cell."""
    rng = np.random.default_rng(0)
    fixed = {"model": "recurrent", "cell": "searched"}
    return [space.decide(lambda name, each: fixed.get(name, each.sample(rng))) for _ in range(count)]


def test_a_cell_of_two_nodes_is_an_elman_network() -> None:
    recipe = {"node_2": ("linear", "x", "state"), "node_3": ("tanh", "node_2")}
    model, layer = run_over_sequences(3, decided(recipe)), nn.RNN(WIDTH, WIDTH, batch_first=True)
    assert [name for name, _ in model.cell.named_parameters()] == [
        f"{place}_2.{kind}" for place in ("first", "second") for kind in ("weight", "bias")
    ]
    take_over(model, layer, [2])
    x = torch.randn(3, LENGTH, WIDTH)
    torch.testing.assert_close(model(x), layer(x)[0])


def test_a_cell_with_a_memory_is_an_lstm() -> None:
    model, layer = run_over_sequences(13, decided(LSTM, "node_11")), nn.LSTM(WIDTH, WIDTH, batch_first=True)
    take_over(model, layer, [1, 2, 3, 4])
    x = torch.randn(3, LENGTH, WIDTH)
    torch.testing.assert_close(model(x), layer(x)[0])


@pytest.mark.parametrize("nodes", [8, 9])
def test_the_known_design_is_a_gru(nodes: int) -> None:
    """That of Cho et al. (2014), which torch's is where the reset gate is open: it multiplies before W, torch after."""
    start = spaces.starts(spaces.create("language", input_shape=(4,), vocabulary=9, nodes=nodes))[-1]
    model, layer = run_over_sequences(nodes, start), nn.GRU(WIDTH, WIDTH, batch_first=True)
    layer.bias_ih_l0.data[:WIDTH] = 100.0
    take_over(model, layer, [each + nodes - 8 for each in (3, 1, 6)])
    x = torch.randn(3, LENGTH, WIDTH)
    torch.testing.assert_close(model(x), layer(x)[0])


def test_fewer_nodes_hold_no_gru() -> None:
    starts = spaces.starts(spaces.create("language", input_shape=(4,), vocabulary=9, nodes=7))
    assert [each.get("cell") for each in starts] == [None, None, None, "lstm"]


def test_no_token_depends_on_later_ones(space: aw.Space) -> None:
    tokens = torch.randint(1, 20, (2, 12))
    other = tokens.clone()
    other[:, 7:] = (other[:, 7:] + 5) % 20
    changed = []
    for architecture in searched(space, 6):
        network = space.build(architecture).eval()
        first, second = network(tokens), network(other)
        assert torch.equal(first[:, :7], second[:, :7])
        changed.append(not torch.equal(first[:, 7:], second[:, 7:]))
    assert sum(changed) > 3  # a cell may give zeros: the product of a token and a memory that is none


def test_every_node_shows_in_parameters_and_flops(space: aw.Space, gru: aw.Architecture) -> None:
    width, steps = int(gru["width"]), gru["depth"] * 12
    parameters, flops = aw.cost.measures(space, gru)
    less = aw.cost.measures(space, space.canonical({**gru, "node_3.operation": "sum"}))
    assert parameters - less[0] == gru["depth"] * 2 * (width**2 + width)
    assert flops - less[1] == steps * 2 * 2 * width**2
    # Nobody takes the update gate, which two nodes compute.
    less = aw.cost.measures(space, space.canonical({**gru, "node_8.first": "node_7"}))
    assert parameters - less[0] == gru["depth"] * 2 * (width**2 + width)


def test_cells_are_paths_of_a_supernet_and_are_learned() -> None:
    small = spaces.create("language", input_shape=(6,), vocabulary=9, widths=(16, 32), layers=(1, 1), nodes=3)
    supernet, tokens = Supernet(small, "softmax").double(), torch.randint(9, (2, 6))
    for architecture in searched(small, 3):
        check_path(supernet, architecture, [tokens])
    supernet.train()(tokens).square().mean().backward()
    for name in ("node_3.operation", "node_3.first", "node_2.second", "memory"):
        assert supernet.logits[name].grad.abs().sum() > 0, name


@pytest.mark.parametrize("nodes", [1, 13])
def test_the_number_of_nodes_is_limited(nodes: int) -> None:
    with pytest.raises(SpaceError, match=f"'language': nodes is 2 to 12, not {nodes}"):
        spaces.create("language", nodes=nodes)
