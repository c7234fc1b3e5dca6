from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.strategies.helpers import SPACE, add, architecture, distance, is_random, parents, told

import archwright as aw
from archwright.errors import StrategyError
from archwright.strategies import Genetic
from archwright.trials import History, Objective, Trial

COPIES = {"crossover_rate": 0.0, "mutation_rate": 0.0}  # a child is its mother; and since she was seen, one step away


def likely(counts, shares):
    """Whether counts may be draws with these probabilities."""
    total = sum(counts)
    return stats.chisquare(counts, [share * total for share in shares]).pvalue > 0.001


@pytest.mark.parametrize("sample", [1, 2, 3])
def test_a_tournament_is_won_by_the_best_of_the_sample(sample):
    n = 6
    history = told([3.0, 5.0, 1.0, 4.0, 0.0, 2.0])
    ranked = [1, 3, 0, 5, 2, 4]
    counts = parents(Genetic(n, sample=sample, **COPIES), history, count=3000)
    # Drawn with replacement: the best drawn has rank r if all draws are r or worse, and not all are worse.
    shares = [((n - r) / n) ** sample - ((n - r - 1) / n) ** sample for r in range(n)]
    assert likely([counts[place] for place in ranked], shares)


def test_truncation_leaves_the_best_and_makes_no_difference_among_them():
    history = told([3.0, 5.0, 1.0, 4.0, 0.0, 2.0])
    counts = parents(Genetic(6, "truncation", 3, **COPIES), history, count=1500)
    assert set(counts) == {1, 3, 0}
    assert likely(list(counts.values()), [1 / 3] * 3)
    assert set(parents(Genetic(6, "truncation", 99, **COPIES), history)) == set(range(6))
    lower = History(Objective("a", maximise=False))
    for place, score in enumerate([3.0, 5.0, 1.0]):
        add(lower, architecture(place), a=score)
    assert set(parents(Genetic(3, "truncation", 1, **COPIES), lower)) == {2}


def test_generations_change_when_they_are_whole():
    strategy = Genetic(3, "truncation", 99, elite=1, **COPIES)
    scores = [1.0, 2.0, 3.0, 9.0, 8.0, 0.0, 7.0, 7.5, 7.7, 5.0]
    living = [None] * 3 + [{0, 1, 2}] * 3 + [{2, 3, 4, 5}] * 3 + [{3, 6, 7, 8}] * 2
    for n, members in enumerate(living):
        history = told(scores[:n])
        if members is None:
            assert is_random(strategy, history)
        else:
            assert set(parents(strategy, history, 120)) == members


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(1, 6), st.integers(1, 4))
def test_the_elite_lives_on(scores, population, elite):
    strategy = Genetic(population, "truncation", 99, elite=elite, **COPIES)
    history = told([float(score) for score in scores])
    members = []
    for start in range(0, len(scores) - population + 1, population):
        best = sorted(members, key=lambda i: (-scores[i], i))[:elite]
        members = [*best, *range(start, start + population)]
    if members:
        assert set(parents(strategy, history, 30 * len(members))) == set(members)
    else:
        assert is_random(strategy, history)


def test_only_complete_trials_are_of_a_generation():
    history = told([1.0])
    for state in ("failed", "pruned", "infeasible"):
        add(history, architecture(7), state, a=9.0)
    history.add(Trial(len(history.trials), architecture(8)))
    assert is_random(Genetic(2), history)
    assert set(parents(Genetic(1, **COPIES), history)) == {0}


@pytest.mark.parametrize("kind", ["uniform", "one-point", "subtree"])
def test_the_share_of_children_with_two_parents(kind):
    history = told([1.0, 1.0])
    strategy = Genetic(2, sample=1, crossover=kind, crossover_rate=0.6, mutation_rate=0.0)
    mixed = 0
    for seed in range(1500):
        child = strategy.propose(SPACE, history, np.random.default_rng(seed))
        assert len(set(child.values()) - {0, 1}) <= 1  # a child that is its mother again is changed in one
        mixed += set(child.values()) == {0, 1}
    # Two parents in 0.6 of the cases, different ones in half of those; of 8 coins all fall alike once in 128.
    expected = 0.3 * (127 / 128 if kind == "uniform" else 1)
    assert mixed / 1500 == pytest.approx(expected, abs=0.04)


def test_each_decision_is_changed_with_the_probability_of_mutation():
    rate, history = 0.3, told([1.0])
    strategy = Genetic(1, crossover_rate=0.0, mutation_rate=rate)
    changed, places = Counter(), Counter()
    for seed in range(2000):
        child = strategy.propose(SPACE, history, np.random.default_rng(seed))
        different = [name for name, value in child.items() if value != 0]
        changed[len(different)] += 1
        places.update(different)
    binomial = stats.binom(8, rate).pmf(range(9))
    shares = [binomial[0] + binomial[1], *binomial[2:6], binomial[6:].sum()]  # nothing changed: one is changed
    assert changed[0] == 0
    assert likely([*(changed[k] for k in range(1, 6)), sum(changed[k] for k in range(6, 9))], shares)
    assert likely([places[name] for name in SPACE.decisions], [1 / 8] * 8)


def test_a_mutation_decides_what_it_brings_to_life_and_keeps_to_the_constraints():
    space = aw.Space(
        kind=aw.choice(
            {"none": None, "wide": aw.integer(3, 9, name="width"), "only": aw.choice(5, name="one")}, name="kind"
        ),
        depth=aw.integer(0, 9),
        where=lambda a: a.get("width", 3) + a["depth"] < 12,
    )
    for start in space.enumerate():
        history = History(Objective("a"))
        add(history, start, a=1.0)
        for seed in range(10):
            child = Genetic(1, mutation_rate=0.9, crossover_rate=0.0).propose(
                space, history, np.random.default_rng(seed)
            )
            assert child in space
            assert child != start


def test_constraints_that_refuse_every_mutant_leave_one_further_away():
    space = aw.Space(**{f"e{i}": aw.choice(0, 1) for i in range(9)}, where=lambda a: sum(a.values()) in (0, 9))
    history = History(Objective("a"))
    add(history, space.canonical(dict.fromkeys(space.decisions, 0)), a=1.0)
    child = Genetic(1, mutation_rate=0.1).propose(space, history, np.random.default_rng(0))
    assert set(child.values()) == {1}


def test_a_child_is_close_to_its_parents():
    history = told([1.0])
    for seed in range(50):
        child = Genetic(1, mutation_rate=0.0).propose(SPACE, history, np.random.default_rng(seed))
        assert distance(child, architecture(0)) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 0}, "population must be an integer of 1 or more"),
        ({"elite": 0}, "elite must be an integer of 1 or more"),
        ({"crossover_rate": 1.1}, "crossover_rate must be a number from 0 to 1, not 1.1"),
        ({"mutation_rate": True}, "mutation_rate must be a number from 0 to 1, not True"),
        ({"selection": "roulette"}, "selection must be one of 'tournament', 'truncation'"),
        ({"crossover": "two-point"}, "crossover must be one of 'uniform', 'one-point', 'subtree'"),
    ],
)
def test_settings_are_checked(options, message):
    with pytest.raises(StrategyError, match=message):
        Genetic(**options)
