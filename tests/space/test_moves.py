"""Drawing, stepping, mutating and crossing architectures."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import archwright as aw
from archwright.testing import random_spaces


def rng(seed=0):
    return np.random.default_rng(seed)


def test_every_active_decision_is_drawn_uniformly():
    inner = aw.choice("a", "b", "c", name="inner")
    space = aw.Space(
        outer=aw.choice({"none": None, "some": inner, "more": [inner, aw.integer(1, 4, name="depth")]}),
        parts=aw.subset(*"wxyz", k=(1, 2)),
    )
    generator = rng()
    drawn = [space.sample(generator) for _ in range(9000)]
    for name, decision in space.decisions.items():
        counts = Counter(architecture[name] for architecture in drawn if name in architecture)
        assert stats.chisquare([counts[value] for value in decision.values()]).pvalue > 0.001, name
    assert 5500 < sum("inner" in architecture for architecture in drawn) < 6500


def test_constrained_samples_are_uniform_over_what_is_left():
    space = aw.Space(a=aw.integer(0, 3), b=aw.integer(0, 3), where=lambda arch: arch["a"] < arch["b"])
    generator = rng()
    counts = Counter(space.sample(generator) for _ in range(3000))
    assert len(counts) == space.size == 6
    assert stats.chisquare(list(counts.values())).pvalue > 0.001


def test_a_needle_is_found():
    space = aw.Space(**{f"d{i}": aw.integer(0, 9) for i in range(5)}, where=lambda a: all(v == 7 for v in a.values()))
    only = space.sample(rng())
    assert set(only.values()) == {7}
    assert space.mutate(only, rng()) == only
    assert space.neighbours(only) == []
    assert space.crossover(only, only, rng()) == only


def test_two_needles_are_found_from_each_other():
    space = aw.Space(**{f"d{i}": aw.integer(0, 9) for i in range(5)}, where=lambda a: len(set(a.values())) == 1)
    first = space.sample(rng())
    for seed in range(5):
        other = space.mutate(first, rng(seed))
        assert other != first
        assert other in space


def test_mutation_changes_as_little_as_it_can():
    space = aw.Space(**{f"d{i}": aw.integer(0, 9) for i in range(6)}, where=lambda a: sum(a.values()) % 10 == 7)
    parent = space.sample(rng())
    changes = Counter()
    for seed in range(100):
        child = space.mutate(parent, rng(seed))
        changes[sum(parent[name] != child[name] for name in parent)] += 1
    assert set(changes) == {2}


def test_mutation_changes_one_decision_where_nothing_stands_against_it():
    space = aw.Space(a=aw.choice(1, 2), b=aw.ordinal(1, 2, 3), c=aw.real(0, 1), d=aw.choice("only"))
    changed = Counter()
    for seed in range(200):
        parent = space.sample(rng(seed))
        child = space.mutate(parent, rng(seed))
        (name,) = [name for name in parent if parent[name] != child[name]]
        changed[name] += 1
    assert set(changed) == {"a", "b", "c"}
    assert min(changed.values()) > 40


def test_the_only_architecture_is_its_own_mutant():
    space = aw.Space(a=aw.choice("only"), b=3)
    only = space.sample(rng())
    assert space.mutate(only, rng()) == only
    assert space.neighbours(only) == []


def test_a_change_decides_what_it_brings_to_life_and_drops_what_it_closes():
    space = aw.Space(a=aw.choice({"none": None, "wide": aw.integer(3, 9, name="width")}, name="kind"))
    (wide,) = space.neighbours({"kind": "none"})
    assert dict(wide) == {"kind": "wide", "width": 3}
    assert {space.neighbours({"kind": "none"}, rng(seed))[0]["width"] for seed in range(40)} == set(range(3, 10))
    near = [dict(other) for other in space.neighbours({"kind": "wide", "width": 4})]
    assert near == [{"kind": "none"}, *({"kind": "wide", "width": width} for width in (3, 5, 6, 8))]


def test_neighbours_keep_to_the_constraints():
    space = aw.Space(a=aw.integer(0, 3), b=aw.integer(0, 3), where=lambda arch: arch["a"] <= arch["b"])
    assert [dict(near) for near in space.neighbours({"a": 2, "b": 2})] == [
        {"a": 1, "b": 2},
        {"a": 0, "b": 2},
        {"a": 2, "b": 3},
    ]


@given(random_spaces(networks=False, most=60))
def test_neighbours_connect_a_space(space):
    """Walking from neighbour to neighbour reaches every value of every decision."""
    start = next(space.enumerate())
    seen, left = {start}, [start]
    while left:
        for near in space.neighbours(left.pop(), rng(len(seen))):
            if near not in seen:
                seen.add(near)
                left.append(near)
    for name, decision in space.decisions.items():
        met = {architecture[name] for architecture in space.enumerate() if name in architecture}
        assert met == ({architecture[name] for architecture in seen if name in architecture})
        assert met <= set(decision.values())


@given(random_spaces(networks=False), st.integers(0, 2**32))
def test_crossover_is_uniform_and_stays_in_the_space(space, seed):
    generator = rng(seed)
    first, second = space.sample(generator), space.sample(generator)
    child = space.crossover(first, second, generator)
    assert child in space
    for name in child:
        parents = [parent[name] for parent in (first, second) if name in parent]
        assert not parents or child[name] in parents
    assert space.crossover(first, first, generator) == first


def test_crossover_takes_from_both():
    space = aw.Space(**{f"d{i}": aw.integer(0, 9) for i in range(40)})
    first, second = (space.canonical({f"d{i}": value for i in range(40)}) for value in (0, 9))
    counts = Counter(space.crossover(first, second, rng()).values())
    assert set(counts) == {0, 9}
    assert min(counts.values()) >= 10


@settings(max_examples=20)
@given(random_spaces(networks=False, reals=True), st.integers(0, 2**32))
def test_the_same_seed_moves_alike(space, seed):
    def walk():
        generator = rng(seed)
        first, second = space.sample(generator), space.sample(generator)
        return [
            first,
            second,
            space.mutate(first, generator),
            space.crossover(first, second, generator),
            *space.neighbours(second, generator),
        ]

    assert walk() == walk()


@given(random_spaces(networks=False, most=200), st.integers(0, 3))
def test_random_constraints_hold_everywhere(space, seed):
    """A constraint that a hash decides leaves a random part of the space; every move stays in it."""

    def holds(architecture):
        return int(architecture.id, 16) % 4 != seed

    if not any(map(holds, space.enumerate())):
        return
    constrained = aw.Space(**space.parts, where=holds)
    listed = list(constrained.enumerate())
    assert listed == [architecture for architecture in space.enumerate() if holds(architecture)]
    assert constrained.size == len(listed)
    generator = rng(seed)
    first, second = constrained.sample(generator), constrained.sample(generator)
    mutant = constrained.mutate(first, generator)
    assert (mutant != first) == (len(listed) > 1)
    for found in (first, second, mutant, constrained.crossover(first, second, generator)):
        assert found in constrained
    assert all(near in constrained for near in constrained.neighbours(first, generator))


def test_children_of_parents_that_do_not_mix_are_mutants():
    space = aw.Space(**{f"d{i}": aw.integer(0, 9) for i in range(5)}, where=lambda a: len(set(a.values())) == 1)
    first, second = ({f"d{i}": value for i in range(5)} for value in (2, 7))
    for seed in range(10):
        assert space.crossover(first, second, rng(seed)) in space


def test_several_constraints_all_hold():
    where = [lambda a: a["x"] > 2, lambda a: a["x"] < 5]
    space = aw.Space(x=aw.integer(0, 9), where=where)
    assert [a["x"] for a in space.enumerate()] == [3, 4]


@pytest.mark.parametrize("seed", range(3))
def test_moves_do_not_touch_the_global_generators(seed):
    space = aw.Space(a=aw.choice(1, 2, 3), b=aw.real(0, 1), c=aw.subset(*"abc", k=(0, 3)))
    before = np.random.get_state()[1].copy()
    first = space.sample(rng(seed))
    space.mutate(first, rng(seed))
    space.crossover(first, first, rng(seed))
    assert (np.random.get_state()[1] == before).all()
