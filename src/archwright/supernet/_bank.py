"""The largest weights of every layer of a space, and the parts of them that its sizes take."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from archwright.supernet.elastic import Part, Rule, cut, paste, rule_of

__all__ = ["Bank", "Slot", "own_tensors", "slots_of"]


_BUFFER = "~"


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
        is_parameter: Whether it is learned, rather than a buffer.
    """

    layer: nn.Module
    name: str
    entry: str
    origin: str
    shape: torch.Size
    part: Part
    is_parameter: bool

    @property
    def key(self) -> str:
        """The name of the tensor in the bank; buffers are marked."""
        return _key(self.entry, self.origin, self.is_parameter)

    @property
    def store(self) -> dict[str, Any]:
        """Where the layer keeps its tensors of this kind."""
        return self.layer._parameters if self.is_parameter else self.layer._buffers


@dataclass
class _Wanted:
    """What has been asked for since the bank was last settled: the layer to make, and how large."""

    layer: nn.Module
    rule: Rule | None
    shapes: dict[str, torch.Size] = field(default_factory=dict)


class Bank(nn.Module):
    """Holds for each place of each layer the largest weights that were asked for.

    A place is named by the path of the call that makes the layer, the layer's name in what the call returns, and its
    kind: what has no rule of its own has one entry for each of its sizes.

    Args:
        seed: The first weights follow from it and from the place alone.

    Attributes:
        version: Counts how often weights came or grew: an optimizer that holds them looks at it.
        calibrating: The momentum of batch normalisation while its statistics are measured; None otherwise.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed
        self.version = 0
        self.calibrating: float | None = None
        self._wanted: dict[str, _Wanted] = {}

    def want(self, slots: list[Slot]) -> bool:
        """Ask that there be room for some layers; return whether there is already.

        Args:
            slots: Their tensors, as `slots_of` gives them. Layers without a rule hold real values, which are kept.
        """
        for slot in slots:
            held = self._tensor(slot.key)
            if held is not None and all(have >= need for have, need in zip(held.shape, slot.shape, strict=True)):
                continue
            wanted = self._wanted.setdefault(slot.entry, _Wanted(slot.layer, rule_of(slot.layer)))
            before = wanted.shapes.get(slot.origin) or (slot.shape if held is None else held.shape)
            if slot.layer is not wanted.layer and slot.shape.numel() > before.numel():
                wanted.layer = slot.layer
            wanted.shapes[slot.origin] = torch.Size(map(max, before, slot.shape))
        return not self._wanted

    def settle(self) -> None:
        """Make room for all that was asked for: new weights are drawn, and what is there keeps its values."""
        for entry, wanted in self._wanted.items():
            parts = wanted.rule.parts(wanted.layer) if wanted.rule else {}
            for name, fresh, is_parameter in self._fresh(entry, wanted):
                self._put(_key(entry, name, is_parameter), fresh, parts.get(name, Part()))
        if self._wanted:
            self.version += 1
        self._wanted.clear()

    def view(self, slot: Slot) -> Tensor:
        """Return the values of a slot."""
        held = self._tensor(slot.key)
        assert held is not None
        return cut(held, slot.shape, slot.part)

    def bind(self, slots: list[Slot]) -> None:
        """Put values into the layers that slots belong to."""
        for slot in slots:
            slot.store[slot.name] = self.view(slot)

    def _tensor(self, key: str) -> Tensor | None:
        held = self._parameters.get(key)
        return self._buffers.get(key) if held is None else held

    def _fresh(self, entry: str, wanted: _Wanted) -> list[tuple[str, Tensor, bool]]:
        """Return new tensors for an entry, of the wanted shapes: name, tensor, whether it is a parameter."""
        layer = copy.deepcopy(wanted.layer)
        if wanted.rule is not None:
            for name, _, is_parameter in own_tensors(layer):
                shape = wanted.shapes.get(name)
                store = layer._parameters if is_parameter else layer._buffers
                old = store[name]
                assert old is not None
                held = self._tensor(_key(entry, name, is_parameter))
                shape = shape or (old.shape if held is None else held.shape)
                new = torch.zeros(shape, dtype=old.dtype, device="cpu")
                if is_parameter:
                    layer._parameters[name] = nn.Parameter(new, requires_grad=old.requires_grad)
                else:
                    layer._buffers[name] = new
            if wanted.rule.bound is not None:
                wanted.rule.bound(layer)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(zlib.crc32(f"{self.seed} {entry}".encode()))
                reset: Any = getattr(layer, "reset_parameters", None) or layer._reset_parameters
                reset()
        return [each for each in own_tensors(layer) if each[0] in wanted.shapes]

    def _put(self, key: str, fresh: Tensor, part: Part) -> None:
        held = self._tensor(key)
        like = held if held is not None else next(self.parameters(), None)
        if like is not None:
            fresh.data = fresh.data.to(like.device, like.dtype if fresh.is_floating_point() else fresh.dtype)
        if held is not None:
            paste(fresh.data, held.data, part)
            grad, held.grad = held.grad, None
            held.data = fresh.data
            if grad is not None:  # a step that adds up the gradients of several networks goes on
                held.grad = torch.zeros_like(held)
                paste(held.grad, grad, part)
        elif isinstance(fresh, nn.Parameter):
            self.register_parameter(key, fresh)
        else:
            self.register_buffer(key, fresh)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        """Take in weights that are larger than these, or that are not here yet: they were met in the run before."""
        for full, tensor in state_dict.items():
            name = full.removeprefix(prefix)
            if not full.startswith(prefix):
                continue
            held = self._tensor(name)
            if held is None:
                copied = tensor.detach().clone().to(next(self.parameters(), tensor).device)
                if name.startswith(_BUFFER):
                    self.register_buffer(name, copied)
                else:
                    self.register_parameter(name, nn.Parameter(copied))
                self.version += 1
            elif held.shape != tensor.shape:
                held.data = tensor.detach().clone().to(held.device, held.dtype)
                self.version += 1
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def own_tensors(layer: nn.Module) -> Iterator[tuple[str, Tensor, bool]]:
    """Iterate over the tensors of a layer itself: name, tensor, and whether it is a parameter."""
    for name, parameter in layer._parameters.items():
        if parameter is not None:
            yield name, parameter, True
    for name, buffer in layer._buffers.items():
        if buffer is not None:
            yield name, buffer, False


def slots_of(path: str, result: Any, taken: set[int], held: dict[int, tuple[str, str]]) -> list[Slot]:
    """Return the tensors of what a call made, except for those of layers that inner calls made.

    Args:
        path: Where the call stands.
        result: What it made.
        taken: The `id` of each layer that is spoken for; added to.
        held: The entry of each tensor and its name there, by the tensor's `id`, for layers that share one; added to.
    """
    slots: list[Slot] = []
    if not isinstance(result, nn.Module):
        return slots
    for name, layer in result.named_modules():
        if id(layer) in taken:
            continue
        taken.add(id(layer))
        tensors = list(own_tensors(layer))
        if not tensors:
            continue
        rule = rule_of(layer)
        kind = rule.kind(layer) if rule else _sizes(layer)
        parts = rule.parts(layer) if rule else {}
        for place, tensor, is_parameter in tensors:
            where = f"{path}/{name}/{kind}" if name else f"{path}/{kind}"
            entry, origin = held.setdefault(id(tensor), (where, place))
            slots.append(Slot(layer, place, entry, origin, tensor.shape, parts.get(place, Part()), is_parameter))
    return slots


def _sizes(layer: nn.Module) -> str:
    shapes = (f"{name} {'x'.join(map(str, tensor.shape))}" for name, tensor, _ in own_tensors(layer))
    return f"{type(layer).__name__}({', '.join(shapes)})"


def _key(entry: str, name: str, is_parameter: bool) -> str:
    """Return the attribute of the bank for a tensor: no points, which stand for submodules."""
    return f"{'' if is_parameter else _BUFFER}{entry}/{name}".replace(".", "/")
