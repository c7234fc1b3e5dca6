from __future__ import annotations

from collections import Counter

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

import archwright as aw
from archwright import nn
from archwright.spaces.nasbench201 import from_string
from archwright.surrogates import as_graph, wl_histogram
from archwright.surrogates._wl import cells_histogram

NB201 = aw.spaces.create("nasbench201", C=4, N=1)


def inner(first, second):
    return sum(count * second[label] for label, count in first.items())


def sizes(histogram, number):
    """How often each label of a round occurs, whatever the labels are."""
    return sorted(count for label, count in histogram.items() if label.startswith(f"{number} "))


# ---------------------------------------------------------------------- by hand


def test_a_worked_example():
    """Two graphs: a -> b, a -> b, both -> c; and a -> b -> c with a second b that nothing leads to."""
    labels = ["a", "b", "b", "c"]
    one = [wl_histogram(labels, [[], [0], [0], [1, 2]], depth) for depth in range(3)]
    other = [wl_histogram(labels, [[], [0], [], [1]], depth) for depth in range(3)]
    # Round 0: both a 1, b 2, c 1. Inner product 1 + 4 + 1.
    assert one[0] == other[0] == Counter({"0 a": 1, "0 b": 2, "0 c": 1})
    assert inner(one[0], other[0]) == 6
    # Round 1: a() 1, b(a) 2, c(b b) 1 against a() 1, b(a) 1, b() 1, c(b) 1. In common a() and b(a): 1 + 2.
    assert (sizes(one[1], 1), sizes(other[1], 1)) == ([1, 1, 2], [1, 1, 1, 1])
    assert inner(one[1], other[1]) == 6 + 3
    # Round 2: the same two are in common. With itself: 6, 6, 6 for one; 6, 4, 4 for the other.
    assert inner(one[2], other[2]) == 6 + 3 + 3
    assert inner(one[2], one[2]) == 18
    assert inner(other[2], other[2]) == 14


def test_the_order_of_nodes_and_of_predecessors_makes_no_difference():
    first = wl_histogram(["in", "x", "y", "z", "out"], [[], [0], [0], [1, 2], [3, 1]], 4)
    second = wl_histogram(["in", "y", "x", "z", "out"], [[], [0], [0], [1, 2], [2, 3]], 4)
    assert first == second


def test_a_label_may_hold_any_character():
    def in_common(one, other):
        first, second = wl_histogram(*one, 1), wl_histogram(*other, 1)
        return {label for label in first if label.startswith("1 ")} & set(second)

    assert not in_common((["a,b", "c"], [[], [0]]), (["a", "b", "c"], [[], [], [0, 1]]))
    assert not in_common((["x<y"], [[]]), (["y<", "x"], [[], [0]]))
    assert not in_common((["x'", "y"], [[], [0]]), (["x", "y"], [[], [0]]))


