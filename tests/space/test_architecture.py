"""Architectures, and the canonical form that a space gives them."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest

import archwright as aw
from archwright.errors import ArchitectureError
from archwright.space import Architecture


def space():
    width = aw.ordinal(16, 32, name="width")
    kind = aw.choice({"none": None, "wide": [width, aw.choice("relu", "silu", name="act")]}, name="kind")
    return aw.Space(kind=kind, depth=aw.integer(1, 4), parts=aw.subset(*"abc", k=(0, 2)))


WIDE = {"kind": "wide", "width": 32, "act": "relu", "depth": 2, "parts": ("a", "c")}


def test_it_is_a_mapping_that_cannot_be_changed():
    architecture = Architecture(WIDE)
    assert dict(architecture) == WIDE
    assert list(architecture) == list(WIDE)
    assert len(architecture) == 5
    assert architecture["width"] == 32
    assert architecture.get("missing", 3) == 3
    with pytest.raises(TypeError):
        architecture["width"] = 16
    WIDE_COPY = dict(WIDE)
    held = Architecture(WIDE_COPY)
    WIDE_COPY["width"] = 16
    assert held["width"] == 32


def test_equal_decisions_are_equal_in_any_order():
    first, second = Architecture(WIDE), Architecture(dict(reversed(WIDE.items())))
    assert first == second
    assert hash(first) == hash(second)
    assert first.id == second.id
    assert first != Architecture({**WIDE, "width": 16})
    assert first != WIDE
    assert len({first, second}) == 1


def test_the_identifier_never_changes():
    assert Architecture(WIDE).id == "8e493cce3870"
    assert Architecture({}).id == "b4b8bf78e9ad"


def test_json_and_copies_lead_back():
    architecture = Architecture({**WIDE, "rate": 0.1 + 0.2, "none": None, "flag": True})
    assert Architecture.from_json(json.loads(json.dumps(architecture.to_json()))) == architecture
    for other in (pickle.loads(pickle.dumps(architecture)), copy.deepcopy(architecture)):
        assert other == architecture
        assert other.id == architecture.id


def test_it_reads_as_one_line():
    architecture = Architecture({"width": 16, "kind": "a"})
    assert repr(architecture) == f"Architecture({architecture.id}: width=16, kind='a')"


def test_canonical_drops_what_is_inactive():
    canonical = space().canonical({**WIDE, "kind": "none"})
    assert dict(canonical) == {"kind": "none", "depth": 2, "parts": ("a", "c")}
    assert canonical in space()
    assert {**WIDE, "kind": "none"} not in space()


def test_canonical_takes_json_and_brings_values_into_form():
    given = {"kind": "wide", "width": 32.0, "act": "relu", "depth": 2.0, "parts": ["c", "a"]}
    assert space().canonical(given) == Architecture(WIDE)
    assert list(space().canonical(dict(reversed(WIDE.items())))) == list(space().decisions)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"widht": 3}, "the space decides nothing named 'widht'; did you mean 'width'?"),
        ({"xyz": 3}, "the space decides nothing named 'xyz'"),
        ({3: 3}, "the space decides nothing named 3"),
        ({"width": 24}, "'width': 24 is none of 16, 32"),
        ({"kind": "narrow"}, "'kind': 'narrow' is none of 'none', 'wide'"),
        ({"depth": 5}, "'depth': 5 is not a whole number from 1 to 4"),
        ({"parts": ["a", "b", "c"]}, "'parts': ['a', 'b', 'c'] is not 0 to 2 of 'a', 'b', 'c'"),
    ],
)
def test_canonical_refuses_what_does_not_belong(changed, message):
    with pytest.raises(ArchitectureError) as refused:
        space().canonical({**WIDE, **changed})
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("kind", "'kind' is not decided: choice  none · wide"),
        ("width", "'width' is not decided: ordinal  16 · 32"),
        ("depth", "'depth' is not decided: integer  1 to 4"),
        ("parts", "'parts' is not decided: subset  0 to 2 of a · b · c"),
    ],
)
def test_canonical_refuses_what_is_missing(missing, message):
    with pytest.raises(ArchitectureError) as refused:
        space().canonical({name: value for name, value in WIDE.items() if name != missing})
    assert str(refused.value) == message


def test_a_typing_error_is_told_as_one():
    wrong = {**WIDE, "widht": 32}
    del wrong["width"]
    with pytest.raises(ArchitectureError, match="did you mean 'width'"):
        space().canonical(wrong)


@pytest.mark.parametrize("use", ["resolve", "build", "source"])
def test_every_interpretation_refuses_what_does_not_belong(use):
    model = aw.nn.Linear(2, aw.choice(3, 4, name="width"))
    with pytest.raises(ArchitectureError, match="'width' is not decided: choice  3 · 4"):
        getattr(aw.Space(model=model), use)({})
    with pytest.raises(ArchitectureError, match="'width': 5 is none of 3, 4"):
        getattr(aw.Space(model=model), use)({"width": 5})


def test_membership():
    assert Architecture(WIDE) in space()
    assert WIDE in space()
    assert {**WIDE, "depth": 9} not in space()
    assert {} not in space()
    assert 3 not in space()
    even = aw.Space(depth=aw.integer(1, 4), where=lambda a: a["depth"] % 2 == 0)
    assert {"depth": 2} in even
    assert {"depth": 3} not in even


def test_samples_keep_the_order_of_the_decisions():
    made = space()
    order = list(made.decisions)
    rng = np.random.default_rng(0)
    for _ in range(20):
        names = list(made.sample(rng))
        assert names == sorted(names, key=order.index)
