"""Groups of channels that have to have one size: what a sum, a normalisation or a depthwise convolution couples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Ref:
    """An axis of a tensor of a layer along which the units of a group lie, each of `block` entries."""

    layer: nn.Module
    name: str
    axis: int
    block: int


@dataclass(eq=False)
class Group:
    """Units (channels, hidden units or heads) that are removed together everywhere.

    Args:
        units: Their number in the trained network.
        kind: "width", "heads" or "feed_forward".
        path: The layer that makes them.
        number: Its place in the order of execution.
    """

    units: int
    kind: str
    path: str
    number: int = 0
    refs: list[Ref] = field(default_factory=list)
    fixed: bool = False
    joined: Group | None = None

    @property
    def root(self) -> Group:
        """The group that it has become a part of."""
        return self if self.joined is None else self.joined.root

    def order(self, gradients: dict[int, Tensor]) -> Tensor:
        """Return the (units,) indices of the units, the most important first.

        By the sum of the absolute weights, relative to the mean of each tensor (Li et al., "Pruning filters for
        efficient ConvNets", ICLR 2017); with gradients by the squared sum of weight times gradient (Molchanov et al.,
        "Importance estimation for neural network pruning", CVPR 2019).

        Args:
            gradients: The gradients of a loss, by the `id` of the parameter; empty without one.
        """
        score = torch.zeros(self.units, dtype=torch.float64)
        slope = torch.zeros(self.units, dtype=torch.float64)
        for ref in self.refs:
            tensor = ref.layer._parameters.get(ref.name)
            if tensor is None or ref.name == "bias":
                continue
            slope += _by_unit(tensor.detach() * gradients[id(tensor)], ref) if id(tensor) in gradients else 0.0
            part = _by_unit(tensor.detach().abs(), ref)
            score += part / part.mean().clamp_min(1e-12)
        return torch.argsort(slope**2 if gradients else score, descending=True, stable=True)


def join(first: Group, second: Group) -> bool:
    """Make two groups one; return whether their units fit."""
    first, second = first.root, second.root
    if first is second:
        return True
    if second.number < first.number:
        first, second = second, first
    if first.units != second.units or (first.kind != second.kind and "heads" in (first.kind, second.kind)):
        first.fixed = second.fixed = True
        return False
    first.refs += second.refs
    first.fixed = first.fixed or second.fixed
    second.joined = first
    return True


def _by_unit(tensor: Tensor, ref: Ref) -> Tensor:
    """Return the (units,) sums over all but the axis."""
    moved = tensor.double().movedim(ref.axis, 0)
    return moved.reshape(moved.shape[0] // ref.block, -1).sum(1)


@dataclass(frozen=True)
class Axis:
    """Where the units of a group lie in a value: the dimension, and the entries of a unit there."""

    dim: int
    group: Group
    block: int = 1


def fix(*values: Any) -> None:
    """Let the groups of values keep their size."""
    for value in values:
        if getattr(value, "axis", None) is not None:
            value.axis.group.root.fixed = True


def moved(axis: Axis | None, dim: int, block: int | None = None) -> Axis | None:
    """Return an axis at another dimension."""
    return None if axis is None else Axis(dim, axis.group, axis.block if block is None else block)
