"""Zero-cost proxies of networks that were not run."""

from __future__ import annotations

import numpy as np

import archwright as aw
from archwright import nn

NB201 = aw.spaces.create("nasbench201", C=4, N=1, input_shape=(3, 16, 16))
RESNET = aw.spaces.create("resnet", input_shape=(3, 16, 16))


def sampled(space, count, seed=1):
    rng = np.random.default_rng(seed)
    return list(dict.fromkeys(space.sample(rng) for _ in range(count)))


def network(*widths, activation=nn.ReLU, **options):
    hidden = nn.Linear(6, aw.choice(*widths, name="width"))
    return aw.Space(model=nn.Sequential(hidden, activation(), nn.LazyLinear(3)), example_input=(6,), **options)


# ---------------------------------------------------------------------- what is predicted
