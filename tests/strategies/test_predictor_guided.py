"""BANANAS, NPENAS and search guided by any predictor."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

import archwright as aw
from archwright import nn, strategies
from archwright.errors import StrategyError
from archwright.strategies import Bananas, Npenas, PredictorGuided, Strategy
from archwright.surrogates import Fitted, GraphNetwork, Predictor
from archwright.testing import StrategySuite
from archwright.trials import History, Objective, Trial

FLAT = aw.Space(**{f"e{i}": aw.choice(*"abcd") for i in range(5)})
LARGE = aw.Space(**{f"e{i}": aw.choice(*"abcd") for i in range(12)})
LINE = aw.Space(x=aw.integer(0, 99))


def edge(i, j):
    return aw.choice({"none": None, "pool": nn.AvgPool2d(3, 1, 1), "conv": nn.ReLU()})


CELLS = aw.Space(model=nn.Sequential(aw.cell(edge, nodes=3, name="cell")))


def letters(architecture):
    """The more letters of the end of the alphabet, the better."""
    return float(sum("abcd".index(value) for value in architecture.values()))


def convolutions(architecture):
    return float(list(architecture.values()).count("conv"))


def walk(strategy, space, trials, value, seed=0):
    study = aw.Study(space, strategy=strategy, seed=seed)
    for _ in range(trials):
        trial = study.ask()
        study.tell(trial, value(trial.architecture))
    return study


@dataclass(frozen=True)
class Stub(Predictor, Fitted):
    """Says what it was told to say, and notes what it was fitted to."""

    mean: object = lambda architecture: architecture["x"]
    deviation: object = lambda architecture: 0.0
    fits: list = field(default_factory=list)

    def fit(self, space, architectures, scores, rng):
        self.fits.append((list(architectures), scores.tolist(), rng.integers(2**31)))
        return self

    def predict(self, architectures):
        return tuple(np.array([float(say(a)) for a in architectures]) for say in (self.mean, self.deviation))


# --------------------------------------------------------------------------- when it learns


def test_it_learns_after_the_first_trials_and_after_each_batch():
    stub = Stub()
    walk(PredictorGuided(stub, initial=4, batch=3), LINE, 14, lambda a: a["x"])
    assert [len(known) for known, *_ in stub.fits] == [4, 7, 10, 13]


def test_batches_grow_with_the_trials():
    stub = Stub()
    space = aw.Space(x=aw.integer(0, 10**6))
    walk(PredictorGuided(stub, initial=10, batch=2), space, 130, lambda a: a["x"])
    sizes = [len(known) for known, *_ in stub.fits]
    assert sizes == [*range(10, 70, 2), *range(70, 90, 3), *range(90, 110, 4), *range(110, 130, 5)]


def test_what_it_learns_from_is_what_was_complete_in_its_order():
    stub = Stub()
    study = aw.Study(LINE, strategy=PredictorGuided(stub, initial=2, batch=2))
    first, second, third = (study.ask() for _ in range(3))
    study.tell(third, 5.0)
    study.tell(first, ValueError("no"))
    study.tell(second, 7.0)
    study.ask()
    known, scores, _ = stub.fits[0]
    assert known == [third.architecture, second.architecture]
    assert scores[1] > scores[0]


def test_trials_that_fail_or_run_call_for_no_new_fit():
    stub = Stub()
    study = aw.Study(LINE, strategy=PredictorGuided(stub, acquisition="mean", initial=3, batch=2))
    for _ in range(3):
        trial = study.ask()
        study.tell(trial, 1.0)
    tried = {trial.architecture["x"] for trial in study.trials}
    asked = []
    for number in range(20):
        trial = study.ask()
        asked.append(trial.architecture["x"])
        if number % 2:
            study.tell(trial, ValueError("no"))
    assert len(stub.fits) == 1
    assert asked == [x for x in range(99, -1, -1) if x not in tried][:20]  # the ranking, from the top down


def test_fits_of_one_history_are_the_same_and_of_another_differ():
    def fits(seed):
        stub = Stub()
        walk(PredictorGuided(stub, initial=3, batch=2), LINE, 9, lambda a: a["x"], seed)
        return [drawn for *_, drawn in stub.fits]

    assert fits(0) == fits(0)
    assert not set(fits(0)) & set(fits(1))
    assert len(set(fits(0))) == 3


def test_it_is_a_function_of_the_history():
    """Whoever replays a history at once, its running trials included, proposes what the one that saw it grow does."""
    for make in (Bananas, Npenas, PredictorGuided):
        study = aw.Study(LARGE, strategy=make(initial=4, batch=3), seed=3)
        running = []
        for number in range(24):
            fresh = History(study.objective)
            for trial in study.trials:
                fresh.add(Trial(trial.number, trial.architecture, seed=trial.seed))
            for trial in study.history.finished:
                fresh.add(trial)
            rng = [np.random.default_rng([3, number]) for _ in range(2)]
            proposed = study.strategy.propose(LARGE, study.history, rng[1])
            if number % 3 == 2:
                assert make(initial=4, batch=3).propose(LARGE, fresh, rng[0]) == proposed
            running.append(study.ask())
            if number % 2:
                study.tell(running.pop(0), ValueError("no") if number % 7 == 3 else letters(trial.architecture))
        assert len(study.history.complete) > 7


# --------------------------------------------------------------------------- what it proposes


@pytest.mark.parametrize(
    ("acquisition", "first"), [("mean", [30, 40, 20]), ("ucb", [20, 40, 30]), ("ei", [40, 30, 20])]
)
def test_candidates_are_ranked_by_the_acquisition(acquisition, first):
    # The scores become -1 and 1. Means plus two deviations: 3, 1.22, 2.9; expected improvements: 0.12, 0.20, 0.35.
    told = {20: (-7.0, 5.0), 30: (1.2, 0.01), 40: (0.9, 1.0)}
    stub = Stub(mean=lambda a: told.get(a["x"], (-9.0, 0.0))[0], deviation=lambda a: told.get(a["x"], (-9.0, 0.0))[1])
    study = aw.Study(LINE, strategy=PredictorGuided(stub, acquisition=acquisition, initial=2, batch=50), seed=1)
    for score in (1.0, 2.0):
        study.tell(study.ask(), score)
    assert [study.ask().architecture["x"] for _ in range(3)] == first


def test_thompson_sampling_draws_each_candidate_by_its_own_deviation():
    counts = dict.fromkeys(range(100), 0)
    for seed in range(300):
        stub = Stub(mean=lambda a: 0.0, deviation=lambda a: 1.0 if a["x"] in (20, 30, 40) else 0.0)
        strategy = PredictorGuided(stub, initial=1, batch=50)
        history = History(Objective("value"))
        history.add(Trial(0, LINE.canonical({"x": 0}), seed=seed))
        history.add(replace(history.trials[0], state="complete", metrics={"value": 1.0}))
        counts[strategy.propose(LINE, history, np.random.default_rng(0))["x"]] += 1
    assert counts[20] + counts[30] + counts[40] > 240  # the greatest of three is above 0 seven times in eight
    assert min(counts[20], counts[30], counts[40]) > 60


def test_candidates_of_a_large_space_are_random_and_near_the_best():
    stub = Stub(mean=letters)
    history = History(Objective("value"))
    rng = np.random.default_rng(0)
    for number in range(20):
        history.add(Trial(number, LARGE.sample(rng), seed=number))
        history.add(replace(history.trials[number], state="complete", metrics={"value": float(number)}))
    strategy = PredictorGuided(stub, acquisition="mean", initial=20)
    strategy.propose(LARGE, history, rng)
    ranked = strategy._states[history].architectures
    assert len(ranked) == len(set(ranked)) > 800
    assert [letters(a) for a in ranked] == sorted(map(letters, ranked), reverse=True)

    def steps(architecture, trial):
        return sum(architecture[name] != trial.architecture[name] for name in LARGE.decisions)

    near = [min(steps(a, trial) for trial in history.trials[10:]) <= 2 for a in ranked]
    assert 300 < sum(near) < 600
    near_the_worst = [min(steps(a, trial) for trial in history.trials[:10]) <= 2 for a in ranked]
    assert sum(near_the_worst) < 20


def test_everything_in_a_small_space_is_a_candidate():
    strategy = PredictorGuided(Stub(), acquisition="mean", initial=3, batch=1000)
    study = walk(strategy, LINE, 100, lambda a: 1.0)
    tried = [trial.architecture["x"] for trial in study.trials]
    assert tried[3:] == sorted(tried[3:], reverse=True)
    assert sorted(tried) == list(range(100))


def test_children_are_mutants_of_what_won_its_tournament():
    study = walk(Npenas(predictor="boosted-trees", initial=10, batch=5), LARGE, 30, letters)
    complete = [trial.architecture for trial in study.trials]
    for number in range(10, 30):
        before = complete[: number - number % 5]
        assert any(sum(child != parent[name] for name, child in complete[number].items()) == 1 for parent in before)
    # The worst of all wins a tournament of two only against itself.
    worst = min(before, key=letters)
    assert not any(sum(a[name] != worst[name] for name in a) == 1 for a in complete[25:] if a not in before)


@pytest.mark.parametrize("make", [Bananas, Npenas, PredictorGuided], ids=str)
@pytest.mark.parametrize(("space", "value"), [(FLAT, letters), (CELLS, convolutions)], ids=["flat", "cells"])
def test_it_finds_the_best_where_chance_does_not(make, space, value):
    best = max(map(value, space.enumerate()))
    found = [value(walk(make(batch=20), space, 60, value, seed).best.architecture) for seed in range(3)]
    chance = [value(walk("random", space, 60, value, seed).best.architecture) for seed in range(3)]
    assert found.count(best) >= 2
    assert chance.count(best) == 0


@pytest.mark.parametrize("predictor", ["boosted-trees", "graph", "gaussian-process"])
def test_each_predictor_guides(predictor):
    found = [
        convolutions(walk(PredictorGuided(predictor, batch=20), CELLS, 50, convolutions, seed).best.architecture)
        for seed in range(3)
    ]
    assert sorted(found)[1] == 6.0


@pytest.mark.parametrize("make", [Bananas, Npenas, PredictorGuided], ids=str)
@pytest.mark.parametrize("scale", [1e300, 1e-300, 0.0])
def test_scores_of_any_size_are_searched(make, scale):
    study = walk(make(initial=4, batch=5), FLAT, 16, lambda a: scale * letters(a))
    assert len({trial.architecture for trial in study.trials}) == 16


@pytest.mark.parametrize("make", [Bananas, Npenas, PredictorGuided], ids=str)
def test_a_space_without_decisions_is_searched(make):
    space = aw.Space(number=3)
    history = History(Objective("value"))
    for number in range(12):
        history.add(Trial(number, space.canonical({})))
        history.add(replace(history.trials[number], state="complete", metrics={"value": 1.0}))
    assert make(initial=2).propose(space, history, np.random.default_rng(0)) == space.canonical({})


# --------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("predictor", {"predictor": "forest"}, "predictor must be one of 'mlp', .*, not 'forest'"),
        ("predictor", {"acquisition": "log-ei"}, "acquisition must be one of 'thompson', .*, not 'log-ei'"),
        ("predictor", {"batch": 0}, "batch must be an integer of 1 or more, not 0"),
        ("bananas", {"encoding": "paths"}, "encoding must be one of 'path', .*, not 'paths'"),
        ("bananas", {"members": 0}, "members must be"),
        ("npenas", {"predictor": "gnn"}, "predictor must be one of"),
        ("npenas", {"children": 0.5}, "children must be an integer of 1 or more, not 0.5"),
    ],
)
def test_settings_are_checked_at_once(name, settings, message):
    with pytest.raises(StrategyError, match=message):
        strategies.create(name, **settings)


def test_graphs_need_cells_and_a_search_says_so_before_it_begins():
    for strategy in (PredictorGuided("graph"), PredictorGuided(GraphNetwork()), Npenas("graph")):
        with pytest.raises(StrategyError, match=r"sees cells \(aw.cell\)"):
            aw.Study(FLAT, strategy=strategy)
        strategy.check(CELLS)
    Npenas().check(FLAT)


def test_a_predictor_of_ones_own_serves_and_the_others_are_json():
    for strategy in (PredictorGuided("graph", acquisition="ucb"), Bananas(encoding="network"), Npenas(children=3)):
        options = json.loads(json.dumps(strategies.options(strategy)))
        assert strategies.create(strategies.name_of(strategy), **options) == strategy
    study = walk(PredictorGuided(Stub(), acquisition="mean", initial=1), LINE, 2, lambda a: math.pi)
    assert study.trials[1].architecture["x"] in (98, 99)


# --------------------------------------------------------------------------- the laws, where there are cells


class TestWithCells(StrategySuite):
    trials = 24

    @pytest.fixture(
        params=[Bananas("path", members=2, batch=10), Npenas(batch=20), PredictorGuided("graph", batch=20)],
        ids=["bananas", "npenas", "graph"],
    )
    def strategy(self, request) -> Strategy:
        return request.param

    @pytest.fixture
    def any_space(self) -> aw.Space:
        return CELLS

    @pytest.fixture
    def finite_space(self) -> aw.Space:
        return aw.Space(model=nn.Sequential(aw.cell(edge, nodes=2, name="cell")))
