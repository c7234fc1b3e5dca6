"""Strategies for several objectives, and strategies for one in a search for several."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

import archwright as aw
from archwright import strategies
from archwright.errors import StrategyError
from archwright.strategies._mobo import _is_beaten
from archwright.strategies._nsga3 import directions
from archwright.strategies._survival import standing
from archwright.surrogates import expected_hypervolume_improvement, log_expected_hypervolume_improvement
from archwright.trials import Constraint, History, Objective, Trial, hypervolume, is_on_front

SPACE = aw.Space(**{f"d{i}": aw.ordinal(*range(5)) for i in range(6)})
AIMS = (Objective("good"), Objective("cost", False))
SEVERAL = [
    name
    for name in strategies.names()
    if strategies.create(name).multi_objective and name not in ("random", "grid", "llm")
]


def metrics(architecture):
    """A front that is known: what is spent on the first three digits is worth most, the other three only cost."""
    first, rest = [architecture[f"d{i}"] for i in range(3)], [architecture[f"d{i}"] for i in range(3, 6)]
    return {"good": float(sum(value**0.5 for value in first)), "cost": float(sum(first) + sum(rest))}


def regret(history):
    ideal = [metrics({f"d{i}": v for i, v in enumerate((*first, 0, 0, 0))}) for first in np.ndindex(5, 5, 5)]
    reference = (-0.1, -25.0)
    whole = hypervolume(np.array([(row["good"], -row["cost"]) for row in ideal]), reference)
    return 1 - hypervolume(np.array(history.points), reference) / whole


@functools.cache
def by_chance(trials, seed=0):
    """The regret of a random search."""
    return regret(run("random", trials, seed).history)


def run(strategy, trials, seed=0, **options):
    study = aw.Study(SPACE, strategy=strategy, objective=AIMS, seed=seed, **options)
    for _ in range(trials):
        trial = study.ask()
        study.tell(trial, metrics(trial.architecture))
    return study


@pytest.mark.parametrize("name", SEVERAL)
def test_each_finds_a_better_front_than_random_search(name):
    settings = {
        "mo-evolution": {"population": 20},
        "scalarised": {"strategy": "local-search"},
        "botorch": {"candidates": 40, "iterations": 5},
    }
    strategy = strategies.create(name, **settings.get(name, {}))
    trials, seeds = (30, 1) if name in ("mo-bo", "botorch") else (150, 2)
    theirs = [by_chance(trials, seed) for seed in range(seeds)]
    ours = [regret(run(strategy, trials, seed).history) for seed in range(seeds)]
    assert np.mean(ours) < 0.7 * np.mean(theirs)


@pytest.mark.parametrize("name", SEVERAL)
def test_proposals_follow_from_the_history_whatever_was_asked_before(name):
    settings = {"candidates": 50, "iterations": 5} if name == "botorch" else {}
    grown, history = strategies.create(name, **settings), History(AIMS, constraints=[Constraint("cost", 16)])
    rng = np.random.default_rng(0)
    for number in range(45):
        architecture = grown.propose(SPACE, history, np.random.default_rng([1, number]))
        assert architecture in SPACE
        trial = Trial(number, architecture, seed=number)
        history.add(trial)
        state = rng.choice(["complete", "complete", "failed", "pruned", "running"])
        found = metrics(architecture)
        if state == "complete" and found["cost"] > 16:
            state = "infeasible"
        if state != "running":
            history.add(replace(trial, state=str(state), metrics=found if state != "failed" else {}))
        if number % 20 == 19 or number == 44:
            fresh = strategies.create(name, **settings).propose(SPACE, history, np.random.default_rng(7))
            assert fresh == grown.propose(SPACE, history, np.random.default_rng(7))


@pytest.mark.parametrize("name", ["nsga2", "nsga3", "mo-evolution", "mo-local-search"])
def test_a_search_that_begins_among_the_infeasible_finds_its_way_out(name):
    study = run(name, 80, constraints=["cost <= 3"])
    assert len(study.history.infeasible) > 0
    kept = study.history.complete
    assert len(kept) >= 5  # 84 of 15,625: a random search meets none or one
    assert all(trial.metrics["cost"] <= 3 for trial in kept)


def test_the_infeasible_stand_behind_all_others_the_least_violation_first():
    history = History(AIMS, constraints=[Constraint("cost", 10)])
    rows = [("complete", 1.0, 9.0), ("infeasible", 9.0, 30.0), ("infeasible", 0.0, 11.0), ("complete", 0.5, 9.5)]
    trials = []
    for number, (state, good, cost) in enumerate(rows):
        trial = Trial(number, aw.Architecture({"x": number}))
        history.add(trial)
        trials.append(replace(trial, state=state, metrics={"good": good, "cost": cost}))
        history.add(trials[-1])
    assert standing(history, trials).order().tolist() == [0, 3, 2, 1]


def test_a_strategy_for_one_objective_works_from_all_directions():
    study = run("local-search", 200)
    settings = {"improvement": "first", "restart": "random"}
    assert study.strategy == strategies.create("scalarised", strategy="local-search", settings=settings)
    ours = [regret(study.history), *(regret(run("local-search", 200, seed).history) for seed in (1, 2))]
    assert np.mean(ours) < 0.6 * np.mean([by_chance(200, seed) for seed in range(3)])
    whole = run("tpe", 30)
    assert strategies.name_of(whole.strategy) == "scalarised"


def test_what_a_supernet_proposes_knows_one_objective():
    with pytest.raises(StrategyError, match="'nsga2'"):
        run("darts", 1)
    with pytest.raises(StrategyError, match="use it without scalarised"):
        strategies.create("scalarised", strategy="nsga2")


@pytest.mark.parametrize(("objectives", "divisions", "count"), [(2, 7, 8), (3, 4, 15), (1, None, 1), (2, None, 40)])
def test_directions_are_spread_over_the_simplex(objectives, divisions, count):
    found = directions(objectives, divisions)
    assert found.shape == (count, objectives)
    assert np.allclose(found.sum(axis=1), 1)
    assert len(np.unique(found, axis=0)) == count


def test_expected_hypervolume_improvement_is_that_of_many_draws():
    rng = np.random.default_rng(0)
    front = np.array([[0.0, 1.0], [0.5, 0.6], [1.0, 0.0]])
    reference = np.array([-0.5, -0.5])
    mean, deviation = rng.normal(size=(6, 2)), rng.uniform(0.1, 1, size=(6, 2))
    found = expected_hypervolume_improvement(mean, deviation, front, reference)
    before = hypervolume(front, reference)
    for place in range(6):
        draws = mean[place] + deviation[place] * rng.normal(size=(4000, 2))
        gains = [hypervolume(np.vstack([front, draw]), reference) - before for draw in draws]
        assert found[place] == pytest.approx(np.mean(gains), abs=4 * np.std(gains) / 4000**0.5 + 1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_logarithm_of_the_improvement_has_digits_where_the_improvement_has_none(seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(30, 2))
    front, reference = points[is_on_front(points)], points.min(axis=0) - 0.1
    mean, deviation = rng.normal(size=(200, 2)) - [[0.0, seed]], rng.uniform(0.05, 1, size=(200, 2))
    plain = expected_hypervolume_improvement(mean, deviation, front, reference)
    logarithm = log_expected_hypervolume_improvement(mean, deviation, front, reference)
    assert np.allclose(plain, np.exp(logarithm), rtol=1e-9, atol=1e-14)
    hopeless = np.array([[-60.0, -60.0], [-80.0, -60.0]]), np.full((2, 2), 0.5)
    assert expected_hypervolume_improvement(*hopeless, front, reference).tolist() == [0.0, 0.0]
    one, other = log_expected_hypervolume_improvement(*hopeless, front, reference)
    assert -np.inf < other < one < -5000


def test_the_improvement_on_nothing_is_the_product_of_two():
    mean, deviation = np.array([[0.3, -0.2]]), np.array([[0.5, 0.7]])
    z = mean / deviation
    single = deviation * (norm.pdf(z) + z * norm.cdf(z))
    found = log_expected_hypervolume_improvement(mean, deviation, np.zeros((0, 2)), np.zeros(2))
    assert np.exp(found[0]) == pytest.approx(single.prod())


def test_candidates_far_behind_a_front_are_told_from_those_that_may_join_it():
    rng = np.random.default_rng(0)
    for _ in range(50):
        points = rng.normal(size=(int(rng.integers(1, 12)), 2)).round(1)  # with ties
        front, others = points[is_on_front(points)], rng.normal(size=(40, 2)).round(1)
        expected = (front[None] >= others[:, None]).all(axis=2).any(axis=1)
        assert _is_beaten(others, front).tolist() == expected.tolist()


def test_three_objectives():
    aims = (*AIMS, Objective("third"))

    def measured(architecture):
        return {**metrics(architecture), "third": float(architecture["d5"])}

    for name in ("nsga3", "mo-bo", "scalarised"):
        study = aw.Study(SPACE, strategy=name, objective=aims, seed=0)
        for _ in range(16):
            trial = study.ask()
            study.tell(trial, measured(trial.architecture))
        assert len(study.front) > 3
