"""Graphs and cells: the module of each, and its text, against one written by hand."""

from __future__ import annotations

import copy
import pickle
from textwrap import dedent

import pytest
import torch
from torch import nn as tnn

import archwright as aw
from archwright import nn
from archwright.build import _make
from archwright.build._make import class_tree, modules
from archwright.build._syntax import source_of
from archwright.errors import BuildError, SpaceError
from archwright.testing._spaces import check_build_and_source


def one(model, decisions=None, *, inputs=((2, 4, 5, 5),), example=None):
    """Build one architecture, check its source against it, and return the module, its text and what it computes."""
    space = aw.Space(model=model, example_input=example)
    architecture = space.canonical(decisions or {})
    generator = torch.Generator().manual_seed(0)
    batch = [torch.randn(shape, generator=generator) for shape in inputs]
    check_build_and_source(space, architecture, batch)
    module = space.build(architecture).eval()
    closed = space.resolve(architecture)["model"]
    return module, source_of(class_tree(closed, "Block")), batch, module(*batch)


def same(result, expected):
    torch.testing.assert_close(result, expected)


def forward_of(text):
    """The body of the forward pass."""
    return dedent(text.split("-> torch.Tensor:\n")[1]).strip()


def test_a_residual():
    conv = nn.Conv2d(4, 4, 3, padding=1)
    module, text, (x,), y = one(aw.graph(lambda x: nn.ReLU()(conv(x)) + x, name="residual"))
    assert text == dedent("""\
        class Block(nn.Module):
            def __init__(self, conv2d: nn.Module, relu: nn.Module) -> None:
                super().__init__()
                self.conv2d = conv2d
                self.relu = relu

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                conv2d = self.conv2d(x)
                return self.relu(conv2d) + x
        """)
    same(y, torch.relu(module.conv2d(x)) + x)
    assert type(module).__name__ == "Residual"
    assert [name for name, _ in module.named_parameters()] == ["conv2d.weight", "conv2d.bias"]


def test_several_inputs():
    def body(left, right):
        return nn.Linear(3, 2)(left, name="first") + nn.Linear(5, 2)(right, name="second")

    module, text, (x, y), z = one(aw.graph(body), inputs=((2, 3), (2, 5)))
    assert "def forward(self, x0: torch.Tensor, x1: torch.Tensor) -> torch.Tensor:" in text
    assert forward_of(text) == "return self.first(x0) + self.second(x1)"
    same(z, module.first(x) + module.second(y))


def test_a_layer_of_several_inputs():
    def body(x, y):
        return nn.Bilinear(3, 5, 2)(x, y)

    module, text, (x, y), z = one(aw.graph(body), inputs=((2, 3), (2, 5)))
    assert forward_of(text) == "return self.bilinear(x0, x1)"
    same(z, module.bilinear(x, y))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("relu", "tanh", "return self.op(x) + self.op_2(x)"),
        ("relu", "none", "return self.op(x)"),
        ("none", "tanh", "return self.op_2(x)"),
        ("none", "none", "return torch.zeros_like(x)"),
    ],
)
def test_absent_operations(first, second, expected):
    def body(x):
        a = aw.choice({"none": None, "relu": nn.ReLU()}, name="first")
        b = aw.choice({"none": None, "tanh": nn.Tanh()}, name="second")
        return a(x) + b(x)

    _, text, (x,), y = one(aw.graph(body), {"first": first, "second": second})
    assert forward_of(text) == expected
    zero = torch.zeros_like(x)
    same(y, (torch.relu(x) if first == "relu" else zero) + (torch.tanh(x) if second == "tanh" else zero))


def test_absent_operations_take_no_part_in_a_mean():
    def body(x):
        maybe = aw.choice({"none": None, "double": nn.Upsample(scale_factor=1)}, name="maybe")
        return aw.merge(nn.ReLU()(x), maybe(x), x, kind="mean")

    _, text, (x,), y = one(aw.graph(body), {"maybe": "none"})
    assert forward_of(text) == "return (self.relu(x) + x) / 2"
    same(y, (torch.relu(x) + x) / 2)
    _, text, (x,), y = one(aw.graph(body), {"maybe": "double"})
    assert forward_of(text) == "return (self.relu(x) + self.op(x) + x) / 3"
    same(y, (torch.relu(x) + 2 * x) / 3)


