"""Asynchronous successive halving."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.schedulers.helpers import Play

from archwright.schedulers import ASHA, Ladder

LADDER = Ladder.of({"epochs": (1, 9)}, eta=3)


def test_one_in_three_goes_on_by_hand():
    play = Play(ASHA(), LADDER)
    assert [play.step(value) for value in (5, 1, 3)] == [(0, None)] * 3
    assert play.step(50) == (1, 0)  # of three the best
    assert play.step(9) == (0, None)
    assert play.step(90) == (1, 4)  # of four the best: one goes on, and the one that did is no longer the best
    assert [play.step(value) for value in (2, 4)] == [(0, None)] * 2  # of six two go on: 9 and 5 did
    assert play.step(6) == (0, None)
    assert play.step(60) == (1, 8)  # of seven 9 and 6 are the best two
    assert play.step(900) == (2, 5)  # of the three on the next rung, 50, 90 and 60, the best
    assert play.step(0) == (0, None)


def test_nothing_waits_for_what_runs():
    play = Play(ASHA(), LADDER)
    running = [play.ask() for _ in range(6)]
    assert [play.level(trial) for trial in running] == [0] * 6
    for trial, value in zip(running[3:], (1, 3, 2), strict=True):
        play.tell(trial, value)
    first = play.ask()
    assert (play.level(first), first.origin) == (1, 4)
    assert play.step(4) == (0, None)  # the fourth, and the best of the four
    second = play.ask()
    assert (play.level(second), second.origin) == (1, 7)
    play.tell(running[0], 5)  # better than what went on, but of five only one is to go on
    assert play.ask().origin == 0
    assert play.ask().origin is None


def test_what_fails_is_not_among_those_of_which_one_in_three_goes_on():
    play = Play(ASHA(), LADDER)
    for value in (1, None, None, 2, None):
        assert play.step(value) == (0, None)
    assert play.step(3) == (0, None)
    assert play.step(None) == (1, 5)
    assert play.step(0) == (0, None)  # it is not tried again


def test_the_loss_tells_equals_apart():
    play = Play(ASHA(), LADDER)
    for loss in (0.3, 0.1, 0.2):
        trial = play.ask()
        play.history.add(
            type(trial)(
                trial.number,
                trial.architecture,
                "complete",
                {"a": 1.0, "loss": loss},
                share=trial.share,
                seed=trial.seed,
            )
        )
    assert play.ask().origin == 1


def test_where_nothing_new_is_left_the_best_of_each_rung_goes_on():
    play = Play(ASHA(), LADDER)
    play.step(1)
    play.step(2)
    assert play.step(20, more=False) == (1, 1)
    assert play.step(200, more=False) == (2, 2)
    assert play.ask(more=False) is None


def expected(play, eta):
    """Algorithm 2 of the paper, word for word: the promotion that is due, from the highest rung down."""
    trials = play.history.trials
    gone = {trial.origin for trial in trials}
    for level in range(play.ladder.top - 1, -1, -1):
        on = [trial for trial in trials if play.level(trial) == level and trial.state == "complete"]
        best = sorted(on, key=lambda trial: (-trial.metrics["a"], trial.number))[: int(len(on) / eta)]
        promotable = [trial.number for trial in best if trial.number not in gone]
        if promotable:
            return level + 1, promotable[0]
    return 0, None


@given(seed=st.integers(0, 2**32 - 1), eta=st.sampled_from([2, 3, 2.5, 4]), workers=st.integers(1, 6))
def test_it_is_the_algorithm_of_the_paper(seed, eta, workers):
    rng = np.random.default_rng(seed)
    play, running = Play(ASHA(eta), Ladder.of({"epochs": (1, 8)}, eta=2)), []
    for _ in range(40):
        due = expected(play, eta)
        trial = play.ask()
        assert (play.level(trial), trial.origin) == due
        running.append(trial)
        while len(running) >= workers:
            trial = running.pop(int(rng.integers(len(running))))
            play.tell(trial, None if rng.random() < 0.1 else rng.integers(20))


def test_checkpoints_of_the_best_few_are_wanted():
    play = Play(ASHA(), LADDER)
    running = [play.ask() for _ in range(40)]
    for trial in running:
        play.tell(trial, trial.number)
    assert play.checkpoints() == set(range(32, 40))
    assert play.ask().origin == 39
    assert play.checkpoints() == set(range(31, 39))


@pytest.mark.parametrize("count", [600])
def test_few_that_go_on_have_lost_their_checkpoint(count):
    play, rng, held, lost, going = Play(ASHA()), np.random.default_rng(0), set(), 0, 0
    for _ in range(count):
        trial = play.ask()
        lost += trial.origin is not None and trial.origin not in held
        going += trial.origin is not None
        play.tell(trial, rng.random())
        held = (held | {trial.number}) & play.checkpoints()
    assert going > count / 5
    assert lost < going / 50
