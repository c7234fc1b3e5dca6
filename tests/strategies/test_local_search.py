from __future__ import annotations

import itertools

import numpy as np
import pytest

import archwright as aw
from archwright.strategies import LocalSearch
from archwright.trials import History, Trial

LINE = aw.Space(x=aw.integer(0, 40))


def hills(x):
    """Two hills: a low one at 10 and a high one at 30."""
    return {"a": float(max(10 - abs(x - 10), 15 - abs(x - 30)))}


def climb(strategy, space, value, trials, seed=0):
    study = aw.Study(space, strategy=strategy, seed=seed, objective="max a")
    for _ in range(trials):
        trial = study.ask()
        study.tell(trial, value(trial.architecture["x"]))
    return study


@pytest.mark.parametrize("improvement", ["first", "best"])
def test_it_climbs_by_neighbours_to_the_top(improvement):
    for seed in range(5):
        study = climb(LocalSearch(improvement), LINE, lambda x: {"a": -float(abs(x - 20))}, 41, seed)
        visited = [trial.architecture["x"] for trial in study.trials]
        assert sorted(visited) == list(range(41))
        # It moves by halves of the way at least, and looks at 11 neighbours or fewer at a time.
        assert visited.index(20) <= 5 * 11


def test_it_climbs_a_long_line_in_logarithmic_time():
    space = aw.Space(x=aw.integer(0, 10**6))
    for seed in range(5):
        assert climb("local-search", space, lambda x: {"a": -abs(x - 650_000)}, 250, seed).best.metrics["a"] == 0


def test_every_proposal_is_a_neighbour_of_the_best_of_the_climb():
    study = climb("local-search", LINE, lambda x: {"a": float(x)}, 8, seed=1)
    best = study.trials[0].architecture["x"]
    for trial in study.trials[1:]:
        x = trial.architecture["x"]
        assert abs(x - best) in (1, 2, 4, 8, 16, 32) or best == 40
        best = max(best, x)


@pytest.mark.parametrize("improvement", ["first", "best"])
def test_it_starts_again_from_a_local_optimum(improvement):
    found = []
    for seed in range(10):
        study = climb(LocalSearch(improvement), LINE, hills, 35, seed)
        found.append(study.best.architecture["x"])
        visited = [trial.architecture["x"] for trial in study.trials]
        jumps = [b for a, b in itertools.pairwise(visited) if abs(a - b) > 4]
        assert jumps
    assert found.count(30) >= 9


def test_best_improvement_measures_all_neighbours_before_it_moves():
    space = aw.Space(**{f"e{i}": aw.ordinal(*range(5)) for i in range(4)})
    study = aw.Study(space, strategy=LocalSearch("best"), seed=2)
    while not study.trials or sum(study.trials[0].architecture.values()) != 8:  # a start in the middle
        study = aw.Study(space, strategy=LocalSearch("best"), seed=study.seed + 1)
        study.tell(study.ask(), 8)
    start = study.trials[0].architecture
    around = set(space.neighbours(start))
    for _ in around:
        trial = study.ask()
        study.tell(trial, sum(trial.architecture.values()))
    assert {trial.architecture for trial in study.trials[1:]} == around
    best = study.history.best
    assert best.metrics["value"] > 8
    assert study.ask().architecture in space.neighbours(best.architecture)


def test_first_improvement_moves_at_once():
    space = aw.Space(**{f"e{i}": aw.ordinal(*range(9)) for i in range(4)})
    study = aw.Study(space, strategy="local-search", seed=0)
    study.tell(study.ask(), 0.0)
    for score in range(1, 20):
        trial = study.ask()
        assert trial.architecture in space.neighbours(study.trials[-2].architecture)
        study.tell(trial, float(score))


def test_it_is_a_function_of_the_history():
    """A search that replays the whole history at once proposes what one that saw it grow proposes."""
    space = aw.Space(lr=aw.real(0.0, 1.0), units=aw.integer(1, 9), kind=aw.choice("a", "b", "c"))
    study = aw.Study(space, strategy="local-search", seed=3)
    for number in range(80):
        fresh = History(study.objective)
        for trial in study.trials:
            fresh.add(Trial(trial.number, trial.architecture, seed=trial.seed))
        for trial in study.history.finished:
            fresh.add(trial)
        rng = [np.random.default_rng([3, number]) for _ in range(2)]
        assert LocalSearch().propose(space, fresh, rng[0]) == study.strategy.propose(space, study.history, rng[1])
        trial = study.ask()
        study.tell(trial, ValueError("no") if number % 7 == 3 else trial.architecture["lr"])


def test_one_search_may_serve_two_studies():
    strategy = LocalSearch()
    alone = [t.architecture for t in climb(LocalSearch(), LINE, hills, 20, seed=1).trials]
    studies = [aw.Study(LINE, strategy=strategy, seed=seed, objective="max a") for seed in (1, 2)]
    for _ in range(20):
        for study in studies:
            trial = study.ask()
            study.tell(trial, hills(trial.architecture["x"]))
    assert [t.architecture for t in studies[0].trials] == alone


def test_failures_are_no_place_to_stand():
    study = climb("local-search", LINE, lambda x: {"a": float("nan")}, 20)
    assert {trial.state for trial in study.trials} == {"failed"}
