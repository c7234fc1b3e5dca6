"""One object in several places is one decision; names; what a decision is called."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import archwright as aw
from archwright import nn
from archwright.space import template


def test_one_object_is_one_decision():
    width = aw.choice(2, 4)
    space = aw.Space(model=nn.Sequential(nn.Linear(3, width), nn.Linear(width, width)), other=width)
    assert list(space.decisions) == ["model.0.out_features"]
    for architecture in space.enumerate():
        closed = space.resolve(architecture)
        assert closed["model"].args[1].args == (closed["other"], closed["other"])


def test_a_new_call_is_a_new_decision():
    space = aw.Space(a=aw.choice(1, 2), b=aw.choice(1, 2))
    assert list(space.decisions) == ["a", "b"]


def test_a_part_in_two_places_is_decided_once_and_made_twice():
    layer = nn.Linear(4, 4, bias=aw.choice(True, False, name="bias"))
    space = aw.Space(model=nn.Sequential(layer, nn.ReLU(), layer))
    assert list(space.decisions) == ["bias"]
    built = space.build({"bias": True})
    assert built[0] is not built[2]
    assert not torch.equal(built[0].weight, built[2].weight)
    assert len(list(built.parameters())) == 4


def test_decisions_are_named_by_their_path_as_in_a_state_dict():
    def block(index):
        return nn.Sequential(
            nn.LazyConv2d(aw.choice(8, 16), kernel_size=aw.choice(3, 5)), aw.choice(nn.ReLU(), nn.SiLU())
        )

    options = {"small": nn.Linear(2, aw.choice(1, 2)), "a b": nn.Linear(2, aw.choice(1, 2)), "none": nn.Identity()}
    space = aw.Space(
        model=nn.Sequential(nn.Flatten(), aw.repeat(block, 1, 2), aw.choice(options)),
        settings={"rate": aw.real(0, 1), "list": [aw.choice(1, 2), (aw.choice(1, 2),)]},
        plain=aw.choice(1, 2),
    )
    assert list(space.decisions) == [
        "model.1",
        "model.1.0.0.out_channels",
        "model.1.0.0.kernel_size",
        "model.1.0.1",
        "model.1.1.0.out_channels",
        "model.1.1.0.kernel_size",
        "model.1.1.1",
        "model.2",
        "model.2.small.out_features",
        "model.2.1.out_features",
        "settings.rate",
        "settings.list.0",
        "settings.list.1.0",
        "plain",
    ]


def test_a_name_stands_for_the_path():
    inner = nn.Linear(2, aw.choice(1, 2))
    space = aw.Space(
        a=aw.choice({"x": inner, "y": None}, name="kind"),
        b=aw.repeat(lambda i: nn.Linear(1, aw.choice(1, 2)), 1, 2, name="depth"),
        c=aw.integer(1, 2, name="number"),
        d=aw.subset(1, 2, k=1, name="part"),
        e=aw.real(1, 2, name="rate"),
    )
    assert list(space.decisions) == [
        "kind",
        "kind.x.out_features",
        "depth",
        "depth.0.out_features",
        "depth.1.out_features",
        "number",
        "part",
        "rate",
    ]


def test_decisions_inside_graphs_are_named_by_the_values():
    def body(x):
        a = nn.LazyConv2d(aw.choice(1, 2), 1)(x, name="first")
        b = aw.choice(nn.ReLU(), nn.Tanh())(a)
        c = aw.choice(a, b)
        d = nn.Linear(1, aw.choice(1, 2))(c, name="last")
        return aw.merge(aw.subset(a, d, k=1), kind="mean", name="joined")

    assert list(aw.Space(model=aw.graph(body)).decisions) == [
        "model.joined",
        "model.first.out_channels",
        "model.last.out_features",
        "model.last.from_0",
        "model.op",
    ]
    assert "inner.joined" in aw.Space(model=nn.Sequential(aw.graph(body, name="inner"))).decisions


def test_an_operation_and_what_it_is_applied_to_are_two_decisions():
    def body(x):
        return aw.choice(nn.ReLU(), nn.Tanh())(aw.choice(x, nn.Sigmoid()(x)))

    space = aw.Space(model=aw.graph(body))
    assert sorted(space.decisions) == ["model.op", "model.op.from_0"]
    assert space.size == 4


def test_a_cell_names_its_decisions_by_node_and_edge():
    def node(j):
        return aw.choice(nn.ReLU(), nn.Tanh())

    made = aw.cell(lambda i, j: aw.choice(None, nn.Identity()), nodes=2, inputs=2, node=node, fan_in=2, name="cell")
    assert sorted(aw.Space(model=nn.Sequential(made)).decisions) == sorted(
        [
            *("cell.edge_0_2", "cell.edge_1_2", "cell.op_2"),
            *("cell.node_3", "cell.edge_0_3", "cell.edge_1_3", "cell.edge_2_3", "cell.op_3"),
        ]
    )


def test_a_named_cell_is_one_set_of_decisions_however_often_it_stands():
    cell = aw.cell(lambda i, j: aw.choice(None, nn.Identity(), nn.ReLU()), nodes=2, name="cell")
    once = aw.Space(model=nn.Sequential(cell))
    often = aw.Space(model=nn.Sequential(nn.ReLU(), cell, aw.repeat(lambda i: cell, 1, 2, name="depth"), cell))
    assert once.size == 27
    assert often.size == 54
    assert set(often.decisions) == {*once.decisions, "depth"}
    assert all(name.startswith("cell.") for name in once.decisions)


def test_two_cells_of_one_name_are_refused():
    def cell():
        return aw.cell(lambda i, j: aw.choice(None, nn.Identity()), nodes=1, name="cell")

    with pytest.raises(aw.errors.SpaceError, match=r"two different decisions are named 'cell.edge_0_1'"):
        aw.Space(model=nn.Sequential(cell(), cell()))


def test_tied_options_of_different_decisions():
    option = nn.Linear(2, aw.choice(1, 2, name="width"))
    space = aw.Space(a=aw.choice({"x": option, "y": None}), b=aw.choice({"x": option, "z": 0}))
    both = space.resolve({"a": "x", "b": "x", "width": 2})
    assert both["a"].args == both["b"].args == (2, 2)
    assert "width" not in space.canonical({"a": "y", "b": "z"})
    assert space.canonical({"a": "y", "b": "x", "width": 1})["width"] == 1


# ---------------------------------------------------------------------- templates


def test_a_template_is_decided_once_for_all_its_uses():
    stage = template(lambda width, depth=1: nn.Linear(width, depth * width, bias=aw.choice(True, False)))
    space = aw.Space(model=nn.Sequential(stage(2), stage(2, 3), stage(width=6)))
    assert list(space.decisions) == ["model.0.bias"]
    built = space.build({"model.0.bias": False})
    assert [tuple(layer.weight.shape) for layer in built] == [(2, 2), (6, 2), (6, 6)]
    assert all(layer.bias is None for layer in built)


def test_what_fills_a_blank_may_be_open():
    stage = template(lambda width: nn.Sequential(nn.Linear(2, width), nn.Linear(width, width // 2 + 1)))
    space = aw.Space(model=nn.Sequential(stage(aw.choice(2, 4, name="first")), nn.LazyLinear(2), stage(6)))
    assert list(space.decisions) == ["first"]
    built = space.build({"first": 4}, example_input=(2,))
    assert [tuple(p.shape) for name, p in built.named_parameters() if "weight" in name] == [
        *((4, 2), (3, 4)),
        (2, 3),
        *((6, 2), (4, 6)),
    ]


def test_templates_stand_in_templates():
    inner = template(lambda n: nn.Linear(n, n, bias=aw.choice(True, False, name="bias")))
    outer = template(lambda m: nn.Sequential(inner(m), inner(m), aw.choice(nn.ReLU(), inner(m), name="last")))
    space = aw.Space(model=nn.Sequential(outer(2), nn.Linear(2, 3), outer(3)), example_input=(2,))
    assert set(space.decisions) == {"bias", "last"}
    assert space.size == 4
    built = space.build({"bias": True, "last": "Linear(…, …, bias=…) with n=…"})
    assert [tuple(layer.weight.shape) for layer in built[2]] == [(3, 3)] * 3


def test_a_cell_as_a_template_has_one_architecture_for_all_widths():
    def write(width):
        options = {"none": None, "conv": nn.Conv2d(width, width, 1), "skip": nn.Identity()}
        return aw.cell(lambda i, j: aw.choice(options), nodes=2, name="cell")

    cell = template(write)
    space = aw.Space(model=nn.Sequential(cell(4), nn.Conv2d(4, 8, 1), cell(8)), example_input=(4, 3, 3))
    assert space.size == 27
    for architecture in list(space.enumerate())[::5]:
        assert space.build(architecture)(torch.zeros(2, 4, 3, 3)).shape == (2, 8, 3, 3)
    again = aw.Space.from_json(space.to_json())
    assert (again.fingerprint, str(again), again.size) == (space.fingerprint, str(space), 27)
    first = space.sample(np.random.default_rng(0))
    assert space.decode(space.encode(first)) == first
    assert set(space.encode(first, "cells")) == {"cell"}
