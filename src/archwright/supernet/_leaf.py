"""The layers of a supernet: made once for each of their sizes, and run with their part of the shared weights."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy

from archwright.build._make import headline, make
from archwright.errors import ArchwrightError, RelaxationError
from archwright.space import Blank, Call, Decision, Resolver, children
from archwright.space._program import Program
from archwright.supernet._bank import Bank, Slot, slots_of
from archwright.supernet._frame import Frame
from archwright.supernet.elastic import rule_of

__all__ = ["Engine", "Leaf", "StandIn", "decisions_in"]


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
        discovering: Whether shapes are being found out, on the meta device.
        training: Whether layers run in training mode.
        frame: What is being run.
        met: Branches and layers in the order in which they were run, while somebody wants to know; else None.
    """

    def __init__(self, program: Program, bank: Bank) -> None:
        self.program = program
        self.bank = bank
        self.discovering = False
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
        """Refuse: the copies would share one set of weights."""
        raise RelaxationError("a part of a supernet is not copied")


class Made:
    """A layer of one size.

    Args:
        module: The layer, without weights of its own.
        slots: Its tensors.
    """

    def __init__(self, module: nn.Module, slots: list[Slot]) -> None:
        self.module = module
        self.slots = slots
        self._layers = list({id(slot.layer): slot.layer for slot in slots}.values())
        self._norms = [layer for layer in module.modules() if isinstance(layer, _NormBase)]
        self.does = repr(module) if type(module) in _STATELESS and not getattr(module, "inplace", False) else None
        self._version = -1
        self._sliced: list[Slot] = []
        self._bound: list[Any] = []

    def run(self, inputs: tuple[Tensor, ...], engine: Engine) -> Any:
        """Run the layer with its part of the weights."""
        bank = engine.bank
        if self._version != bank.version:
            bank.bind(self.slots)
            self._sliced = [slot for slot in self.slots if bank.view(slot) is not slot.store[slot.name]]
            rules = [(rule_of(layer), layer) for layer in self._layers]
            self._bound = [(rule.bound, layer) for rule, layer in rules if rule is not None and rule.bound is not None]
            self._version = bank.version
        else:
            bank.bind(self._sliced)
        for bound, layer in self._bound:
            bound(layer)
        if self.module.training != engine.training:
            self.module.train(engine.training)
        if bank.calibrating is None or not self._norms:
            return self.module(*inputs)
        return self._calibrate(inputs, bank.calibrating)

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
        parts: The parts of the expression among its arguments, compiled, by their `id`.
    """

    def __init__(self, engine: Engine, call: Call, path: str, parts: dict[int, Any]) -> None:
        self.engine, self.call, self.path = engine, call, path
        self.parts = parts
        self.is_whole = False
        self._open = _replaced(call, {key: StandIn(engine, node) for key, node in parts.items()}) if parts else call
        self._set_up()

    def _set_up(self) -> None:
        self._made: dict[Hashable, Made] = {}
        decisions, self._blanks = decisions_in(self._open)
        self._names = [self.engine.program.names[decision] for decision in decisions]
        self._is_lazy = _holds_lazy(self._open)

    def run(self, inputs: tuple[Tensor, ...], frame: Frame) -> Any:
        """Return what the layer gives for some inputs, in the size that a frame says."""
        key = self._key(inputs, frame)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._make(inputs, frame)
        engine, before = self.engine, self.engine.frame
        engine.meet(made)
        engine.frame = frame
        try:
            if engine.discovering:
                return made.module(*inputs)
            if made.does is None or frame.shared is None:
                return made.run(inputs, engine)
            place = made.does, id(inputs[0])
            if place not in frame.shared:
                frame.shared[place] = inputs[0], made.run(inputs, engine)
            return frame.shared[place][1]
        finally:
            engine.frame = before

    def layers(self) -> list[nn.Module]:
        """Return the layers with tensors that were made so far, in all their sizes."""
        return [slot.layer for made in self._made.values() for slot in made.slots]

    def forget(self) -> None:
        """Let go of the layers that were made."""
        self._made.clear()

    def _key(self, inputs: tuple[Tensor, ...], frame: Frame) -> Hashable:
        if not (self._names or self._blanks or self._is_lazy):
            return frame.divisor
        values = frame.draw.values
        frame.used.update(self._names)
        key: list[Any] = [frame.divisor]
        key += [values.get(name) for name in self._names]
        for blank in self._blanks:
            filled = frame.filled.get(blank)
            key.append(filled if isinstance(filled, Hashable) else repr(filled))
        if self._is_lazy:
            key += [each.shape[1:] for each in inputs]
        return tuple(key)

    def _make(self, inputs: tuple[Tensor, ...], frame: Frame) -> Made:
        """Make the layer, and see that the bank has room for it."""
        engine = self.engine
        try:
            module, slots = self._made_on("meta", inputs, frame)
        except ArchwrightError:
            if not self.parts or self.is_whole or not engine.discovering:
                raise
            self.is_whole, self._open = True, self.call
            self._set_up()
            self._key(inputs, frame)
            module, slots = self._made_on("meta", inputs, frame)
        real = slots
        if any(rule_of(slot.layer) is None for slot in slots) or not slots:
            made, real = self._made_on("cpu", inputs, frame)  # whatever it holds besides its parameters must be real
            if not engine.discovering:
                module, slots = made, real
        if not engine.bank.want(real) and not engine.discovering:
            engine.bank.settle()
        if not engine.discovering:
            device = next(engine.bank.parameters(), torch.empty(0)).device
            if device.type != "cpu" and slots is real:
                module.to(device)
        return Made(module, slots)

    def _made_on(self, device: str, inputs: tuple[Tensor, ...], frame: Frame) -> tuple[nn.Module, list[Slot]]:
        made: list[tuple[Call, Any]] = []
        closed = Resolver(self.engine.program, frame.draw.values, frame.filled).close(self._open, self.path)
        with torch.random.fork_rng(devices=[]), torch.device(device):
            torch.manual_seed(self.engine.bank.seed)
            module = make(closed, lambda call, result: made.append((call, result)))
            if not isinstance(module, nn.Module):
                raise RelaxationError(f"{self.path}: {headline(closed)} makes {type(module).__name__}, and no module")
            if self._is_lazy and any(is_lazy(tensor) for tensor in module.parameters()):
                with torch.no_grad():
                    module.eval()(*(torch.zeros(each.shape, dtype=each.dtype, device=device) for each in inputs))
        if frame.divisor > 1:
            for layer in module.modules():
                rule = rule_of(layer)
                if rule is not None and rule.narrow is not None:
                    rule.narrow(layer, frame.divisor)
                elif next(iter(layer._parameters), None) is not None:
                    raise RelaxationError(
                        f"{self.path}: {headline(closed)} cannot be run on a part of its channels, as this relaxation "
                        f"does; take another relaxation"
                    )
        taken: set[int] = set()
        held: dict[int, tuple[str, str]] = {}
        return module, [slot for call, result in made for slot in slots_of(call.path, result, taken, held)]

    def __getstate__(self) -> dict[str, Any]:
        """Leave the layers that were made behind: they hold views of the weights."""
        return {**self.__dict__, "_made": {}}


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


def _holds_lazy(item: Any) -> bool:
    if isinstance(item, Call) and (item.target.startswith("torch.nn.Lazy") or ":" in item.target):
        return True  # a class of the user's own may hold lazy layers
    return any(_holds_lazy(part) for _, part in children(item)) or any(map(_holds_lazy, getattr(item, "branches", ())))