def test_a_concatenation():
    def body(x):
        return nn.LazyConv2d(2, 1)(aw.merge(nn.ReLU()(x), x, nn.Conv2d(4, 3, 1)(x), kind="concat"))

    module, text, (x,), y = one(aw.graph(body), example=(4, 5, 5))
    assert forward_of(text) == (
        "concat = torch.cat([self.relu(x), x, self.conv2d(x)], dim=1)\nreturn self.conv2d_2(concat)"
    )
    same(y, module.conv2d_2(torch.cat([torch.relu(x), x, module.conv2d(x)], dim=1)))
    assert module.conv2d_2.in_channels == 11


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (("Identity()(x0)",), "return self.identity(x)"),
        (("Tanh()(x0)", "ReLU()(x0)"), "return self.tanh(x) + self.relu(x)"),
        ((), "return torch.zeros_like(x)"),
    ],
)
def test_a_subset_of_values(chosen, expected):
    def body(x):
        return aw.merge(aw.subset(nn.Tanh()(x), nn.ReLU()(x), nn.Identity()(x), k=(0, 2), name="kept"))

    _, text, (x,), y = one(aw.graph(body), {"kept": chosen})
    assert forward_of(text) == expected
    by_name = {"Tanh()(x0)": torch.tanh(x), "ReLU()(x0)": torch.relu(x), "Identity()(x0)": x}
    same(y, sum((by_name[label] for label in chosen), torch.zeros_like(x)))


def test_a_choice_of_values():
    def body(x):
        a = nn.ReLU()(x)
        b = nn.Tanh()(a)
        return nn.Sigmoid()(aw.choice({"x": x, "a": a, "b": b}, name="taken"))

    texts = {}
    for taken in ("x", "a", "b"):
        _, text, (x,), y = one(aw.graph(body), {"taken": taken})
        texts[taken] = forward_of(text)
        before = {"x": x, "a": torch.relu(x), "b": torch.tanh(torch.relu(x))}[taken]
        same(y, torch.sigmoid(before))
    assert texts == {
        "x": "return self.sigmoid(x)",
        "a": "relu = self.relu(x)\nreturn self.sigmoid(relu)",
        "b": "relu = self.relu(x)\ntanh = self.tanh(relu)\nreturn self.sigmoid(tanh)",
    }


def test_what_is_not_needed_is_not_built():
    def body(x):
        return aw.choice({"conv": nn.Conv2d(4, 4, 1)(x), "x": x}, name="taken")

    module, text, (x,), y = one(aw.graph(body), {"taken": "x"})
    assert forward_of(text) == "return x"
    assert list(module.children()) == []
    assert y is x


def test_a_value_used_twice_is_computed_once():
    calls = []

    class Counting(tnn.Module):
        def forward(self, x):
            calls.append(1)
            return 2 * x

    def body(x):
        a = aw.lazy(Counting)()(x)
        return aw.merge(a, nn.ReLU()(a), a)

    space = aw.Space(model=aw.graph(body))
    module = space.build({})
    x = torch.randn(2, 3)
    same(module(x), 4 * x + torch.relu(2 * x))
    assert len(calls) == 1
    closed = space.resolve({})["model"]
    assert (
        forward_of(source_of(class_tree(closed, "Block")))
        == "counting = self.counting(x)\nreturn counting + self.relu(counting) + counting"
    )


def test_a_layer_applied_twice_is_made_twice():
    conv = nn.Conv2d(4, 4, 1)
    module, _, _, _ = one(aw.graph(lambda x: conv(conv(x))))
    assert module.conv2d is not module.conv2d_2
    assert not torch.equal(module.conv2d.weight, module.conv2d_2.weight)


def test_graphs_stand_in_graphs():
    inner = aw.graph(lambda x: nn.ReLU()(x) + x, name="inner")

    def body(x):
        return inner(inner(x)) + nn.Sequential(inner, nn.Tanh())(x)

    module, text, (x,), y = one(aw.graph(body))

    def by_hand(v):
        return torch.relu(v) + v

    assert forward_of(text) == "inner = self.inner(x)\nreturn self.inner_2(inner) + self.sequential(x)"
    same(y, by_hand(by_hand(x)) + torch.tanh(by_hand(x)))
    assert type(module.inner).__name__ == "Inner"


def test_merges_stand_in_merges():
    def body(x):
        a = nn.ReLU()(x) + x
        b = aw.merge(a, nn.Tanh()(x), kind="mean", name="both")
        return a + b + x

    _, text, (x,), y = one(aw.graph(body))
    assert forward_of(text) == dedent("""\
        sum = self.relu(x) + x
        both = (sum + self.tanh(x)) / 2
        sum_2 = sum + both
        return sum_2 + x""")
    a = torch.relu(x) + x
    same(y, a + (a + torch.tanh(x)) / 2 + x)


