"""Spaces from files that nobody here has written: every field of every node, changed in every way."""

from __future__ import annotations

import copy
import functools
import json
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.build import blocks

import archwright as aw
from archwright import nn, optim
from archwright.errors import ArchwrightError, SpaceError
from archwright.space import Space, TensorSpec, template, written
from archwright.testing import random_spaces

EVIL = 'x"""\nimport sys\nsys.modules["executed"] = sys\n"""'
"""What would show if it became code anywhere."""


def everything():
    """A space with a node of every kind."""
    width = aw.choice(2, 4, name="width")
    stage = template(lambda n: nn.Linear(n, n))
    return Space(
        model=nn.Sequential(
            nn.Linear(3, width),
            stage(width),
            aw.repeat(lambda i: nn.Linear(width, width), 1, 2),
            aw.graph(lambda x: nn.ReLU()(x, name="act") + aw.choice(nn.Tanh()(x), x), name="residual"),
            aw.cell(lambda i, j: aw.choice({"none": None, "skip": nn.Identity()}), nodes=2, fan_in=1, output="mean"),
            aw.lazy(blocks.Residual)(nn.Identity()),
        ),
        optimizer=optim.SGD(lr=aw.real(0.1, 1.0)),
        batch_size=2 * aw.integer(1, 4),
        other=[1.5, None, True, "text", (1, {"key": [aw.subset("a", "b", k=1)]}), float("-inf")],
        kinds=[TensorSpec((3,)), torch.nn.Tanh, torch.relu, torch.nn.functional.logsigmoid, torch.float16],
        partial=[functools.partial(torch.nn.BatchNorm1d, 3, eps=0.1), functools.partial(torch.relu)],
        members=[blocks.Plain.A, {blocks.Text.B: blocks.Whole.A}],
        example_input=(3,),
        name="everything",
    )


WHOLE = json.loads(json.dumps(everything().to_json(), allow_nan=False))


def places(item, path=()):
    """Yield the path of everything in a JSON document."""
    yield path
    inside = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
    for key, value in inside:
        yield from places(value, (*path, key))


PLACES = list(places(WHOLE))


def changed(path, value):
    document = copy.deepcopy(WHOLE)
    *above, last = path
    inside = document
    for key in above:
        inside = inside[key]
    inside[last] = value
    return document


def deep(levels):
    item = []
    for _ in range(levels):
        item = [item]
    return item


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 40),
    st.sampled_from([10**30, -(10**4000), 2**63, 0.5, float("nan"), float("inf"), 1e308]),
    st.sampled_from(["", " ", "class", "__class__", "x; import os", EVIL, "\x1b[31mred", "[b]", "a\nb", "\udce9"]),
    st.sampled_from(["sum", "zeros", "torch.nn.ReLU", "torch.nn.functional:relu", "os:system", "operator.mul"]),
)
VALUES = st.one_of(
    SCALARS,
    st.recursive(
        st.one_of(
            SCALARS,
            st.integers(-1, len(WHOLE["nodes"])).map(lambda number: {"node": number}),
            st.sampled_from(
                [{"import": "os:system"}, {"import": EVIL}, {"opaque": EVIL}, {"float": "inf"}, {"float": EVIL}]
            ),
            st.sampled_from([{"import": "torch.nn:ReLU"}, {"import": "torch:load"}, {"import": "torch:sin"}]),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=3).map(lambda items: {"tuple": items}),
            st.lists(st.tuples(inner, inner).map(list), max_size=2).map(lambda pairs: {"dict": pairs}),
            st.dictionaries(st.sampled_from(["is", "node", "tuple", "a"]), inner, max_size=2),
        ),
        max_leaves=4,
    ),
    st.just(deep(3_000)),
)


def use(document):
    """Read a space, and do with it what is done with spaces; return whether it was refused."""
    try:
        space = Space.from_json(document)
        assert str(space)
        assert space.bound >= 1
        architecture = space.sample(np.random.default_rng(0))
        text = space.source(architecture, (3,))
        space.build(architecture, (3,))
    except ArchwrightError:
        return True
    exec(compile(text, "model.py", "exec", dont_inherit=True), {"__name__": "model"})
    return False


def test_the_whole_document_is_read():
    assert not use(WHOLE)
    assert Space.from_json(WHOLE).fingerprint == everything().fingerprint


@settings(max_examples=80)
@given(st.sampled_from(PLACES[1:]), VALUES)
def test_any_field_changed_is_read_or_refused_and_nothing_is_executed(path, value):
    sys.modules.pop("executed", None)
    use(changed(path, value))
    assert "executed" not in sys.modules


@given(random_spaces(), st.data())
def test_fields_of_random_spaces_too(space, data):
    document = json.loads(json.dumps(space.to_json()))
    node = data.draw(st.sampled_from(document["nodes"]))
    node[data.draw(st.sampled_from(sorted(node)))] = data.draw(VALUES)
    use(document)
    assert "executed" not in sys.modules


