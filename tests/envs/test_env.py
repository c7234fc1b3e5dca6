"""A search as an environment."""

from __future__ import annotations

import copy
import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archwright as aw
from archwright.envs import Reward
from archwright.errors import (
    ArchitectureError,
    EvaluationError,
    MissingExtra,
    ShapeError,
    SpaceError,
    StrategyError,
)
from archwright.testing import random_spaces

gymnasium = pytest.importorskip("gymnasium", reason="the environment needs archwright[rl]")
from gymnasium.utils.env_checker import check_env  # noqa: E402 - after it is known to be there

FLAT = aw.Space(shape=aw.choice("a", "b", "c"), width=aw.ordinal(1, 2, 4, 8), depth=aw.integer(0, 40))
NESTED = aw.Space(
    kind=aw.choice({"plain": 0, "wide": aw.integer(1, 3, name="width"), "deep": aw.ordinal(1, 2, name="depth")}),
    last=aw.choice("x", "y"),
)
REAL = aw.Space(rate=aw.real(1e-4, 1e-1, log=True), share=aw.real(-1.0, 1.0))
SUBSET = aw.Space(few=aw.subset("a", "b", "c", k=(0, 2)), many=aw.subset(*range(8), k=(2, 3)))
ONE = aw.Space(only=aw.choice("a", "b"))


def _low(architecture):
    return architecture["depth"] < 20


CONSTRAINED = aw.Space(width=aw.ordinal(1, 2, 4), depth=aw.integer(0, 40), where=_low)
NETWORK = aw.Space(
    model=aw.nn.Sequential(
        aw.nn.Flatten(), aw.nn.LazyLinear(aw.choice(4, 8)), aw.choice(aw.nn.ReLU(), aw.nn.Tanh()), aw.nn.LazyLinear(2)
    ),
    example_input=(1, 3, 3),
)
SPACES = {
    "flat": FLAT,
    "nested": NESTED,
    "real": REAL,
    "subset": SUBSET,
    "one": ONE,
    "constrained": CONSTRAINED,
    "network": NETWORK,
    "cells": aw.spaces.create("nasbench201"),
}


def value(candidate):
    """Some number between 0 and 1 that depends on the architecture alone."""
    return int(candidate.architecture.id, 16) % 1009 / 1009


def play(env, rng=None, *, seed=None):
    """Play an episode: any allowed action in each step. Return its last step, and the actions."""
    rng = rng or np.random.default_rng(0)
    _, info = env.reset(seed=seed)
    actions = []
    while True:
        actions.append(int(rng.choice(np.flatnonzero(info["action_mask"]))))
        observation, reward, terminated, truncated, info = env.step(actions[-1])
        assert not truncated
        if terminated:
            return observation, reward, info, actions
        assert reward == 0.0


# ---------------------------------------------------------------------- what gymnasium asks for


@pytest.mark.parametrize("invalid", ["wrap", "end"])
@pytest.mark.parametrize("name", SPACES)
def test_gymnasium_finds_nothing_amiss(name, invalid, recwarn):
    for cache in (False, True):
        check_env(aw.envs.make(SPACES[name], value, seed=3, invalid=invalid, cache=cache))
    assert [str(warning.message) for warning in recwarn] == []


@settings(max_examples=15)
@given(random_spaces(networks=False, reals=True))
def test_gymnasium_finds_nothing_amiss_in_any_space(space):
    if space.bound == 1:
        with pytest.raises(SpaceError, match="nothing to decide"):
            aw.envs.make(space, value)
    else:
        check_env(aw.envs.make(space, value))


def test_its_spec_makes_it_again():
    env = aw.envs.make(NESTED, value, worst=-7.0)
    again = env.spec.make().unwrapped
    assert again is not env
    assert again.space is NESTED
    assert again.worst == -7.0
    assert again.history is not env.history


