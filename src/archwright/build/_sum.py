"""What the operands of a merge come to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from archwright.build._cases import Absent, Case, Failure, Shape, told

__all__ = ["Sum"]


@dataclass(frozen=True)
class Sum:
    """What operands of a merge come to, as far as they were taken.

    Args:
        when: In which architectures.
        value: The result, or the failure; None while all are absent.
        like: What the first absent one would have had the shape of.
        first: The path of the first that was present.
    """

    when: int
    value: Any = None
    like: Any = None
    first: str = ""

    def plus(self, value: Any, when: int, kind: str, path: str, place: str) -> Sum:
        """Return it with another operand.

        Args:
            value: What comes out there.
            when: In which architectures both do.
            kind: That of the merge.
            path: The path of the merge.
            place: The path of the operand.
        """
        if isinstance(self.value, Failure):
            return replace(self, when=when)
        if isinstance(value, Absent):
            return replace(self, when=when, like=value.like if self.like is None else self.like)
        if self.value is None or isinstance(value, Failure):
            return replace(self, when=when, value=value, first=place)
        one, other = told(self.value), told(value)
        if kind == "concat":
            try:
                found = torch.cat([_tensor(self.value), _tensor(value)], dim=1)
            except (IndexError, RuntimeError, TypeError) as error:
                text = f"{path}: values of shape {one}, {other} cannot be joined along axis 1: {error}"
                return replace(self, when=when, value=Failure(text, path))
            return replace(self, when=when, value=Shape(tuple(found.shape), found.stride(), found.dtype))
        if one == other:
            return replace(self, when=when)
        if _are_added(self.value, value):
            added = _tensor(self.value) + _tensor(value)
            return replace(self, when=when, value=Shape(tuple(added.shape), added.stride(), added.dtype))
        text = f"{self.first} and {place} disagree in shape: {one} and {other} (the batch is 2)"
        return replace(self, when=when, value=Failure(text, path))

    def result(self, first: Any) -> Case:
        """Return what they come to; zeros in the shape of what the first absent one was given where all were absent."""
        like = first if self.like is None else self.like
        return Case(like if self.value is None else self.value, self.when)


def _tensor(value: Any) -> Any:
    return value.tensor("meta") if isinstance(value, Shape) else value


def _are_added(one: Any, other: Any) -> bool:
    """Tell whether two values are added sample by sample, axes of size 1 of one to those of the other."""
    if not (isinstance(one, Shape) and isinstance(other, Shape)) or len(one.sizes) != len(other.sizes):
        return False
    pairs = list(zip(one.sizes, other.sizes, strict=True))
    return pairs[:1] == [(2, 2)] and all(a == b or 1 in (a, b) for a, b in pairs)
