"""Shapes and types of a network's inputs, without torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from archwright._scalars import is_whole, scalar
from archwright.errors import SpaceError


@dataclass(frozen=True)
class TensorSpec:
    """The shape and type of one sample.

    Args:
        shape: Sizes without the batch, such as `(3, 32, 32)`.
        dtype: A torch dtype's name, such as "float32" or "int64".

    Example:
        >>> import archwright as aw
        >>> aw.TensorSpec((3, 32, 32))
        TensorSpec(shape=(3, 32, 32), dtype='float32')
    """

    shape: tuple[int, ...]
    dtype: str = "float32"

    def __post_init__(self) -> None:
        sizes = tuple(map(scalar, self.shape))
        if not all(is_whole(size) and size >= 1 for size in sizes):
            raise SpaceError(f"a sample's shape holds whole numbers of 1 or more, not {self.shape}")
        if math.prod(sizes) >= 2**48:
            raise SpaceError(f"a sample of shape {self.shape} holds more numbers than any memory")
        if not str(self.dtype).isidentifier():
            raise SpaceError(f"a sample's dtype is the name of one of torch's, such as 'float32', not {self.dtype!r}")
        object.__setattr__(self, "shape", sizes)


InputSpec = TensorSpec | tuple[TensorSpec, ...]
"""One sample of what goes into a network: of its input, or of each of its inputs."""


def as_specs(example: Any) -> tuple[TensorSpec, ...] | None:
    """Return the specs of a network's inputs.

    Args:
        example: `None`; a `TensorSpec`; a tuple of integers (the shape of one float32 sample, without the
            batch); a tensor (a batch); or a sequence of these, one for each input.

    Raises:
        SpaceError: `example` has another type.

    Example:
        >>> from archwright.space import as_specs
        >>> as_specs([(3, 32, 32), aw.TensorSpec((16,), "int64")])
        (TensorSpec(shape=(3, 32, 32), dtype='float32'), TensorSpec(shape=(16,), dtype='int64'))
    """
    if example is None:
        return None
    if isinstance(example, TensorSpec):
        return (example,)
    if hasattr(example, "shape") and hasattr(example, "dtype"):
        if len(example.shape) < 1:
            raise SpaceError("an example input is a batch: its first axis is the sample, but a scalar was given")
        return (TensorSpec(tuple(example.shape[1:]), str(example.dtype).removeprefix("torch.")),)
    if isinstance(example, Sequence) and not isinstance(example, str) and example:
        if all(is_whole(scalar(size)) for size in example):
            return (TensorSpec(tuple(example)),)
        specs = [as_specs(item) for item in example]
        if all(spec is not None and len(spec) == 1 for spec in specs):
            return tuple(spec[0] for spec in specs if spec is not None)
    raise SpaceError(
        f"an example input is a TensorSpec, a shape without the batch such as (3, 32, 32), or a batch of "
        f"tensors; {example!r} was given"
    )
