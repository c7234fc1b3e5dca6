"""What the tests of supernets share."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch

import archwright as aw
from archwright.supernet import Supernet
from archwright.testing._supernets import check_path


def made(model: Any, example: Any, relaxation: str = "path", **parts: Any) -> Supernet:
    """Return a supernet in double precision, whose statistics of batch normalisation have moved."""
    supernet = Supernet(aw.Space(model=model, example_input=example, **parts), relaxation).double()
    with torch.no_grad():
        supernet.train()(*inputs(supernet))
    return supernet


def inputs(supernet: Supernet, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(2, *spec.shape, generator=generator, dtype=torch.float64)
        if getattr(torch, spec.dtype).is_floating_point
        else torch.randint(0, 5, (2, *spec.shape), generator=generator)
        for spec in supernet.example_input
    ]


def check(supernet: Supernet, most: int = 12) -> None:
    """Check law 1 on all architectures, or on some where there are more."""
    space = supernet.space
    if space.bound <= most:
        architectures = list(itertools.islice(space.enumerate(), most))
    else:
        rng = np.random.default_rng(0)
        architectures = [space.sample(rng) for _ in range(most)]
    for architecture in architectures:
        check_path(supernet, architecture, inputs(supernet))


def weight(supernet: Supernet, ending: str) -> torch.Tensor:
    """Return the one shared tensor whose name has an ending."""
    found = {name: tensor for name, tensor in supernet.bank.state_dict(keep_vars=True).items() if name.endswith(ending)}
    assert len(found) == 1, sorted(supernet.bank.state_dict())
    return next(iter(found.values()))