# ---------------------------------------------------------------------- referees


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 7))
    labels = draw(st.lists(st.sampled_from("abc"), min_size=count, max_size=count))
    pairs = [(i, j) for j in range(count) for i in range(j)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return labels, [[i for i, to in edges if to == j] for j in range(count)]


def unfolded(labels, before, depth):
    """How often each tree of that depth occurs that a walk backwards from a node sees: nothing is hashed."""
    trees = [(label,) for label in labels]
    found = Counter((0, tree) for tree in trees)
    for number in range(1, depth + 1):
        trees = [(labels[i], *sorted(trees[j] for j in into)) for i, into in enumerate(before)]
        found.update((number, tree) for tree in trees)
    return found


@given(graphs(), graphs(), st.integers(0, 3))
def test_the_histogram_counts_the_trees_that_nodes_see(one, other, depth):
    ours = [wl_histogram(*graph, depth) for graph in (one, other)]
    trees = [unfolded(*graph, depth) for graph in (one, other)]
    assert sorted(ours[0].values()) == sorted(trees[0].values())
    assert inner(*ours) == inner(*trees)


@given(graphs(), graphs(), st.integers(1, 3))
def test_networkx_agrees_where_edges_have_no_direction(one, other, depth):
    ours, theirs = [], []
    for labels, before in (one, other):
        graph = nx.Graph()
        graph.add_nodes_from((node, {"label": label}) for node, label in enumerate(labels))
        graph.add_edges_from((i, j) for j, into in enumerate(before) for i in into)
        hashes = nx.weisfeiler_lehman_subgraph_hashes(
            graph, node_attr="label", iterations=depth, include_initial_labels=True
        )
        theirs.append(Counter((number, one) for node in graph for number, one in enumerate(hashes[node])))
        ours.append(wl_histogram(labels, [sorted(graph[node]) for node in graph], depth))
    for number in range(depth + 1):
        assert sizes(ours[0], number) == sorted(count for (n, _), count in theirs[0].items() if n == number)
    assert inner(*ours) == inner(*theirs)


# ---------------------------------------------------------------------- cells as graphs


def graph_of(text):
    return as_graph(NB201.encode(from_string(text), "cells")["cell"])


def test_an_operation_on_an_edge_is_a_node_between_the_two():
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"
    labels, before = graph_of(text)
    shown = [(label, sorted(labels[i] for i in into)) for label, into in zip(labels, before, strict=True)]
    assert shown == [
        ("input", []),
        ("nor_conv_3x3", ["input"]),
        ("sum", ["nor_conv_3x3"]),
        ("skip_connect", ["sum"]),
        ("sum", ["skip_connect"]),
        ("avg_pool_3x3", ["input"]),
        ("nor_conv_1x1", ["sum"]),
        ("output", ["avg_pool_3x3", "nor_conv_1x1"]),
    ]
    assert before[6] == [4]  # the second of the two sums


def test_what_no_input_reaches_and_what_leads_nowhere_is_left_out():
    # Node 1 gets nothing; node 2 leads nowhere.
    labels, before = graph_of("|none~0|+|nor_conv_3x3~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|none~2|")
    assert labels == ["input", "avg_pool_3x3", "output"]
    assert before == [[], [0], [1]]
    nothing, _ = graph_of("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    assert nothing == ["input"]


def test_operations_on_nodes_are_nodes_themselves():
    space = aw.Space(
        model=aw.cell(
            lambda i, j: aw.choice({"none": None, "pass": nn.Identity()}),
            nodes=2,
            node=lambda j: aw.choice({"relu": nn.ReLU(), "tanh": nn.Tanh()}),
            name="cell",
        )
    )
    names = {name: "pass" for name in space.decisions if "edge" in name}
    nodes = dict(zip([name for name in space.decisions if name not in names], ["relu", "tanh"], strict=True))
    labels, before = as_graph(space.encode(space.canonical({**names, **nodes}), "cells")["cell"])
    assert labels == ["input", "pass", "relu", "pass", "pass", "tanh"]
    assert before == [[], [0], [1], [0], [2], [3, 4]]


def test_two_spellings_of_one_cell_are_one():
    one = from_string("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|")
    # The same two steps over node 1 alone, and over node 2 alone: here the node in between is another one.
    first = from_string("|nor_conv_3x3~0|+|none~0|none~1|+|avg_pool_3x3~0|nor_conv_1x1~1|none~2|")
    second = from_string("|none~0|+|nor_conv_3x3~0|none~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|")
    histograms = [cells_histogram(NB201.encode(a, "cells"), 3) for a in (one, first, second)]
    assert histograms[1] == histograms[2] != histograms[0]


def test_cells_are_counted_apart():
    def made(name):
        return aw.cell(lambda i, j: aw.choice({"a": nn.Identity(), "b": nn.ReLU()}), nodes=1, name=name)

    space = aw.Space(model=nn.Sequential(made("first"), made("second")))
    ab, ba = (
        cells_histogram(space.encode(dict(zip(space.decisions, labels, strict=True)), "cells"), 1)
        for labels in (("a", "b"), ("b", "a"))
    )
    assert ab != ba
    assert inner(ab, ba) == 6  # the inputs and outputs of both cells, in round 0; the inputs once more in round 1
