"""The shapes that layers and merges give, where they depend on decisions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from archwright.build._make import headline, innermost, instantiate
from archwright.build._meta import ShapesAlone
from archwright.errors import ArchwrightError
from archwright.space import Absent, Call

_FREE: dict[str, tuple[int, tuple[int, ...]]] = {
    "torch.nn.LazyLinear": (-1, (2, 3, 4, 5)),
    **{f"torch.nn.LazyConv{n}d": (1, (n + 2,)) for n in (1, 2, 3)},
}
"""The axis of its input that a lazy layer takes in any size, and how many axes the input has then."""


@dataclass(frozen=True)
class Shape:
    """A tensor of which nothing else is known."""

    sizes: tuple[int, ...]  # of its axes; the batch is 2
    strides: tuple[int, ...]  # how far apart in memory the items of each axis are
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
    """What comes out in some architectures."""

    # A `Shape`, or several in lists, tuples and dictionaries, and what is no tensor as it is; or `Absent`, or
    # `Failure`.
    value: Any
    when: int  # the set of architectures


@dataclass(frozen=True)
class Failure:
    """What does not fit."""

    text: str  # what and why, with its path
    path: str  # where
    own: frozenset[str] = frozenset()  # the decisions by which the layer itself was made


def shapes_in(item: Any) -> Any:
    """Return what a layer gave with a `Shape` in place of each tensor."""
    return _each(item, torch.Tensor, lambda found: Shape(tuple(found.shape), tuple(found.stride()), found.dtype))


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


@dataclass(frozen=True)
class Sum:
    """What operands of a merge come to, as far as they were taken."""

    when: int  # in which architectures
    value: Any = None  # the result, or the failure; None while all are absent
    like: Any = None  # what the first absent one would have had the shape of
    first: str = ""  # the path of the first that was present

    def plus(self, value: Any, when: int, how: tuple[str, int], path: str, place: str) -> Sum:
        """Return it with another operand; `how` is the kind of the merge and its axis."""
        kind, axis = how
        if isinstance(self.value, Failure):
            return replace(self, when=when)
        if isinstance(value, Absent):
            return replace(self, when=when, like=value.like if self.like is None else self.like)
        if self.value is None or isinstance(value, Failure):
            return replace(self, when=when, value=value, first=place)
        one, other = told(self.value), told(value)
        if kind == "concat":
            try:
                with ShapesAlone():
                    found = torch.cat([_tensor(self.value), _tensor(value)], dim=axis)
            except (IndexError, RuntimeError, TypeError) as error:
                text = f"{path}: values of shape {one}, {other} cannot be joined along axis {axis}: {error}"
                return replace(self, when=when, value=Failure(text, path))
            return replace(self, when=when, value=shapes_in(found))
        if one == other:
            return replace(self, when=when)
        if _are_added(self.value, value):
            with ShapesAlone():
                return replace(self, when=when, value=shapes_in(_tensor(self.value) + _tensor(value)))
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


class StandIn(torch.nn.Module):
    """Stands for a part of the expression inside a layer that takes it."""

    def __init__(self, run: Callable[[list[Any]], Any]) -> None:
        super().__init__()
        self._run = run

    def forward(self, *inputs: Any) -> Any:
        """Run the part, on the device of the layer."""
        found = self._run([shapes_in(each) for each in inputs])
        if isinstance(found, Failure):
            raise Inside(found)
        devices = (each.device.type for each in inputs if isinstance(each, torch.Tensor))
        return _tensors(found, next(devices, "meta"))


class Inside(Exception):
    """A part of the expression inside of a layer does not fit."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


def run_layer(closed: Any, inputs: list[Any], device: str, made: dict[int, tuple[Any, str]]) -> Any:
    """Make a layer on a device, run it in evaluation mode, and return the shapes of what it gives.

    Args:
        closed: A closed expression that makes the layer.
        inputs: The shapes of what goes in.
        device: "meta", or "cpu" for zeros.
        made: Takes each module that a call of it made, with its path and how the call reads, by its `id`.
    """
    made.clear()

    def note(call: Call, result: Any) -> None:
        made[id(result)] = (result, f"{call.path}: {headline(call)}")

    with torch.device(device), torch.no_grad(), ShapesAlone():
        layer = instantiate(closed, note)
        if isinstance(layer, torch.nn.Module):
            layer.eval()
        found = layer(*(_tensors(each, device) for each in inputs))
    return shapes_in(found)


def signature(closed: Call, inputs: list[Any]) -> Any:
    """Return what the shapes that a layer gives follow from: the same for all layers that give the same.

    A lazy layer of torch gives the same whatever number of channels, or features, it is given.
    """
    axis, axes = _FREE.get(closed.target, (0, ()))
    if axes and len(inputs) == 1 and "groups" not in (*closed.kwargs, *closed.names):
        (shape,) = inputs
        if isinstance(shape, Shape) and len(shape.sizes) in axes and shape.is_contiguous:
            sizes = list(shape.sizes)
            sizes[axis] = 1
            return _signature(closed), tuple(sizes), shape.dtype
    return _signature(closed), key_of(inputs)


def _signature(item: Any) -> Any:
    if isinstance(item, Call):
        arguments = (*item.args, *item.kwargs.items())
        return item.target, item.callee, len(item.args), tuple(map(_signature, arguments))
    if isinstance(item, list | tuple):
        return type(item), tuple(map(_signature, item))
    if isinstance(item, slice):
        return slice, tuple(map(_signature, (item.start, item.stop, item.step)))
    if isinstance(item, Mapping):
        return type(item), tuple((key, _signature(value)) for key, value in item.items())
    return type(item), item if isinstance(item, Hashable) else id(item)


def reason(error: Exception, call: Call, inputs: list[Any], path: str, made: Mapping[int, tuple[Any, str]]) -> str:
    """Return what a layer raised, with its path; the arguments are those of `run_layer`, and the call as it is open."""
    if isinstance(error, ArchwrightError):  # it names the path already
        return str(error)
    shapes = ", ".join(map(str, map(told, inputs)))
    at = innermost(error, {place: text for place, (_, text) in made.items()}) or f"{path}: {headline(call)}"
    return f"{at}, where {path} is given shape {shapes}: {error}"


def _tensors(item: Any, device: str) -> Any:
    """Return what `shapes_in` made shapes of, as tensors again."""
    return _each(item, Shape, lambda found: found.tensor(device))


def _each(item: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    """Return an item with a function applied to what is of a kind in it, inside lists, tuples and dictionaries too."""
    if isinstance(item, kind):
        return change(item)
    if type(item).__module__ == "torch.return_types":  # of torch.max and others
        item = tuple(item)
    if type(item) in (list, tuple):
        return type(item)(_each(part, kind, change) for part in item)
    return {key: _each(part, kind, change) for key, part in item.items()} if isinstance(item, dict) else item
