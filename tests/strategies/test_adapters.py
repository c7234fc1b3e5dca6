"""What the strategies of other libraries share."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archwright as aw
from archwright import nn, strategies
from archwright.errors import MissingExtra
from archwright.strategies._nearby import unseen_near
from archwright.strategies._parts import Part, join, parts, split
from archwright.testing import random_spaces
from archwright.trials import History, Objective, Trial

LIBRARIES = {
    "optuna": "optuna",
    "tpe": "optuna",
    "hyperopt": "hyperopt",
    "botorch": "botorch",
}


@pytest.mark.parametrize("name", LIBRARIES)
def test_without_its_library_a_strategy_names_the_extra(name, monkeypatch):
    library = LIBRARIES[name]
    monkeypatch.setitem(sys.modules, library, None)  # what an import finds where it is not installed
    with pytest.raises(MissingExtra, match=rf"needs {library}, .* pip install 'archwright\[{library}\]'"):
        strategies.create(name)


def test_without_any_of_them_all_else_works():
    program = f"""
import sys
sys.modules.update(dict.fromkeys({sorted(set(LIBRARIES.values()))!r}))
import archwright as aw
from archwright.cli import main
study = aw.Study(aw.Space(x=aw.integer(0, 9)), strategy="random")
study.tell(study.ask(), 1.0)
sys.argv[1:] = ["list", "strategies"]
main()
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert all(name in ran.stdout for name in LIBRARIES)


def test_none_of_them_is_loaded_before_it_is_used():
    program = "import sys, archwright.strategies; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {*ran.stdout.split()} & {"torch", *LIBRARIES.values()}


# ------------------------------------------------------------------ decisions as numbers


def test_what_decisions_come_to():
    space = aw.Space(
        kind=aw.choice("a", "b", "c"),
        width=aw.ordinal(16, 24, 32),
        depth=aw.repeat(lambda i: nn.ReLU(), 2, 5),
        units=aw.integer(3, 300, log=True),
        rate=aw.real(0.1, 0.9),
        some=aw.subset("x", "y", k=(0, 2)),
        only=aw.choice("this"),
    )
    assert {name: parts(name, decision) for name, decision in space.decisions.items()} == {
        "kind": (Part("kind", "category", 0, 2),),
        "width": (Part("width", "whole", 0, 2),),
        "depth": (Part("depth", "whole", 0, 3),),
        "units": (Part("units", "whole", 3, 300, log=True),),
        "rate": (Part("rate", "real", 0.1, 0.9),),
        "some": (Part("some['x']", "category", 0, 1), Part("some['y']", "category", 0, 1)),
        "only": (),
    }
    values = {"kind": "b", "width": 32, "depth": 3, "units": 17, "rate": 0.25, "some": ("y",), "only": "this"}
    numbers = {name: split(space.decisions[name], value) for name, value in values.items()}
    assert numbers == {
        "kind": [1], "width": [2], "depth": [1], "units": [17], "rate": [0.25], "some": [0, 1], "only": []
    }  # fmt: skip


@settings(max_examples=60)
@given(space=random_spaces(networks=False, reals=True), seed=st.integers(0, 1000))
def test_a_value_is_made_again_from_its_numbers(space, seed):
    for name, value in space.sample(np.random.default_rng(seed)).items():
        decision = space.decisions[name]
        numbers = split(decision, value)
        assert len(numbers) == len(parts(name, decision))
        assert join(decision, numbers) == value
        assert all(part.low <= number <= part.high for part, number in zip(parts(name, decision), numbers, strict=True))


@settings(max_examples=60)
@given(space=random_spaces(networks=False, reals=True), number=st.floats(-1e6, 1e6))
def test_any_numbers_make_a_value(space, number):
    """Libraries round, and pass the ends of a range by a little."""
    for name, decision in space.decisions.items():
        value = join(decision, [number] * len(parts(name, decision)))
        assert decision.check(value) == value


# ------------------------------------------------------------------ what stands in for a suggestion


def seen(space, architectures):
    history = History(Objective("value"))
    for number, architecture in enumerate(architectures):
        history.add(Trial(number, architecture))
    return history


def test_what_is_new_is_left_as_it_is():
    space = aw.Space(a=aw.integer(0, 9), b=aw.integer(0, 9))
    suggested = space.canonical({"a": 3, "b": 4})
    assert unseen_near(space, seen(space, []), suggested, np.random.default_rng(0)) == suggested


def test_what_was_seen_gives_way_to_what_is_near():
    space = aw.Space(**{f"e{i}": aw.choice(*"abcdef") for i in range(8)})
    suggested = space.sample(np.random.default_rng(0))
    for seed in range(20):
        found = unseen_near(space, seen(space, [suggested]), suggested, np.random.default_rng(seed))
        assert sum(found[name] != suggested[name] for name in found) == 1


def test_what_constraints_refuse_gives_way_to_what_they_allow():
    space = aw.Space(
        a=aw.integer(0, 9), b=aw.integer(0, 9), c=aw.integer(0, 9), where=lambda a: (a["a"] + a["b"] + a["c"]) % 3 == 0
    )
    refused = aw.Architecture({"a": 1, "b": 1, "c": 2})
    for seed in range(20):
        found = unseen_near(space, seen(space, []), refused, np.random.default_rng(seed))
        assert found in space
        assert sum(found[name] != refused[name] for name in found) == 1


def test_the_last_of_a_small_space_is_found():
    space = aw.Space(a=aw.integer(0, 30), b=aw.integer(0, 30))
    everything = list(space.enumerate())
    history = seen(space, [one for one in everything if one != everything[500]])
    assert unseen_near(space, history, everything[0], np.random.default_rng(0)) == everything[500]
    whole = seen(space, everything)
    assert unseen_near(space, whole, everything[0], np.random.default_rng(0)) == everything[0]
