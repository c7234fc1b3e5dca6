"""Schedulers that end trials on the way: the median rule and patience."""

from __future__ import annotations

import pytest
from tests.schedulers.helpers import Play

import archwright as aw
from archwright.schedulers import Curve, Median, Patience, scores
from archwright.trials import Objective


def rows(*values, first=1):
    """A curve."""
    return tuple({"step": float(step), "a": float(value)} for step, value in enumerate(values, first))


def ended(play, *values, state="complete"):
    trial = play.ask()
    play.tell(trial, values[-1] if state == "complete" else None, list(enumerate(values, 1)))
    return trial


def why(play, *values):
    """Why a trial with this curve is to end, as text; None where it goes on."""
    curve: Curve = rows(*values)
    stopped = play.scheduler.stop(play.history, play.begin(), curve)
    return None if stopped is None else str(stopped)


def test_each_trial_begins_as_a_full_evaluation():
    for scheduler in (Median(), Patience()):
        play = Play(scheduler)
        trial = play.ask()
        assert (trial.share, trial.fidelity, trial.origin) == (1.0, None, None)
        assert play.ask(more=False) is None


def test_scores_are_what_is_known_of_the_objective():
    curve = (
        {"step": 1.0, "a": 3.0},
        {"step": 2.0, "b": 5.0},
        {"step": 3.0, "a": float("nan")},
        {"step": 4.0, "a": 1.0},
    )
    assert scores(curve, Objective("a")) == [(1.0, 3.0), (4.0, 1.0)]
    assert scores(curve, Objective("a", maximise=False)) == [(1.0, -3.0), (4.0, -1.0)]


# ---------------------------------------------------------------------- the median rule


def median(objective="max a", **settings):
    play = Play(Median(**{"startup": 3, **settings}), objective=objective)
    sign = 1 if objective == "max a" else -1
    for values in ((1, 3), (2, 6), (4, 4)):  # means up to the second step: 2, 4, 4
        ended(play, *(sign * value for value in values))
    return play


def test_a_trial_ends_when_its_best_is_below_the_median_of_the_means():
    play = median()
    assert why(play, 1.9) == "median stopping: best 1.9 at step 1, the median of 3 is 2"
    assert why(play, 2) is None  # not below
    assert why(play, 2.5, 0) == "median stopping: best 2.5 at step 2, the median of 3 is 4"
    assert why(play, 4, 0) is None  # its best counts
    assert why(play, 0, 0, 0) is None  # nothing is known of a third step
    ended(play, 0, 20)
    assert why(play, 1.4) == "median stopping: best 1.4 at step 1, the median of 4 is 1.5"
    assert why(play, 1.6) is None


def test_the_median_rule_minimises_too():
    play = median("min a")
    assert why(play, -1.9) is not None
    assert why(play, -2) is None
    assert why(play, 0, -4) is None


def test_the_median_rule_waits_for_enough_trials_and_points():
    assert why(median(startup=4), 0) is None
    assert why(median(grace=1), 0) is None
    assert why(median(grace=1), 0, 0) is not None


def test_the_median_is_that_of_all_that_came_so_far():
    play = Play(Median(startup=3))
    ended(play, 1, 1)
    ended(play, 2)  # stopped after its first point, in whatever way
    ended(play, 3, 3, state="failed")
    assert why(play, 1.5) is not None
    assert why(play, 2.5) is None
    assert why(play, 0, 0) is None  # two came to the second step


# ---------------------------------------------------------------------- patience


@pytest.mark.parametrize(
    ("values", "over"),
    [
        ((1, 2, 3), False),
        ((3, 2), False),
        ((3, 2, 1), True),
        ((3, 3, 3), True),  # no better
        ((1, 3, 2, 2), True),
        ((1, 3, 2, 4), False),
        ((1, 3, 2, 3.05), True),  # better by less than counts
        ((1, 3, 2, 3.15), False),
    ],
)
def test_patience_by_hand(values, over):
    assert (why(Play(Patience(points=2, least=0.1)), *values) is not None) == over
    play = Play(Patience(points=2, least=0.1), objective="min a")
    assert (why(play, *(-value for value in values)) is not None) == over


def test_a_trial_that_gets_no_better_is_complete_with_its_last_metrics():
    def evaluate(candidate):
        for step, value in enumerate((1, 5, 4, 3, 2, 9), 1):
            candidate.report(step, value=value)
        return 9.0

    study = aw.Study(aw.Space(number=aw.integer(1, 9)), strategy="random", scheduler=Patience(points=2))
    study.run(evaluate, aw.Budget(trials=1))
    (trial,) = study.trials
    assert (trial.state, trial.metrics, len(trial.curve)) == ("complete", {"value": 3.0}, 4)