def test_names_that_python_and_torch_use_themselves():
    names = ["train", "forward", "training", "self", "torch", "nn", "super", "x", "_modules", "sum"]

    def body(x):
        for name in names:
            x = nn.Linear(3, 3)(x, name=name)
        return aw.merge(x, nn.ReLU()(x), kind="concat")

    module, text, (x,), y = one(aw.graph(body), inputs=((2, 3),))
    attributes = [name for name, _ in module.named_children()]
    assert attributes == [
        *("train_", "forward_", "training_", "self_", "torch_", "nn_", "super_", "x", "_modules_", "sum", "relu")
    ]
    expected = x
    for name in attributes[:-1]:
        expected = getattr(module, name)(expected)
    same(y, torch.cat([expected, torch.relu(expected)], dim=1))
    assert module.train(True).training is True
    assert "x_ = self.x(super_)" in text


def test_long_statements_are_broken():
    def body(x):
        values = [nn.ReLU()(x, name=f"an_activation_with_a_long_name_{i}") for i in range(5)]
        total = aw.merge(*values[:3], name="total")
        mean = aw.merge(*values, kind="mean", name="mean")
        return aw.merge(total, mean, *values, kind="concat")

    _, text, (x,), y = one(aw.graph(body))
    relu = torch.relu(x)
    same(y, torch.cat([3 * relu, relu, *[relu] * 5], dim=1))
    assert max(map(len, text.splitlines())) <= 88


def test_deep_graphs():
    def body(x):
        for _ in range(400):
            x = nn.Tanh()(nn.Linear(2, 2)(x)) + x
        return x

    space = aw.Space(model=aw.graph(body), example_input=(2,))
    module = space.build({})
    assert len(list(module.children())) == 800
    assert module(torch.zeros(3, 2)).shape == (3, 2)
    assert aw.Space.from_json(space.to_json()).fingerprint == space.fingerprint
    check_build_and_source(space, {}, [torch.ones(3, 2)])


# ---------------------------------------------------------------------- cells


class ByHand(tnn.Module):
    """A cell of one input, whose edges are given."""

    def __init__(self, edges, nodes):
        super().__init__()
        self.edges, self.nodes = edges, nodes

    def forward(self, x):
        values = [x]
        for j in range(1, self.nodes + 1):
            terms = [self.edges[i, j](values[i]) for i in range(j) if (i, j) in self.edges]
            values.append(sum(terms, torch.zeros_like(x)))
        return values


@pytest.mark.parametrize("output", ["last", "sum", "mean", "concat"])
def test_a_cell_of_operations_on_edges(output):
    functions = {"relu": torch.relu, "tanh": torch.tanh, "skip": lambda x: x}

    def edge(i, j):
        return aw.choice({"none": None, "relu": nn.ReLU(), "tanh": nn.Tanh(), "skip": nn.Identity()})

    cell = aw.cell(edge, nodes=3, output=output, name="cell")
    decisions = ["relu", "tanh", "none", "skip", "relu", "tanh"]
    places = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
    named = {f"cell.edge_{i}_{j}": decision for (i, j), decision in zip(places, decisions, strict=True)}
    _, _, (x,), y = one(cell, named)
    kept = {place: functions[decision] for place, decision in zip(places, decisions, strict=True) if decision != "none"}
    values = ByHand(kept, 3)(x)
    expected = {
        "last": values[3],
        "sum": sum(values[1:]),
        "mean": sum(values[1:]) / 3,
        "concat": torch.cat(values[1:], dim=1),
    }
    same(y, expected[output])


def test_a_cell_of_two_inputs_that_keeps_some_of_its_edges():
    def edge(i, j):
        return nn.Conv2d(2, 2, 1)

    cell = aw.cell(edge, nodes=2, inputs=2, fan_in=2, output="concat", name="cell")
    module, text, (x, y), z = one(cell, {"cell.node_3": ("0", "2")}, inputs=((2, 2, 3, 3), (2, 2, 3, 3)))
    node_2 = module.edge_0_2(x) + module.edge_1_2(y)
    same(z, torch.cat([node_2, module.edge_0_3(x) + module.edge_2_3(node_2)], dim=1))
    assert not hasattr(module, "edge_1_3")
    assert forward_of(text).splitlines()[-1] == "return torch.cat([node_2, node_3], dim=1)"


