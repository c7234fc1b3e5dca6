"""Decisions as actions, and architectures made step by step."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import archwright as aw
from archwright.strategies._actions import Actions
from archwright.strategies._episode import Episode, episode_layout, first_new, moves, retrace
from archwright.testing import random_spaces
from archwright.trials import History, Objective, Trial

LARGE = aw.Space(parts=aw.subset(*"abcdefgh", k=(2, 5)), depth=aw.integer(0, 2))
NUMBERS = st.floats(-1e3, 1e3, allow_subnormal=False).map(lambda x: float(f"{x:.4g}"))


def decided(decision):
    return aw.Space(it=decision).decisions["it"]


@st.composite
def decisions(draw):
    kind = draw(st.sampled_from(["choice", "ordinal", "integer", "log", "repeat", "subset", "real", "log real"]))
    if kind in ("choice", "ordinal"):
        labels = draw(st.lists(st.integers(-99, 99), min_size=1, max_size=40, unique=True))
        return decided(getattr(aw, kind)(*labels))
    if kind == "repeat":
        low = draw(st.integers(0, 20))
        return decided(aw.repeat(lambda _: aw.nn.Identity(), low, low + draw(st.integers(1, 20))))
    if kind == "subset":
        count = draw(st.integers(1, 9))
        low = draw(st.integers(0, count))
        return decided(aw.subset(*"abcdefghi"[:count], k=(low, draw(st.integers(max(low, 1), count)))))
    if kind in ("integer", "log"):
        low = draw(st.integers(1, 50))
        return decided(aw.integer(low, low + draw(st.integers(0, 10**6)), log=kind == "log"))
    low = draw(NUMBERS)
    if kind == "log real":
        low = abs(low) + 1e-3
        return decided(aw.real(low, low * draw(st.floats(1.5, 1e6)), log=True))
    return decided(aw.real(low, low + abs(low) / 10 + draw(st.floats(0.1, 1e4))))


def play(space, rng):
    episode = Episode(space)
    while episode.due is not None:
        episode.take(episode.draw(rng), rng)
    return episode


@given(decisions(), st.integers(0, 99))
def test_a_value_has_the_actions_that_stand_for_it(decision, seed):
    rng = np.random.default_rng(seed)
    actions = Actions(decision)
    for _ in range(5):
        value = decision.sample(rng)
        taken = actions.taken(value)
        assert len(taken) == actions.steps
        for place, action in enumerate(taken):
            assert 0 <= action < actions.count
            assert actions.weights(taken[:place])[action] > 0
        if actions.count == decision.size or actions.steps > 1:
            assert actions.value(taken) == value  # nothing is left open
        assert actions.taken(actions.value(taken, rng)) == taken
        assert actions.taken(actions.value(taken)) == taken


@given(decisions(), st.integers(0, 99))
def test_whatever_actions_are_allowed_make_a_value_that_stands_for_them(decision, seed):
    rng = np.random.default_rng(seed)
    actions = Actions(decision)
    taken = ()
    while len(taken) < actions.steps:
        weights = actions.weights(taken)
        assert weights.shape == (actions.count,)
        assert weights.sum() == pytest.approx(1)
        taken += (int(rng.choice(np.flatnonzero(weights))),)
    value = actions.value(taken, rng)
    assert decision.check(value) == value
    assert actions.taken(value) == taken


@pytest.mark.parametrize(
    "decision",
    [
        aw.integer(1, 13),
        aw.integer(0, 999),
        aw.integer(1, 64, log=True),
        aw.ordinal(*range(100, 60, -1)),
        aw.repeat(lambda _: aw.nn.Identity(), 3, 40),
    ],
    ids=repr,
)
def test_the_parts_of_a_range_hold_each_value_once(decision):
    decision = decided(decision)
    actions = Actions(decision)
    parts = [actions.taken(value)[0] for value in decision.values()]
    assert parts == sorted(parts)
    assert set(parts) == set(range(actions.count))  # no part is empty
    if not getattr(decision, "log", False):
        assert actions.count == 12
        sizes = np.bincount(parts)
        assert sizes.max() - sizes.min() <= 1


def test_an_action_of_many_values_draws_all_of_them():
    actions = Actions(decided(aw.integer(0, 35)))
    rng = np.random.default_rng(0)
    assert {actions.value((4,), rng) for _ in range(200)} == {12, 13, 14}


def test_a_large_subset_is_drawn_uniformly_option_by_option():
    decision = LARGE.decisions["parts"]
    actions = Actions(decision)
    assert actions.steps == 8
    for value in decision.values():
        taken = actions.taken(value)
        chance = math.prod(actions.weights(taken[:place])[action] for place, action in enumerate(taken))
        assert chance == pytest.approx(1 / decision.size)


def test_steps_that_leave_no_choice_are_not_asked():
    space = aw.Space(one=aw.choice("only"), parts=aw.subset(*"abcdefgh", k=4), two=aw.choice({"x": aw.choice(7)}))
    episode = Episode(space)
    for _ in range(4):
        episode.take(1)  # four of the eight are in, so the others are out
    assert episode.due is None
    assert episode.architecture == space.canonical({"one": "only", "parts": tuple("abcd"), "two": "x", "two.x": 7})
    assert Episode(aw.Space(only=aw.choice(1))).due is None


@given(random_spaces(networks=False, reals=True), st.integers(0, 99))
def test_an_episode_makes_an_architecture_of_the_space(space, seed):
    rng = np.random.default_rng(seed)
    for _ in range(3):
        episode = play(space, rng)
        architecture = episode.architecture
        assert space.canonical(architecture) == architecture
        assert list(architecture) == list(space.canonical(architecture))
        assert {move.step.name for move in episode.moves} <= set(architecture)  # nothing inactive was asked
        again = moves(space, architecture)
        assert [(m.step, m.action) for m in again] == [(m.step, m.action) for m in episode.moves]
        assert all((m.weights == n.weights).all() for m, n in zip(again, episode.moves, strict=True))


@given(random_spaces(networks=False, reals=True), st.integers(0, 99))
def test_any_architecture_is_retraced_whatever_the_order_of_its_decisions(space, seed):
    architecture = space.sample(np.random.default_rng(seed))
    shuffled = aw.Architecture(dict(list(architecture.items())[::-1]))
    episode = None
    for episode, action in retrace(space, shuffled):
        assert episode.weights[action] > 0
    assert episode is None or episode.architecture == architecture


@given(random_spaces(networks=False, reals=True), st.integers(0, 99))
def test_an_observation_tells_what_is_decided_and_what_is_due(space, seed):
    layout, rng = episode_layout(space), np.random.default_rng(seed)
    episode = Episode(space)
    seen = set()
    while episode.due is not None:
        observed = episode.observe()
        assert observed.shape == (layout.length,)
        assert ((observed >= 0) & (observed <= 1)).all()
        due = observed[layout.width + len(space.decisions) :]
        assert due.sum() == 1
        assert due[episode.due.number] == 1
        made = observed[layout.width : layout.width + len(space.decisions)]
        assert [name for name, one in zip(space.decisions, made, strict=True) if one] == [
            name for name in space.decisions if name in episode.values
        ]
        seen.add(observed.tobytes())
        episode.take(episode.draw(rng), rng)
    assert len(seen) == len(episode.moves)
    assert (episode.observe()[: layout.width] == space.encode(episode.architecture).astype(np.float32)).all()


def test_the_actions_of_all_steps_are_numbered_without_gaps():
    layout = episode_layout(LARGE)
    assert [step.number for step in layout.steps] == list(range(9))
    assert [step.first for step in layout.steps] == [*range(0, 16, 2), 16]
    assert (layout.total, layout.most) == (19, 3)


def test_the_first_new_candidate_is_taken_and_else_anything_that_is_left():
    space = aw.Space(x=aw.integer(0, 3))
    a = [aw.Architecture({"x": x}) for x in range(4)]
    history = History(Objective("a"))
    history.add(Trial(0, a[1]))
    history.add(Trial(1, a[3]))
    rng = np.random.default_rng(0)
    assert first_new([a[1], a[2], a[0]], space, history, rng) == a[2]
    assert {first_new([a[1], a[3]], space, history, rng)["x"] for _ in range(30)} == {0, 2}
    odd = aw.Space(x=aw.integer(0, 3), where=_odd)
    history = History(Objective("a"))
    assert first_new([a[0], a[2], a[3]], odd, history, rng) == a[3]
    assert {first_new([a[0]], odd, history, rng)["x"] for _ in range(30)} == {1, 3}


def _odd(architecture):
    return architecture["x"] % 2 == 1
