"""The tensors of the layers of a space, by the place of the call that makes each layer."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from archwright.errors import RelaxationError
from archwright.space import Call
from archwright.supernet.elastic import Part, cut, own_tensors, rule_of

__all__ = ["BUFFER", "CONTAINERS", "Recorder", "Slot", "independent_of_seed", "same_values"]

CONTAINERS = frozenset(f"torch.nn.{name}" for name in ("Sequential", "ModuleList", "ModuleDict"))
"""Modules that leave the layers in them as they are."""

BUFFER = "~"
"""What the keys of buffers begin with."""


@dataclass(frozen=True)
class Slot:
    """A tensor of a layer, and where its values are kept.

    Args:
        layer: The layer.
        name: What the layer calls the tensor.
        entry: The name of the layer's entry in the bank.
        origin: What the entry calls the tensor: another name than the layer's where two layers share one.
        shape: The tensor's shape.
        part: How it lies in the largest one.
        is_parameter: Whether it is a parameter, rather than a buffer.
        is_given: Whether its first values are those that it has in the layer. Otherwise nothing but the layer's
            `reset_parameters` says how it begins, and the bank draws values of the size that is wanted.
    """

    layer: nn.Module
    name: str
    entry: str
    origin: str
    shape: torch.Size
    part: Part
    is_parameter: bool
    is_given: bool

    @functools.cached_property
    def key(self) -> str:
        """The name of the tensor in the bank: without points, which stand for submodules; buffers are marked."""
        return f"{'' if self.is_parameter else BUFFER}{self.entry}/{self.origin}".replace(".", "/")

    @property
    def tensor(self) -> Tensor:
        """The tensor as the layer holds it."""
        tensor: Tensor = self.store[self.name]
        return tensor

    @property
    def is_frozen(self) -> bool:
        """Whether it is a parameter that is not learned, as far as the call that made it says."""
        return self.is_parameter and not self.tensor.requires_grad

    @property
    def store(self) -> dict[str, Any]:
        """Where the layer keeps its tensors of this kind."""
        return self.layer._parameters if self.is_parameter else self.layer._buffers


class Recorder:
    """Notes what the calls of an expression make; it is what `archwright.build.instantiate` tells of each.

    What has been thrown away since, such as a layer of which only copies are in use, is forgotten.

    Args:
        mark: Returns what is added to the names of the entries of a path.
    """

    def __init__(self, mark: Callable[[str], str] = lambda path: "") -> None:
        self._mark = mark
        self._made: list[tuple[Call, weakref.ref[nn.Module]]] = []

    def __call__(self, call: Call, result: Any) -> None:
        """Note what a call made."""
        if isinstance(result, nn.Module):
            self._made.append((call, weakref.ref(result)))

    def slots(self) -> list[Slot]:
        """Return the tensors of all that was made; each layer's from the innermost call that made it."""
        found: list[Slot] = []
        taken: set[int] = set()
        held: dict[int, tuple[str, str]] = {}
        given = self._given()
        for call, made in self._made:
            module = made()
            if module is not None:
                found += self._slots_of(call.path, module, taken, held, given)
        return found

    def _given(self) -> set[int]:
        """Return the ids of the layers that begin as somebody's code says, and not as their class alone does.

        Those are the layers inside of others, and whatever a class or function of the user's own returns.
        """
        found: set[int] = set()
        for call, made in self._made:
            module = made()
            if module is not None and call.target not in CONTAINERS:
                is_own = not call.target.startswith("torch.nn.")
                found.update(id(layer) for layer in module.modules() if is_own or layer is not module)
        return found

    def _slots_of(
        self, path: str, module: nn.Module, taken: set[int], held: dict[int, tuple[str, str]], given: set[int]
    ) -> Iterator[Slot]:
        for name, layer in module.named_modules():
            if id(layer) in taken:
                continue
            taken.add(id(layer))
            tensors = list(own_tensors(layer))
            if not tensors:
                continue
            if any(is_lazy(tensor) for _, tensor, _ in tensors):
                raise RelaxationError(f"{path}: {layer!r} is never reached, so its sizes are not known")
            rule = rule_of(layer)
            kind = (rule.kind(layer) if rule else _sizes(layer)) + self._mark(path)
            parts = rule.parts(layer) if rule else {}
            is_given = rule is None or id(layer) in given
            for place, tensor, is_parameter in tensors:
                where = f"{path}/{name}/{kind}" if name else f"{path}/{kind}"
                entry, origin = held.setdefault(id(tensor), (where, place))  # two layers may share one
                part = parts.get(place, Part())
                yield Slot(layer, place, entry, origin, tensor.shape, part, is_parameter, is_given)


def same_values(one: Slot, other: Slot) -> bool:
    """Tell whether two tensors hold the same values as far as both reach."""
    shape = torch.Size(map(min, one.shape, other.shape))
    first, second = cut(one.tensor.detach(), shape, one.part), cut(other.tensor.detach(), shape, other.part)
    return torch.allclose(first, second, rtol=0, atol=0, equal_nan=True)


def independent_of_seed(slots: Mapping[str, Slot], again: Mapping[str, Slot]) -> set[str]:
    """Return the keys of the tensors that are the same for every seed.

    Args:
        slots: Tensors by key.
        again: The same, made from another seed.
    """
    pairs = ((key, slot, again[key]) for key, slot in slots.items() if key in again)
    return {key for key, slot, other in pairs if slot.shape == other.shape and same_values(slot, other)}


def _sizes(layer: nn.Module) -> str:
    shapes = (f"{name} {'x'.join(map(str, tensor.shape))}" for name, tensor, _ in own_tensors(layer))
    return f"{type(layer).__name__}({', '.join(shapes)})"
