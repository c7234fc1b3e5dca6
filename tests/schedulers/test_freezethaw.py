"""Trials that are paused and go on."""

from __future__ import annotations

import numpy as np
import pytest
from tests.schedulers.helpers import Play

from archwright.schedulers import FreezeThaw, Ladder

LADDER = Ladder.of({"epochs": (1, 16)}, eta=2)


def law(end, step):
    return end - 0.4 * step**-0.8


def paused(ends):
    """Trials that have been on the two lowest rungs, one of each end; their names by the number of the last."""
    play, last = Play(FreezeThaw(startup=2), LADDER), {}
    for end in ends:
        first = play.begin(0)
        play.tell(first, law(end, 1))
        second = play.begin(1, first)
        play.tell(second, law(end, 2))
        last[second.number] = end
    return play, last


def jobs(play, count=100, more=True):
    found = [play.scheduler.job(play.ladder, play.history, np.random.default_rng(n), more=more) for n in range(count)]
    return [None if job.origin is None else job.origin.number for job in found]


def test_what_is_promising_goes_on_and_what_is_poor_does_not():
    play, last = paused([0.5, 0.55, 0.6, 0.9])
    chosen = [last[number] for number in jobs(play, more=False)]
    assert chosen.count(0.9) > 50
    assert chosen.count(0.5) < 10
    assert 10 < jobs(play).count(None) < 90  # new ones begin too


def test_it_goes_on_to_the_next_rung():
    play, last = paused([0.5, 0.9])
    job = play.scheduler.job(LADDER, play.history, np.random.default_rng(0), more=False)
    assert (job.level, last[job.origin.number]) == (2, 0.9)


def test_some_begin_before_any_goes_on():
    play = Play(FreezeThaw(startup=4), LADDER)
    assert [play.step(0.1 * number) for number in range(4)] == [(0, None)] * 4
    assert any(number is not None for number in jobs(play))


def test_where_nothing_new_is_left_all_go_on_to_the_end():
    play, _ = paused([0.5, 0.6])
    steps = [play.step(0.7, more=False) for _ in range(6)]
    assert sorted(level for level, _ in steps) == [2, 2, 3, 3, 4, 4]
    assert play.ask(more=False) is None


@pytest.mark.parametrize("range_", [(4, 5), (5.0, 6.0), (1, 16)])
def test_rungs_may_be_near_to_each_other(range_):
    play = Play(FreezeThaw(startup=2, eta=1.05), Ladder.of({"epochs": range_}, eta=1.05))
    rng = np.random.default_rng(0)
    for _ in range(30):
        play.step(rng.random())
    assert any(trial.origin is not None for trial in play.history.trials)


def test_most_that_begin_do_not_come_far():
    play, rng = Play(FreezeThaw(), LADDER), np.random.default_rng(0)
    ends = rng.uniform(0.5, 0.9, 1000)

    def value(trial):
        return law(ends[trial.architecture["number"]], 2 ** play.level(trial))

    while play.history.spent < 10:
        play.step(value)
    levels = [play.level(trial) for trial in play.history.trials]
    assert levels.count(0) > 4 * levels.count(4) > 0
