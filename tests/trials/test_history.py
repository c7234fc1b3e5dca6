from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

import archwright as aw
from archwright.errors import StudyError
from archwright.space import Architecture
from archwright.trials import History, Objective, Trial


def trial(number, state="running", **metrics):
    return Trial(number, Architecture({"x": number}), state, metrics)


def history_of(*trials, objective="max a"):
    history = History(Objective.parse(objective))
    for number in range(1 + max(t.number for t in trials)):
        history.add(trial(number))
    for ended in trials:
        history.add(ended)
    return history


def test_order_of_ending_is_kept_apart_from_the_order_of_numbers():
    history = history_of(trial(2, "complete", a=1.0), trial(0, "failed"), trial(1, "complete", a=3.0))
    assert [t.number for t in history.trials] == [0, 1, 2]
    assert [t.number for t in history.finished] == [2, 0, 1]
    assert [t.number for t in history.complete] == [2, 1]
    assert list(history.scores) == [1.0, 3.0]


@pytest.mark.parametrize(("objective", "best"), [("max a", 1), ("min a", 0)])
def test_best_in_both_directions_and_the_first_of_equals(objective, best):
    history = history_of(
        trial(0, "complete", a=1.0),
        trial(1, "complete", a=2.0),
        trial(2, "complete", a=2.0),
        trial(3, "complete", a=1.0),
        objective=objective,
    )
    assert history.best.number == best


def test_a_pruned_trial_is_best_only_while_nothing_is_complete():
    history = history_of(
        trial(0, "pruned"), trial(1, "pruned", a=math.nan), trial(2, "pruned", a=5.0), trial(3, "pruned", a=4.0)
    )
    assert history.best.number == 2
    history.add(trial(4))
    history.add(trial(4, "complete", a=1.0))
    assert history.best.number == 4
    history.add(trial(5))
    history.add(trial(5, "pruned", a=9.0))
    assert history.best.number == 4


def test_seen_from_the_beginning_whatever_becomes_of_it():
    history = History(Objective("a"))
    history.add(trial(0))
    assert history.seen(Architecture({"x": 0}))
    history.add(trial(0, "failed"))
    assert history.seen(Architecture({"x": 0}))
    assert not history.seen(Architecture({"x": 1}))


def test_a_trial_ends_once_and_begins_in_order():
    history = history_of(trial(0, "complete", a=1.0))
    with pytest.raises(StudyError, match="trial 0 has ended"):
        history.add(trial(0, "failed"))
    with pytest.raises(StudyError, match="trial 2 cannot follow trial 0"):
        history.add(trial(2))


def test_unseen_follows_the_enumeration_and_ends():
    space = aw.Space(a=aw.choice(1, 2, 3), b=aw.choice(1, 2))
    history, order = History(Objective("a")), list(space.enumerate())
    for number, taken in enumerate((3, 0, 1)):
        history.add(Trial(number, order[taken]))
    assert history.unseen(space) == order[2]
    assert history.unseen(space) == order[2]
    for number, taken in enumerate((2, 4, 5), start=3):
        history.add(Trial(number, order[taken]))
    assert history.unseen(space) is None


def test_json_both_ways_with_values_that_json_has_no_word_for():
    before = replace(
        trial(3, "failed", a=math.nan, b=math.inf, c=-math.inf, d=0.1),
        curve=({"step": 1.0, "a": math.nan},),
        error="why",
        fidelity={"epochs": 4.0},
        share=0.25,
        origin=1,
        attempts=2,
    )
    after = Trial.from_json(json.loads(json.dumps(before.to_json(), allow_nan=False)))
    assert math.isnan(after.metrics["a"])
    assert math.isnan(after.curve[0]["a"])
    assert dict(after.metrics, a=0) == dict(before.metrics, a=0)
    assert replace(after, metrics={}, curve=()) == replace(before, metrics={}, curve=())


def test_of_equals_the_surer_one_is_the_best() -> None:
    history = History(Objective("accuracy"))
    losses = [0.3, 0.1, 0.2, math.nan, 0.1]
    for number, loss in enumerate(losses):
        metrics = {"accuracy": 1.0, "loss": loss}
        architecture = Architecture({"x": number})
        history.add(Trial(number, architecture, state="complete", metrics=metrics, seed=0, worker=""))
    assert history.best is not None
    assert history.best.number == 1