def test_the_room_loads_neither_gymnasium_nor_torch():
    program = (
        "import sys, archwright as aw; aw.envs.Reward; "
        "env = 'gymnasium' in sys.modules or 'torch' in sys.modules; "
        "aw.envs.make(aw.Space(x=aw.choice(1, 2)), lambda c: 1.0); print(env, 'torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]


def test_without_gymnasium_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    monkeypatch.delitem(sys.modules, "archwright.envs._env")
    with pytest.raises(MissingExtra, match=r"pip install 'archwright\[rl\]'"):
        aw.envs.make(FLAT, value)
    with pytest.raises(MissingExtra):
        aw.envs.SearchEnv


def test_vectors_of_environments_take_it():
    envs = gymnasium.vector.SyncVectorEnv([lambda seed=seed: aw.envs.make(NESTED, value, seed=seed) for seed in (0, 1)])
    envs.reset(seed=0)
    ended = 0
    for _ in range(12):
        _, rewards, terminated, _, info = envs.step(envs.action_space.sample())
        assert info["action_mask"].shape == (2, 3)
        assert (rewards[~terminated] == 0).all()
        ended += int(terminated.sum())
    assert ended >= 4


# ---------------------------------------------------------------------- episodes


@settings(max_examples=25)
@given(random_spaces(networks=False, reals=True).filter(lambda space: space.bound > 1), st.integers(0, 99))
def test_an_episode_is_an_architecture_and_the_mask_allows_what_leads_to_one(space, seed):
    env, rng = aw.envs.make(space, value, seed=seed), np.random.default_rng(seed)
    observation, info = env.reset()
    while True:
        due, mask = env.due, env.action_masks()
        assert observation in env.observation_space
        assert mask.dtype == bool
        assert info["action_mask"].tolist() == mask.tolist()
        assert mask.sum() > 1  # there is something to decide
        name = due
        observation, reward, terminated, _, info = env.step(int(rng.choice(np.flatnonzero(mask))))
        assert "invalid_action" not in info
        if terminated:
            break
        assert name in env._episode.values or env.due == name  # the options of a large subset come one by one
    architecture = info["architecture"]
    assert architecture in space
    assert name in architecture
    assert reward == info["metrics"]["value"] == int(architecture.id, 16) % 1009 / 1009
    assert not env.action_masks().any()
    assert env.due is None


@pytest.mark.parametrize("name", ["nested", "subset", "flat"])
def test_the_allowed_actions_reach_every_architecture(name):
    space = SPACES[name]
    env = aw.envs.make(space, value)
    found = set()
    rng = np.random.default_rng(0)
    for _ in range(int(space.size) * 7):
        found.add(play(env, rng)[2]["architecture"])
    assert len(found) > 0.9 * space.size  # the last ones take long to meet


def test_one_seed_gives_one_episode():
    """Values drawn from a range, and the seed of the evaluation, follow from the seed that reset is given."""
    seeds = []

    def evaluate(candidate):
        seeds.append(candidate.seed)
        return candidate.architecture["rate"]

    env = aw.envs.make(REAL, evaluate)
    first = [play(env, seed=4)[2]["architecture"], play(env)[2]["architecture"]]
    again = [play(env, seed=4)[2]["architecture"], play(env)[2]["architecture"]]
    other = play(env, seed=5)[2]["architecture"]
    assert first == again
    assert first[0] != first[1]
    assert other != first[0]
    assert seeds[:2] == seeds[2:4]
    assert len(set(seeds)) == 3


def test_the_seed_that_it_is_made_with_holds_until_the_first_reset_with_one():
    found = [play(aw.envs.make(REAL, lambda c: c.architecture["rate"], seed=seed))[1] for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


def test_copies_go_their_own_way():
    env = aw.envs.make(NESTED, value, seed=0)
    env.reset()
    twin = copy.deepcopy(env)
    assert play(twin)[1] == play(env)[1]
    assert len(env.history.trials) == len(twin.history.trials) == 1


# ---------------------------------------------------------------------- actions that there are not


def test_wrapped_actions_count_from_the_first_again():
    env = aw.envs.make(NESTED, value)
    env.reset()
    _, _, _, _, info = env.step(2)
    assert "invalid_action" not in info
    assert info["action_mask"].tolist() == [1, 1, 0]
    _, _, terminated, _, info = env.step(2)  # the third of two: the first
    assert info["invalid_action"]
    assert not terminated
    info = env.step(1)[4]
    assert dict(info["architecture"]) == {"kind": "deep", "depth": 1, "last": "y"}


def test_or_they_end_the_episode():
    env = aw.envs.make(NESTED, value, invalid="end", worst=-2.5)
    env.reset()
    env.step(2)
    observation, reward, terminated, truncated, info = env.step(2)
    assert (reward, terminated, truncated) == (-2.5, True, False)
    assert info["invalid_action"]
    assert "architecture" not in info
    assert observation in env.observation_space
    assert not env.history.trials  # nothing was evaluated
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)


def test_what_is_no_action_at_all_is_an_error():
    env = aw.envs.make(NESTED, value)
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        env.step(0)
    env.reset()
    for action in (-1, 3):
        with pytest.raises(ArchitectureError, match=f"from 0 to 2, not {action}"):
            env.step(action)


# ---------------------------------------------------------------------- rewards


def test_weights_and_penalties_add_up():
    metrics = {"accuracy": 0.9, "loss": 0.5, "parameters": 150.0, "flops": 90.0}
    weights = {"accuracy": 2.0, "loss": -0.1}
    assert Reward()(metrics) == 0.9
    assert Reward(weights)(metrics) == pytest.approx(1.8 - 0.05)
    limits = {"parameters": (100.0, 0.4), "flops": (100.0, 7.0)}
    assert Reward(weights, limits)(metrics) == pytest.approx(1.75 - 0.4 * 0.5)  # flops are within their limit
    assert Reward(weights, limits, form="hard")(metrics) == pytest.approx(1.75 * 1.5**-0.4)
    assert Reward(weights, limits, form="soft")(metrics) == pytest.approx(1.75 * 1.5**-0.4 * 0.9**-7.0)


def test_the_products_are_those_of_mnasnet():
    """ACC x (LAT / T) ** w, with w = -0.07 on both sides of T, or 0 below and -1 above."""
    for latency in (20.0, 80.0, 160.0):
        metrics = {"accuracy": 0.7, "latency_ms": latency}
        soft = Reward(penalties={"latency_ms": (80.0, 0.07)}, form="soft")
        hard = Reward(penalties={"latency_ms": (80.0, 1.0)}, form="hard")
        assert soft(metrics) == pytest.approx(0.7 * (latency / 80) ** -0.07)
        assert hard(metrics) == pytest.approx(0.7 if latency <= 80 else 0.7 * 80 / latency)


@given(
    st.floats(-10, 10, allow_subnormal=False),
    st.floats(1e-3, 1e6),  # MnasNet's product has no value for a cost of 0
    st.floats(1e-3, 1e6),
    st.floats(0.01, 3),
    st.sampled_from(["linear", "hard", "soft"]),
)
def test_more_cost_is_never_better(accuracy, cost, more, weight, form):
    reward = Reward(penalties={"cost": (100.0, weight)}, form=form)
    low, high = (reward({"accuracy": accuracy, "cost": each}) for each in sorted((cost, more)))
    assert high <= low + 1e-9 * abs(low)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights": {}}, "needs a metric"),
        ({"weights": {"accuracy": math.nan}}, "'accuracy' is a finite number"),
        ({"penalties": {"flops": (0, 1)}}, "two numbers above 0, not"),
        ({"penalties": {"flops": 100}}, "two numbers above 0, not 100"),
        ({"form": "cubic"}, "one of 'linear', 'hard', 'soft', not 'cubic'"),
    ],
)
def test_rewards_are_checked_at_once(settings, message):
    with pytest.raises(EvaluationError, match=message):
        Reward(**settings)


