from __future__ import annotations

import math

import numpy as np
import pytest
from hyperopt import (
    JOB_STATE_DONE,
    JOB_STATE_RUNNING,
    STATUS_FAIL,
    STATUS_OK,
    Domain,
    Trials,
    anneal,
    hp,
    rand,
    tpe,
)

import archwright as aw
from archwright.errors import StrategyError
from archwright.strategies import Hyperopt
from archwright.testing import StrategySuite
from archwright.trials import History, Objective, Trial

SPACE = aw.Space(
    kind=aw.choice({"small": aw.real(0.0, 1.0, name="size"), "large": aw.integer(3, 900, name="width")}, name="kind"),
    depth=aw.ordinal(1, 2, 4, 8),
    units=aw.integer(1, 256, log=True),
    rate=aw.real(1e-4, 1e-1, log=True),
    parts=aw.subset("x", "y", "z", k=(0, 3)),
)
ALGORITHMS = {"tpe": tpe.suggest, "anneal": anneal.suggest, "random": rand.suggest}
STATES = ("complete", "complete", "failed", "running", "complete", "pruned")

# The same space, as one would write it with Hyperopt.
THEIRS = {
    "kind": hp.choice("kind", [0, 1]),
    "size": hp.uniform("size", 0.0, 1.0),
    "width": hp.quniform("width", 2.5, 900.5, 1),
    "depth": hp.quniform("depth", -0.5, 3.5, 1),
    "units": hp.qloguniform("units", math.log(0.5), math.log(256.5), 1),
    "rate": hp.loguniform("rate", math.log(1e-4), math.log(1e-1)),
    **{f"parts[{x!r}]": hp.choice(f"parts[{x!r}]", [0, 1]) for x in "xyz"},
}


def to_theirs(architecture):
    return {
        "kind": ("small", "large").index(architecture["kind"]),
        **{name: architecture[name] for name in ("size", "width", "units", "rate") if name in architecture},
        "depth": (1, 2, 4, 8).index(architecture["depth"]),
        **{f"parts[{x!r}]": int(x in architecture["parts"]) for x in "xyz"},
    }


def from_theirs(values):
    active = {"size": values["size"][0]} if values["kind"][0] == 0 else {"width": values["width"][0]}
    return SPACE.canonical(
        {
            "kind": ("small", "large")[int(values["kind"][0])],
            **active,
            "depth": (1, 2, 4, 8)[min(max(int(values["depth"][0]), 0), 3)],
            "units": min(max(values["units"][0], 1), 256),
            "rate": min(max(values["rate"][0], 1e-4), 1e-1),
            "parts": tuple(x for x in "xyz" if values[f"parts[{x!r}]"][0]),
        }
    )


def told(count, space=SPACE, states=STATES, objective="max value"):
    """A history of random trials; each is worth its rate."""
    history = History(Objective.parse(objective))
    for number in range(count):
        architecture = space.sample(np.random.default_rng([9, number]))
        history.add(Trial(number, architecture))
        state = states[number % len(states)]
        if state != "running":
            metrics = {"value": architecture["rate"]} if state == "complete" else {}
            history.add(Trial(number, architecture, state, metrics))
    return history


def referee(history, suggest, seed):
    """What an ordinary Hyperopt search suggests that was given the same trials."""
    trials, domain = Trials(), Domain(None, THEIRS)
    for trial in history.trials:
        values = to_theirs(trial.architecture)
        misc = {
            "tid": trial.number,
            "cmd": None,
            "idxs": {label: [trial.number] if label in values else [] for label in THEIRS},
            "vals": {label: [values[label]] if label in values else [] for label in THEIRS},
        }
        sign = -1 if history.objective.maximise else 1
        result = {
            "complete": {"status": STATUS_OK, "loss": sign * trial.metrics.get("value", 0)},
            "running": {"status": "new"},
        }.get(trial.state, {"status": STATUS_FAIL})
        (document,) = trials.new_trial_docs([trial.number], [None], [result], [misc])
        document["state"] = JOB_STATE_RUNNING if trial.state == "running" else JOB_STATE_DONE
        trials.insert_trial_doc(document)
    trials.refresh()
    (document,) = suggest([len(trials)], domain, trials, seed)
    return from_theirs(document["misc"]["vals"])


@pytest.mark.parametrize("objective", ["max value", "min value"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_it_suggests_what_hyperopt_suggests(algorithm, objective):
    for count in (0, 1, 19, 20, 33, 60):
        history = told(count, objective=objective)
        seed = int(np.random.default_rng([3, count]).integers(2**31))
        expected = referee(history, ALGORITHMS[algorithm], seed)
        assert Hyperopt(algorithm).propose(SPACE, history, np.random.default_rng([3, count])) == expected


def test_a_trial_that_ends_later_is_told_then():
    """One that saw trials run and then end goes on like one that is told at once, failures and all."""
    grown, strategy = History(Objective("value")), Hyperopt()
    trials = told(40, states=("complete", "failed", "complete")).trials
    for trial in trials:
        grown.add(Trial(trial.number, trial.architecture))
        if trial.number % 8 == 7:
            strategy.propose(SPACE, grown, np.random.default_rng(0))
            for ended in trials[trial.number - 7 : trial.number + 1]:
                grown.add(ended)
    at_once = told(40, states=("complete", "failed", "complete"))
    rngs = [np.random.default_rng(5) for _ in range(2)]
    assert strategy.propose(SPACE, grown, rngs[0]) == Hyperopt().propose(SPACE, at_once, rngs[1])


def test_every_value_is_as_likely_at_random():
    space = aw.Space(
        kind=aw.choice("a", "b", "c", "d"), width=aw.ordinal(1, 2, 4, 8), depth=aw.integer(5, 8), rate=aw.real(0.0, 1.0)
    )
    history = told(1, space)
    drawn = [Hyperopt("random").propose(space, history, np.random.default_rng(number)) for number in range(300)]
    for name in ("kind", "width", "depth"):
        _, counts = np.unique([str(architecture[name]) for architecture in drawn], return_counts=True)
        assert len(counts) == 4
        assert counts.min() > 45  # 75 are expected, with a deviation of 7.5


@pytest.mark.parametrize("algorithm", ["tpe", "anneal"])
def test_it_goes_where_the_good_trials_were(algorithm):
    space = aw.Space(**{f"e{i}": aw.choice(*"abcdefgh") for i in range(8)})
    means = []
    for strategy in (Hyperopt(algorithm), "random"):
        study = aw.Study(space, strategy=strategy, seed=1)
        for _ in range(100):
            trial = study.ask()
            study.tell(trial, sum(value == "c" for value in trial.architecture.values()))
        means.append(np.mean([t.metrics["value"] for t in study.trials[50:]]))
    assert means[0] > means[1] + 0.7


def test_settings_are_checked_at_once():
    with pytest.raises(StrategyError, match="algorithm must be one of 'tpe', 'anneal', 'random', not 'grid'"):
        Hyperopt("grid")


class TestAnneal(StrategySuite):
    trials = 20

    @pytest.fixture
    def strategy(self):
        return Hyperopt("anneal")
