from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies.helpers import SPACE, add, architecture, digit, distance, is_random, told

from archwright.errors import StrategyError
from archwright.strategies import SimulatedAnnealing
from archwright.trials import History, Objective, Trial


def stands(strategy, history):
    """Where the walk stands: the parent of the proposal."""
    return digit(strategy.propose(SPACE, history, np.random.default_rng(0)))


def share(strategy, scores, digit, count=2000):
    """The share of histories, alike but for the last trial's seed, after which the walk stands at a digit."""
    found = 0
    for seed in range(count):
        seeds = [0] * (len(scores) - 1) + [seed]
        found += stands(strategy, told(scores, seeds)) == digit
    return found / count


@pytest.mark.parametrize("temperature", [0.3, 0.7, 2.0])
def test_a_worse_neighbour_is_taken_with_the_probability_of_metropolis(temperature):
    # One difference so far, so the unit of the temperature is the loss itself.
    strategy = SimulatedAnnealing(temperature)
    assert share(strategy, [5.0, 2.0], digit=1) == pytest.approx(math.exp(-1 / temperature), abs=0.03)


def test_the_temperature_falls_and_its_unit_is_the_mean_difference():
    # 0 -> 4 is taken and cools by one factor; then the differences are 4 and 1, and the loss is 1.
    expected = math.exp(-1 / (0.8 * 0.5 * (4 + 1) / 2))
    assert share(SimulatedAnnealing(0.8, cooling=0.5), [0.0, 4.0, 3.0], digit=2) == pytest.approx(expected, abs=0.03)


def test_what_is_no_worse_is_always_taken():
    for seed in range(30):
        assert stands(SimulatedAnnealing(1e-9), told([1.0, 2.0], [0, seed])) == 1
        assert stands(SimulatedAnnealing(1e-9), told([1.0, 1.0], [0, seed])) == 1
        assert stands(SimulatedAnnealing(1e-9), told([1.0, 0.5], [0, seed])) == 0


def test_after_a_period_without_a_new_best_it_goes_back_to_the_best():
    hot = SimulatedAnnealing(1e12, period=3)
    assert [stands(hot, told([9.0, 3.0, 2.0, 1.0, 0.0][:n])) for n in range(1, 6)] == [0, 1, 2, 0, 4]
    # A new best begins another period.
    assert [stands(hot, told([5.0, 3.0, 2.0, 9.0, 1.0, 0.0, 0.5][:n])) for n in range(1, 8)] == [0, 1, 2, 3, 4, 5, 3]


def test_it_is_heated_again_then_and_not_by_a_new_best():
    cold = SimulatedAnnealing(1.0, cooling=1e-9, period=3)
    scores = [5.0, 4.0, 3.0, 4.0, 4.0]  # the fourth trial ends the period; the unit is (1 + 1 + 1 + 0) / 4
    assert share(cold, scores, digit=4) == pytest.approx(math.exp(-1 / 0.75), abs=0.03)
    scores = [5.0, 6.0, 5.0]  # a new best, and no heat
    assert share(cold, scores, digit=2, count=200) == 0


def walk(scores, seeds, temperature, cooling, period):
    """The rules once more, in the plainest way: the position of the walk after all trials."""
    current = best = cooled = stuck = 0
    for i in range(1, len(scores)):
        unit = sum(abs(b - a) for a, b in itertools.pairwise(scores[: i + 1])) / i
        heat = temperature * unit * cooling**cooled
        loss = scores[current] - scores[i]
        if loss <= 0 or (heat > 0 and np.random.default_rng([seeds[i], 1]).random() < math.exp(-loss / heat)):
            current = i
        cooled, stuck = cooled + 1, stuck + 1
        if scores[i] > scores[best]:
            best, stuck = i, 0
        elif stuck >= period:
            current, cooled, stuck = best, 0, 0
    return current


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2**31 - 1)), min_size=1, max_size=40),
    st.sampled_from([0.1, 0.5, 2.0]),
    st.sampled_from([0.5, 0.9]),
    st.integers(1, 9),
)
def test_the_walk_is_that_of_the_rules(trials, temperature, cooling, period):
    scores, seeds = [float(score) for score, _ in trials], [seed for _, seed in trials]
    strategy = SimulatedAnnealing(temperature, cooling, period)
    assert stands(strategy, told(scores, seeds)) == walk(scores, seeds, temperature, cooling, period)


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 2.0**40, 1e299])
def test_the_unit_of_the_metric_makes_no_difference(scale):
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 9, 50).astype(float)
    for n in range(1, 50, 7):
        grown = [scale * score for score in scores[:n]]
        assert stands(SimulatedAnnealing(), told(grown)) == stands(SimulatedAnnealing(), told(scores[:n]))


def test_scores_at_the_ends_of_what_a_float_holds_are_no_obstacle():
    scores = [-1.7e308, 1.7e308] * 10
    assert stands(SimulatedAnnealing(), told(scores)) in {i for i, score in enumerate(scores) if score > 0}


def test_where_all_are_equal_it_walks_on():
    for n in range(1, 10):
        assert stands(SimulatedAnnealing(period=100), told([0.5] * n)) == n - 1


def test_it_starts_at_random_and_only_complete_trials_count():
    history = History(Objective("a"))
    for state in ("failed", "pruned", "infeasible"):
        add(history, architecture(7), state, a=9.0)
    history.add(Trial(len(history.trials), architecture(8)))
    assert is_random(SimulatedAnnealing(), history)
    add(history, architecture(1), a=1.0)
    assert stands(SimulatedAnnealing(), history) == 1


def test_a_proposal_is_a_new_neighbour():
    history = told([1.0])
    for number in range(30):
        child = SimulatedAnnealing(1e-9, period=99).propose(SPACE, history, np.random.default_rng(number))
        assert distance(child, architecture(0)) == 1
        assert not history.seen(child)
        add(history, child, a=0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0}, "temperature must be a number above 0"),
        ({"cooling": 1}, "cooling must be a number between 0 and 1"),
        ({"cooling": 0.0}, "cooling must be a number between 0 and 1, not 0.0"),
        ({"cooling": "warm"}, "cooling must be a number between 0 and 1, not 'warm'"),
        ({"period": 0}, "period must be an integer of 1 or more"),
    ],
)
def test_settings_are_checked(options, message):
    with pytest.raises(StrategyError, match=message):
        SimulatedAnnealing(**options)
