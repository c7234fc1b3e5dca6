"""Run one layer of an expression to see what shapes it gives, and tell why it cannot."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import torch

from archwright.build._cases import Failure, Shape, key_of, shapes_in, told
from archwright.build._infer import ShapesAlone, innermost
from archwright.build._make import headline, instantiate
from archwright.errors import ArchwrightError
from archwright.space import Call

__all__ = ["Inside", "StandIn", "reason", "run_layer", "signature"]

_FREE: dict[str, tuple[int, tuple[int, ...]]] = {
    "torch.nn.LazyLinear": (-1, (2, 3, 4, 5)),
    **{f"torch.nn.LazyConv{n}d": (1, (n + 2,)) for n in (1, 2, 3)},
}
"""The axis of its input that a lazy layer takes in any size, and how many axes the input has then."""


class StandIn(torch.nn.Module):
    """Stands for a part of the expression inside a layer that takes it.

    Args:
        run: Returns what the part gives, from shapes to shapes.
    """

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
    if isinstance(item, Shape):
        return item.tensor(device)
    if type(item) in (list, tuple):
        return type(item)(_tensors(part, device) for part in item)
    if isinstance(item, dict):
        return {key: _tensors(part, device) for key, part in item.items()}
    return item
