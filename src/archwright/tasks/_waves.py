"""Augmentations of waveforms, each done to a whole batch at once; random numbers are drawn on the CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_SPEED, _SHIFT = 0.15, 0.1  # shares by which speed and place differ at most
_QUIETEST, _LOUDEST = -40.0, -10.0  # decibels of the noise, relative to the recording


def moved(waves: Tensor, generator: torch.Generator, *, speed: bool = True, shift: bool = True) -> Tensor:
    """Play each of (n, samples) up to 15 % faster or slower, and up to a tenth of the time earlier or later.

    The speed changes about the middle, and the pitch with it. What comes in is silent.
    """
    rates = 1 + _SPEED * speed * _uniform(waves, generator)
    shifts = (_SHIFT * shift * waves.shape[1] * _uniform(waves, generator)).round()
    places = torch.arange(waves.shape[1], device=waves.device) - shifts
    # As `grid_sample` takes them: from -1, where the first sample begins, to 1, where the last one ends.
    places = ((2 * places + 1) / waves.shape[1] - 1) * rates
    grid = torch.stack([places, torch.zeros_like(places)], 2).unsqueeze(1)
    return F.grid_sample(waves[:, None, None], grid.to(waves), align_corners=False)[:, 0, 0]


def noise(waves: Tensor, generator: torch.Generator) -> Tensor:
    """Add white noise 10 to 40 decibels below each of (n, samples); padding of zeros stays zero."""
    sounds = waves.sign().abs_()
    power = waves.square().sum(1, keepdim=True) / sounds.sum(1, keepdim=True).clamp(min=1)
    middle, half = (_LOUDEST + _QUIETEST) / 2, (_LOUDEST - _QUIETEST) / 2
    level = torch.pow(10.0, (middle + half * _uniform(waves, generator)) / 20)
    count, samples = waves.shape
    # One noise of twice the length, read from a place of its own for each: a number for each sample takes five times
    # as long.
    drawn = torch.randn(2 * samples, generator=generator).unfold(0, samples, 1)
    drawn = drawn[torch.randint(samples + 1, (count,), generator=generator)].to(waves)
    return torch.addcmul(waves, drawn.mul_(sounds), power.sqrt() * level)


def _uniform(waves: Tensor, generator: torch.Generator) -> Tensor:
    """Return a number from -1 to 1 for each, (n, 1)."""
    return (2 * torch.rand((len(waves), 1), generator=generator) - 1).to(waves)