def test_a_cell_of_operations_on_nodes():
    def node(j):
        return aw.choice({"relu": nn.ReLU(), "tanh": nn.Tanh()})

    cell = aw.cell(lambda i, j: nn.Identity(), nodes=2, node=node, combine="mean", name="cell")
    _, _, (x,), y = one(cell, {"cell.op_1": "relu", "cell.op_2": "tanh"})
    first = torch.relu(x)
    same(y, torch.tanh((x + first) / 2))


def test_a_cell_whose_edges_are_all_absent_gives_zeros():
    cell = aw.cell(lambda i, j: aw.choice({"none": None, "skip": nn.Identity()}), nodes=2, name="cell")
    none = {f"cell.edge_{place}": "none" for place in ("0_1", "0_2", "1_2")}
    module, text, (x,), y = one(cell, none)
    same(y, torch.zeros_like(x))
    assert list(module.children()) == []
    assert forward_of(text) == "return torch.zeros_like(x)"


def test_a_cell_without_some_edges():
    cell = aw.cell(lambda i, j: nn.Tanh() if i == j - 1 else None, nodes=3)
    _, _, (x,), y = one(cell)
    same(y, torch.tanh(torch.tanh(torch.tanh(x))))
    assert set(cell.edges) == {(0, 1), (1, 2), (2, 3)}


def test_unused_operations_are_kept_on_request():
    def cell(keep_unused):
        def edge(i, j):
            return aw.choice({"none": None, "conv": nn.Conv2d(4, 4, 1)})

        return aw.cell(edge, nodes=2, keep_unused=keep_unused, name="cell")

    decisions = {"cell.edge_0_1": "conv", "cell.edge_0_2": "conv", "cell.edge_1_2": "none"}
    without, _, (x,), y = one(cell(False), decisions)
    kept, text, _, z = one(cell(True), decisions)
    assert [name for name, _ in without.named_children()] == ["edge_0_2"]
    assert [name for name, _ in kept.named_children()] == ["edge_0_1", "edge_0_2"]
    assert forward_of(text) == "return self.edge_0_2(x)"
    same(y, without.edge_0_2(x))
    same(z, kept.edge_0_2(x))


def test_kept_operations_are_decided_even_where_nothing_follows_from_them():
    """A node that no edge leaves is part of the network all the same."""

    def edge(i, j):
        return None if (i, j) == (1, 2) else aw.choice({"none": None, "conv": nn.Conv2d(4, 4, 1)})

    assert aw.Space(model=aw.cell(edge, nodes=2, name="cell")).size == 2
    space = aw.Space(model=aw.cell(edge, nodes=2, keep_unused=True, name="cell"))
    assert space.size == 4
    built = space.build({"cell.edge_0_1": "conv", "cell.edge_0_2": "none"})
    assert [name for name, _ in built.named_children()] == ["edge_0_1"]


def test_kept_operations_cannot_be_lazy():
    def edge(i, j):
        return None if (i, j) == (1, 2) else nn.LazyConv2d(4, 1)

    space = aw.Space(model=aw.cell(edge, nodes=2, keep_unused=True))
    with pytest.raises(BuildError, match=r"model.edge_0_1: LazyConv2d\(4, 1\) is never reached, so its sizes are not"):
        space.build({}, example_input=(4, 3, 3))


def test_the_module_has_the_attributes_of_its_text():
    closed = aw.Space(model=aw.graph(lambda x: nn.ReLU()(x) + nn.ReLU()(x))).resolve({})["model"]
    assert list(modules(closed)) == ["relu", "relu_2"]


def test_the_names_of_graphs_become_names_of_classes():
    names = {
        "residual": "Residual",
        "my-block.one": "MyBlockOne",
        "a b": "Block",
        None: "Block",
        "two_words": "TwoWords",
        "none": "Block",
    }
    for name, expected in names.items():
        module = aw.Space(model=aw.graph(lambda x: nn.ReLU()(x), name=name)).build({})
        assert type(module).__name__ == expected


def test_a_value_of_a_graph_is_no_layer():
    with pytest.raises(SpaceError, match="is a layer written down"):
        aw.graph(lambda x: x(3))


def test_a_graph_can_be_pickled_where_its_class_is_not_known() -> None:
    model = aw.Space(model=aw.graph(lambda x: nn.Linear(4, 4)(x) + x), example_input=(4,)).build({})
    text = pickle.dumps(model)
    _make._classes.clear()
    again, x = pickle.loads(text), torch.rand(2, 4)
    assert torch.equal(again(x), model(x))
    assert copy.deepcopy(again).state_dict().keys() == model.state_dict().keys()
