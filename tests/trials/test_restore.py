"""A history that is made at once is that which grew, and what it keeps at hand is what a walk over all trials gives."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import archwright as aw
from archwright.errors import StudyError
from archwright.trials import Constraint, History, Trial, parse_objectives

ONE = "max score"
TWO = ["max score", "min size"]


def grown(objective, seed, count=120):
    """Return a history, and its trials in the order in which they ended."""
    rng, ended = np.random.default_rng(seed), []
    history = History(parse_objectives(objective), constraints=[Constraint("size", 8.0)])
    running = []
    while len(history.trials) < count:
        number = len(history.trials)
        origin = None if rng.random() < 0.7 or not ended else ended[int(rng.integers(len(ended)))]
        architecture = aw.Architecture({"x": int(rng.integers(40))}) if origin is None else origin.architecture
        share = float(rng.choice([0.25, 1.0])) if origin is None else 1.0
        trial = Trial(number, architecture, share=share, origin=None if origin is None else origin.number)
        history.add(trial)
        running.append(trial)
        if rng.random() < 0.8:
            trial = running.pop(int(rng.integers(len(running))))
            state = str(rng.choice(["complete", "complete", "complete", "pruned", "failed", "infeasible"]))
            metrics = {"score": float(rng.integers(6)), "size": float(rng.integers(9)), "loss": float(rng.integers(3))}
            metrics = {} if state == "failed" else metrics
            over = replace(trial, state=state, metrics=metrics, seconds=rng.random())
            history.add(over)
            ended.append(over)
    return history, ended


def everything(history):
    return {
        name: getattr(history, name)
        for name in ("trials", "finished", "complete", "scores", "points", "infeasible", "front", "best", "running")
    } | {
        "spent": history.spent,
        "seen": history.count_seen,
        "volume": history.hypervolume(),
        "fastest": [history.fastest(share) for share in (0.25, 1.0)],
        "measured": [history.measured(trial.architecture, trial.share) for trial in history.trials],
    }


@pytest.mark.parametrize("objective", [ONE, TWO], ids=["one", "two"])
@pytest.mark.parametrize("seed", range(4))
def test_a_history_that_is_restored_is_the_one_that_grew(objective, seed):
    history, ended = grown(objective, seed)
    restored = History(history.objectives, constraints=history.constraints)
    restored.restore(history.trials, ended)
    assert everything(restored) == everything(history)
    for each in (history, restored):
        for trial in each.running:
            each.add(Trial(trial.number, trial.architecture, "complete", {"score": 9.0, "size": 1.0}))
    assert everything(restored) == everything(history)
    with pytest.raises(StudyError, match="120 trials are there already"):
        restored.restore(history.trials, ended)


@pytest.mark.parametrize("objective", [ONE, TWO], ids=["one", "two"])
@pytest.mark.parametrize("seed", range(4))
def test_the_top_is_that_of_all_trials_in_order(objective, seed):
    history, ended = grown(objective, seed)
    again = History(history.objectives, constraints=history.constraints)
    asked = np.random.default_rng(seed)

    def naive(history, count, also=None):
        trials = [*history.complete, *([] if also is None else [also])]
        if len(history.objectives) == 1:
            ranked = sorted(trials, key=history.rank, reverse=True)
        else:
            ranked = history.best_first(trials)
        best = also if also is not None and history.beaten_by(also) else history.best
        found = {}
        for trial in ([] if best is None else [best]) + ranked:
            found.setdefault(trial.architecture, trial)
        return list(found.values())[:count]

    for trial in history.trials:
        again.add(Trial(trial.number, trial.architecture, share=trial.share, origin=trial.origin))
    for trial in ended:
        if asked.random() < 0.3:  # now and then, as what is kept at hand is brought up to date then
            for count in (1, 3, 50):
                assert again.top(count) == naive(again, count)
            if trial.state == "complete":
                assert again.top(3, also=trial) == naive(again, 3, also=trial)
        again.add(trial)
    assert again.top(2) == history.top(2)


def test_the_first_few_are_the_first_of_all():
    for objective in (ONE, TWO):
        history, _ = grown(objective, 7)
        ordered = history.best_first(history.complete)
        for count in (0, 1, 5, 500):
            assert history.best_first(history.complete, count) == ordered[:count]
    assert math.isfinite(history.spent)
