"""Decisions of one space as decisions of another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import archwright as aw
from archwright import nn
from archwright.transfer import match

OLD = aw.Space(
    width=aw.ordinal(8, 16, 32),
    depth=aw.integer(1, 9),
    rate=aw.real(1e-4, 1e-1, log=True),
    activation=aw.choice("relu", "gelu"),
    blocks=aw.subset("a", "b", "c", k=(1, 3)),
)
NEW = aw.Space(
    width=aw.ordinal(16, 32, 64),
    depth=aw.integer(2, 6, step=2),
    rate=aw.real(1e-3, 1.0, log=True),
    activation=aw.choice("gelu", "silu"),
    blocks=aw.subset("b", "c", "d", k=(1, 2)),
)


@given(seed=st.integers(0, 10**6))
def test_a_space_matches_itself(seed):
    architecture = OLD.sample(np.random.default_rng(seed))
    matching = match(OLD, OLD)
    assert matching.apply(architecture) == architecture
    assert matching.told == ""


@given(seed=st.integers(0, 10**6))
def test_values_become_the_nearest_that_are_allowed(seed):
    one = OLD.sample(np.random.default_rng(seed))
    other = match(OLD, NEW).apply(one)
    assert other in NEW
    assert other == match(OLD, NEW).apply(one)
    assert other["width"] == max(16, one["width"])
    assert abs(other["depth"] - min(max(one["depth"], 2), 6)) <= 1
    assert other["rate"] == pytest.approx(max(one["rate"], 1e-3))
    if one["activation"] == "gelu":
        assert other["activation"] == "gelu"
    kept = [label for label in one["blocks"] if label != "a"]
    if 1 <= len(kept) <= 2:
        assert list(other["blocks"]) == kept


def test_decisions_that_moved_are_found_by_the_last_part_of_their_path():
    def network(*before):
        return aw.Space(model=nn.Sequential(*before, nn.LazyConv2d(8, aw.choice(1, 3, 5)), nn.ReLU()))

    old, new = network(), network(nn.Identity(), nn.Identity())
    (before,), (after,) = old.decisions, new.decisions
    assert before != after
    assert match(old, new).pairs == {after: before}


def test_what_does_not_match_is_said_in_one_line():
    new = aw.Space(width=aw.ordinal(16, 32), activation=aw.choice("tanh"), rate=aw.choice("high", "low"))
    told = match(OLD, new).told
    assert told == "width matches; activation, rate are new; depth, rate, activation and blocks are not used".replace(
        "rate, activation and blocks", "rate, activation, blocks"
    )
    assert match(OLD, new).apply(OLD.sample(np.random.default_rng(0))) is None


def test_recursive_spaces_match_by_name():
    def made(depth):
        block = aw.recursive(lambda b: aw.choice(nn.ReLU(), nn.Sequential(b, b)), depth=depth)
        return aw.Space(model=block, rate=aw.choice(1, 2))

    old, new, rng = made(2), made(3), np.random.default_rng(0)
    drawn = [old.sample(rng) for _ in range(20)]
    assert [match(old, new).apply(one) for one in drawn] == drawn


def test_constraints_of_the_new_space_hold():
    space = aw.Space(a=aw.integer(0, 9), b=aw.integer(0, 9), c=aw.integer(0, 9), where=lambda one: one["c"] > 4)
    old = aw.Space(a=aw.integer(0, 9), b=aw.integer(0, 9))
    found = [match(old, space).apply({"a": a, "b": 1}) for a in range(10)]
    assert all(each is not None and each in space for each in found)
