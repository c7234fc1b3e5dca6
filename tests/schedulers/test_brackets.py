"""Successive halving, Hyperband and BOHB: rounds in which the best of each rung go on when all of it have ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.schedulers.helpers import LADDER, SPACE, Play

import archwright as aw
from archwright.errors import SchedulerError
from archwright.schedulers import ASHA, BOHB, Hyperband, Ladder, SuccessiveHalving
from archwright.schedulers._brackets import halved, hyperband
from archwright.strategies import Strategy

LONG = Ladder.of({"epochs": (1, 81)}, eta=3)


def worth(trial):
    """Some value that depends on the architecture and the rung."""
    return int(trial.architecture.id, 16) % 1009 * trial.share**0.1


# ---------------------------------------------------------------------- the sizes


@pytest.mark.parametrize(
    ("ladder", "table"),
    [
        (LONG, [(0, (81, 27, 9, 3, 1)), (1, (34, 11, 3, 1)), (2, (15, 5, 1)), (3, (8, 2)), (4, (5,))]),
        (LADDER, [(0, (27, 9, 3, 1)), (1, (12, 4, 1)), (2, (6, 2)), (3, (4,))]),
    ],
)
def test_the_brackets_of_hyperband_are_those_of_the_paper(ladder, table):
    """Li et al. 2018, table 1 for R = 81; by the formula for R = 27. And round again."""
    found = [hyperband(ladder, 3.0, number) for number in range(2 * len(table))]
    assert [(bracket.start, bracket.sizes) for bracket in found] == 2 * table


def test_sizes_are_those_of_the_first_over_powers_of_eta_and_one_at_least():
    assert halved(LONG, 0, 50, 3).sizes == (50, 16, 5, 1, 1)
    assert halved(LONG, 0, 81, 2.5).sizes == (81, 32, 12, 4, 1)
    assert halved(LONG, 3, 2, 3).sizes == (2, 1)


@pytest.mark.parametrize(
    ("scheduler", "cost"),
    [
        (Hyperband(), 3.0),  # 27/27 + 9 (3 - 1)/27 + 3 (9 - 3)/27 + (27 - 9)/27
        (SuccessiveHalving(), 3.0),
        (SuccessiveHalving(trials=9), 9 / 27 + 3 * 2 / 27 + 6 / 27 + 18 / 27),
        (BOHB(), 3.0),
        (ASHA(), 0.0),
    ],
)
def test_what_the_first_round_costs(scheduler, cost):
    assert scheduler.bracket(LADDER) == pytest.approx(cost)


# ---------------------------------------------------------------------- one after the other


def test_successive_halving_by_hand():
    play = Play(SuccessiveHalving(trials=6, eta=2), Ladder.of({"epochs": (1, 4)}, eta=2))
    assert [play.step(value) for value in (3, 8, 5, 1, 9, 2)] == [(0, None)] * 6
    assert [play.step(value) for value in (10, 30, 20)] == [(1, 4), (1, 1), (1, 2)]  # 9, 8 and 5
    assert play.step(100) == (2, 7)  # of 10, 30 and 20
    assert play.step(0) == (0, None)  # the next round


@pytest.mark.parametrize(("trials", "sizes"), [(None, [27, 9, 3, 1]), (10, [10, 3, 1, 1]), (2, [2, 1, 1, 1])])
def test_the_rounds_of_successive_halving(trials, sizes):
    play = Play(SuccessiveHalving(trials=trials))
    steps = [play.step(worth) for _ in range(2 * sum(sizes))]
    levels = [level for level, count in enumerate(sizes) for _ in range(count)]
    assert [level for level, _ in steps] == 2 * levels


def test_hyperband_goes_from_bracket_to_bracket():
    play = Play(Hyperband())
    table = [hyperband(LADDER, 3.0, number) for number in range(5)]
    due = [bracket.start + rung for bracket in table for rung, size in enumerate(bracket.sizes) for _ in range(size)]
    assert [play.step(worth)[0] for _ in due] == due


@pytest.mark.parametrize("scheduler", [Hyperband(), SuccessiveHalving(), SuccessiveHalving(trials=5, eta=2.0)])
def test_those_that_go_on_are_the_best(scheduler):
    """An independent reading of each paper's loop: begin n, sort, keep the best, go on."""
    play = Play(scheduler)
    plan = [hyperband(LADDER, 3.0, number) for number in range(6)]
    if isinstance(scheduler, SuccessiveHalving):
        plan = [halved(LADDER, 0, scheduler.trials or 27, scheduler.eta)] * 4
    for bracket in plan:
        on = []
        for _ in range(bracket.sizes[0]):
            assert play.step(worth) == (bracket.start, None)
            on.append(play.history.trials[-1])
        for rung, size in enumerate(bracket.sizes[1:], bracket.start + 1):
            best = sorted(on, key=worth, reverse=True)[:size]
            on = []
            for trial in best:
                assert play.step(worth) == (rung, trial.number)
                on.append(play.history.trials[-1])


