from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from tests.strategies.helpers import add, distance

import archwright as aw
from archwright.strategies import Genetic, MapElites, MuPlusLambda, SimulatedAnnealing
from archwright.strategies._mutants import new_mutant
from archwright.trials import History, Objective

SPACE = aw.Space(**{name: aw.choice(0, 1, 2) for name in "wxyz"})
START = SPACE.canonical(dict.fromkeys("wxyz", 0))


def seen(*architectures):
    history = History(Objective("a"))
    for architecture in architectures:
        add(history, architecture, a=1.0)
    return history


def mutants(history, count=300):
    return [new_mutant(SPACE, history, START, np.random.default_rng(seed)) for seed in range(count)]


def test_it_is_the_mutant_of_the_space_where_nothing_was_seen():
    for seed, mutant in enumerate(mutants(seen(START))):
        assert mutant == SPACE.mutate(START, np.random.default_rng(seed))


def test_what_was_seen_is_passed_over():
    near = SPACE.neighbours(START)
    history = seen(START, *near[:4])
    found = Counter(mutants(history))
    one_away = {mutant for mutant in found if distance(mutant, START) == 1 and not history.seen(mutant)}
    assert one_away == set(near[4:])
    assert sum(found[mutant] for mutant in one_away) > 278  # all but 1 in 32 of 300


def test_where_all_neighbours_were_seen_it_goes_further():
    found = mutants(seen(START, *SPACE.neighbours(START)))
    distances = Counter(distance(mutant, START) for mutant in found)
    assert distances[2] > 200
    assert set(distances) <= {0, 1, 2, 3}


def test_where_everything_was_seen_it_gives_what_was_seen():
    history = seen(*SPACE.enumerate())
    assert all(mutant in SPACE for mutant in mutants(history, 20))
    single = aw.Space(only=aw.choice("this"))
    only = single.sample(np.random.default_rng(0))
    assert new_mutant(single, seen(only), only, np.random.default_rng(0)) == only


@pytest.mark.parametrize(
    "strategy",
    [SimulatedAnnealing(1e-9, period=999), MuPlusLambda(1, 1), MapElites(bins=1, initial=1), Genetic(1, elite=1)],
    ids=["annealing", "mu-plus-lambda", "map-elites", "genetic"],
)
def test_a_search_stays_near_a_peak_whose_neighbours_were_all_seen(strategy):
    space = aw.Space(**{f"e{i}": aw.choice(0, 1, 2) for i in range(12)})
    study = aw.Study(space, strategy=strategy, objective="max a")
    study.tell(study.ask(), {"a": 1.0})
    top = study.best.architecture
    for _ in range(80):
        trial = study.ask()
        assert distance(trial.architecture, top) <= 5  # a random one differs in 8
        study.tell(trial, {"a": 0.0})
