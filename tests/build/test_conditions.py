"""Sets of architectures are what sets are, whatever they are kept as."""

from __future__ import annotations

from functools import reduce
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.build._conditions import Diagram, Sample, TooMany

DOMAINS = {"a": (0, 1), "b": ("x", "y", "z"), "c": (None, 1.5), "d": (1, 2, 3)}
ALL = [dict(zip(DOMAINS, values, strict=True)) for values in product(*DOMAINS.values())]
NAMES = list(DOMAINS)

values = st.sampled_from(NAMES).flatmap(
    lambda name: st.tuples(st.just(name), st.frozensets(st.sampled_from(DOMAINS[name])))
)
formulas = st.recursive(values, lambda inner: st.tuples(st.sampled_from(["both", "either"]), inner, inner))


def holds(formula, member):
    if formula[0] in ("both", "either"):
        parts = [holds(part, member) for part in formula[1:]]
        return all(parts) if formula[0] == "both" else any(parts)
    return member[formula[0]] in formula[1]


def made(formula, sets):
    if formula[0] in ("both", "either"):
        return getattr(sets, formula[0])(*(made(part, sets) for part in formula[1:]))
    return sets.where(*formula)


def members(number, sets):
    """Return what is in a set, by asking for each architecture alone."""
    found = []
    for member in ALL:
        alone = sets.everything
        for name, value in member.items():
            alone = sets.both(alone, sets.where(name, (value,)))
        if sets.both(alone, number):
            found.append(member)
    return found


@pytest.mark.parametrize("make", [lambda: Diagram(DOMAINS), lambda: Sample(ALL)], ids=["diagram", "sample"])
@given(formula=formulas)
def test_they_hold_what_is_said_of_them(make, formula):
    sets = make()
    number = made(formula, sets)
    wanted = [member for member in ALL if holds(formula, member)]
    assert members(number, sets) == wanted
    assert (number == sets.everything) == (len(wanted) == len(ALL))
    assert (number == 0) == (not wanted)


@given(formulas, formulas)
def test_sets_of_a_diagram_are_equal_where_their_numbers_are(first, second):
    sets = Diagram(DOMAINS)
    same = all(holds(first, member) == holds(second, member) for member in ALL)
    assert (made(first, sets) == made(second, sets)) == same


@given(formulas, st.frozensets(st.sampled_from(NAMES)))
def test_what_a_set_is_regardless_of_some_decisions(formula, names):
    sets = Diagram(DOMAINS)
    some = {tuple(member[name] for name in sorted(names)) for member in ALL if holds(formula, member)}
    wanted = [member for member in ALL if tuple(member[name] for name in sorted(names)) in some]
    assert members(sets.regardless(made(formula, sets), names), sets) == wanted


@pytest.mark.parametrize("make", [lambda: Diagram(DOMAINS), lambda: Sample(ALL)], ids=["diagram", "sample"])
@given(formula=formulas, names=st.frozensets(st.sampled_from(NAMES)))
def test_the_nearest_of_a_set_and_of_what_is_outside(make, formula, names):
    sets = make()
    inside = [member for member in ALL if holds(formula, member)]
    outside = [member for member in ALL if not holds(formula, member)]
    other = 0
    for member in outside:
        alone = sets.everything
        for name, value in member.items():
            alone = sets.both(alone, sets.where(name, (value,)))
        other = sets.either(other, alone)
    alike = [(i, o) for i in inside for o in outside if all(i[name] == o[name] for name in names)]
    one, last = sets.nearest(made(formula, sets), other, but=names) if inside and outside else ({}, {})
    if not alike:
        assert (one, last) == ({}, {})
    else:  # where nothing is in neither, there are two that differ in one decision
        assert one in inside
        assert last in outside
        assert all(one[name] == last[name] for name in names)
        assert sum(one[name] != last[name] for name in NAMES) == 1


def test_a_diagram_gives_up_where_it_grows_too_large():
    sets = Diagram({str(index): (0, 1) for index in range(12)}, most=150)
    pairs = [
        sets.either(
            *(sets.both(sets.where(str(i), (v,)), sets.where(str(i + 6), (v,))) for v in (0, 1)),
        )
        for i in range(6)
    ]  # of decisions that lie far apart in the order
    with pytest.raises(TooMany):
        reduce(sets.both, pairs)