# ---------------------------------------------------------------------- side by side


def test_while_a_rung_waits_the_next_bracket_begins():
    play = Play(SuccessiveHalving(trials=3))
    first = [play.ask() for _ in range(5)]
    assert [play.level(trial) for trial in first] == [0] * 5
    play.tell(first[3], 30)  # of the second round
    play.tell(first[0], 1)
    play.tell(first[2], 2)
    assert play.ask().origin is None  # trial 1 may yet be the best of the first round; 5 is the last of the second
    play.tell(first[1], 0)
    assert play.ask().origin == 2
    play.tell(first[4], 40)
    assert play.ask().origin is None  # of the third round: 5 still runs
    play.tell(play.history.trials[5], 0)
    assert play.ask().origin == 4


@given(seed=st.integers(0, 2**32 - 1), workers=st.integers(1, 9))
def test_the_sizes_hold_whatever_runs_side_by_side(seed, workers):
    """Each round has its trials, no more, and those that go on are the best of it."""
    rng = np.random.default_rng(seed)
    play, running = Play(SuccessiveHalving(trials=9), Ladder.of({"epochs": (1, 9)}, eta=3)), []
    for _ in range(45):
        running.append(play.ask())
        while len(running) >= workers:
            trial = running.pop(int(rng.integers(len(running))))
            play.tell(trial, worth(trial))
    for trial in running:
        play.tell(trial, worth(trial))
    for _ in range(20):
        play.step(worth)
    new = [trial for trial in play.history.trials if trial.origin is None]
    for first in range(0, len(new) - 8, 9):
        on = new[first : first + 9]
        for size in (3, 1):
            best = sorted(on, key=worth, reverse=True)[:size]
            numbers = {trial.number for trial in best}
            on = [trial for trial in play.history.trials if trial.origin in {each.number for each in on}]
            assert {trial.origin for trial in on} <= numbers
        assert len(on) == 1 or first > 18


# ---------------------------------------------------------------------- failures


def test_where_some_fail_fewer_go_on():
    play = Play(SuccessiveHalving(trials=9), Ladder.of({"epochs": (1, 9)}, eta=3))
    values = (None, None, 7, None, None, None, 5, None, None)
    assert [play.step(value) for value in values] == [(0, None)] * 9
    assert play.step(None) == (1, 2)
    assert play.step(1) == (1, 6)
    assert play.step(None) == (2, 10)
    assert play.step(1) == (0, None)


def test_a_round_of_which_all_fail_is_over():
    play = Play(Hyperband())
    assert [play.step(None) for _ in range(27)] == [(0, None)] * 27
    assert [play.step(None) for _ in range(12)] == [(1, None)] * 12
    assert play.checkpoints() == frozenset()
    assert play.step(1) == (2, None)


def test_where_nothing_new_is_left_a_round_that_is_not_full_goes_on():
    play = Play(SuccessiveHalving(trials=9), Ladder.of({"epochs": (1, 9)}, eta=3))
    for value in (1, 5, 4, 2, 3):
        play.step(value)
    running = play.ask(more=False)
    assert running.origin == 1
    play.tell(running, 10)
    # All three are there before the best of them goes on.
    assert [play.step(value, more=False) for value in (30, 20)] == [(1, 2), (1, 4)]
    assert play.step(0, more=False) == (2, 6)
    assert play.ask(more=False) is None