def test_a_metric_that_was_not_measured_is_an_error_and_not_a_failed_evaluation():
    env = aw.envs.make(ONE, lambda c: {"loss": 1.0}, reward=Reward())
    env.reset()
    with pytest.raises(EvaluationError, match="asks for 'accuracy', but the metrics that came are: loss"):
        env.step(0)


def test_the_reward_is_what_one_asks_for_and_the_objective_when_one_does_not():
    def evaluate(candidate):
        return {"loss": 2.0, "value": 0.25}

    class Loss(aw.Evaluator):
        objective = "min loss"

        def evaluate(self, candidate):
            return evaluate(candidate)

    assert play(aw.envs.make(ONE, evaluate))[1] == 0.25
    assert play(aw.envs.make(ONE, Loss()))[1] == -2.0
    assert play(aw.envs.make(ONE, evaluate, reward=Reward({"loss": -0.5})))[1] == -1.0
    _, reward, info, _ = play(aw.envs.make(ONE, evaluate, reward=lambda metrics: 10 * metrics["value"]))
    assert reward == 2.5
    assert info["metrics"] == {"loss": 2.0, "value": 0.25, "reward": 2.5}


# ---------------------------------------------------------------------- what goes wrong


def _raise(candidate):
    raise ValueError("no such luck")


@pytest.mark.filterwarnings("ignore:the first evaluation failed")
@pytest.mark.parametrize(
    ("evaluate", "error"),
    [
        (_raise, "ValueError: no such luck"),
        (lambda c: math.nan, "the objective 'reward' is nan"),
        (lambda c: "x", "returned 'x'"),
    ],
)
def test_evaluations_that_fail_have_the_worst_reward(evaluate, error):
    env = aw.envs.make(ONE, evaluate, worst=-3.0)
    _, reward, info, _ = play(env)
    assert reward == -3.0
    assert error in info["error"]
    (trial,) = env.history.trials
    assert trial.state == "failed"
    assert error in trial.error
    assert env.best is None


def test_a_first_failure_is_not_passed_over_in_silence():
    outcomes = iter(("x", "x", 1.0))
    env = aw.envs.make(ONE, lambda c: next(outcomes))
    with pytest.warns(UserWarning, match=r"first evaluation failed: .*returned 'x'"):
        play(env)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        play(env)
        play(env)


