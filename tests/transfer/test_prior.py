"""Priors of a user."""

from __future__ import annotations

import math

import numpy as np
import pytest

import archwright as aw
from archwright import nn
from archwright.errors import StudyError
from archwright.transfer import Prior

SPACE = aw.Space(
    width=aw.ordinal(8, 16, 32, 64),
    depth=aw.integer(1, 9),
    activation=aw.choice("relu", "gelu", "silu"),
    rate=aw.real(1e-4, 1.0, log=True),
)


@pytest.mark.parametrize(
    "beliefs", [{"width": 32}, {"depth": (2, 0.9)}, {"activation": "gelu"}, {"width": 8, "activation": ("relu", 0.3)}]
)
def test_the_density_is_that_of_a_distribution_and_its_mode_is_the_belief(beliefs):
    """The mean of the ratio over all architectures is 1, whatever is believed."""
    space = aw.Space(
        width=aw.ordinal(8, 16, 32, 64), depth=aw.integer(1, 9), activation=aw.choice("relu", "gelu", "silu")
    )
    prior, listed = Prior.parse(beliefs, space), list(space.enumerate())
    ratios = np.exp(prior.log_ratios(space, listed))
    assert ratios.mean() == pytest.approx(1)
    best = prior.log_ratios(space, [prior.mode(space, np.random.default_rng(0))])[0]
    assert best == pytest.approx(math.log(ratios.max()))


def test_a_real_number_has_a_density_too():
    prior = Prior.parse({"rate": (0.01, 1.0)}, SPACE)
    units = (np.arange(4000) + 0.5) / 4000
    values = [{"rate": SPACE.decisions["rate"].decode([unit])} for unit in units]
    assert np.exp(prior.log_ratios(SPACE, values)).mean() == pytest.approx(1, rel=0.01)


def test_samples_follow_the_density():
    prior, rng = Prior.parse({"activation": ("gelu", 0.7)}, SPACE), np.random.default_rng(0)
    drawn = [prior.sample(SPACE, rng)["activation"] for _ in range(3000)]
    assert drawn.count("gelu") / 3000 == pytest.approx(0.7 + 0.3 / 3, abs=0.03)


def test_a_belief_is_named_by_a_path_its_last_part_or_a_pattern():
    space = aw.Space(model=nn.Sequential(nn.LazyLinear(aw.ordinal(8, 16)), nn.ReLU(), nn.LazyLinear(aw.ordinal(8, 16))))
    first, second = space.decisions
    for name in ("out_features", "*.out_features"):
        assert set(Prior.parse({name: 16}, space).beliefs) == {first, second}
    assert set(Prior.parse({first: 16}, space).beliefs) == {first}
    assert Prior.from_json(Prior.parse({first: 16}, space).to_json()) == Prior.parse({first: 16}, space)


@pytest.mark.parametrize(
    ("beliefs", "told"),
    [
        ({"widht": 8}, "decides nothing named 'widht'"),
        ({"width": 9}, "9 is none of 8, 16, 32, 64"),
        ({"width": (8, 1.5)}, "a number from 0 to 1, not 1.5"),
        ([64], "priors is a mapping of names to values"),
    ],
)
def test_a_wrong_belief_is_refused(beliefs, told):
    with pytest.raises(StudyError, match=told):
        Prior.parse(beliefs, SPACE)