# ---------------------------------------------------------------------- what is kept


def test_checkpoints_of_those_that_may_go_on_are_wanted():
    play = Play(SuccessiveHalving(trials=9), Ladder.of({"epochs": (1, 9)}, eta=3))
    for value in (4, 9, 1, 7, 8):
        play.step(value)
    assert play.checkpoints() == {1, 3, 4}
    for value in (2, 3, 8.5, 0):
        play.step(value)
    assert play.checkpoints() == {1, 4, 7}
    assert play.ask().origin == 1
    assert play.checkpoints() == {4, 7}


def test_brackets_that_are_over_are_not_looked_at_again():
    scheduler = SuccessiveHalving(trials=3)
    play = Play(scheduler, Ladder.of({"epochs": (1, 3)}, eta=3))
    for _ in range(400):
        play.step(worth)
    play.checkpoints()
    assert len(scheduler._brackets._states[play.history].open) == 1


# ---------------------------------------------------------------------- BOHB


@dataclass(frozen=True)
class _Watched(Strategy):
    """Proposes one architecture, and keeps what it was shown."""

    shown: list = field(default_factory=list)

    def propose(self, space, history, rng):
        self.shown.append(history)
        return space.canonical({"number": 7})


@pytest.mark.parametrize(("random", "low", "high"), [(0.0, 0, 0), (1 / 3, 0.29, 0.37), (1.0, 0.999, 1.0)])
def test_a_share_of_proposals_is_random(random, low, high):
    play, scheduler = Play(BOHB()), BOHB(random=random)
    drawn = [
        scheduler.propose(LADDER, 0, _Watched(), SPACE, play.history, np.random.default_rng([1, number]))
        for number in range(2000)
    ]
    share = sum(each["number"] != 7 for each in drawn) / len(drawn)
    assert low <= share <= high  # four deviations either way


def test_a_strategy_sees_the_dearest_rung_that_has_more_trials_than_there_are_decisions():
    strategy, play = _Watched(), Play(Hyperband())

    def shown():
        play.scheduler.propose(LADDER, 0, strategy, SPACE, play.history, np.random.default_rng(0))
        view = strategy.shown[-1]
        return [(LADDER.level(trial.share), trial.metrics["a"]) for trial in view.complete]

    assert shown() == []
    running = [play.begin(0) for _ in range(5)]
    for number, value in ((0, 5), (3, 1), (1, 3)):
        play.tell(running[number], value)
    assert shown() == [(0, 5.0), (0, 1.0), (0, 3.0)]
    assert [trial.number for trial in strategy.shown[-1].trials] == [0, 1, 2, 3, 4]
    play.tell(play.begin(1, running[0]), 50)
    play.tell(play.begin(1, running[1]), None)
    assert shown() == [(0, 5.0), (0, 1.0), (0, 3.0)]  # one is not more than one decision
    play.tell(play.begin(1, running[3]), 10)
    assert shown() == [(1, 50.0), (1, 10.0)]
    assert strategy.shown[-1].seen(running[4].architecture)  # what was proposed counts on every rung
    play.tell(play.begin(3), 7)
    play.tell(play.begin(3), 8)
    assert shown() == [(3, 7.0), (3, 8.0)]
    assert strategy.shown[-1].best.metrics == {"a": 8.0}


def test_bohb_needs_a_strategy_that_learns():
    for name in ("random", "grid"):
        with pytest.raises(SchedulerError, match=f"'{name}' learns nothing.*'tpe'.*'hyperband'"):
            BOHB().check(aw.strategies.create(name))
    BOHB().check(aw.strategies.create("evolution"))


def test_bohb_has_the_brackets_of_hyperband():
    one, other = Play(BOHB()), Play(Hyperband())
    assert [one.step(worth) for _ in range(120)] == [other.step(worth) for _ in range(120)]
    assert one.checkpoints() == other.checkpoints()
    assert Counter(one.level(trial) for trial in one.history.trials)[3] >= 1 + 1 + 2 + 4
