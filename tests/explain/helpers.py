"""Trials with known effects."""

from __future__ import annotations

import numpy as np

import archwright as aw
from archwright import nn

VALUE = aw.Objective("value")

# `b` is active in a third of the space; `act` is shared by two stages, and active unless both are empty.
TREE = aw.Space(kind=aw.choice(0, 1, aw.choice(7, 8, name="b"), name="kind"), c=aw.choice("u", "v", "w", name="c"))
ACTIVATION = aw.choice(nn.ReLU(), nn.Tanh(), name="act")
STAGES = aw.Space(
    model=nn.Sequential(
        aw.repeat(lambda i: ACTIVATION, 0, 2, name="first"), aw.repeat(lambda i: ACTIVATION, 0, 1, name="second")
    ),
    scale=aw.integer(1, 3, name="scale"),
)


def measured(space, function, count=200, *, noise=0.0, seed=0, **details):
    """Return complete trials of random architectures."""
    rng = np.random.default_rng(seed)
    drawn = [space.sample(rng) for _ in range(count)]
    return [
        aw.Trial(number, each, "complete", {"value": float(function(each)) + noise * rng.normal()}, **details)
        for number, each in enumerate(drawn)
    ]


def choices(count, options=4):
    """Return a space of independent choices d0, d1, ... among whole numbers."""
    return aw.Space(**{f"d{index}": aw.choice(*range(options), name=f"d{index}") for index in range(count)})
