"""Small spaces, batches and trainings for the tests of relaxations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import archwright as aw
from archwright import nn
from archwright.datasets import Data
from archwright.evaluate import Training
from archwright.evaluate._device import Setup
from archwright.space import Space, cell, choice, ordinal
from archwright.supernet import Draw, Relaxation, Supernet
from archwright.supernet._trainer import Trainer


def smooth() -> Space:
    """Two branches and a width, all of them smooth."""
    width = ordinal(2, 4, name="width")
    options = {"tanh": nn.Sequential(nn.Linear(width, width), nn.Tanh()), "skip": nn.Identity(), "soft": nn.Softplus()}
    return Space(
        model=nn.Sequential(
            nn.Linear(3, width), choice(options, name="one"), choice({**options}, name="two"), nn.Linear(width, 2)
        ),
        example_input=(3,),
    )


def image() -> Space:
    """A cell whose node keeps two of three edges, and an activation."""

    def edge(i: int, j: int) -> Any:
        conv = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4))
        return choice({"conv": conv, "skip": nn.Identity(), "none": None})

    return Space(
        model=nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            cell(edge, nodes=3, fan_in=2, name="cell"),
            choice({"tanh": nn.Tanh(), "gelu": nn.GELU()}, name="activation"),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3),
        ),
        example_input=(1, 4, 4),
    )


def batch(shape: tuple[int, ...], classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(12, *shape, generator=generator, dtype=torch.float64)
    return inputs, torch.randint(classes, (12,), generator=generator)


def made(space: Space, relaxation: str | Relaxation, seed: int = 1) -> Supernet:
    """A supernet in double precision, with logits that are all different."""
    supernet = Supernet(space, relaxation, seed=seed).double()
    rng = np.random.default_rng(5)
    with torch.no_grad():
        for logits in supernet.arch_parameters():
            if logits.ndim == 1:
                logits.copy_(torch.from_numpy(rng.normal(0, 0.5, len(logits))))
    return supernet


def at(supernet: Supernet, state: Any, progress: float = 0.3) -> Draw:
    """What is drawn with the noise of a state of the generator."""
    supernet.rng.bit_generator.state = state
    return supernet.draw(progress)


def loss_of(supernet: Supernet, draw: Draw, given: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return F.cross_entropy(supernet.run(draw, given[0]), given[1])


def slope(function: Callable[[], torch.Tensor], logits: torch.Tensor, reach: float = 1e-5) -> torch.Tensor:
    """The gradient of a function by finite differences."""
    found = torch.zeros_like(logits)
    with torch.no_grad():
        for index in range(len(logits)):
            kept = logits[index].item()
            sides = []
            for side in (reach, -reach):
                logits[index] = kept + side
                sides.append(function())
            logits[index] = kept
            found[index] = (sides[0] - sides[1]) / (2 * reach)
    return found


def table(samples: int = 96) -> Data:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(samples, 3)).astype(np.float32)
    return aw.data((inputs, (inputs[:, 0] > 0).astype(np.int64)), test=0.1)


def pictures(samples: int = 96) -> Data:
    rng = np.random.default_rng(0)
    targets = np.arange(samples) % 3
    inputs = rng.normal(size=(samples, 1, 4, 4)) + targets[:, None, None, None]
    return aw.data((inputs.astype(np.float32), targets), test=0.1)


def trainer(supernet: Supernet, data: Data, epochs: int = 2, **recipe: Any) -> Trainer:
    training = Training(data, batch_size=16, **recipe)
    return Trainer(supernet, training.task, training.recipe, Setup("cpu"), epochs=epochs, seed=0)