@given(VALUES)
def test_any_document_is_read_or_refused(document):
    with pytest.raises(SpaceError):
        Space.from_json(document)


def node_of(kind):
    return next(number for number, node in enumerate(WHOLE["nodes"]) if node["is"] == kind)


def test_each_field_of_each_kind_of_node_tells_of_a_wrong_type():
    fields = [(key,) for key in WHOLE]
    for number in {node_of(node["is"]) for node in WHOLE["nodes"]}:
        fields += [("nodes", number, key) for key in WHOLE["nodes"][number]]
    assert len(fields) > 50
    for path in fields:
        for value in ({"a": 1, "b": 2}, [[]], -7, EVIL, None):
            use(changed(path, value))
    assert "executed" not in sys.modules


@pytest.mark.parametrize(
    ("kind", "field", "value", "message"),
    [
        ("Merge", "kind", EVIL, r"Merge: kind is .*, not one of sum, mean, mul, max, concat"),
        ("Merge", "kind", "zeros", r"Merge: kind is 'zeros', not one of"),
        ("Merge", "name", EVIL, "Merge: name is .*, not a name as Python has it"),
        ("Apply", "name", "class", "Apply: name is 'class', not a name as Python has it"),
        ("Apply", "module", 3, "Apply: module is 3, not a layer"),
        ("Call", "target", "torch.nn.X()", "Call: target is .*, not a name such as 'torch.nn.ReLU'"),
        ("Call", "callee", {"import": "torch.nn:ReLU"}, "Call: callee is .*, not the description of what has no name"),
        ("Call", "is", "Space", "is is 'Space', not one of Call, Function, Blank"),
        ("Call", "extra", 1, r"Call has \['extra'\]; its fields are target, args"),
        ("Choice", "labels", {"tuple": [1, True]}, "Choice: labels is .* all different"),
        ("Choice", "ordered", 1, "Choice: ordered is 1, not a truth value"),
        ("Subset", "high", 3, "Subset: high is 3, not a whole number from 1 to 2"),
        ("Repeat", "low", -1, "Repeat: low is -1, not a whole number from 0 to 2"),
        ("Integer", "high", 10**400, "the range 1 to .* is too long"),
        ("Real", "high", float("nan"), "takes a finite range"),
        ("Filled", "values", {"tuple": []}, "Filled: blanks is .*, not a blank for each of the values"),
        ("Graph", "keep_unused", 0, "Graph: keep_unused is 0, not a truth value"),
        ("Graph", "inputs", [], "Graph: inputs is"),
        ("TensorSpec", "shape", {"tuple": [10**40]}, "holds more numbers than any memory"),
        ("Input", "index", -1, "Input: index is -1, not a whole number"),
    ],
)
def test_what_a_field_may_hold_is_said(kind, field, value, message):
    with pytest.raises(SpaceError, match=message):
        Space.from_json(changed(("nodes", node_of(kind), field), value))


def test_nodes_refer_to_nodes_before_them_alone():
    number = node_of("Call")
    for wrong in (number, -1, len(WHOLE["nodes"]), True, 1.0):
        document = changed(("nodes", number, "args"), {"tuple": [{"node": wrong}]})
        with pytest.raises(SpaceError, match=rf"node is {wrong!r}, not the number of one of the \d+ nodes before it"):
            Space.from_json(document)


# ---------------------------------------------------------------------- more than can be built


def doubled(wrap, levels=40):
    layer = aw.choice(nn.Linear(2, 2), nn.Identity())
    for _ in range(levels):
        layer = wrap(layer)
    return layer


LAUGHS = {
    "rows": lambda inner: nn.Sequential(inner, inner),
    "graphs": lambda inner: aw.graph(lambda x: inner(x) + inner(x)),
    "depths": lambda inner: aw.repeat(lambda index: inner, 1, 2),
    "templates": lambda inner: template(lambda n: nn.Sequential(inner, inner, nn.Linear(n, n)))(2),
    "blanks": lambda inner: template(lambda layer: nn.Sequential(layer, layer))(inner),
    "subsets": lambda inner: nn.Sequential(aw.subset({"a": inner, "b": inner}, k=1)),
    "own": lambda inner: aw.lazy(blocks.Residual)(inner, inner),
    "lists": lambda inner: [inner, inner],
}


@pytest.mark.parametrize("kind", LAUGHS)
def test_parts_that_unfold_without_end_are_refused(kind):
    model = doubled(LAUGHS[kind])
    assert len(written(model)) < 100_000
    with pytest.raises(SpaceError, match="model describes networks of more than 200,000 parts: a part that is used"):
        Space(model=model)


