"""The largest weights of every layer of a space, and the parts of them that its sizes take."""

from __future__ import annotations

import functools
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from archwright.errors import RelaxationError
from archwright.space import Call
from archwright.supernet.elastic import Part, cut, fill, own_tensors, paste, rule_of

__all__ = ["Bank", "Record", "Slot", "seeded"]


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

    @functools.cached_property
    def key(self) -> str:
        """The name of the tensor in the bank: without points, which stand for submodules; buffers are marked."""
        return f"{'' if self.is_parameter else _BUFFER}{self.entry}/{self.origin}".replace(".", "/")

    @property
    def store(self) -> dict[str, Any]:
        """Where the layer keeps its tensors of this kind."""
        return self.layer._parameters if self.is_parameter else self.layer._buffers


@dataclass
class _Wanted:
    """What has been asked for since the bank was last settled: shapes, and the largest layer that each is needed by."""

    shapes: dict[str, torch.Size] = field(default_factory=dict)
    largest: dict[str, Slot] = field(default_factory=dict)

    def add(self, slot: Slot, held: Tensor | None) -> None:
        before = self.shapes.get(slot.origin) or (slot.shape if held is None else held.shape)
        self.shapes[slot.origin] = torch.Size(map(max, before, slot.shape))
        if slot.origin not in self.largest or slot.shape.numel() > self.largest[slot.origin].shape.numel():
            self.largest[slot.origin] = slot

    def by_layer(self) -> list[list[tuple[str, Slot]]]:
        """Return what is wanted, divided by the layer that it is made from."""
        groups: dict[int, list[tuple[str, Slot]]] = {}
        for origin, slot in self.largest.items():
            groups.setdefault(id(slot.layer), []).append((origin, slot))
        return list(groups.values())


class Bank(nn.Module):
    """Holds for each place of each layer the largest weights that were asked for.

    A place is named by the path of the call that makes the layer, the layer's name in what the call returns, and its
    kind: what has no rule of its own has one entry for each of its sizes.

    Args:
        seed: The first weights follow from it and from the place alone.

    Attributes:
        version: Counts how often weights came, grew or were loaded: an optimizer that holds them looks at it.
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
            slots: Their tensors, as `Record` gives them. Layers without a rule hold real values, which are kept.
        """
        for slot in slots:
            held = self.held(slot.key)
            if held is None or any(have < need for have, need in zip(held.shape, slot.shape, strict=True)):
                self._wanted.setdefault(slot.entry, _Wanted()).add(slot, held)
        return not self._wanted

    def settle(self) -> None:
        """Make room for all that was asked for: new weights are drawn, and what is there keeps its values.

        Raises:
            RelaxationError: A layer that has a rule cannot fill its weights.
        """
        wanted, self._wanted = self._wanted, {}
        for entry, each in wanted.items():
            for group in each.by_layer():
                fresh = self._fresh(entry, group, each.shapes)
                for (_, slot), tensor in zip(group, fresh, strict=True):
                    self._put(slot, tensor)
        self.version += bool(wanted)

    def view(self, slot: Slot) -> Tensor:
        """Return the values of a slot."""
        held = self.held(slot.key)
        assert held is not None
        return cut(held, slot.shape, slot.part)

    def held(self, key: str) -> Tensor | None:
        """Return what is kept under a name."""
        held = self._parameters.get(key)
        return self._buffers.get(key) if held is None else held

    @property
    def like(self) -> Tensor:
        """A tensor of the device and the type that the weights have."""
        return next((each for each in self.parameters() if each.is_floating_point()), torch.empty(0))

    def _fresh(self, entry: str, group: list[tuple[str, Slot]], shapes: dict[str, torch.Size]) -> list[Tensor]:
        """Return new tensors for what is made from one layer."""
        layer = group[0][1].layer
        rule = rule_of(layer)
        if rule is None:
            return [_tensor(slot).detach().clone() for _, slot in group]
        wanted = {slot.name: shapes[origin] for origin, slot in group}
        sizes = {name: wanted.get(name, tensor.shape) for name, tensor, _ in own_tensors(layer)}
        with seeded(self.seed, entry):
            filled = fill(layer, rule, sizes)
        return [filled[slot.name] for _, slot in group]

    def _put(self, slot: Slot, fresh: Tensor) -> None:
        held = self.held(slot.key)
        like = self.like if held is None else held
        fresh = fresh.to(like.device, like.dtype if fresh.is_floating_point() else fresh.dtype)
        if held is not None:
            paste(fresh, held.data, slot.part)
            grad, held.grad = held.grad, None
            _replace(held, fresh)
            if grad is not None:  # a step that adds up the gradients of several networks goes on
                held.grad = torch.zeros_like(held)
                paste(held.grad, grad, slot.part)
        elif slot.is_parameter:
            needs = _tensor(slot).requires_grad
            self.register_parameter(slot.key, nn.Parameter(fresh, requires_grad=needs))
        else:
            self.register_buffer(slot.key, fresh)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        """Take in weights that are larger than these, or that are not here yet: they were met in the run before."""
        for full, tensor in state_dict.items():
            name = full.removeprefix(prefix)
            if not full.startswith(prefix):
                continue
            held = self.held(name)
            if held is None:
                copied = tensor.detach().clone().to(self.like.device)
                if name.startswith(_BUFFER):
                    self.register_buffer(name, copied)
                else:
                    self.register_parameter(name, nn.Parameter(copied))
            elif held.shape != tensor.shape:
                _replace(held, tensor.detach().clone().to(held.device, held.dtype))
        self.version += 1
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


