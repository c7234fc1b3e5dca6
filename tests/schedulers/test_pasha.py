"""The ladder that grows."""

from __future__ import annotations

import math

import pytest
from tests.schedulers.helpers import LADDER, Play

from archwright.schedulers import PASHA


def played(below, top, curves=None, level=1):
    """Trials on a rung and the same ones on the next, in the order of `top`; the ladder's end after each of those."""
    play = Play(PASHA())
    begun = {}
    for name, value in below.items():
        begun[name] = play.begin(level - 1)
        play.tell(begun[name], value)
    limits = []
    for name, value in top.items():
        play.tell(play.begin(level, begun[name]), value, (curves or {}).get(name, ()))
        limits.append(play.scheduler.limit(LADDER, play.history))
    return limits


def test_a_ladder_begins_with_two_rungs():
    play = Play(PASHA())
    assert play.scheduler.limit(LADDER, play.history) == 1
    for _ in range(60):
        play.step(lambda trial: trial.architecture["number"] * 7919 % 1000)  # the same on each rung
    assert {play.level(trial) for trial in play.history.trials} == {0, 1}


def test_where_the_order_stays_the_ladder_stays():
    assert played({"a": 1, "b": 2, "c": 3}, {"a": 10, "c": 30, "b": 20}) == [1, 1, 1]


def test_where_the_order_changes_the_ladder_grows():
    assert played({"a": 1, "b": 2, "c": 3}, {"a": 10, "b": 20, "c": 15}) == [1, 1, 2]
    assert played({"a": 1, "b": 2, "c": 3}, {"a": 10, "b": 5}) == [1, 2]


def test_equals_may_change_places():
    assert played({"a": 2, "b": 2}, {"a": 10, "b": 20}) == [1, 1]


CROSSING = {
    "a": [(1, 0.50), (2, 0.60), (3, 0.70)],
    "b": [(1, 0.40), (2, 0.65), (3, 0.55)],  # behind, ahead, behind: 0.15 apart in the end
    "c": [(1, 0.10), (2, 0.20), (3, 0.30)],  # never near
}


@pytest.mark.parametrize(
    ("apart", "limits"),
    [(0.10, [1, 1, 1]), (0.149, [1, 1, 1]), (0.16, [1, 1, 2])],
)
def test_places_that_are_within_the_noise_of_curves_that_cross_twice_are_equal(apart, limits):
    below = {"a": 0.5, "b": 0.9, "c": 0.5 + apart}
    assert played(below, {"a": 0.7, "b": 0.9, "c": 0.55}, CROSSING) == limits


def test_curves_that_cross_once_are_no_noise():
    curves = {"a": [(1, 0.5), (2, 0.6), (3, 0.7)], "b": [(1, 0.4), (2, 0.65), (3, 0.75)]}
    assert played({"a": 0.5, "b": 0.4}, {"a": 0.7, "b": 0.75}, curves) == [1, 2]


def test_values_that_are_no_numbers_are_no_noise():
    curves = {"a": [(1, 0.5), (2, math.nan), (3, 0.7)], "b": [(1, 0.4), (2, 0.5), (3, math.nan)]}
    assert played({"a": 0.5, "b": 0.4}, {"a": 0.7, "b": 0.75}, curves) == [1, 2]


def test_a_curve_is_that_of_all_stages():
    """A trial that goes on may report its own part alone."""
    play = Play(PASHA())
    first = {"a": [(1, 0.5), (2, 0.6)], "b": [(1, 0.4), (2, 0.65)]}
    last = {"a": [(3, 0.7)], "b": [(3, 0.69)]}
    begun = {name: play.begin(0) for name in "ab"}
    for name, value in (("a", 0.600), ("b", 0.605)):
        play.tell(begun[name], value, first[name])
    for name, value in (("a", 0.70), ("b", 0.69)):
        play.tell(play.begin(1, begun[name]), value, last[name])
    assert play.scheduler.limit(LADDER, play.history) == 1  # 0.005 apart below, and 0.01 is noise


def test_it_grows_rung_by_rung_and_no_further_than_the_top():
    play, limits = Play(PASHA()), []
    for number in range(300):
        trial = play.ask()
        play.tell(trial, number * 7919 % 1000 if play.level(trial) % 2 else -(number * 104729 % 1000))
        assert play.level(trial) <= (limits or [1])[-1]
        limits.append(play.scheduler.limit(LADDER, play.history))
    assert limits == sorted(limits)
    assert {*limits} == {1, 2, 3}
    assert any(trial.share == 1 for trial in play.history.complete)


def test_only_so_much_of_the_noise_counts_as_is_asked():
    below, top = {"a": 0.5, "b": 0.9, "c": 0.6}, {"a": 0.7, "b": 0.9, "c": 0.55}
    play = Play(PASHA(quantile=0.0))
    curves = {**CROSSING, "c": [(1, 0.45), (2, 0.62), (3, 0.699)]}  # crosses a twice too, 0.001 apart
    begun = {name: play.begin(0) for name in below}
    for name in below:
        play.tell(begun[name], below[name])
    for name in top:
        play.tell(play.begin(1, begun[name]), top[name], curves[name])
    assert play.scheduler.limit(LADDER, play.history) == 2
    assert PASHA(quantile=1.0).limit(LADDER, play.history) == 1
