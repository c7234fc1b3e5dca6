"""Q-learning in a table."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import archwright as aw
from archwright.errors import StrategyError
from archwright.strategies import QLearning
from archwright.strategies._episode import moves
from archwright.strategies._qlearning import bellman, exploration_at, visits
from archwright.trials import History, Objective, Trial

FLAT = aw.Space(**{f"e{place}": aw.choice(*range(4)) for place in range(3)})
REWARDS = st.floats(-1, 1, allow_subnormal=False)


def table():
    return defaultdict(dict)


def told(space, scored, seed=0):
    history = History(Objective("a"))
    for number, (architecture, score) in enumerate(scored):
        history.add(Trial(number, architecture, seed=seed + number))
        history.add(Trial(number, architecture, "complete", {"a": score}, seed=seed + number))
    return history


def learnt(strategy, space, history):
    """The table after a history."""
    strategy.propose(space, history, np.random.default_rng(0))
    return strategy._agents[history].values


# ---------------------------------------------------------------------- the update


def test_the_bellman_update_by_hand():
    values = table()
    values[(0,)] = {0: 0.4}
    values[(1, 0)] = {0: 0.3, 1: 0.7}
    bellman(values, ((0,), 0, (1, 0)), 0.2, rate=0.25, discount=0.5)
    assert values[(0,)] == {0: pytest.approx(0.75 * 0.4 + 0.25 * (0.2 + 0.5 * 0.7))}
    bellman(values, ((1, 0), 1, None), 1.0, rate=0.1, discount=0.5)  # the end has no future
    assert values[(1, 0)][1] == pytest.approx(0.9 * 0.7 + 0.1 * 1.0)
    bellman(values, ((0,), 1, (9,)), 0.0, rate=0.5)  # what was never tried is worth a half
    assert values[(0,)][1] == pytest.approx(0.5 * 0.5 + 0.5 * 0.5)


@given(st.data())
def test_it_converges_to_the_values_of_value_iteration(data):
    """On any small problem with certain outcomes, Q-learning ends where iterating on the optimality equation does."""
    states, actions = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    discount = data.draw(st.sampled_from([0.0, 0.5, 0.8]))
    shape = (states, actions)
    rewards = np.array(data.draw(st.lists(REWARDS, min_size=states * actions, max_size=states * actions)))
    rewards = rewards.reshape(shape)
    following = np.array(
        data.draw(st.lists(st.integers(-1, states - 1), min_size=states * actions, max_size=states * actions))
    ).reshape(shape)
    best = np.zeros(states + 1)  # the last is the end, which -1 points to
    for _ in range(200):
        exact = rewards + discount * best[following]
        best[:-1] = exact.max(1)
    values = table()
    for _ in range(300):
        for state, action in np.ndindex(shape):
            after = int(following[state, action])
            visit = ((state,), action, None if after < 0 else (after,))
            bellman(values, visit, float(rewards[state, action]), rate=0.5, discount=discount)
    found = [[values[(state,)][action] for action in range(actions)] for state in range(states)]
    assert np.allclose(found, exact, atol=1e-6)


@given(st.lists(st.floats(0, 1, allow_subnormal=False), min_size=16, max_size=16))
def test_with_the_whole_past_as_state_it_finds_what_each_decision_can_still_lead_to(rewards):
    """Q of the first decision is the best reward among the architectures that begin with it."""
    space = aw.Space(first=aw.choice(*range(4)), second=aw.choice(*range(4)))
    architectures = list(space.enumerate())
    values = table()
    for _ in range(200):
        for architecture, reward in zip(architectures, rewards, strict=True):
            path = visits(moves(space, architecture), context=1)
            for visit in reversed(path):
                bellman(values, visit, reward if visit[2] is None else 0.0, rate=0.3)
    grid = np.reshape(rewards, (4, 4))
    assert [values[(0,)][first] for first in range(4)] == pytest.approx(list(grid.max(1)), abs=1e-6)
    for first in range(4):
        assert [values[(1, first)][second] for second in range(4)] == pytest.approx(list(grid[first]), abs=1e-6)


# ---------------------------------------------------------------------- states


def test_states_are_the_step_that_is_due_and_the_actions_before_it():
    path = moves(FLAT, FLAT.canonical({"e0": 3, "e1": 1, "e2": 2}))
    assert visits(path, 0) == [((0,), 3, (1,)), ((1,), 1, (2,)), ((2,), 2, None)]
    assert visits(path, 1) == [((0,), 3, (1, 3)), ((1, 3), 1, (2, 1)), ((2, 1), 2, None)]
    assert visits(path, 9) == [((0,), 3, (1, 3)), ((1, 3), 1, (2, 3, 1)), ((2, 3, 1), 2, None)]
    assert visits([], 1) == []


def test_decisions_that_another_opens_are_states_of_their_own():
    space = aw.Space(kind=aw.choice({"a": aw.choice(1, 2), "b": aw.choice(3, 4)}))
    a, b = ([visit[0] for visit in visits(moves(space, space.canonical(found)), 0)] for found in (A, B))
    assert a[0] == b[0]
    assert a[1] != b[1]


A, B = {"kind": "a", "kind.a": 1}, {"kind": "b", "kind.b": 3}


# ---------------------------------------------------------------------- rewards and exploration


def test_shaped_rewards_are_even_shares_of_one():
    """With rate 1, and the last step first, the value of the first decision is the reward of the whole episode."""
    architecture = FLAT.canonical({"e0": 3, "e1": 1, "e2": 2})
    values = learnt(QLearning(rate=1.0, replay=1), FLAT, told(FLAT, [(architecture, 7.0)]))
    reward = 0.5  # the only trial equals all there are
    assert values[(2,)] == {2: pytest.approx(reward / 3)}
    assert values[(1,)] == {1: pytest.approx(2 * reward / 3)}
    assert values[(0,)] == {3: pytest.approx(reward)}


@pytest.mark.parametrize("unit", [1.0, 1e300, 1e-300])
def test_rewards_are_the_share_that_is_beaten_and_know_no_scale(unit):
    architectures = [FLAT.canonical({"e0": value, "e1": 0, "e2": 0}) for value in range(4)]
    scores = [unit * score for score in (1.0, 3.0, 2.0, 2.0)]
    values = learnt(QLearning(rate=1.0, replay=1), FLAT, told(FLAT, zip(architectures, scores, strict=True)))
    at_the_time = [1 / 2, 3 / 4, 3 / 6, 4 / 8]
    ahead = [2 / 3 * reward for reward in at_the_time]  # of the two decisions that follow, when it was learnt
    found = [values[(0,)][value] for value in range(4)]
    assert found == pytest.approx([reward / 3 + more for reward, more in zip(at_the_time, ahead, strict=True)])


def test_epsilon_falls_evenly_and_stays():
    assert [exploration_at(n, 60, 0.1) for n in (0, 15, 30, 54, 60, 1000)] == pytest.approx(
        [1, 0.75, 0.5, 0.1, 0.1, 0.1]
    )


def test_without_exploration_it_proposes_the_greedy_architecture():
    strategy = QLearning(exploration=1, epsilon=0.0, context=1, replay=200, rate=0.5)
    space = aw.Space(first=aw.choice(*range(3)), second=aw.choice(*range(3)))
    architectures = list(space.enumerate())
    worth = dict(zip(architectures, (0, 5, 1, 2, 2, 9, 4, 3, 8), strict=True))
    held_back = space.canonical({"first": 1, "second": 2})  # the best, which the greedy way leads past
    history = told(space, [(a, float(worth[a])) for a in architectures if a != held_back])
    values = learnt(strategy, space, history)
    first = max(values[(0,)], key=values[(0,)].get)
    assert first == 2
    assert max(values[(1, 2)], key=values[(1, 2)].get) == 2
    # Everything else has been proposed, so the study's last architecture is the one that is left.
    assert strategy.propose(space, history, np.random.default_rng(0)) == held_back


def test_at_first_it_is_random_whatever_it_has_learnt():
    history = told(FLAT, [(FLAT.canonical({"e0": 0, "e1": 0, "e2": 0}), 1.0)])
    strategy = QLearning(exploration=10**6)
    found = {strategy.propose(FLAT, history, np.random.default_rng(seed)) for seed in range(200)}
    assert len(found) > 55  # of 63


def test_it_learns_to_propose_what_is_good():
    space = aw.Space(**{f"e{place}": aw.choice(*range(5)) for place in range(8)})
    worth = np.random.default_rng(7).normal(size=(8, 5))
    for seed in range(3):
        study = aw.Study(space, strategy="q-learning", seed=seed)
        for _ in range(150):
            trial = study.ask()
            study.tell(trial, sum(worth[place, value] for place, value in enumerate(trial.architecture.values())))
        scores = study.history.scores
        assert np.mean(scores[-30:]) > np.mean(scores[:20]) + 3  # random ones differ by about 3 from each other
        assert study.best.metrics["value"] > 4  # the best is 5.15; the best of 150 random ones is 3.3 at most


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exploration": 0}, "exploration is an integer of 1 or more, not 0"),
        ({"rate": 0.0}, "rate is a number above 0"),
        ({"discount": 2}, "discount is a number from 0 to 1"),
        ({"context": -1}, "context is an integer of 0 or more, not -1"),
        ({"context": True}, "context is an integer of 0 or more, not True"),
    ],
)
def test_settings_are_checked_at_once(options, message):
    with pytest.raises(StrategyError, match=message):
        QLearning(**options)
