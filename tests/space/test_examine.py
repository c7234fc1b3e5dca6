"""What is wrong with decisions, and a space as a JSON schema, with jsonschema as the referee."""

from __future__ import annotations

from itertools import product

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import archwright as aw
from archwright import nn, spaces
from archwright.build import check_architecture
from archwright.errors import BuildError
from archwright.space import examine, grammar, json_schema

WIDTH = aw.ordinal(1, 2, name="width")
SPACES = {
    "flat": aw.Space(shape=aw.choice("a", "b"), width=aw.ordinal(1, 2), depth=aw.integer(2, 6, step=2)),
    "nested": aw.Space(
        first=aw.choice({"none": None, "one": [WIDTH, aw.integer(1, 2)], "two": {"width": WIDTH, "deep": 1}}),
        second=aw.choice({"plain": 0, "wide": WIDTH}),
    ),
    "repeat": aw.Space(model=aw.repeat(lambda i: nn.LazyLinear(aw.ordinal(8, 16)), 0, 2, name="depth")),
    "subset": aw.Space(model=aw.subset({"a": aw.integer(0, 1, name="x"), "b": 1, "c": 2}, k=(1, 2), name="parts")),
}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["a", "16", 10**400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_the_schema_holds_for_the_architectures_alone(space):
    """Of all objects with allowed values for some of the decisions, the valid ones are the architectures."""
    valid = jsonschema.Draft202012Validator(json_schema(space))
    absent = object()
    names, domains = space.decisions, [[absent, *decision.values()] for decision in space.decisions.values()]
    found = []
    for values in product(*domains):
        given_ = {name: value for name, value in zip(names, values, strict=True) if value is not absent}
        as_json = {name: list(value) if isinstance(value, tuple) else value for name, value in given_.items()}
        if valid.is_valid(as_json):
            found.append(aw.Architecture(given_))
    assert len(found) == space.size
    assert set(found) == set(space.enumerate())
    assert not valid.is_valid({**next(space.enumerate()).to_json(), "bogus": 1})
    properties = jsonschema.Draft202012Validator(json_schema(space, conditions=False))
    assert all(properties.is_valid(each.to_json()) for each in space.enumerate())


@pytest.mark.parametrize("name", ["darts", "mobile", "nasbench101", "resnet", "vit"])
def test_ready_made_spaces_have_a_schema_and_a_short_grammar(name):
    space = spaces.create(name, **spaces.fitting(name, {"input_shape": (3, 32, 32), "classes": 10}))
    valid = jsonschema.Draft202012Validator(json_schema(space))
    rng = np.random.default_rng(0)
    for _ in range(5):
        architecture = space.sample(rng)
        assert valid.is_valid(architecture.to_json())
        assert examine(space, architecture.to_json()).problems == ()
    assert len(grammar(space)) <= len(space.decisions)


def test_decisions_that_differ_in_numbers_share_a_line():
    def block(i):
        return nn.Sequential(
            nn.LazyLinear(aw.ordinal(8, 16, name=f"block_{i}.width")),
            aw.choice({"a": nn.ReLU(), "b": nn.Tanh()}, name=f"block_{i}.kind_{i}"),
        )

    assert grammar(aw.Space(model=aw.repeat(block, 1, 3, name="depth"))) == [
        "depth: repeat  1 to 3",
        "block_{i}.width: ordinal  8 · 16  (if depth > {i}; for i in 0..2)",
        "block_0.kind_0: choice  a · b  (if depth > 0)",
        "block_1.kind_1: choice  a · b  (if depth > 1)",
        "block_2.kind_2: choice  a · b  (if depth > 2)",
    ]


@given(st.data())
def test_whatever_is_given_the_nearest_is_in_the_space(data):
    space = SPACES[data.draw(st.sampled_from(sorted(SPACES)))]
    names = st.sampled_from([*space.decisions, "bogus"])
    given_ = data.draw(st.dictionaries(names, JSON, max_size=5))
    found = examine(space, given_)
    assert found.architecture in space
    again = examine(space, found.architecture)
    assert (again.architecture, again.problems, again.inactive) == (found.architecture, (), ())
    is_valid = {name: value for name, value in given_.items() if name not in found.inactive} == dict(found.architecture)
    assert not is_valid or not found.problems
    for problem in found.problems:
        assert len(str(problem)) < 2_000


@pytest.mark.parametrize(
    ("value", "decision", "nearest"),
    [
        (99, aw.integer(1, 9), 9),
        ("7.4", aw.integer(1, 9), 7),
        (4.9, aw.integer(2, 8, step=3), 5),
        (-1.0, aw.real(0.5, 2.0), 0.5),
        (40, aw.ordinal(8, 16, 32), 32),
        ("16", aw.ordinal(8, 16, 32), 16),
        ("RELU", aw.choice("gelu", "relu"), "relu"),
        ("conv3x3", aw.choice("conv_1x1", "conv_3x3"), "conv_3x3"),
        ("zzzz", aw.choice("gelu", "relu"), None),
        (float("nan"), aw.integer(1, 9), None),
        (["c", "A", "a", "b"], aw.subset("a", "b", "c", k=2), ("a", "c")),
        (["b"], aw.subset("a", "b", "c", k=2), ("a", "b")),
    ],
)
def test_an_invalid_value_has_a_nearest_one(value, decision, nearest):
    space = aw.Space(x=decision)
    found = examine(space, {"x": value})
    (problem,) = found.problems
    assert (problem.kind, problem.nearest) == ("invalid", nearest)
    assert nearest is None or found.architecture["x"] == nearest


def test_missing_decisions_come_from_the_base_and_constraints_are_named():
    def is_small(architecture):
        return architecture["a"] + architecture["b"] < 10

    space = aw.Space(a=aw.integer(0, 9), b=aw.integer(0, 9), where=is_small)
    found = examine(space, {"a": 9}, base={"a": 1, "b": 8})
    assert dict(found.architecture) == {"a": 9, "b": 8}
    assert [(problem.kind, problem.decision.rpartition(".")[2]) for problem in found.problems] == [
        ("missing", "b"),
        ("constraint", "is_small"),
    ]


def test_an_architecture_whose_layers_do_not_fit_is_told_with_the_layer():
    space = aw.Space(model=nn.Sequential(nn.Linear(4, aw.ordinal(2, 3, name="width")), nn.Linear(2, 1)))
    check_architecture(space, {"width": 2}, (4,))
    with pytest.raises(BuildError, match=r"model\.1: Linear\(2, 1\)"):
        check_architecture(space, {"width": 3}, (4,))