def test_a_file_of_few_nodes_unfolds_without_end():
    document = Space(model=nn.Sequential(nn.ReLU(), nn.ReLU())).to_json()
    *before, last = document["nodes"]
    for number in range(40):
        before.append({**last, "args": {"tuple": [{"node": number + 1}, {"node": number + 1}]}})
    document |= {"nodes": before, "parts": {"model": {"node": len(before) - 1}}}
    with pytest.raises(SpaceError, match="model describes networks of more than 200,000 parts"):
        Space.from_json(document)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: aw.choice({"a": inner, "b": inner}),
        lambda inner: aw.choice({"a": nn.Sequential(inner, nn.ReLU()), "b": nn.Sequential(inner, nn.Tanh())}),
        lambda inner: aw.choice({"on": nn.Sequential(inner, nn.ReLU()), "off": inner}),
    ],
)
def test_options_that_share_their_parts_cost_one_of_them(wrap):
    """Forty choices in each other have 2^40 ends, and each network is a row of forty layers at most."""
    space = Space(model=doubled(wrap), example_input=(2,))
    architecture = space.sample(np.random.default_rng(0))
    assert space.build(architecture)(torch.zeros(3, 2)).shape == (3, 2)
    assert str(space)
    assert Space.from_json(space.to_json()).fingerprint == space.fingerprint
    with pytest.raises(aw.errors.RelaxationError, match="all options of all decisions side by side: more than 200,000"):
        aw.Supernet(space)


def test_options_that_are_one_object_are_two_options_all_the_same():
    layer = nn.Linear(2, 2)
    space = Space(model=aw.choice({"a": layer, "b": layer}), parts=aw.subset({"a": 1, "b": 1}, k=1))
    closed = space.resolve({"model": "b", "parts": ("b",)})
    assert (closed["model"].path, closed["parts"]) == ("model.b", [1])


def test_values_of_a_graph_that_share_theirs():
    def body(x):
        value = nn.Linear(2, 2)(x)
        for _ in range(40):
            value = aw.choice({"a": value, "b": value})
        for _ in range(200):
            value = value + value
        return value

    space = Space(model=aw.graph(body), example_input=(2,))
    assert len(str(space)) < 100_000
    assert space.build(space.sample(np.random.default_rng(0)))(torch.zeros(1, 2)).shape == (1, 2)


def test_expressions_nested_too_deep_or_in_themselves_are_refused():
    with pytest.raises(SpaceError, match="model is nested more than 160 deep; write what follows each other side by"):
        Space(model=doubled(lambda inner: nn.Sequential(inner), 2_000))
    document = Space(model=nn.Sequential(nn.ReLU())).to_json()
    chain = [{**document["nodes"][-1], "args": {"tuple": [{"node": number}]}} for number in range(20_000)]
    document |= {"nodes": [document["nodes"][0], *chain], "parts": {"model": {"node": len(chain)}}}
    with pytest.raises(SpaceError, match="model is nested more than 160 deep"):
        Space.from_json(document)
    holds_itself = []
    holds_itself.append(holds_itself)
    with pytest.raises(SpaceError, match="a list contains itself"):
        Space(model=nn.Identity(holds_itself))
    with pytest.raises(SpaceError, match="contains itself"):
        Space(part={"key": holds_itself})
    space = Space(model=doubled(lambda inner: nn.Sequential(inner), 100), example_input=(2,))
    assert "nn.Linear(" in space.source(space.canonical({"model" + ".0" * 100: "Linear(2, 2)"}))


def test_numbers_that_grow_without_end_are_refused():
    width = aw.ordinal(10**4, 10**5, name="width")
    for _ in range(12):
        width = width * width
    space = Space(model=nn.Linear(2, width))
    with pytest.raises(SpaceError, match="cannot be computed: the result is beyond 64 bits"):
        space.resolve({"width": 10**4})


def test_decisions_that_cannot_be_counted_are_told(monkeypatch):
    monkeypatch.setattr("archwright.space._counting._WORK", 10_000)
    rng = np.random.default_rng(0)
    sizes = [aw.choice(1, 2, name=f"size_{index}") for index in range(40)]
    layers = [aw.choice(*[nn.Linear(2, sizes[size]) for size in rng.choice(40, 2, replace=False)]) for _ in range(120)]
    with pytest.raises(SpaceError, match="the architectures cannot be counted: too many of the 159 decisions are tied"):
        Space(model=nn.Sequential(*layers)).bound


def test_a_cell_of_too_many_paths_or_nodes_is_not_encoded(monkeypatch):
    monkeypatch.setattr("archwright.space._encoding._PATHS", 1_000)
    operations = {"relu": nn.ReLU(), "tanh": nn.Tanh()}
    many = Space(model=aw.cell(lambda i, j: aw.choice(operations), nodes=40))
    with pytest.raises(SpaceError, match="more than 1,000 paths lead through a cell: encode it as 'cells' or"):
        many.encode(many.sample(np.random.default_rng(0)), "paths")
    assert many.encode(many.sample(np.random.default_rng(0)), "cells")["cell"].adjacency.shape == (41, 41)


def test_many_repeats_and_many_options_are_refused():
    body = nn.ReLU()
    with pytest.raises(SpaceError, match="model holds a Repeat of 150,000 options; 100,000 are allowed"):
        Space(model=aw.repeat(lambda index: body, 1, 150_000))
    assert Space(x=aw.subset(*range(1000), k=(0, 1000))).bound == 2**1000
