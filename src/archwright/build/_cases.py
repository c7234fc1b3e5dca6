"""What comes out of a part of an expression, where that depends on decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["Absent", "Case", "Failure", "Shape", "key_of", "shapes_in", "told"]


@dataclass(frozen=True)
class Shape:
    """A tensor of which nothing else is known.

    Args:
        sizes: Of its axes; the batch is 2.
        strides: How far apart in memory the items of each axis are.
        dtype: Its type.
    """

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype

    @property
    def is_contiguous(self) -> bool:
        """Whether its items lie in memory in the order of its axes."""
        count = 1
        for size, stride in zip(reversed(self.sizes), reversed(self.strides), strict=True):
            if size > 1 and stride != count:
                return False
            count *= size
        return True

    def tensor(self, device: str) -> torch.Tensor:
        """Return such a tensor; zeros, where it has data at all."""
        if device == "meta":
            return torch.empty_strided(self.sizes, self.strides, dtype=self.dtype, device=device)
        return torch.zeros(self.sizes, dtype=self.dtype, device=device)


@dataclass(frozen=True)
class Case:
    """What comes out in some architectures.

    Args:
        value: A `Shape`, or several in lists, tuples and dictionaries, and what is no tensor as it is; or `Absent`, or
            `Failure`.
        when: The set of architectures.
    """

    value: Any
    when: int


@dataclass(frozen=True)
class Failure:
    """What does not fit.

    Args:
        text: What and why, with its path.
        path: Where.
        own: The decisions by which the layer itself was made.
    """

    text: str
    path: str
    own: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Absent:
    """The value of no operation; it would have had the shape of `like`."""

    like: Any


def shapes_in(item: Any) -> Any:
    """Return what a layer gave with a `Shape` in place of each tensor."""
    if isinstance(item, torch.Tensor):
        return Shape(tuple(item.shape), tuple(item.stride()), item.dtype)
    if type(item) in (list, tuple):
        return type(item)(map(shapes_in, item))
    if isinstance(item, dict):
        return {key: shapes_in(part) for key, part in item.items()}
    return item


def key_of(item: Any) -> Any:
    """Return what tells two values apart; what is no tensor is told by its type."""
    if isinstance(item, Shape):
        return item
    if isinstance(item, list | tuple):
        return tuple(map(key_of, item))
    if isinstance(item, Mapping):
        return tuple((key, key_of(part)) for key, part in item.items())
    if isinstance(item, Absent):
        return "absent", key_of(item.like)
    return item.text if isinstance(item, Failure) else type(item).__name__


def told(item: Any) -> Any:
    """Return the shape, or the shapes of what an item holds, as a person reads it."""
    if isinstance(item, Shape):
        return item.sizes
    if isinstance(item, list | tuple):
        return [told(part) for part in item]
    if isinstance(item, Mapping):
        return {key: told(part) for key, part in item.items()}
    return type(item).__name__
