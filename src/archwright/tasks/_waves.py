"""Augmentations of waveforms, each done to a whole batch at once; random numbers are drawn on the CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_SPEED, _SHIFT = 0.15, 0.1  # shares by which speed and place differ at most
_QUIETEST, _LOUDEST = -40.0, -10.0  # decibels of the noise, relative to the recording


def speed(waves: Tensor, generator: torch.Generator) -> Tensor:
    """Play each of (n, samples) up to 15 % faster or slower about its middle, which changes the pitch with it."""
    rates = 1 + _SPEED * _uniform(waves, generator)
    middle = waves.shape[1] / 2
    return _at((torch.arange(waves.shape[1], device=waves.device) - middle) * rates + middle, waves)


def shift(waves: Tensor, generator: torch.Generator) -> Tensor:
    """Move each of (n, samples) by up to a tenth of the time; zeros come in."""
    moved = (_SHIFT * waves.shape[1] * _uniform(waves, generator)).round()
    return _at(torch.arange(waves.shape[1], device=waves.device) - moved, waves)


def noise(waves: Tensor, generator: torch.Generator) -> Tensor:
    """Add white noise 10 to 40 decibels below each of (n, samples); padding of zeros stays zero."""
    sounds = waves.ne(0)
    power = waves.square().sum(1, keepdim=True) / sounds.sum(1, keepdim=True).clamp(min=1)
    middle, half = (_LOUDEST + _QUIETEST) / 2, (_LOUDEST - _QUIETEST) / 2
    level = torch.pow(10.0, (middle + half * _uniform(waves, generator)) / 20)
    drawn = torch.randn(waves.shape, generator=generator).to(waves)
    return waves + drawn * power.sqrt() * level * sounds


def _uniform(waves: Tensor, generator: torch.Generator) -> Tensor:
    """Return a number from -1 to 1 for each, (n, 1)."""
    return (2 * torch.rand((len(waves), 1), generator=generator) - 1).to(waves)


def _at(places: Tensor, waves: Tensor) -> Tensor:
    """Return waveforms at places between samples, (n, samples), by linear interpolation; zeros are around them."""
    last = waves.shape[1] + 1
    padded, low = F.pad(waves, (1, 1)), places.floor()
    before = (low.long() + 1).clamp(0, last)
    after = (low.long() + 2).clamp(0, last)
    return torch.lerp(padded.gather(1, before), padded.gather(1, after), places - low)