@contextmanager
def seeded(seed: int, place: str) -> Iterator[None]:
    """Draw from a seed and a place inside, and from torch's generator as if nothing had been outside."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(zlib.crc32(f"{seed} {place}".encode()))
        yield


class Record:
    """Notes what the calls of an expression make; it is what `make` tells of each.

    What has been thrown away since, such as a layer of which only copies are in use, is forgotten.
    """

    def __init__(self) -> None:
        self._made: list[tuple[str, weakref.ref[nn.Module]]] = []

    def __call__(self, call: Call, result: Any) -> None:
        """Note what a call made."""
        if isinstance(result, nn.Module):
            self._made.append((call.path, weakref.ref(result)))

    def slots(self) -> list[Slot]:
        """Return the tensors of all that was made; each layer's from the innermost call that made it."""
        found: list[Slot] = []
        taken: set[int] = set()
        held: dict[int, tuple[str, str]] = {}
        for path, made in self._made:
            module = made()
            if module is not None:
                found += _slots_of(path, module, taken, held)
        return found


def _slots_of(path: str, module: nn.Module, taken: set[int], held: dict[int, tuple[str, str]]) -> Iterator[Slot]:
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
        kind = rule.kind(layer) if rule else _sizes(layer)
        parts = rule.parts(layer) if rule else {}
        for place, tensor, is_parameter in tensors:
            where = f"{path}/{name}/{kind}" if name else f"{path}/{kind}"
            entry, origin = held.setdefault(id(tensor), (where, place))  # two layers may share one
            yield Slot(layer, place, entry, origin, tensor.shape, parts.get(place, Part()), is_parameter)


def _sizes(layer: nn.Module) -> str:
    shapes = (f"{name} {'x'.join(map(str, tensor.shape))}" for name, tensor, _ in own_tensors(layer))
    return f"{type(layer).__name__}({', '.join(shapes)})"


def _tensor(slot: Slot) -> Tensor:
    tensor: Tensor = slot.store[slot.name]
    return tensor


def _replace(held: Tensor, fresh: Tensor) -> None:
    """Give a tensor values of another shape; those who hold it go on holding it."""
    if held.requires_grad:  # autograd remembers the shape, until the type changes
        other = torch.float16 if held.dtype != torch.float16 else torch.float32
        held.data = torch.empty(0, dtype=other, device=held.device)
    held.data = fresh
