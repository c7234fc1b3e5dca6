"""The layers of a supernet: made once for each of their sizes, and run with their part of the shared weights."""

from __future__ import annotations

import operator
from collections.abc import Hashable
from contextlib import nullcontext
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.overrides import TorchFunctionMode

from archwright.build._infer import counted, is_unsized
from archwright.build._make import headline, make
from archwright.errors import RelaxationError
from archwright.space import Blank, Call, Decision, Resolver, children
from archwright.space._program import Program
from archwright.supernet._bank import Bank, Record, Slot, seeded
from archwright.supernet._frame import Frame
from archwright.supernet.elastic import cut, rule_of

__all__ = ["Engine", "Leaf", "StandIn", "decisions_in"]

_SHAPELESS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Hardswish, nn.Sigmoid)
_FILLING = frozenset((Tensor.uniform_, Tensor.normal_, Tensor.fill_, Tensor.zero_))
_KEPT = 256  # sizes of a layer that are kept, the latest


_STATELESS = frozenset(
    getattr(nn, name)
    for name in (
        *("ReLU", "ReLU6", "LeakyReLU", "ELU", "GELU", "SiLU", "Sigmoid", "Tanh", "Hardswish", "Mish", "Softplus"),
        *("MaxPool1d", "MaxPool2d", "MaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "ZeroPad2d", "Hardshrink"),
        *("AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d"),
    )
)
"""Layers that give the same for the same, whenever they are run."""


class Engine:
    """What all parts of a supernet share.

    Args:
        program: The decisions of the space.
        bank: The weights.

    Attributes:
        discovering: Whether shapes are being found out.
        remembers: Whether a shape that was found out is not found out again.
        device: Where they are found out: "meta", or "cpu" if something cannot be run there.
        training: Whether layers run in training mode.
        frame: What is being run.
        met: Branches and layers in the order in which they were run, while somebody wants to know; else None.
    """

    def __init__(self, program: Program, bank: Bank) -> None:
        self.program = program
        self.bank = bank
        self.discovering = False
        self.remembers = False
        self.device = "meta"
        self.training = True
        self.frame: Frame | None = None
        self.met: list[Any] | None = None

    def meet(self, part: Any) -> None:
        """Take down that a branch or a layer is run."""
        if self.met is not None:
            self.met.append(part)


class StandIn(nn.Module):
    """Stands for a part of the expression inside a layer that takes it and calls it."""

    def __init__(self, engine: Engine, node: Any) -> None:
        super().__init__()
        self._engine, self._node = engine, node

    def forward(self, *inputs: Tensor) -> Any:
        """Run the part."""
        assert self._engine.frame is not None
        return self._node.run(inputs, self._engine.frame)

    def __deepcopy__(self, memo: dict[int, Any]) -> StandIn:
        """Refuse: what copies a part makes layers that have weights of their own."""
        raise RelaxationError("a part of a supernet is not copied")


class _Unfilled(TorchFunctionMode):
    """Leaves tensors without data as they are: to fill them takes time all the same."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] if func in _FILLING else func(*args, **(kwargs or {}))


class Made:
    """A layer of one size.

    Args:
        module: The layer, without weights of its own.
        slots: Its tensors.
    """

    def __init__(self, module: nn.Module, slots: list[Slot]) -> None:
        self.module = module
        self.slots = slots
        layers = {id(slot.layer): slot.layer for slot in slots}.values()
        rules = [(rule_of(layer), layer) for layer in layers]
        self._bound = [(rule.bound, layer) for rule, layer in rules if rule is not None and rule.bound is not None]
        self._norms = [layer for layer in module.modules() if isinstance(layer, _NormBase)]
        self.does = repr(module) if type(module) in _STATELESS and not getattr(module, "inplace", False) else None
        self._version = -1
        self._sliced: list[tuple[Slot, Tensor]] = []
        self._buffers: list[tuple[Slot, Tensor]] = []

    def bind(self, bank: Bank) -> bool:
        """Give the layer its part of the weights; return whether there is such a part."""
        if self._version != bank.version:
            held = [(slot, bank.held(slot.key)) for slot in self.slots]
            known = [(slot, tensor) for slot, tensor in held if tensor is not None]
            if len(known) < len(held) or any(any(map(operator.lt, tensor.shape, slot.shape)) for slot, tensor in known):
                return False
            for slot, tensor in known:
                slot.store[slot.name] = cut(tensor, slot.shape, slot.part)
            self._sliced = [(slot, tensor) for slot, tensor in known if slot.shape != tensor.shape]
            self._buffers = [each for each in known if not each[0].is_parameter and rule_of(each[0].layer) is None]
            self._version = bank.version
        else:
            for slot, tensor in self._sliced:
                slot.store[slot.name] = cut(tensor, slot.shape, slot.part)
        for bound, layer in self._bound:
            bound(layer)
        return True

    def run(self, inputs: tuple[Tensor, ...], engine: Engine) -> Any:
        """Run the layer with the weights that it is bound to."""
        if self.module.training != engine.training:
            self.module.train(engine.training)
        if engine.bank.calibrating is None or not self._norms:
            result = self.module(*inputs)
        else:
            result = self._calibrate(inputs, engine.bank.calibrating)
        for slot, tensor in self._buffers:
            self._keep(slot, tensor)
        return result

    def _keep(self, slot: Slot, tensor: Tensor) -> None:
        """Take over a buffer that the layer has put another tensor in the place of."""
        value = slot.store[slot.name]
        if value is not tensor and value.data_ptr() != tensor.data_ptr():
            part = cut(tensor, slot.shape, slot.part)
            part.copy_(value.detach())
            slot.store[slot.name] = part

    def _calibrate(self, inputs: tuple[Tensor, ...], momentum: float) -> Any:
        held = [norm.momentum for norm in self._norms]
        for norm in self._norms:
            norm.train()
            norm.momentum = momentum
        try:
            return self.module(*inputs)
        finally:
            for norm, value in zip(self._norms, held, strict=True):
                norm.eval()
                norm.momentum = value


class Leaf:
    """A call that makes a layer.

    What it takes may hold decisions; a layer is made for each set of values, when it is first met, and kept. Parts of
    the expression among what it takes, where something is open in them, are handed over as modules that run them. What
    looks into such a part, or copies it, is given real modules instead.

    Args:
        engine: What all parts share.
        call: The call.
        path: Where it stands.
        parts: The parts of the expression among its arguments, each with what runs it.
    """

    def __init__(self, engine: Engine, call: Call, path: str, parts: list[tuple[Any, Any]]) -> None:
        self.engine, self.call, self.path = engine, call, path
        self.parts = parts
        self.is_whole = self._is_settled = False
        self._set_up()

    def _set_up(self) -> None:
        self._made: dict[Hashable, Made] = {}
        self._probed: dict[Hashable, Made] = {}  # without weights, and never run for real
        self._given: dict[Hashable, Any] = {}
        self._open: Any = None
        item = self._opened()
        decisions, self._blanks = decisions_in(item)
        self.names = [self.engine.program.names[decision] for decision in decisions]
        self._is_lazy = _holds(item, "torch.nn.Lazy") or _holds(item, ":")  # a user's own class may hold lazy layers
        self.is_own = _holds(item, ":")

    def _opened(self) -> Any:
        """Return the call, with stand-ins for the parts that are run by themselves."""
        if self._open is None:
            stand_ins = {id(part): StandIn(self.engine, node) for part, node in self.parts}
            self._open = self.call if self.is_whole or not stand_ins else _replaced(self.call, stand_ins)
        return self._open

    def run(self, inputs: tuple[Tensor, ...], frame: Frame) -> Any:
        """Return what the layer gives for some inputs, in the size that a frame says."""
        engine, before = self.engine, self.engine.frame
        engine.frame = frame
        try:
            return self._discover(inputs, frame) if engine.discovering else self._run(inputs, frame)
        finally:
            engine.frame = before

    def _run(self, inputs: tuple[Tensor, ...], frame: Frame) -> Any:
        key = self._key(inputs, frame)
        made = self._made.get(key)
        if made is None or not made.bind(self.engine.bank):
            made = self._made[key] = self._make(inputs, frame)
            made.bind(self.engine.bank)
            if len(self._made) > _KEPT:
                del self._made[next(iter(self._made))]
        self.engine.meet(made)
        if made.does is None or frame.shared is None:
            return made.run(inputs, self.engine)
        place = made.does, id(inputs[0])
        if place not in frame.shared:
            frame.shared[place] = inputs[0], made.run(inputs, self.engine)
        return frame.shared[place][1]

    def _discover(self, inputs: tuple[Tensor, ...], frame: Frame) -> Any:
        """Run the layer without weights; with its parts inside it, if it looks into them or copies them."""
        key = self._key(inputs, frame)
        given = key, _described(inputs)
        if given in self._given and self.engine.remembers:
            return self._given[given]
        try:
            if key not in self._probed:
                self._probed[key] = self._make(inputs, frame)
            self.engine.meet(self._probed[key])
            result = self._probed[key].module(*inputs)
            if self.engine.device == "meta" and (self.is_whole or not self.parts):
                self._given[given] = result  # nothing but its shape counts
            return result
        except Exception:  # whatever a layer raises
            if not self.parts or self.is_whole or self._is_settled:
                raise
        self.is_whole = True
        self._set_up()
        return self._discover(inputs, frame)

    def is_sized_by(self, name: str) -> bool:
        """Tell whether layers without a rule were probed in different sizes for different values of a decision."""
        at, end = self.names.index(name) + 1, 1 + len(self.names) + len(self._blanks)
        found: dict[Hashable, dict[Hashable, set[str]]] = {}
        for key, made in self._probed.items():
            assert isinstance(key, tuple)
            entries = {slot.entry for slot in made.slots if rule_of(slot.layer) is None}
            if entries:  # shapes of what goes in may change with the decision too
                found.setdefault((key[:at], key[at + 1 : end]), {}).setdefault(key[at], set()).update(entries)
        return any(
            first.isdisjoint(second) for group in found.values() for first, second in combinations(group.values(), 2)
        )

    def layers(self) -> list[nn.Module]:
        """Return the layers with tensors that were made to find out about sizes."""
        return [slot.layer for made in self._probed.values() for slot in made.slots]

    def forget(self) -> None:
        """Let go of the layers that were made; what has been found out about sizes is settled."""
        self._is_settled = True
        self._made.clear()
        self._probed.clear()
        self._given.clear()

    def restore(self) -> None:
        """Begin anew to find out about the layer."""
        self.is_whole = self._is_settled = False
        self._set_up()

    def _key(self, inputs: tuple[Tensor, ...], frame: Frame) -> Hashable:
        if not (self.names or self._blanks or self._is_lazy):
            return (frame.divisor,)
        values = frame.draw.values
        frame.used.update(self.names)
        key: list[Any] = [frame.divisor]
        key += [values.get(name) for name in self.names]
        for blank in self._blanks:
            filled = frame.filled.get(blank)
            key.append(filled if isinstance(filled, Hashable) else repr(filled))
        if self._is_lazy:
            key.append(_shapes(inputs))
        return tuple(key)

    def _make(self, inputs: tuple[Tensor, ...], frame: Frame) -> Made:
        """Make the layer, and see that the bank has room for it."""
        engine = self.engine
        if engine.discovering:
            module, slots = self._made_on(engine.device, inputs, frame)
            real = slots
            if engine.device == "meta" and any(rule_of(slot.layer) is None for slot in slots):
                _, real = self._made_on("cpu", inputs, frame)
            engine.bank.want(real)
            return Made(module, slots)
        device = "cpu" if self.is_own else "meta"  # whatever it holds besides its parameters must be real
        module, slots = self._made_on(device, inputs, frame)
        if device == "meta" and any(rule_of(slot.layer) is None for slot in slots):
            module, slots = self._made_on("cpu", inputs, frame)
        if not engine.bank.want(slots):
            engine.bank.settle()
        like = engine.bank.like
        if self.is_own and (like.device.type != "cpu" or like.dtype != torch.get_default_dtype()):
            module.to(like.device, like.dtype)
        return Made(module, slots)

    def _made_on(self, device: str, inputs: tuple[Tensor, ...], frame: Frame) -> tuple[nn.Module, list[Slot]]:
        record = Record()
        closed = Resolver(self.engine.program, frame.draw.values, frame.filled).close(self._opened(), self.path)
        filling = _Unfilled() if device == "meta" else nullcontext()
        with seeded(self.engine.bank.seed, self.path), torch.device(device), filling:
            module = make(closed, record)
            if not isinstance(module, nn.Module):
                raise RelaxationError(f"{self.path}: {headline(closed)} makes {type(module).__name__}, and no module")
            passed = _shapeless(module) if device == "meta" else []
            for layer in passed:
                layer.forward = _unchanged  # finding out what they give takes milliseconds there
            if self._is_lazy and is_unsized(module):
                self._give_sizes(module, device, inputs)
            for layer in () if self.engine.discovering else passed:
                del layer.forward
        if frame.divisor > 1:
            self._narrow(module, closed, frame.divisor)
        return module, record.slots()

    def _give_sizes(self, module: nn.Module, device: str, inputs: tuple[Any, ...]) -> None:
        """Run a lazy layer, so that it gets its sizes; parts that it takes run on the device of the weights."""
        like = self.engine.bank.like
        place = device if device == "meta" or self.engine.discovering else str(like.device)
        dtype = like.dtype if device != "meta" else torch.get_default_dtype()
        was_training, self.engine.training = self.engine.training, False
        try:
            with torch.no_grad(), counted(module):
                module.to(place, dtype).eval()(*_zeros(inputs, place, dtype))
        finally:
            self.engine.training = was_training

    def _narrow(self, module: nn.Module, closed: Any, divisor: int) -> None:
        for layer in module.modules():
            rule = rule_of(layer)
            if rule is not None and rule.narrow is not None:
                rule.narrow(layer, divisor)
            elif next(iter(layer._parameters), None) is not None:
                raise RelaxationError(
                    f"{self.path}: {headline(closed)} cannot be run on a part of its channels, as this relaxation "
                    f"does; take another relaxation"
                )

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what was made: layers hold views of the weights, and stand-ins are not copied."""
        return {**self.__dict__, "_made": {}, "_probed": {}, "_given": {}, "_open": None}


def decisions_in(item: Any) -> tuple[list[Decision], list[Blank]]:
    """Return the decisions and blanks that an item holds, those inside of options included."""
    decisions: dict[Decision, None] = {}
    blanks: dict[Blank, None] = {}
    visited: set[int] = set()
    stack = [item]
    while stack:
        part = stack.pop()
        if id(part) in visited:
            continue
        visited.add(id(part))
        if isinstance(part, Decision):
            decisions[part] = None
        elif isinstance(part, Blank):
            blanks[part] = None
        stack += [*(each for _, each in children(part)), *getattr(part, "branches", ())]
    return list(decisions), list(blanks)


def _replaced(item: Any, parts: dict[int, StandIn]) -> Any:
    """Return an item with some of its parts replaced by calls that return modules."""
    if id(item) in parts:
        part = parts[id(item)]
        return Call("", callee=lambda: part)
    if isinstance(item, Call):
        args = tuple(_replaced(value, parts) for value in item.args)
        kwargs = {key: _replaced(value, parts) for key, value in item.kwargs.items()}
        return Call(item.target, args, kwargs, item.names, item.callee)
    if isinstance(item, list | tuple):
        return type(item)(_replaced(value, parts) for value in item)
    if isinstance(item, dict):
        return {key: _replaced(value, parts) for key, value in item.items()}
    return item


def _holds(item: Any, text: str) -> bool:
    """Tell whether a call in an item has a text in its target."""
    if isinstance(item, Call) and text in item.target:
        return True
    inner = (*(part for _, part in children(item)), *getattr(item, "branches", ()))
    return any(_holds(part, text) for part in inner)


def _shapeless(module: nn.Module) -> list[nn.Module]:
    """Return the layers of torch inside a module that give the shape they are given."""
    layers = [each for each in module.modules() if isinstance(each, _SHAPELESS)]
    return [each for each in layers if type(each).__module__.startswith("torch.nn.")]


def _unchanged(x: Tensor) -> Tensor:
    return x


def _shapes(item: Any) -> Hashable:
    if isinstance(item, Tensor):
        return item.shape[1:]
    return tuple(map(_shapes, item)) if isinstance(item, list | tuple) else None


def _described(item: Any) -> Hashable:
    if isinstance(item, Tensor):
        return item.shape, item.dtype
    return tuple(map(_described, item)) if isinstance(item, list | tuple) else repr(item)


def _zeros(item: Any, device: str, dtype: torch.dtype) -> Any:
    if isinstance(item, Tensor):
        kind = dtype if item.is_floating_point() else item.dtype
        return torch.zeros(item.shape, dtype=kind, device=device)
    return type(item)(_zeros(part, device, dtype) for part in item) if isinstance(item, list | tuple) else item
