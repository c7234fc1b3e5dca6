"""A search by changes of a network, as an environment: layers are added, removed and changed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archwright as aw
from archwright import nn
from archwright.envs._edits import edits_of
from archwright.errors import ArchitectureError, EvaluationError, SpaceError, StrategyError
from archwright.testing import random_spaces

gymnasium = pytest.importorskip("gymnasium", reason="the environment needs archwright[rl]")
from gymnasium.utils.env_checker import check_env  # noqa: E402 - after it is known to be there
from tests.envs.test_env import CONSTRAINED, NESTED, SPACES, value  # noqa: E402

LAYERS = aw.Space(
    depth=aw.repeat(lambda i: nn.LazyLinear(aw.ordinal(8, 16, 32, name=f"width_{i}")), 1, 3, name="depth"),
    act=aw.choice("relu", "tanh", "elu", name="act"),
    parts=aw.subset("a", "b", "c", k=(0, 2), name="parts"),
    pair=aw.subset("x", "y", "z", k=2, name="pair"),
    rate=aw.real(1e-3, 1.0, log=True, name="rate"),
)


START = {"depth": 1, "width_0": 16, "act": "relu", "parts": ("a",), "pair": ("x", "y"), "rate": 0.1}


def edited(space=LAYERS, evaluate=value, **options):
    return aw.envs.make(space, evaluate, form="edit", **options)


def action(env, text):
    return env.edits.index(text)


def wander(env, rng, steps):
    """Take actions that there are; yield what came of each."""
    for _ in range(steps):
        yield env.step(int(rng.choice(np.flatnonzero(env.action_masks()))))


# ---------------------------------------------------------------------- what gymnasium asks for


@pytest.mark.parametrize("invalid", ["wrap", "end"])
@pytest.mark.parametrize("name", SPACES)
def test_gymnasium_finds_nothing_amiss(name, invalid, recwarn):
    for cache in (False, True):
        check_env(edited(SPACES[name], seed=3, invalid=invalid, cache=cache))
    assert [str(warning.message) for warning in recwarn] == []


@settings(max_examples=15)
@given(random_spaces(networks=False, reals=True))
def test_gymnasium_finds_nothing_amiss_in_any_space(space):
    if space.bound == 1:
        with pytest.raises(SpaceError, match="nothing to decide"):
            edited(space)
    else:
        check_env(edited(space))


def test_its_spec_makes_it_again():
    env = edited(
        steps=7,
        discount=0.5,
        start={"depth": 1, "width_0": 8, "act": "elu", "parts": (), "pair": ("x", "y"), "rate": 0.1},
    )
    again = env.spec.make().unwrapped
    assert again is not env
    assert (again.steps, again.discount, again.start) == (7, 0.5, env.start)
    assert again.history is not env.history


# ---------------------------------------------------------------------- the changes


def test_layers_are_added_removed_and_changed():
    env = edited(start=START, steps=100)
    env.reset()
    for text, changes in (
        ("add a layer to depth", {"depth": 2, "width_1": 8}),  # what comes to life takes its first value
        ("width_1: raise", {"width_1": 16}),
        ("add a layer to depth", {"depth": 3, "width_2": 8}),
        ("remove a layer from depth", {"depth": 2, "width_2": None}),
        ("width_0: lower", {"width_0": 8}),
        ("act: change to 'elu'", {"act": "elu"}),
        ("parts: put 'c' in or out", {"parts": ("a", "c")}),
        ("parts: put 'a' in or out", {"parts": ("c",)}),
        ("pair: put 'z' in and 'x' out", {"pair": ("y", "z")}),
    ):
        expected = {**env.architecture, **changes}
        _, _, _, _, info = env.step(action(env, text))
        assert info["architecture"] == env.architecture
        assert dict(env.architecture) == {name: made for name, made in expected.items() if made is not None}
    before = env.architecture["rate"]
    env.step(action(env, "rate: raise"))
    assert math.log(env.architecture["rate"] / before) == pytest.approx(math.log(1000) / 12, rel=1e-4)


def test_actions_that_there_are_not_are_masked():
    env = edited(start=START)
    _, info = env.reset()
    masked = {text for text, is_there in zip(env.edits, env.action_masks(), strict=True) if not is_there}
    assert info["action_mask"].dtype == np.int8
    assert info["action_mask"].tolist() == env.action_masks().tolist()
    assert masked == {
        "remove a layer from depth",
        *(f"width_{place}: {way}" for place in (1, 2) for way in ("raise", "lower")),
        "act: change to 'relu'",
        *(f"pair: put {one!r} in and {two!r} out" for one, two in (("x", "y"), ("y", "x"), ("x", "z"), ("y", "z"))),
    }


@settings(max_examples=40)
@given(random_spaces(networks=False, reals=True), st.integers(0, 2**32 - 1))
def test_a_change_leads_to_another_architecture_that_differs_in_one_decision(space, seed):
    architecture = space.sample(np.random.default_rng(seed))
    for edit in edits_of(space):
        after = edit.apply(space, architecture)
        if after is not None:
            assert after == space.canonical(after) != architecture
            differ = {name for name in after if name in architecture and after[name] != architecture[name]}
            assert differ == {edit.name}


@settings(max_examples=25)
@given(random_spaces(networks=False, reals=False), st.integers(0, 2**32 - 1))
def test_changes_lead_everywhere(space, seed):
    """From any architecture every other one can be reached."""
    if space.bound > 300 or any(decision.size > 12 for decision in space.decisions.values()):
        return
    edits = edits_of(space)
    found, left = set(), [space.sample(np.random.default_rng(seed))]
    while left:
        architecture = left.pop()
        if architecture not in found:
            found.add(architecture)
            left += [after for edit in edits if (after := edit.apply(space, architecture)) is not None]
    assert len(found) == sum(1 for _ in space.program.enumerate())


def test_another_action_stands_for_one_that_there_is_not_or_ends_the_episode():
    env = edited(start=START)
    env.reset()
    _, _, terminated, truncated, info = env.step(action(env, "remove a layer from depth"))
    assert info["invalid_action"]
    assert not terminated
    assert not truncated
    assert env.architecture != env.start
    env = edited(start=START, invalid="end", worst=-2.0)
    env.reset()
    before = value_of(env, START)
    _, reward, terminated, _, info = env.step(action(env, "remove a layer from depth"))
    assert terminated
    assert reward == pytest.approx(0.99 * -2.0 - before)
    assert info["architecture"] == env.start
    assert not env.action_masks().any()
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)


def value_of(env, architecture):
    return int(env.space.canonical(architecture).id, 16) % 1009 / 1009


# ---------------------------------------------------------------------- rewards


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 0.99, 0.5]), st.integers(1, 12))
def test_discounted_rewards_add_up_to_what_the_last_network_is_worth_less_the_first(seed, discount, steps):
    env = edited(discount=discount, steps=steps, seed=seed)
    env.reset()
    first = value_of(env, env.architecture)
    results = list(wander(env, np.random.default_rng(seed), steps))
    total = sum(discount**place * reward for place, (_, reward, *_) in enumerate(results))
    assert total == pytest.approx(discount**steps * value_of(env, env.architecture) - first)
    assert [truncated for _, _, _, truncated, _ in results] == [False] * (steps - 1) + [True]
    assert not any(terminated for _, _, terminated, _, _ in results)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)


def test_a_change_that_fails_is_taken_back():
    def evaluate(candidate):
        if candidate.architecture["act"] == "elu":
            raise ValueError("no such luck")
        return 1.0

    env = edited(evaluate=evaluate, start=START, worst=-3.0)
    first, _ = env.reset()
    seen, reward, _, truncated, info = env.step(action(env, "act: change to 'elu'"))
    assert reward == pytest.approx(0.99 * -3.0 - 1.0)
    assert not truncated
    assert "no such luck" in info["error"]
    assert info["architecture"]["act"] == "elu"
    assert env.architecture == env.start
    assert (seen[:-1] == first[:-1]).all()
    assert seen[-1] == pytest.approx(19 / 20)
    _, reward, _, _, _ = env.step(action(env, "act: change to 'tanh'"))
    assert reward == pytest.approx(0.99 - 1.0)
    assert [trial.state for trial in env.history.trials] == ["complete", "failed", "complete"]


def test_a_change_against_the_constraints_is_not_evaluated():
    seen = []

    def evaluate(candidate):
        seen.append(candidate.architecture)
        return 1.0

    env = edited(CONSTRAINED, evaluate, start={"width": 2, "depth": 19}, worst=0.0)
    env.reset()
    _, reward, _, _, info = env.step(action(env, "depth: raise"))
    assert "constraint" in info["error"]
    assert reward == -1.0
    assert env.architecture["depth"] == 19
    assert len(seen) == 1
    with pytest.raises(ArchitectureError, match="violates a constraint"):
        edited(CONSTRAINED, start={"width": 2, "depth": 20})


@pytest.mark.filterwarnings("ignore:the first evaluation failed")
def test_an_episode_may_begin_with_a_network_that_fails():
    outcomes = iter((math.nan, 2.0))
    env = edited(evaluate=lambda candidate: next(outcomes), start=START)
    seen, info = env.reset()
    assert "nan" in info["error"]
    assert seen[-2] == 0.0
    assert env.step(action(env, "act: change to 'elu'"))[1] == pytest.approx(0.99 * 2.0 + 1.0)


# ---------------------------------------------------------------------- observations


def test_the_state_holds_the_network_and_its_performance_in_training_and_validation():
    data = aw.data("digits")
    space = aw.Space(
        model=nn.Sequential(nn.Flatten(), nn.LazyLinear(aw.ordinal(4, 8, name="width")), nn.ReLU(), nn.LazyLinear(10))
    )
    env = edited(space, aw.Training(data, epochs=1), start={"width": 4}, steps=2, seed=0)
    assert env.observe == ("train_loss", "accuracy")
    seen, info = env.reset()
    assert seen[:2].tolist() == [0.0, 1.0]  # the width, and that there is one
    assert seen[2:].tolist() == pytest.approx([info["metrics"]["train_loss"], info["metrics"]["accuracy"], 1.0])
    after, reward, _, _, told = env.step(action(env, "width: raise"))
    assert after[:2].tolist() == [1.0, 1.0]
    assert after[2:].tolist() == pytest.approx([told["metrics"]["train_loss"], told["metrics"]["accuracy"], 0.5])
    assert reward == pytest.approx(0.99 * told["metrics"]["accuracy"] - info["metrics"]["accuracy"])


def test_what_is_observed_is_named_and_has_to_be_measured():
    def evaluate(candidate):
        return {"value": 1.0, "train": 0.5, "huge": math.inf}

    env = edited(evaluate=evaluate, observe=["train", "huge"], start=START)
    seen, _ = env.reset()
    assert seen[-3] == 0.5
    assert np.isfinite(seen).all()
    assert seen in env.observation_space
    with pytest.raises(EvaluationError, match=r"observe train_loss, but the metrics .* are: value, train, huge"):
        edited(evaluate=evaluate, observe=["train_loss"]).reset()


def test_decisions_that_the_network_has_no_use_for_are_zeros():
    env = edited(NESTED, start={"kind": "wide", "width": 2, "last": "y"})
    before, _ = env.reset()
    after, *_ = env.step(action(env, "kind: change to 'plain'"))
    width = env._layout.slots["width"]
    assert before[width].tolist() == [0.5]
    assert after[width].tolist() == [0.0]
    assert "width" not in env.architecture


# ---------------------------------------------------------------------- around


def test_episodes_begin_where_they_are_told_to():
    env = edited(seed=5)
    drawn = {env.reset()[1]["architecture"] for _ in range(10)}
    assert len(drawn) > 5
    assert env.reset(seed=1)[1]["architecture"] == env.reset(seed=1)[1]["architecture"]
    assert env.reset(options={"start": START})[1]["architecture"] == LAYERS.canonical(START)
    with pytest.raises(ArchitectureError, match="act"):
        env.reset(options={"start": {**START, "act": "swish"}})


def test_all_evaluations_are_on_record_and_the_best_can_be_read_off():
    env, rng = edited(seed=1, cache=True, steps=30), np.random.default_rng(1)
    env.reset()
    results = list(wander(env, rng, 30))
    values = [value_of(env, info["architecture"]) for *_, info in results]
    assert env.best.metrics["reward"] == pytest.approx(max([*values, env.history.trials[0].metrics["reward"]]))
    architectures = [trial.architecture for trial in env.history.trials]
    assert len(architectures) == len(set(architectures))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "walk"}, "form must be one of 'build', 'edit', not 'walk'"),
        ({"form": "build", "steps": 3}, "form='build' has no setting 'steps'; it has: reward, seed, invalid"),
        ({"form": "edit", "step": 3}, "form='edit' has no setting 'step'; it has: reward, start, steps"),
        ({"form": "edit", "steps": 0}, "steps must be an integer of 1 or more, not 0"),
        ({"form": "edit", "discount": 1.5}, "discount must be a number above 0 and at most 1, not 1.5"),
        ({"form": "edit", "invalid": "no"}, "invalid must be one of 'wrap', 'end', not 'no'"),
    ],
)
def test_settings_are_checked_at_once(options, message):
    with pytest.raises(StrategyError, match=message):
        aw.envs.make(LAYERS, value, **options)
