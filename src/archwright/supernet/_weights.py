"""The shared weights of a supernet: the tensors of its layers, and the largest of each, of which sizes take a part."""

from __future__ import annotations

import functools
import weakref
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from archwright.errors import RelaxationError
from archwright.space import Call, Program, Value
from archwright.supernet.elastic import Slicing, cut, fill, own_tensors, paste, rule_of

CONTAINERS = frozenset(f"torch.nn.{name}" for name in ("Sequential", "ModuleList", "ModuleDict"))
"""Modules that leave the layers in them as they are."""

_BUFFER = "~"
"""What the keys of buffers begin with."""


@dataclass(frozen=True)
class Slot:
    """A tensor of a layer, and its entry among the shared weights.

    Args:
        layer: The layer.
        name: What the layer calls the tensor.
        entry: The name of the layer's entry in the shared weights.
        origin: The tensor's name in the entry; it differs from `name` if two layers share a tensor.
        shape: The tensor's shape.
        part: Its position in the largest tensor.
        is_parameter: Whether it is a parameter or a buffer.
        is_given: Whether its first values are those that it has in the layer. Otherwise nothing but the layer's
            `reset_parameters` says how it begins, and the shared weights draw values of the size that is wanted.
        lr_scale: A factor on the learning rate, of pretrained parts.

    Example:
        >>> from archwright.build import instantiate
        >>> recorder = aw.supernet.Recorder()
        >>> layer = instantiate(nn.Linear(4, 2, bias=False), recorder)
        >>> [(slot.name, tuple(slot.shape)) for slot in recorder.slots()]
        [('weight', (2, 4))]
    """

    layer: nn.Module
    name: str
    entry: str
    origin: str
    shape: torch.Size
    part: Slicing
    is_parameter: bool
    is_given: bool
    lr_scale: float = 1.0

    @functools.cached_property
    def key(self) -> str:
        """The tensor's name in the shared weights: without dots, which denote submodules; buffers are marked."""
        return f"{'' if self.is_parameter else _BUFFER}{self.entry}/{self.origin}".replace(".", "/")

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
        """The layer's dictionary of tensors of this kind."""
        return self.layer._parameters if self.is_parameter else self.layer._buffers


