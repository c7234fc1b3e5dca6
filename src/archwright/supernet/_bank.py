"""The largest weights of every layer of a space, and the parts of them that its sizes take."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from archwright.space import Value
from archwright.supernet._parting import Parting
from archwright.supernet._slots import BUFFER, Recorder, Slot
from archwright.supernet.elastic import cut, fill, own_tensors, paste, rule_of

__all__ = ["Bank", "seeded"]


@dataclass
class _Wanted:
    """What has been asked for since the bank was last settled: shapes, and the layers that the first values are of.

    Of several layers it is the largest one that gives values, and the last of those that are equally large.
    """

    shapes: dict[str, torch.Size] = field(default_factory=dict)
    largest: dict[str, Slot] = field(default_factory=dict)

    def add(self, slot: Slot, held: Tensor | None) -> None:
        before = self.shapes.get(slot.origin) or (slot.shape if held is None else held.shape)
        self.shapes[slot.origin] = torch.Size(map(max, before, slot.shape))
        known = self.largest.get(slot.origin)
        if known is None or _rank(slot) > _rank(known) or (slot.is_given and _rank(slot) == _rank(known)):
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
    kind: what has no rule of its own has one entry for each of its sizes. Where the first weights hang on a decision,
    each of its values has an entry.

    Args:
        seed: The first weights follow from it and from the place alone.

    Attributes:
        version: Counts how often weights came, grew or were loaded: an optimizer that holds them looks at it.
        parted: Which decisions have weights of their own for each value, by the path below which they do.
        calibrating: The momentum of batch normalisation while its statistics are measured; None otherwise.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed
        self.version = 0
        self.parted: dict[str, Parting] = {}
        self.calibrating: float | None = None
        self._wanted: dict[str, _Wanted] = {}

    def parting(self, path: str) -> list[Parting]:
        """Return what divides the weights at a path."""
        return [parting for at, parting in self.parted.items() if f"{path}.".startswith(f"{at}.")]

    def note(self, values: Mapping[str, Value]) -> Recorder:
        """Return what notes the tensors of layers that are made for some decisions."""

        def mark(path: str) -> str:
            decided = {name: value for each in self.parting(path) for name, value in each.decided(values).items()}
            return "".join(f"[{name}={value}]" for name, value in decided.items())

        return Recorder(mark)

    def want(self, slots: list[Slot]) -> bool:
        """Ask that there be room for some layers; return whether there is already.

        Args:
            slots: Their tensors, as `Recorder` gives them. What is given holds real values.
        """
        for slot in slots:
            held = self.held(slot.key)
            if held is None or any(have < need for have, need in zip(held.shape, slot.shape, strict=True)):
                self._wanted.setdefault(slot.entry, _Wanted()).add(slot, held)
            elif held.requires_grad and slot.is_frozen:  # it came with a state, which does not say so
                held.requires_grad_(False)
                self.version += 1
        return not self._wanted

    def forget(self) -> None:
        """Take back what was asked for since the bank was last settled."""
        self._wanted.clear()

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
        given = {slot.name: slot.tensor.detach().clone() for _, slot in group if slot.is_given}
        if all(slot.name in given and slot.shape == shapes[origin] for origin, slot in group):
            return list(given.values())
        rule = rule_of(layer)
        assert rule is not None
        wanted = {slot.name: shapes[origin] for origin, slot in group}
        sizes = {name: wanted.get(name, tensor.shape) for name, tensor, _ in own_tensors(layer)}
        with seeded(self.seed, entry):
            filled = fill(layer, rule, sizes)
        for _, slot in group:
            if slot.name in given:
                paste(filled[slot.name], given[slot.name], slot.part)
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
            self.register_parameter(slot.key, nn.Parameter(fresh, requires_grad=slot.tensor.requires_grad))
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
                if name.startswith(BUFFER):
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


def _rank(slot: Slot) -> tuple[bool, int]:
    return slot.is_given, slot.shape.numel()


def _replace(held: Tensor, fresh: Tensor) -> None:
    """Give a tensor values of another shape; those who hold it go on holding it."""
    if held.requires_grad:  # autograd remembers the shape, until the type changes
        other = torch.float16 if held.dtype != torch.float16 else torch.float32
        held.data = torch.empty(0, dtype=other, device=held.device)
    held.data = fresh
