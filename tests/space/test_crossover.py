"""What a child has from which parent."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import archwright as aw
from archwright.errors import SpaceError
from archwright.testing import random_spaces

KINDS = ("uniform", "one-point", "subtree")
FLAT = aw.Space(**{f"d{i}": aw.integer(0, 9) for i in range(6)})
TREE = aw.Space(
    head=[aw.integer(0, 9), aw.integer(0, 9)],
    body={"stem": {"wide": aw.integer(0, 9)}, "last": [aw.integer(0, 9)]},
    tail={"only": {"inner": {"leaf": aw.integer(0, 9)}}},
)


def rng(seed=0):
    return np.random.default_rng(seed)


def alike(space, value):
    return space.canonical(dict.fromkeys(space.decisions, value))


def from_second(space, kind, count):
    """Which decisions children have from the second parent, and how often."""
    first, second = alike(space, 1), alike(space, 2)
    found = Counter()
    for seed in range(count):
        child = space.crossover(first, second, rng(seed), kind)
        found[tuple(name for name, value in child.items() if value == 2)] += 1
        assert set(child.values()) <= {1, 2}
    return found


def likely(counts, shares):
    total = sum(counts)
    return stats.chisquare(counts, [share * total for share in shares]).pvalue > 0.001


# ---------------------------------------------------------------------- any space, any parents


@pytest.mark.parametrize("kind", KINDS)
@given(random_spaces(networks=False, reals=True), st.integers(0, 2**32))
def test_each_decision_comes_from_a_parent_that_made_it(kind, space, seed):
    generator = rng(seed)
    first, second = space.sample(generator), space.sample(generator)
    child = space.crossover(first, second, generator, kind)
    assert child in space
    for name, value in child.items():
        made = [parent[name] for parent in (first, second) if name in parent]
        assert value in made  # whoever gave what opens it has decided it
    assert space.crossover(first, first, generator, kind) == first


@given(random_spaces(networks=False), st.integers(0, 2**32))
def test_one_cut_and_one_part_explain_every_child(space, seed):
    generator = rng(seed)
    first, second = space.sample(generator), space.sample(generator)
    names = [name for name in space.decisions if name in first or name in second]

    def explains(taken, child):
        wanted = {
            name: second[name] if name in second and (name in taken or name not in first) else first.get(name)
            for name in child
        }
        return all(child[name] == value for name, value in wanted.items() if name in first or name in second)

    cuts = [set(names[place:]) for place in range(1, max(2, len(names)))]
    child = space.crossover(first, second, generator, "one-point")
    assert any(explains(taken, child) for taken in cuts)

    prefixes = {".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)}
    parts = [{name for name in names if name == prefix or name.startswith(prefix + ".")} for prefix in prefixes]
    proper = [part for part in parts if len(part) < len(names)] or [set(names)]
    child = space.crossover(first, second, generator, "subtree")
    assert any(explains(taken, child) for taken in proper)


@pytest.mark.parametrize("kind", KINDS)
@given(random_spaces(networks=False, most=100), st.integers(0, 2**32))
def test_children_keep_to_the_constraints(kind, space, seed):
    def holds(architecture):
        return int(architecture.id, 16) % 3 != 0

    if sum(map(holds, space.enumerate())) < 2:
        return
    constrained = aw.Space(**space.parts, where=holds)
    generator = rng(seed)
    first, second = constrained.sample(generator), constrained.sample(generator)
    assert constrained.crossover(first, second, generator, kind) in constrained


# ---------------------------------------------------------------------- the three kinds


def test_uniform_tosses_a_coin_for_each():
    found = from_second(FLAT, "uniform", 2000)
    assert likely([found[taken] for taken in found], [1 / 64] * 64)


def test_one_point_cuts_between_two_decisions_each_place_as_likely():
    names = list(FLAT.decisions)
    found = from_second(FLAT, "one-point", 1000)
    assert set(found) == {tuple(names[place:]) for place in range(1, 6)}  # both parents have a share
    assert likely(list(found.values()), [1 / 5] * 5)


def test_a_subtree_is_one_part_of_the_expression_each_as_likely():
    found = from_second(TREE, "subtree", 1600)
    body = ("body.stem.wide", "body.last.0")
    assert set(found) == {
        ("head.0", "head.1"),
        ("head.0",),
        ("head.1",),
        body,
        (body[0],),
        (body[1],),
        ("tail.only.inner.leaf",),  # however deep it lies
    }
    assert likely(list(found.values()), [1 / 7] * 7)


def test_names_that_begin_alike_are_no_part():
    space = aw.Space(a=aw.integer(0, 9), ab=aw.integer(0, 9), abc=aw.integer(0, 9))
    assert set(from_second(space, "subtree", 60)) == {("a",), ("ab",), ("abc",)}


def test_a_subtree_brings_what_its_parent_decided_inside():
    space = aw.Space(
        first=aw.choice({"none": None, "some": aw.integer(0, 99, name="first.some.n")}),
        second=aw.choice({"none": None, "some": aw.integer(0, 99, name="second.some.n")}),
    )
    one = space.canonical({"first": "none", "second": "none"})
    other = space.canonical({"first": "some", "first.some.n": 7, "second": "some", "second.some.n": 8})
    children = {space.crossover(one, other, rng(seed), "subtree") for seed in range(60)}
    # The number alone comes in only where its option does: taken without it, nothing changes.
    assert {frozenset(child.items()) for child in children} == {
        frozenset(one.items()),
        frozenset({("first", "some"), ("first.some.n", 7), ("second", "none")}),
        frozenset({("first", "none"), ("second", "some"), ("second.some.n", 8)}),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_decision_and_none_at_all(kind):
    single = aw.Space(n=aw.integer(0, 9))
    for seed in range(9):
        assert single.crossover({"n": 1}, {"n": 2}, rng(seed), kind)["n"] in (1, 2)
    assert aw.Space(n=3).crossover({}, {}, rng(), kind) == aw.Space(n=3).sample(rng())


@pytest.mark.parametrize("kind", ["two-point", "", "Uniform", None])
def test_other_kinds_are_refused(kind):
    with pytest.raises(SpaceError, match="a crossover is 'uniform', 'one-point', 'subtree', not"):
        FLAT.crossover(alike(FLAT, 1), alike(FLAT, 2), rng(), kind)
    with pytest.raises(SpaceError, match="a crossover is"):
        aw.Space(n=3).crossover({}, {}, rng(), kind)