def test_rewards_are_never_below_the_worst():
    scores = iter((-50.0, -1.0))
    env = aw.envs.make(ONE, lambda c: next(scores), worst=-3.0)
    assert [play(env)[1], play(env)[1]] == [-3.0, -1.0]
    assert env.best.metrics == {"value": -1.0, "reward": -1.0}


@pytest.mark.filterwarnings("ignore:the first evaluation failed")
def test_without_a_worst_reward_a_failure_is_as_bad_as_the_worst_so_far():
    outcomes = iter((math.nan, 4.0, math.nan, -50.0, math.nan))
    env = aw.envs.make(ONE, lambda c: next(outcomes))
    assert [play(env)[1] for _ in range(5)] == [-1.0, 4.0, -1.0, -50.0, -50.0]


def test_an_architecture_against_the_constraints_is_not_evaluated():
    seen = []

    def evaluate(candidate):
        seen.append(candidate.architecture)
        return 1.0

    env = aw.envs.make(CONSTRAINED, evaluate, worst=-2.0, seed=0)
    rng = np.random.default_rng(0)
    for _ in range(30):
        _, reward, info, _ = play(env, rng)
        held = info["architecture"]["depth"] < 20
        assert reward == (1.0 if held else -2.0)
        assert ("error" in info) is not held
        assert env.history.trials[-1].state == ("complete" if held else "infeasible")
    assert all(architecture["depth"] < 20 for architecture in seen)
    assert 0 < len(seen) < 30


def test_what_stops_the_program_stops_it():
    def stopped(candidate):
        raise KeyboardInterrupt

    env = aw.envs.make(ONE, stopped)
    env.reset()
    with pytest.raises(KeyboardInterrupt):
        env.step(0)


# ---------------------------------------------------------------------- the record


def test_all_evaluations_are_on_record_and_the_best_can_be_read_off():
    env = aw.envs.make(NESTED, value, seed=1)
    rng = np.random.default_rng(1)
    rewards = [play(env, rng)[1] for _ in range(25)]
    assert [trial.metrics["reward"] for trial in env.history.complete] == rewards
    assert [trial.number for trial in env.history.trials] == list(range(25))
    assert env.best.metrics["reward"] == max(rewards)
    assert env.best.architecture in NESTED
    assert all(trial.seconds >= 0 for trial in env.history.trials)


@pytest.mark.filterwarnings("ignore:the first evaluation failed")
def test_with_a_cache_nothing_is_evaluated_twice():
    count = []

    def evaluate(candidate):
        count.append(candidate.architecture)
        return math.nan if candidate.architecture["last"] == "x" else value(candidate)

    for cache in (False, True):
        count.clear()
        env, rng = aw.envs.make(NESTED, evaluate, cache=cache, worst=-9.0), np.random.default_rng(0)
        results = [play(env, rng) for _ in range(60)]
        assert len(count) == len(env.history.trials) == (len(set(count)) if cache else 60)
        assert len(set(count)) == NESTED.size
        for _, reward, info, _ in results:
            architecture = info["architecture"]
            assert reward == (-9.0 if architecture["last"] == "x" else int(architecture.id, 16) % 1009 / 1009)


def test_a_candidate_is_what_a_search_would_give():
    seen = []

    def evaluate(candidate):
        seen.append(candidate)
        return sum(parameter.numel() for parameter in candidate.model.parameters())

    env = aw.envs.make(NETWORK, evaluate)
    _, reward, info, _ = play(env)
    (candidate,) = seen
    assert candidate.architecture == info["architecture"]
    assert candidate.seed == env.history.trials[0].seed
    assert reward == {4: 50, 8: 98}[candidate.architecture["model.1.out_features"]]


# ---------------------------------------------------------------------- what is refused


class _Picky(aw.Evaluator):
    settings = frozenset({"optimizer"})
    example_input = aw.TensorSpec((1, 5, 5))

    def evaluate(self, candidate):
        return {"value": 1.0}


def test_what_cannot_work_is_refused_at_once():
    with pytest.raises(SpaceError, match="nothing to decide"):
        aw.envs.make(aw.Space(only=aw.choice("a")), value)
    with pytest.raises(SpaceError, match="does not understand: kind, last"):
        aw.envs.make(NESTED, _Picky())
    narrow = aw.Space(model=aw.nn.Sequential(aw.nn.Linear(aw.choice(3, 4), 2)))
    with pytest.raises(ShapeError):
        aw.envs.make(narrow, _Picky())
    with pytest.raises(EvaluationError, match="an evaluator is"):
        aw.envs.make(NESTED, 3)
    with pytest.raises(StrategyError, match="invalid must be one of 'wrap', 'end', not 'ignore'"):
        aw.envs.make(NESTED, value, invalid="ignore")
    with pytest.raises(StrategyError, match="worst is a finite number, not nan"):
        aw.envs.make(NESTED, value, worst=math.nan)
