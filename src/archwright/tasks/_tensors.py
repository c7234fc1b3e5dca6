"""Tensors, and tuples, lists and dicts of them, as a network takes and returns them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

__all__ = ["leaves", "map_tensors", "size_of"]


def map_tensors(function: Callable[[Tensor], Any], value: Any) -> Any:
    """Return a value with a function applied to each tensor in it.

    Args:
        function: Takes a tensor.
        value: A tensor, or a tuple, list or mapping of such values; anything else is returned as it is.
    """
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, Mapping):
        return {name: map_tensors(function, each) for name, each in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_tensors(function, each) for each in value))
    if isinstance(value, tuple | list):
        return type(value)(map_tensors(function, each) for each in value)
    return value


def leaves(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in a value, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from leaves(each)


def size_of(inputs: Any) -> int:
    """Return the number of samples in a batch: the length of its first tensor."""
    return len(next(leaves(inputs)))