class Recorder:
    """Record of the layers that the calls of an expression create, a callback of `archwright.build.instantiate`.

    Layers that no longer exist are dropped.

    Args:
        mark: Returns a suffix for the names of the entries of a path.

    Example:
        >>> from archwright.build import instantiate
        >>> recorder = aw.supernet.Recorder()
        >>> layer = instantiate(nn.Linear(4, 2), recorder)
        >>> [slot.name for slot in recorder.slots()]
        ['weight', 'bias']
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
                is_own = not call.target.startswith("torch.nn.") or call.callee is not None
                found.update(id(layer) for layer in module.modules() if is_own or layer is not module)
        return found

    def _slots_of(
        self, path: str, module: nn.Module, taken: set[int], held: dict[int, tuple[str, str]], given: set[int]
    ) -> Iterator[Slot]:
        scales = _lr_scales(module)
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
                part = parts.get(place, Slicing())
                scale = scales.get(id(layer), 1.0)
                yield Slot(layer, place, entry, origin, tensor.shape, part, is_parameter, is_given, scale)


def _lr_scales(module: nn.Module) -> dict[int, float]:
    """Return the factors on the learning rate of layers that have one, by the `id` of the layer."""
    found: dict[int, float] = {}
    for part in module.modules():
        scale = part.__dict__.get("lr_scale", 1.0)
        if scale != 1.0:
            found |= dict.fromkeys(map(id, part.modules()), scale)
    return found


def same_values(one: Slot, other: Slot) -> bool:
    """Tell whether two tensors hold equal values in their common part.

    Example:
        >>> from archwright.build import instantiate
        >>> first, second = aw.supernet.Recorder(), aw.supernet.Recorder()
        >>> layers = instantiate(nn.BatchNorm1d(4), first), instantiate(nn.BatchNorm1d(2), second)
        >>> [aw.supernet.same_values(one, other) for one, other in zip(first.slots()[:2], second.slots()[:2])]
        [True, True]
    """
    shape = torch.Size(map(min, one.shape, other.shape))
    first, second = cut(one.tensor.detach(), shape, one.part), cut(other.tensor.detach(), shape, other.part)
    return torch.allclose(first, second, rtol=0, atol=0, equal_nan=True)


def independent_of_seed(slots: Mapping[str, Slot], again: Mapping[str, Slot]) -> set[str]:
    """Return the keys of the tensors whose initial values do not depend on the seed.

    Args:
        slots: Tensors by key.
        again: The same, made from another seed.

    Example:
        >>> from archwright.build import instantiate
        >>> first, second = aw.supernet.Recorder(), aw.supernet.Recorder()
        >>> layers = [instantiate(nn.PReLU(), one) for one in (first, second)]
        >>> aw.supernet.independent_of_seed(*({slot.name: slot for slot in one.slots()} for one in (first, second)))
        {'weight'}
    """
    pairs = ((key, slot, again[key]) for key, slot in slots.items() if key in again)
    return {key for key, slot, other in pairs if slot.shape == other.shape and same_values(slot, other)}


def _sizes(layer: nn.Module) -> str:
    shapes = (f"{name} {'x'.join(map(str, tensor.shape))}" for name, tensor, _ in own_tensors(layer))
    return f"{type(layer).__name__}({', '.join(shapes)})"


@dataclass(frozen=True)
class Partition:
    """Says which weights a layer has, where they hang on decisions."""

    program: Program  # the decisions of the space
    roots: tuple[Any, ...]  # the parts of the open expression that the layer is made from
    names: tuple[str, ...]  # the decisions on which its first weights hang, by name

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return itself: parts of a space are known by their identity, and nothing of it changes."""
        return self

    def decided(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return those of the decisions that are active in the layer, by name."""
        active: dict[str, Value] = {}
        stack = [decision for root in self.roots for decision in self.program.exposed(root)]
        while stack:
            decision = stack.pop()
            name = self.program.names[decision]
            if name in values and name not in active:
                active[name] = values[name]
                stack += self.program.opened(decision, values[name])
        return {name: active[name] for name in self.names if name in active}


@dataclass
class _Request:
    """What has been asked for since the last allocation: shapes, and the layers that the first values are of.

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


class SharedWeights(nn.Module):
    """Holds for each place of each layer the largest weights that were asked for.

    A place is named by the path of the call that makes the layer, the layer's name in what the call returns, and its
    kind: what has no rule of its own has one entry for each of its sizes. Where the first weights hang on a decision,
    each of its values has an entry.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed
        self.version = 0  # counts how often weights came, grew or were loaded: an optimizer that holds them looks at it
        # Which decisions have weights of their own for each value, by the path below which they do.
        self.partitions: dict[str, Partition] = {}
        # The momentum of batch normalisation while its statistics are measured; None otherwise.
        self.calibrating: float | None = None
        self.lr_scale: dict[str, float] = {}  # factors on the learning rate, by the names of weights
        self._requests: dict[str, _Request] = {}

    def partitions_of(self, path: str) -> list[Partition]:
        """Return what divides the weights at a path."""
        return [each for at, each in self.partitions.items() if f"{path}.".startswith(f"{at}.")]

    def recorder(self, values: Mapping[str, Value]) -> Recorder:
        """Return what notes the tensors of layers that are made for some decisions."""

        def mark(path: str) -> str:
            decided = {name: value for each in self.partitions_of(path) for name, value in each.decided(values).items()}
            return "".join(f"[{name}={value}]" for name, value in decided.items())

        return Recorder(mark)

    def request(self, slots: list[Slot]) -> bool:
        """Ask that there be room for some layers; return whether there is already."""
        for slot in slots:
            held = self.held(slot.key)
            if slot.is_parameter and self.lr_scale.setdefault(slot.key, slot.lr_scale) != slot.lr_scale:
                raise RelaxationError(
                    f"{slot.entry} is pretrained with several learning rates, and a supernet has one set of its "
                    f"weights: give one lr to aw.pretrained"
                )
            if held is None or any(have < need for have, need in zip(held.shape, slot.shape, strict=True)):
                self._requests.setdefault(slot.entry, _Request()).add(slot, held)
            elif held.requires_grad and slot.is_frozen:  # it came with a state, which does not say so
                held.requires_grad_(False)
                self.version += 1
        return not self._requests

    def withdraw(self) -> None:
        """Take back what was asked for since the last allocation."""
        self._requests.clear()

    def allocate(self) -> None:
        """Make room for all that was asked for: new weights are drawn, and what is there keeps its values.

        Raises:
            RelaxationError: A layer that has a rule cannot fill its weights.
        """
        wanted, self._requests = self._requests, {}
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


def _rank(slot: Slot) -> tuple[bool, int]:
    return slot.is_given, slot.shape.numel()


def _replace(held: Tensor, fresh: Tensor) -> None:
    """Give a tensor values of another shape; those who hold it go on holding it."""
    if held.requires_grad:  # autograd remembers the shape, until the type changes
        other = torch.float16 if held.dtype != torch.float16 else torch.float32
        held.data = torch.empty(0, dtype=other, device=held.device)
    held.data = fresh
