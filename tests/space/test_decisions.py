"""The decisions by themselves: drawing, stepping, checking, encoding."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import archwright as aw
from archwright.errors import ArchitectureError, SpaceError

FINITE = [
    aw.choice("a", None, 3, 0.5, True),
    aw.choice("only"),
    aw.ordinal(16, 24, 32, 48),
    aw.ordinal("one"),
    aw.integer(-2, 4),
    aw.integer(7, 7),
    aw.integer(1, 9, log=True),
    aw.integer(0, 40),
    aw.integer(2, 14, step=3),
    aw.subset(*"abcd", k=2),
    aw.subset(*"abcd", k=(0, 4)),
    aw.subset(*"abc", k=(1, 2)),
    aw.subset(*"abc", k=3),
    aw.repeat(lambda i: None, 0, 3),
    aw.repeat(lambda i: None, 2, 3),
]
REALS = [
    aw.real(0.0, 1.0),
    aw.real(-1.0, 1.0),
    aw.real(1e-5, 1e-1, log=True),
    aw.real(-1e6, 1e6),
    aw.real(1000.0, 1001.0),
    aw.real(1 / 3, 2 / 3),
    aw.real(1e-300, 1e300, log=True),
    aw.real(1e-9, 3e-9),
    aw.real(0.0, 1e300),
    aw.real(0.0, 1e-300),
]
ANY = FINITE + REALS
several = pytest.mark.parametrize("decision", [d for d in ANY if d.size > 1], ids=repr)
finite = pytest.mark.parametrize("decision", FINITE, ids=repr)
every = pytest.mark.parametrize("decision", ANY, ids=repr)


def draws(decision, count=200):
    rng = np.random.default_rng(0)
    return [decision.sample(rng) for _ in range(count)]


@finite
def test_values_are_as_many_as_the_size_and_all_different(decision):
    values = list(decision.values())
    assert len(values) == len(set(values)) == decision.size
    assert set(draws(decision, 2000)) == set(values)


@pytest.mark.parametrize("decision", REALS, ids=repr)
def test_reals_have_no_list_of_values(decision):
    assert decision.size == math.inf
    with pytest.raises(ArchitectureError, match="no list of values"):
        list(decision.values())


@every
def test_draws_are_canonical(decision):
    assert all(decision.check(value) == value for value in draws(decision))


@every
def test_vectors_lead_back(decision):
    for value in draws(decision):
        slots = decision.encode(value)
        assert len(slots) == decision.width
        assert all(0 <= slot <= 1 for slot in slots)
        assert decision.decode(slots) == value


@every
@given(data=st.data())
def test_any_vector_leads_to_a_value(decision, data):
    slots = data.draw(st.lists(st.floats(-2, 3), min_size=decision.width, max_size=decision.width))
    value = decision.decode(slots)
    assert decision.check(value) == value


@several
def test_mutants_differ(decision):
    rng = np.random.default_rng(1)
    for value in draws(decision):
        mutant = decision.mutate(value, rng)
        assert mutant != value
        assert decision.check(mutant) == mutant


@pytest.mark.parametrize("decision", [d for d in FINITE if d.size > 1], ids=repr)
def test_mutation_reaches_every_value(decision):
    rng = np.random.default_rng(2)
    value, seen = decision.sample(rng), set()
    for _ in range(4000):
        value = decision.mutate(value, rng)
        seen.add(value)
    assert seen == set(decision.values())


@every
def test_neighbours_differ_and_lead_back(decision):
    for value in draws(decision, 50):
        near = decision.neighbours(value)
        assert value not in near
        assert len(near) == len(set(near))
        assert all(decision.check(other) == other for other in near)
        if decision.size < math.inf:
            assert all(value in decision.neighbours(other) for other in near)


def test_ordered_values_step_by_powers_of_two_and_unordered_ones_anywhere():
    assert aw.ordinal(1, 2, 4, 8).neighbours(4) == [2, 8, 1]
    assert aw.ordinal(1, 2, 4, 8).neighbours(8) == [4, 2]
    assert aw.ordinal("only").neighbours("only") == []
    assert aw.integer(0, 20).neighbours(7) == [6, 8, 5, 9, 3, 11, 15]
    assert aw.integer(0, 16).neighbours(0) == [1, 2, 4, 8, 16]
    assert aw.integer(3, 5).neighbours(3) == [4, 5]
    assert aw.choice(1, 2, 4, 8).neighbours(4) == [1, 2, 8]
    assert aw.subset(*"abc", k=2).neighbours(("a", "b")) == [("b", "c"), ("a", "c")]
    assert aw.subset(*"ab", k=(0, 2)).neighbours(("a",)) == [("b",), ("a", "b"), ()]
    assert aw.real(0.0, 1.0).neighbours(0.5) == [0.4, 0.6]
    assert aw.real(0.0, 1.0).neighbours(0.0) == [0.1]


def test_ordered_values_are_mostly_moved_nearby():
    rng = np.random.default_rng(0)
    moves = Counter(abs(aw.integer(0, 100).mutate(50, rng) - 50) for _ in range(2000))
    assert max(moves) > 40
    assert sum(count for distance, count in moves.items() if distance <= 20) > 1200


@pytest.mark.parametrize("decision", [d for d in FINITE if d.size > 1 and not getattr(d, "log", False)], ids=repr)
def test_draws_are_uniform(decision):
    counts = Counter(draws(decision, 5000))
    assert stats.chisquare([counts[value] for value in decision.values()]).pvalue > 0.001


def test_reals_are_drawn_uniformly_on_their_scale():
    linear = [(value + 1) / 2 for value in draws(aw.real(-1.0, 1.0), 3000)]
    log = [math.log10(value / 1e-5) / 4 for value in draws(aw.real(1e-5, 1e-1, log=True), 3000)]
    for units in (linear, log):
        assert stats.kstest(units, "uniform").pvalue > 0.001


def test_integers_on_a_logarithmic_scale_are_mostly_small():
    counts = Counter(draws(aw.integer(1, 1000, log=True), 3000))
    small = sum(count for value, count in counts.items() if value <= 31)  # the square root of 1000
    assert 1350 < small < 1650


def test_large_subsets_are_drawn_too():
    decision = aw.subset(*range(100), k=(0, 100))
    assert decision.size == 2**100
    sizes = [len(value) for value in draws(decision, 300)]
    assert 45 < np.mean(sizes) < 55


def test_reals_keep_six_digits():
    decision = aw.real(0.0, 10.0)
    assert decision.check(1.23456789) == 1.23457
    assert decision.check(3) == 3.0
    assert isinstance(decision.check(3), float)
    assert decision.check(-0.0) == 0.0
    assert math.copysign(1, aw.real(-1.0, 1.0).check(-1e-12)) == 1
    assert all(value == float(f"{value:.6g}") for value in draws(aw.real(1e-5, 1e-1, log=True)))


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.floats(0, 1))
def test_reals_of_any_range_survive_encoding(low, span, unit):
    high = low + span
    if f"{low:.6g}" == f"{high:.6g}":
        return
    decision = aw.real(low, high)
    value = decision.decode([unit])
    assert low <= value <= high
    assert decision.check(value) == value
    assert decision.decode(decision.encode(value)) == value


@given(st.integers(1, 2**39), st.integers(0, 2**39), st.floats(0, 1))
def test_integers_of_any_range_survive_encoding(low, span, unit):
    for log in (False, True):
        decision = aw.integer(low, low + span, log=log)
        value = decision.decode([unit])
        assert low <= value <= low + span
        assert decision.decode(decision.encode(value)) == value


@pytest.mark.parametrize(
    ("decision", "value", "canonical"),
    [
        (aw.choice(3, 5), np.int64(5), 5),
        (aw.choice(3, 5), 5.0, 5),
        (aw.choice(0.5, 1.5), np.float64(0.5), 0.5),
        (aw.integer(1, 4), 2.0, 2),
        (aw.integer(1, 4), np.int32(2), 2),
        (aw.repeat(lambda i: None, 1, 3), 2.0, 2),
        (aw.real(0.0, 1.0), 1, 1.0),
        (aw.real(0.0, 1.0), np.float32(0.5), 0.5),
        (aw.subset(*"abc", k=2), ["c", "a"], ("a", "c")),
        (aw.subset(*"abc", k=2), {"c", "a"}, ("a", "c")),
        (aw.subset(*"abc", k=(0, 1)), [], ()),
    ],
)
def test_values_are_brought_into_their_canonical_form(decision, value, canonical):
    checked = decision.check(value)
    assert checked == canonical
    assert type(checked) is type(canonical)


@pytest.mark.parametrize(
    ("decision", "values", "allowed"),
    [
        (aw.choice("a", 3), ["b", 4, None, [], ["a"], {}, 1j], "is none of 'a', 3"),
        (aw.integer(1, 4), [0, 5, 1.5, "2", None, True, math.inf, math.nan, [2]], "is not a whole number from 1 to 4"),
        (aw.repeat(lambda i: None, 1, 3), [0, 4, "2", False], "is not a whole number from 1 to 3"),
        (aw.real(0.5, 2.0), [0.4, 2.1, "1", None, True, math.nan, math.inf, 1j], "is not a number from 0.5 to 2"),
        (aw.subset(*"abc", k=2), [("a",), "ab", ("a", "a"), ("a", "d"), None, 3, [["a"], "b"]], "is not 2 of 'a', 'b'"),
        (aw.subset(*"ab", k=(0, 1)), [("a", "b"), "a"], "is not 0 to 1 of 'a', 'b'"),
    ],
    ids=repr,
)
def test_values_that_are_not_allowed_are_refused(decision, values, allowed):
    for value in values:
        with pytest.raises(ArchitectureError) as refused:
            decision.check(value)
        assert repr(value) in str(refused.value)
        assert allowed in str(refused.value)


def test_whole_numbers_in_steps():
    decision = aw.integer(16, 64, step=16)
    assert (decision.size, list(decision.values())) == (4, [16, 32, 48, 64])
    assert [decision.encode(value) for value in decision.values()] == [[0.0], [1 / 3], [2 / 3], [1.0]]
    assert decision.neighbours(64) == [48, 32]
    space = aw.Space(width=decision)
    assert space.from_json(json.loads(json.dumps(space.to_json()))).fingerprint == space.fingerprint
    assert "integer  16 to 64 in steps of 16" in str(space)
    assert {space.sample(np.random.default_rng(seed))["width"] for seed in range(40)} == {16, 32, 48, 64}
    with pytest.raises(ArchitectureError, match="24 is not a number from 16 to 64 in steps of 16"):
        space.canonical({"width": 24})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step": 10}, "steps of 10 from 16 do not lead to 64; write 56 or 66"),
        ({"step": 0}, "step=0 is not 1 or more"),
        ({"step": 16, "log": True}, "or with log not 1"),
        ({"step": 0.5}, "takes whole numbers; 0.5 is none"),
    ],
)
def test_steps_that_are_refused(settings, message):
    with pytest.raises(SpaceError, match=message):
        aw.integer(16, 64, **settings)


def test_a_step_of_one_is_written_as_before():
    written = aw.Space(width=aw.integer(1, 8)).to_json()
    assert written["nodes"] == [{"is": "Integer", "low": 1, "high": 8, "log": False, "name": None}]
