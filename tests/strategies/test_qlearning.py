"""Q-learning in a table."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archwright as aw
from archwright.errors import StrategyError
from archwright.strategies import QLearning
from archwright.strategies._episode import moves, retrace
from archwright.strategies._qlearning import bellman, exploration_at, visits
from archwright.testing import random_spaces
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
    return strategy._states[history].values


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


# ---------------------------------------------------------------------- value iteration as the referee


def value_iteration(space, rewards, discount=1.0):
    """Q of the decision process that a space is, by iterating on Bellman's optimality equation until it stands still.

    A state is what has been decided; the reward of an architecture, 0 to 1, comes with its last decision.
    """
    transitions = {}
    for architecture, reward in rewards.items():
        state = ()
        path = [(episode.due.name, episode.due.option, action) for episode, action in retrace(space, architecture)]
        for place, step in enumerate(path):
            ends = place == len(path) - 1
            transitions[state, step] = (None, reward) if ends else ((*state, step), 0.0)
            state = (*state, step)
    values, before = {}, None
    while values != before:
        before = values
        best = {}
        for (state, _), value in values.items():
            best[state] = max(best.get(state, 0.0), value)
        values = {
            key: reward + (discount * best.get(after, 0.0) if after is not None else 0.0)
            for key, (after, reward) in transitions.items()
        }
    return values


def shares(scored):
    """What trials are worth: the share of all that each beats, and half of those that it equals."""
    scores = list(scored.values())
    return {
        architecture: sum((score > other) + (score == other) / 2 for other in scores) / len(scores)
        for architecture, score in scored.items()
    }


def q_of(values, space, architectures):
    """The table of the strategy, by what had been decided and the next action."""
    found = {}
    for architecture in architectures:
        state, context = (), ()
        for episode, action in retrace(space, architecture):
            step = (episode.due.name, episode.due.option, action)
            found[state, step] = values[(episode.due.number, *context)][action]
            state, context = (*state, step), (*context, action)
    return found


def test_with_all_nine_measured_the_first_decision_is_worth_the_best_that_follows():
    space = aw.Space(first=aw.choice(*range(3)), second=aw.choice(*range(3)))
    worth = dict(zip(space.enumerate(), (6.0, 9.0, 1.0, 8.0, 2.0, 3.0, 5.0, 4.0, 0.0), strict=True))
    values = learnt(QLearning(), space, told(space, worth.items()))
    assert [values[(0,)][first] for first in range(3)] == pytest.approx([8.5 / 9, 7.5 / 9, 5.5 / 9])
    for first in range(3):
        rewards = [shares(worth)[space.canonical({"first": first, "second": second})] for second in range(3)]
        assert [values[(1, first)][second] for second in range(3)] == pytest.approx(rewards)


@settings(max_examples=30)
@given(random_spaces(networks=False, reals=False), st.integers(0, 2**32 - 1), st.sampled_from([1.0, 0.9, 0.5]))
def test_with_everything_measured_it_has_the_values_of_value_iteration(space, seed, discount):
    rng = np.random.default_rng(seed)
    moved = {}  # of architectures that the same actions lead to, one: else no action has a certain outcome
    for _ in range(60):
        architecture = space.sample(rng)
        moved.setdefault(tuple((move.step.number, move.action) for move in moves(space, architecture)), architecture)
    scored = {architecture: float(rng.integers(20)) for architecture in moved.values()}
    strategy = QLearning(discount=discount)
    found = q_of(learnt(strategy, space, told(space, scored.items())), space, scored)
    expected = value_iteration(space, shares(scored), discount)
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected)


@settings(max_examples=10)
@given(st.lists(st.integers(0, 99), min_size=12, max_size=12), st.sampled_from([0.3, 0.5]))
def test_a_lower_rate_leads_to_the_same_values(scores, rate):
    space = aw.Space(kind=aw.choice({"a": aw.choice(*range(4)), "b": aw.choice(*range(4))}), last=aw.ordinal(1, 2))
    scored = dict(zip(itertools.islice(space.enumerate(), 12), map(float, scores), strict=True))
    found = q_of(learnt(QLearning(rate=rate, replay=1200), space, told(space, scored.items())), space, scored)
    assert found == pytest.approx(value_iteration(space, shares(scored)), abs=1e-6)


def test_what_was_never_met_is_decided_by_what_is_good_on_the_average():
    """The best of the averages is tried first in every state; what was learnt in the state counts from then on."""
    space = aw.Space(first=aw.choice(*range(4)), second=aw.choice(*range(6)))
    worth = {architecture: architecture["first"] + 10.0 * architecture["second"] for architecture in space.enumerate()}
    worth[space.canonical({"first": 3, "second": 0})] = 100.0
    kept = [architecture for architecture in worth if architecture["first"] < 3 or architecture["second"] == 0]
    history = told(space, [(architecture, worth[architecture]) for architecture in kept])
    strategy = QLearning(exploration=1, epsilon=0.0)
    proposed = [strategy.propose(space, history, np.random.default_rng(seed)) for seed in range(5)]
    assert set(proposed) == {space.canonical({"first": 3, "second": 5})}


# ---------------------------------------------------------------------- states


def test_states_are_the_step_that_is_due_and_the_actions_before_it():
    path = moves(FLAT, FLAT.canonical({"e0": 3, "e1": 1, "e2": 2}))
    assert visits(path, 0) == [((0,), 3, (1,)), ((1,), 1, (2,)), ((2,), 2, None)]
    assert visits(path, 1) == [((0,), 3, (1, 3)), ((1, 3), 1, (2, 1)), ((2, 1), 2, None)]
    assert visits(path, 9) == [((0,), 3, (1, 3)), ((1, 3), 1, (2, 3, 1)), ((2, 3, 1), 2, None)]
    assert visits(path, None) == visits(path, 9)
    assert visits([], 1) == []


def test_decisions_that_another_opens_are_states_of_their_own():
    space = aw.Space(kind=aw.choice({"a": aw.choice(1, 2), "b": aw.choice(3, 4)}))
    a, b = ([visit[0] for visit in visits(moves(space, space.canonical(found)), 0)] for found in (A, B))
    assert a[0] == b[0]
    assert a[1] != b[1]


A, B = {"kind": "a", "kind.a": 1}, {"kind": "b", "kind.b": 3}


# ---------------------------------------------------------------------- rewards and exploration


def test_the_reward_comes_with_the_last_step():
    """With rate 1, and the last step first, every decision is worth what the whole episode brought."""
    architecture = FLAT.canonical({"e0": 3, "e1": 1, "e2": 2})
    values = learnt(QLearning(replay=1), FLAT, told(FLAT, [(architecture, 7.0)]))
    assert values == {(0,): {3: 0.5}, (1, 3): {1: 0.5}, (2, 3, 1): {2: 0.5}}  # the only trial equals all there are
    discounted = learnt(QLearning(replay=1, discount=0.5), FLAT, told(FLAT, [(architecture, 7.0)]))
    assert discounted == {(0,): {3: 0.125}, (1, 3): {1: 0.25}, (2, 3, 1): {2: 0.5}}


def test_shaped_rewards_are_even_shares_of_one():
    """With rate 1, and the last step first, the value of the first decision is the reward of the whole episode."""
    architecture = FLAT.canonical({"e0": 3, "e1": 1, "e2": 2})
    values = learnt(QLearning(replay=1, context=0, shaped=True), FLAT, told(FLAT, [(architecture, 7.0)]))
    reward = 0.5
    assert values[(2,)] == {2: pytest.approx(reward / 3)}
    assert values[(1,)] == {1: pytest.approx(2 * reward / 3)}
    assert values[(0,)] == {3: pytest.approx(reward)}


@pytest.mark.parametrize("unit", [1.0, 1e300, 1e-300])
def test_rewards_are_the_share_that_is_beaten_and_know_no_scale(unit):
    architectures = [FLAT.canonical({"e0": value, "e1": 0, "e2": 0}) for value in range(4)]
    scores = [unit * score for score in (1.0, 3.0, 2.0, 2.0)]
    values = learnt(QLearning(replay=1), FLAT, told(FLAT, zip(architectures, scores, strict=True)))
    assert [values[(0,)][value] for value in range(4)] == [1 / 2, 3 / 4, 3 / 6, 4 / 8]  # when each was learnt


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
        ({"exploration": 0}, "exploration must be an integer of 1 or more, not 0"),
        ({"rate": 0.0}, "rate must be a number above 0"),
        ({"discount": 2}, "discount must be a number from 0 to 1"),
        ({"context": -1}, "context must be an integer of 0 or more, not -1"),
        ({"shaped": 1}, "shaped must be True or False, not 1"),
        ({"context": True}, "context must be an integer of 0 or more, not True"),
    ],
)
def test_settings_are_checked_at_once(options, message):
    with pytest.raises(StrategyError, match=message):
        QLearning(**options)
