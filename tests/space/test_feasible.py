"""Constraints that few architectures satisfy, in spaces that are too large to be listed."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import archwright as aw
from archwright.errors import SpaceError
from archwright.testing import random_spaces

NAMES = [f"width_{place}" for place in range(6)]


def rising(architecture):
    return all(architecture[one] < architecture[after] for one, after in pairwise(NAMES))


def space_of(where, count=6, high=15):
    return aw.Space(
        where=where, **{f"width_{place}": aw.integer(0, high, name=f"width_{place}") for place in range(count)}
    )


RARE = {
    "rising": lambda: space_of(rising),
    "a small sum": lambda: space_of(lambda a: sum(a.values()) <= 3, count=10),
    "all equal": lambda: space_of(lambda a: len(set(a.values())) == 1),
    "one after the other": lambda: space_of(
        [lambda a, i=i: (a[f"width_{i}"] + a[f"width_{i + 1}"]) % 16 == 3 for i in range(5)]
    ),
    "real numbers": lambda: aw.Space(
        where=lambda a: list(a.values()) == sorted(a.values()),
        **{f"real_{index}": aw.real(0.0, 1.0, name=f"real_{index}") for index in range(8)},
    ),
}


@pytest.mark.parametrize("kind", RARE)
def test_moves_stay_inside_and_go_on(kind):
    space, rng = RARE[kind](), np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(20)]
    assert all(architecture in space for architecture in drawn)
    assert len(set(drawn)) > 1
    for first, second in pairwise(drawn):
        assert space.mutate(first, rng) in space
        assert space.crossover(first, second, rng) in space


def test_what_constraints_refuse_is_moved_to_what_is_like_it():
    space, rng = space_of(rising), np.random.default_rng(0)
    wanted = aw.Architecture(dict(zip(NAMES, (0, 1, 2, 2, 4, 5), strict=True)))
    assert wanted not in space
    assert all(space.mutate(wanted, rng) in space for _ in range(10))


def test_an_architecture_without_others_is_its_own_mutant():
    space = space_of(lambda a: all(a[name] == 7 for name in NAMES))
    (only,) = {space.sample(np.random.default_rng(seed)) for seed in range(3)}
    assert space.mutate(only, np.random.default_rng(0)) == only


def test_the_same_seed_draws_the_same_in_another_process():
    code = (
        "import numpy as np; from tests.space.test_feasible import RARE; "
        "print([RARE['rising']().sample(np.random.default_rng(seed)).id for seed in range(3)])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = RARE["rising"]()
    here.mutate(here.sample(np.random.default_rng(5)), np.random.default_rng(6))  # what was asked before plays no part
    assert ran.stdout.strip() == str([here.sample(np.random.default_rng(seed)).id for seed in range(3)])


def test_what_nothing_satisfies_is_told_after_a_search():
    with pytest.raises(SpaceError, match=r"of 2,000 drawn, .*never refused 2,000; a longer search found none either"):
        space_of(never)
    with pytest.raises(SpaceError, match="never refused 2,000; none of all satisfies them"):
        space_of(never, count=2)


def never(architecture):
    return architecture["width_0"] < 0


@given(random_spaces(networks=False, most=500), st.integers(0, 2**32), st.integers(1, 4))
def test_a_walk_gives_what_holds_in_the_order_of_enumeration(space, seed, kept):
    """Whatever a constraint looks at, and however early it stops, nothing is left out that it lets through."""
    rng = np.random.default_rng(seed)
    listed = list(space.enumerate())
    names = [name for name in space.decisions if rng.random() < 0.7]

    def where(architecture):
        for name in names:
            value = architecture.get(name, "absent")
            if hash((name, str(value), seed)) % 5 >= kept:
                return False
        return seed % 3 or len(architecture) % 2 == 0

    constrained = aw.Space(**space.parts)
    constrained.where = (where,)
    assert list(constrained.enumerate()) == [architecture for architecture in listed if where(architecture)]


def test_a_walk_looks_at_little_where_a_constraint_stops_early():
    calls = []

    def where(architecture):
        calls.append(1)
        return rising(architecture)

    space = space_of(where)
    calls.clear()
    assert sum(1 for _ in space.enumerate()) == 8008  # 6 of 16
    assert len(calls) < 200_000  # of 16,777,216
