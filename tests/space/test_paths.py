"""The path encoding of BANANAS (White, Neiswanger and Savani 2021), against cells worked out by hand and networkx."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

import archwright as aw
from archwright import nn
from archwright.spaces.nasbench201 import OPERATIONS, from_string

NB201 = aw.spaces.create("nasbench201", C=4, N=1)


def operations_on_nodes(inner):
    """A space in the manner of NAS-Bench-101: operations on the nodes between input and output, edges bare."""
    kinds = {"conv3x3": nn.Identity(), "conv1x1": nn.ReLU(), "maxpool3x3": nn.Tanh()}
    return aw.Space(
        model=aw.cell(
            lambda i, j: aw.choice({"none": None, "edge": nn.Identity()}),
            nodes=inner + 1,
            node=lambda j: aw.choice(kinds) if j <= inner else nn.Identity(),
            name="cell",
        )
    )


def paths(space, architecture):
    """The paths of the one cell, without what stands for a bare edge or for the output."""
    found = space.encode(architecture, "paths")["cell"]
    return {tuple(step for step in path if step not in ("edge", "Identity()")) for path in found}


def decided(space, operations, edges):
    taken = {f"cell.edge_{i}_{j}": "edge" for i, j in edges}
    names = [name for name in space.decisions if ".op_" in name]
    choices = {name: taken.get(name, "none") for name in space.decisions if ".edge_" in name}
    return space.canonical({**choices, **dict(zip(names, operations, strict=True))})


def test_a_cell_with_operations_on_nodes():
    space = operations_on_nodes(3)
    # 0 in; 1 conv3x3; 2 conv1x1; 3 maxpool3x3; 4 out.
    edges = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 4), (3, 4), (0, 4)]
    architecture = decided(space, ["conv3x3", "conv1x1", "maxpool3x3"], edges)
    assert paths(space, architecture) == {
        (),
        ("conv3x3", "maxpool3x3"),
        ("conv3x3", "conv1x1"),
        ("conv1x1",),
    }
    # A node that leads nowhere, and one that nothing leads to, are on no path.
    assert paths(space, decided(space, ["conv3x3", "conv1x1", "maxpool3x3"], [(0, 1), (0, 2), (2, 4), (3, 4)])) == {
        ("conv1x1",)
    }


def test_a_path_counts_once_and_cells_that_differ_in_names_alone_have_the_same():
    space = operations_on_nodes(3)
    one = decided(space, ["conv3x3", "conv1x1", "conv3x3"], [(0, 1), (0, 3), (1, 2), (2, 4), (3, 4)])
    other = decided(space, ["conv3x3", "conv3x3", "conv1x1"], [(0, 1), (0, 2), (1, 3), (2, 4), (3, 4)])
    assert paths(space, one) == paths(space, other) == {("conv3x3", "conv1x1"), ("conv3x3",)}
    twice = decided(space, ["conv3x3", "conv3x3", "conv1x1"], [(0, 1), (0, 2), (1, 4), (2, 4)])
    assert paths(space, twice) == {("conv3x3",)}
    assert len(space.encode(twice, "paths")["cell"]) == 1


def test_there_are_as_many_paths_as_the_paper_says():
    """Of r operations on n nodes there are 1 + r + ... + r^n, in every cell space."""
    space = operations_on_nodes(2)
    found = set().union(*(paths(space, architecture) for architecture in space.enumerate()))
    assert len(found) == 1 + 3 + 9
    rng = np.random.default_rng(0)
    nb201 = set().union(*(paths(NB201, NB201.sample(rng)) for _ in range(1500)))
    assert len(nb201) == 4 + 16 + 64


def test_a_cell_of_nasbench201_by_hand():
    text = "|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
    assert paths(NB201, from_string(text)) == {
        ("skip_connect",),
        ("avg_pool_3x3", "nor_conv_3x3"),
        ("nor_conv_3x3", "nor_conv_1x1", "nor_conv_3x3"),
    }


@pytest.mark.parametrize("seed", range(30))
def test_networkx_finds_the_same_paths(seed):
    architecture = NB201.sample(np.random.default_rng(seed))
    graph = nx.DiGraph()
    graph.add_nodes_from(range(4))
    for name, operation in architecture.items():
        if operation != OPERATIONS[0]:
            i, j = map(int, name.split("_")[1:])
            graph.add_edge(i, j, operation=operation)
    expected = {tuple(graph.edges[step]["operation"] for step in way) for way in nx.all_simple_edge_paths(graph, 0, 3)}
    assert paths(NB201, architecture) == expected
