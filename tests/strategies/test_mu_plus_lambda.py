from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.strategies.helpers import SPACE, add, architecture, distance, is_random, parents, told

from archwright.errors import StrategyError
from archwright.strategies import MuPlusLambda
from archwright.trials import History, Objective, Trial


def test_the_parents_are_the_best_of_all_and_change_when_the_children_are_complete():
    strategy = MuPlusLambda(2, 3)
    scores = [4.0, 1.0, 5.0, 6.0, 0.0, 9.0, 2.0, 3.0, 8.0]
    living = [None, None, {0, 1}, {0, 1}, {0, 1}, {2, 3}, {2, 3}, {2, 3}, {3, 5}, {3, 5}]
    for n, members in enumerate(living):
        history = told(scores[:n])
        if members is None:
            assert is_random(strategy, history)
        else:
            assert set(parents(strategy, history, 60)) == members


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.integers(1, 5), st.integers(1, 6))
def test_the_parents_are_the_best_mu_at_each_boundary(scores, mu, children):
    history = told([float(score) for score in scores])
    strategy = MuPlusLambda(mu, children)
    known = mu
    while known + children <= len(scores):
        known += children
    if len(scores) < mu:
        assert is_random(strategy, history)
    else:
        best = sorted(range(known), key=lambda i: (-scores[i], i))[:mu]  # of equals the first
        assert set(parents(strategy, history, 25 * mu)) == set(best)


def test_each_parent_is_as_likely_and_children_are_one_mutation_away():
    counts = parents(MuPlusLambda(4, 2), told([1.0, 2.0, 3.0, 4.0]), 1200)
    assert stats.chisquare([counts[place] for place in range(4)]).pvalue > 0.001
    for seed in range(50):
        child = MuPlusLambda(1, 1).propose(SPACE, told([1.0]), np.random.default_rng(seed))
        assert distance(child, architecture(0)) == 1


def test_the_best_is_never_lost():
    assert set(parents(MuPlusLambda(1, 1), told([9.0] + [1.0] * 30))) == {0}
    lower = History(Objective("a", maximise=False))
    for place in range(9):
        add(lower, architecture(place), a=float(place))
    assert set(parents(MuPlusLambda(2, 1), lower)) == {0, 1}


def test_only_complete_trials_count():
    history = told([1.0])
    for state in ("failed", "pruned", "infeasible"):
        add(history, architecture(7), state, a=9.0)
    history.add(Trial(len(history.trials), architecture(8)))
    assert is_random(MuPlusLambda(2, 1), history)
    add(history, architecture(1), a=0.5)
    assert set(parents(MuPlusLambda(2, 1), history)) == {0, 1}


def test_a_history_may_come_in_any_pieces():
    scores = [float(score) for score in np.random.default_rng(0).integers(0, 99, 40)]
    for step in (1, 4, 13):
        strategy, history = MuPlusLambda(3, 5), History(Objective("a"))
        for place, score in enumerate(scores):
            add(history, architecture(place), a=score)
            if place % step == 0:
                seen = strategy.propose(SPACE, history, np.random.default_rng(place))
                fresh = MuPlusLambda(3, 5).propose(SPACE, told(scores[: place + 1]), np.random.default_rng(place))
                assert seen == fresh


@pytest.mark.parametrize("options", [{"parents": 0}, {"children": 1.5}])
def test_settings_are_checked(options):
    with pytest.raises(StrategyError, match="must be an integer of 1 or more"):
        MuPlusLambda(**options)
