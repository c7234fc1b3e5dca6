"""Nested structures of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor


def map_tensors(function: Callable[[Tensor], Any], value: Any) -> Any:
    """Return a nested value with a function applied to each of its tensors.

    Args:
        function: Takes a tensor.
        value: A tensor, or a tuple, list or mapping of such values; anything else is returned as it is.

    Example:
        >>> from archwright.tasks import map_tensors
        >>> map_tensors(torch.Tensor.tolist, {"x": torch.zeros(2), "n": 3})
        {'x': [0.0, 0.0], 'n': 3}
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
    """Yield the tensors in a nested value, in order.

    Example:
        >>> from archwright.tasks import leaves
        >>> [tuple(tensor.shape) for tensor in leaves((torch.zeros(2), [torch.zeros(3), "text"]))]
        [(2,), (3,)]
    """
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from leaves(each)


def size_of(inputs: Any) -> int:
    """Return the number of samples in a batch: the length of its first tensor.

    Example:
        >>> from archwright.tasks import size_of
        >>> size_of((torch.zeros(8, 3), torch.zeros(8)))
        8
    """
    return len(next(leaves(inputs)))
