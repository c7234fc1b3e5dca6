"""Spaces as a whole: what is refused when one is made, and what goes into its networks."""

from __future__ import annotations

import re

import pytest
import torch

import archwright as aw
from archwright import nn
from archwright.errors import SpaceError


def raises(message: str, kind: type[Exception] = SpaceError):
    """Expect an error whose message holds a text."""
    return pytest.raises(kind, match=re.escape(message))


def test_a_space_has_a_part():
    with raises("a space has at least one part: aw.Space(model=...)"):
        aw.Space()


@pytest.mark.parametrize(
    ("name", "meant"), [("exmaple_input", "example_input"), ("example_inputs", "example_input"), ("wher", "where")]
)
def test_misspelt_arguments_are_no_parts(name, meant):
    with raises(f"a space has no argument {name!r}; did you mean {meant!r}?"):
        aw.Space(model=nn.LazyLinear(3), **{name: (8,)})


def test_parts_are_free_names():
    for name in ("optimizer", "game", "examples", "inputs", "mode", "node"):
        assert aw.Space(**{name: aw.choice(1, 2)}).size == 2


def test_one_name_is_one_decision():
    with raises("two different decisions are named 'width': choice(1, 2, name='width') and choice(1, 3, name='width')"):
        aw.Space(a=aw.choice(1, 2, name="width"), b=aw.choice(1, 3, name="width"))
    with raises("two different decisions are named 'b'"):
        aw.Space(a=aw.choice(1, 2, name="b"), b=aw.choice(1, 2))


def test_constraints_are_functions():
    with raises("where takes functions of an architecture; 'a' is none"):
        aw.Space(x=aw.choice(1, 2), where=["a"])


def test_constraints_that_nothing_satisfies_are_told_apart():
    def never(architecture):
        return False

    with pytest.raises(SpaceError) as refused:
        aw.Space(x=aw.choice(1, 2, 3), where=[lambda a: a["x"] > 1, never])
    message = str(refused.value)
    assert "no architecture was found that satisfies the constraints: of 2,000 drawn, " in message
    assert re.search(r"<lambda> refused \d{3}", message)
    assert re.search(r"never refused 1,\d{3}", message)


def test_a_constraint_on_what_is_inactive_is_explained():
    width = aw.choice(1, 2, name="width")
    with raises("asks for 'width', which is not active in Architecture("):
        aw.Space(x=aw.choice({"wide": width, "none": None}), where=lambda a: a["width"] > 1)
    space = aw.Space(x=aw.choice({"wide": width, "none": None}), where=lambda a: a.get("width", 2) > 1)
    assert space.size == 2


@pytest.mark.parametrize(
    "example",
    ["abc", (), {"a": 1}, ((1, 2), "a"), 3.5, (0, 3), torch.zeros(()), aw.Space, [[1, [2]]]],
)
def test_what_is_no_example_input(example):
    with pytest.raises(SpaceError, match=r"an example input is|whole numbers of 1 or more"):
        aw.Space(model=nn.ReLU(), example_input=example)


def test_a_dtype_is_a_name():
    with raises("a sample's dtype is the name of one of torch's, such as 'float32', not 'torch.float32'"):
        aw.TensorSpec((2,), "torch.float32")


def test_an_unknown_dtype_is_named():
    with raises("torch has no dtype 'float33'"):
        aw.Space(model=nn.ReLU(), example_input=aw.TensorSpec((2,), "float33"))


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        (None, None),
        ((3, 8), [aw.TensorSpec((3, 8))]),
        ([5], [aw.TensorSpec((5,))]),
        (aw.TensorSpec((5,), "int64"), [aw.TensorSpec((5,), "int64")]),
        (torch.zeros(7, 3, 8), [aw.TensorSpec((3, 8))]),
        (torch.zeros(7, dtype=torch.int64), [aw.TensorSpec((), "int64")]),
        (((3,), (4, 5)), [aw.TensorSpec((3,)), aw.TensorSpec((4, 5))]),
        ([torch.zeros(2, 3), aw.TensorSpec((4,), "int64")], [aw.TensorSpec((3,)), aw.TensorSpec((4,), "int64")]),
    ],
)
def test_what_is_an_example_input(example, expected):
    found = aw.Space(x=1, example_input=example).example_input
    assert found == (expected if expected is None else tuple(expected))
