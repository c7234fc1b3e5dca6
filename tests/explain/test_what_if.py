"""What a change would do: measured or predicted."""

from dataclasses import replace

import numpy as np
import pytest
from tests.explain.helpers import TREE, VALUE, choices, measured

import archwright as aw
from archwright.errors import ArchitectureError, Inconclusive
from archwright.explain import what_if

SPACE = choices(4)


def value(a):
    return sum((index + 1) * a[f"d{index}"] for index in range(4))


def test_changes_are_measured_where_there_are_trials():
    trials = measured(SPACE, value, 100, noise=0.3)
    found = what_if(SPACE, trials, VALUE)
    best = max(trials, key=lambda trial: trial.metrics["value"])
    assert found.architecture == best.architecture
    assert found.value == best.metrics["value"]
    assert {row.architecture for row in found.rows} == set(SPACE.neighbours(best.architecture))
    known = {}
    for trial in trials:
        known.setdefault(trial.architecture, []).append(trial.metrics["value"])
    for row in found.rows:
        assert row.before == best.architecture[row.decision]
        assert row.architecture == aw.Architecture({**best.architecture, row.decision: row.after})
        assert row.measured == (row.architecture in known)
        assert row.trials == len(known.get(row.architecture, []))
        if row.measured:
            assert row.value == pytest.approx(np.mean(known[row.architecture]))
            assert (row.low is None) == (row.trials == 1)
        else:
            assert row.low < row.value < row.high
    assert any(row.measured for row in found.rows)
    assert [row.value for row in found.rows] == sorted((row.value for row in found.rows), reverse=True)


def test_intervals_of_predictions_hold_most_measurements():
    inside = []
    for seed in range(5):
        trials = measured(choices(6), lambda a: a["d0"] * 2 + a["d1"] + (a["d2"] == 1), 60, noise=0.5, seed=seed)
        rng = np.random.default_rng(seed)
        for row in what_if(choices(6), trials, VALUE).rows:
            if not row.measured:
                a = row.architecture
                again = a["d0"] * 2 + a["d1"] + (a["d2"] == 1) + 0.5 * rng.normal()
                inside.append(row.low <= again <= row.high)
    assert len(inside) > 50
    assert 0.8 < np.mean(inside) <= 1


def test_of_a_loss_the_least_is_best():
    trials = measured(SPACE, value, 60)
    found = what_if(SPACE, trials, replace(VALUE, maximise=False))
    assert found.value == min(trial.metrics["value"] for trial in trials)
    assert [row.value for row in found.rows] == sorted(row.value for row in found.rows)


def test_of_an_architecture_that_is_named():
    trials = measured(TREE, lambda a: a["c"] == "u", 40)
    found = what_if(TREE, trials, VALUE, of={"kind": 1, "c": "v"})
    opened = next(row for row in found.rows if row.decision == "kind" and "b" in row.architecture)
    assert opened.architecture["b"] == 7
    with pytest.raises(ArchitectureError, match="'c' is not decided"):
        what_if(TREE, trials, VALUE, of={"kind": 1})
    unseen = [trial for trial in trials if trial.architecture != found.architecture]
    assert what_if(TREE, unseen, VALUE, of=found.architecture).value is None
    with pytest.raises(Inconclusive, match="have the same value"):
        what_if(TREE, measured(TREE, lambda a: 1, 40), VALUE)
