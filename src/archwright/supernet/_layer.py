"""The layers of a supernet: made once for each of their sizes, and run with their part of the shared weights."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from contextlib import nullcontext
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.overrides import TorchFunctionMode

from archwright.build import counting_channels, has_lazy_layers, headline, instantiate, is_unsized, without_lazy_layers
from archwright.errors import BuildError, RelaxationError
from archwright.space import Blank, Call, Decision, Resolver, TensorSpec, Value, decisions_in, mapped, walk
from archwright.supernet._execution import Context, Draw, Engine
from archwright.supernet._sized import SizedLayer
from archwright.supernet._weights import CONTAINERS, Partition, Slot, seeded
from archwright.supernet.elastic import rule_of

_SHAPELESS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Hardswish, nn.Sigmoid)
_FILLING = frozenset((Tensor.uniform_, Tensor.normal_, Tensor.fill_, Tensor.zero_))
_KEPT = 256  # sizes of a layer that are kept, the latest


class StandIn(nn.Module):
    """Stands for a part of the expression inside a layer that takes it and calls it."""

    def __init__(self, engine: Engine, node: Any) -> None:
        super().__init__()
        self._engine, self._node = engine, node
        self._given: tuple[Context | None, dict[Hashable, Any]] = None, {}

    def forward(self, *inputs: Tensor) -> Any:
        engine, context = self._engine, self._engine.context
        assert context is not None
        if not engine.finds_shapes:
            return self._node.run(inputs, context)
        # A layer that calls a part at each step of a sequence is given what the first step came to.
        if self._given[0] is not context:
            self._given = context, {}
        known, key = self._given[1], _described(inputs)
        if key not in known:
            known[key] = self._node.run(inputs, context)
        return known[key]

    def __deepcopy__(self, memo: dict[int, Any]) -> StandIn:
        """Refuse: what copies a part makes layers that have weights of their own."""
        raise RelaxationError("a part of a supernet is not copied")


class _Unfilled(TorchFunctionMode):
    """Leaves tensors without data as they are: to fill them takes time all the same."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] if func in _FILLING else func(*args, **(kwargs or {}))


class SharedLayer:
    """A call that makes a layer.

    What it takes may hold decisions; a layer is made for each set of values, when it is first met, and kept. Parts of
    the expression among what it takes, where something is open in them, are handed over as modules that run them. What
    looks into such a part, or copies it, is given real modules instead.
    """

    def __init__(
        self,
        engine: Engine,
        call: Call,
        path: str,
        parts: list[tuple[Any, Any]],
        inner: list[SharedLayer],
        roots: tuple[Any, ...],
    ) -> None:
        self.engine, self.call, self.path = engine, call, path
        # The parts of the expression among its arguments, each with what runs it; the layers in them; the call, and
        # what the blanks of templates in it stand for.
        self.parts, self.inner, self.roots = parts, inner, roots
        self.partitions: list[Partition] = []  # the decisions of which each value has weights of its own, in the layer
        # While sizes are found out: what went in first with each draw, and the context; by the `id` of the draw.
        self.runs: dict[int, tuple[tuple[Any, ...], Context]] = {}
        # While sizes are found out: for each of its sizes the context in which it was met first, and its tensors.
        self.met: list[tuple[Context, list[Slot]]] = []
        self._within: SharedLayer | None = None
        self._running: tuple[Any, ...] = ()
        for layer in inner:
            layer._within = layer._within or self
        self.is_whole = self._is_settled = False
        self._set_up()

    def _set_up(self) -> None:
        self._made: dict[Hashable, SizedLayer] = {}
        self._probed: dict[Hashable, SizedLayer] = {}  # without weights, and never run for real
        self._given: dict[Hashable, Any] = {}
        self._open: Any = None
        item = self._opened()
        self._blanks = blanks_in(item)
        # The decisions that it is made by, by name.
        self.names = [self.engine.program.names[decision] for decision in decisions_in(item)]
        self._is_lazy = _holds(item, "torch.nn.Lazy") or _holds(item, ":")  # a user's own class may hold lazy layers
        self.is_own = _holds(item, ":")  # whether code of the user's own makes it, or a part of it
        self.runs.clear()
        self.met.clear()

    @property
    def takes(self) -> bool:
        """Whether it is given parts that run by themselves, and may have done something to them."""
        return bool(self.parts) and not self.is_whole and self.call.target not in CONTAINERS

    @property
    def is_special(self) -> bool:
        """Whether its first weights are what somebody's code makes of them."""
        return self.is_own or self.takes

    @property
    def taker(self) -> SharedLayer | None:
        """The outermost layer around it that takes it as a part."""
        around: list[SharedLayer] = []
        layer = self._within
        while layer is not None:
            around += [layer] if layer.takes else []
            layer = layer._within
        return around[-1] if around else None

    def exposed(self) -> list[Decision]:
        """Return the decisions that are active wherever the call is."""
        return [decision for root in self.roots for decision in self.engine.program.exposed(root)]

    def _opened(self) -> Any:
        """Return the call, with stand-ins for the parts that are run by themselves."""
        if self._open is None:
            stand_ins = {id(part): StandIn(self.engine, node) for part, node in self.parts}
            self._open = self.call if self.is_whole or not stand_ins else _replaced(self.call, stand_ins)
        return self._open

    def run(self, inputs: tuple[Tensor, ...], context: Context) -> Any:
        """Return what the layer gives for some inputs, in the size that a context says."""
        engine, before = self.engine, self.engine.context
        engine.context = context
        try:
            return self._discover(inputs, context) if engine.discovering else self._run(inputs, context)
        finally:
            engine.context = before

    def _run(self, inputs: tuple[Tensor, ...], context: Context) -> Any:
        key = self._key(inputs, context)
        made = self._made.get(key)
        if made is None or not made.bind(self.engine.bank):
            made = self._made[key] = self._make(inputs, context)
            made.bind(self.engine.bank)
            if len(self._made) > _KEPT:
                del self._made[next(iter(self._made))]
        self.engine.meet(made)
        if self.takes:
            self._running = inputs
        try:
            return self._shared(made, inputs, context)
        finally:
            self._running = ()

    def _shared(self, made: SizedLayer, inputs: tuple[Tensor, ...], context: Context) -> Any:
        if made.does is None or context.shared is None:
            return made.run(inputs, self.engine)
        place = made.does, id(inputs[0])
        if place not in context.shared:
            context.shared[place] = inputs[0], made.run(inputs, self.engine)
        return context.shared[place][1]

    def _discover(self, inputs: tuple[Tensor, ...], context: Context) -> Any:
        """Run the layer without weights; with its parts inside it, if it looks into them or copies them."""
        key = self._key(inputs, context)
        self.runs.setdefault(id(context.draw), (inputs, context))
        given = key, _described(inputs)
        if given in self._given and self.engine.remembers:
            return self._given[given]
        try:
            if key not in self._probed:
                self._probed[key] = self._make(inputs, context)
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
        return self._discover(inputs, context)

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

    def modules(self) -> list[nn.Module]:
        """Return the modules with tensors that were made to find out about sizes."""
        return [slot.layer for made in self._probed.values() for slot in made.slots]

    def forget(self) -> None:
        """Let go of the layers that were made; what has been found out about sizes is settled."""
        self._is_settled = True
        for held in (self._made, self._probed, self._given, self.runs, self.met):
            held.clear()

    def restore(self) -> None:
        """Begin anew to find out about the layer."""
        self.is_whole = self._is_settled = False
        self.partitions = self.engine.bank.partitions_of(self.path)
        self._set_up()

    def _key(self, inputs: tuple[Tensor, ...], context: Context) -> Hashable:
        if not (self.names or self._blanks or self._is_lazy or self.partitions):
            return (context.divisor,)
        values = context.draw.values
        context.used.update(self.names)
        key: list[Any] = [context.divisor]
        key += [values.get(name) for name in self.names]
        for blank in self._blanks:
            filled = context.filled.get(blank)
            key.append(filled if isinstance(filled, Hashable) else repr(filled))
        if self._is_lazy:
            key.append(_shapes(inputs))
        for partition in self.partitions:
            decided = partition.decided({**values, **dict(context.taken)})
            context.used.update(decided)
            key += decided.items()
        return tuple(key)

    def _make(self, inputs: tuple[Tensor, ...], context: Context) -> SizedLayer:
        """Make the layer, and see that the shared weights have room for it."""
        engine = self.engine
        if engine.discovering:
            module, slots = self._made_on(engine.device, inputs, context)
            real = slots
            if engine.device == "meta" and any(slot.is_given for slot in slots) and not self.takes:
                _, real = self._made_on("cpu", inputs, context)
            engine.bank.request(real)
            self.met.append((context, real))
            return SizedLayer(module, slots)
        device = "cpu" if self.is_own else "meta"  # whatever it holds besides its parameters must be real
        module, slots = self._made_on(device, inputs, context)
        if device == "meta" and any(slot.is_given for slot in slots):
            module, slots = self._made_on("cpu", inputs, context)
        if not engine.bank.request(slots):
            taker = self.taker
            if taker is not None:
                engine.bank.request(taker.built(taker._running, context))
            elif self.takes:
                engine.bank.request(self.built(inputs, context))
            engine.bank.allocate()
        like = engine.bank.like
        if self.is_own and (like.device.type != "cpu" or like.dtype != torch.get_default_dtype()):
            module.to(like.device, like.dtype)
        return SizedLayer(module, slots)

    def built(
        self,
        inputs: tuple[Any, ...],
        context: Context,
        values: Mapping[str, Value] | None = None,
        *,
        again: bool = False,
    ) -> list[Slot]:
        """Return the tensors of the layer as it is built: what it takes are real modules, whatever runs them here.

        Args:
            inputs: What goes in.
            context: What is run; of decisions that are mixed the options inside of which it is.
            values: Decisions that are made otherwise, by name.
            again: Whether to draw from another seed.
        """
        draw = Draw({**self.engine.high, **context.draw.values, **dict(context.taken), **(values or {})})
        return self._made_on("cpu", inputs, Context(draw, context.filled), self.call, again=again)[1]

    def _made_on(
        self, device: str, inputs: tuple[Any, ...], context: Context, call: Call | None = None, *, again: bool = False
    ) -> tuple[nn.Module, list[Slot]]:
        call = call or self._opened()
        record = self.engine.bank.recorder({**context.draw.values, **dict(context.taken)})
        closed = Resolver(self.engine.program, context.draw.values, context.filled).close(call, self.path)
        specs = _specs(inputs)
        if device == "cpu" and call is self.call and self.is_special and specs is not None and has_lazy_layers(closed):
            try:
                # What is done to its layers is done when they have their sizes.
                closed = without_lazy_layers(closed, specs)
            except BuildError as error:
                raise RelaxationError(str(error)) from error
        filling = _Unfilled() if device == "meta" else nullcontext()
        with seeded(self.engine.bank.seed, f"{self.path} again" if again else self.path), torch.device(device), filling:
            module = instantiate(closed, record)
            if not isinstance(module, nn.Module):
                raise RelaxationError(f"{self.path}: {headline(closed)} makes {type(module).__name__}, and no module")
            passed = _shapeless(module) if device == "meta" else []
            for layer in passed:
                layer.forward = _unchanged  # finding out what they give takes milliseconds there
            if self._is_lazy and is_unsized(module):
                self._give_sizes(module, device, inputs)
            for layer in () if self.engine.discovering else passed:
                del layer.forward
        if context.divisor > 1:
            self._narrow(module, closed, context.divisor)
        return module, record.slots()

    def _give_sizes(self, module: nn.Module, device: str, inputs: tuple[Any, ...]) -> None:
        """Run a lazy layer, so that it gets its sizes; parts that it takes run on the device of the weights."""
        like = self.engine.bank.like
        place = device if device == "meta" or self.engine.discovering else str(like.device)
        dtype = like.dtype if device != "meta" else torch.get_default_dtype()
        was_training, self.engine.training = self.engine.training, False
        try:
            with torch.no_grad(), counting_channels(module):
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
        left: dict[str, Any] = {
            "_made": {},
            "_probed": {},
            "_given": {},
            "_open": None,
            "_running": (),
            "runs": {},
            "met": [],
        }
        return {**self.__dict__, **left}


def blanks_in(item: Any) -> list[Blank]:
    """Return the blanks of templates inside an item, those inside of options included."""
    return [part for part in walk(item) if isinstance(part, Blank)]


def _replaced(item: Any, parts: dict[int, StandIn]) -> Any:
    """Return an item with some of its parts replaced by calls that return modules."""
    if id(item) in parts:
        part = parts[id(item)]
        return Call("", callee=lambda: part)
    return mapped(item, lambda part: _replaced(part, parts))


def _holds(item: Any, text: str) -> bool:
    """Tell whether a call in an item has a text in its target."""
    return any(isinstance(part, Call) and text in part.target for part in walk(item))


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


def _specs(inputs: tuple[Any, ...]) -> tuple[TensorSpec, ...] | None:
    """Return what goes into a layer, in the precision that layers are made in; None where it is more than tensors."""
    if not all(isinstance(each, Tensor) for each in inputs):
        return None
    default = torch.get_default_dtype()
    dtypes = [default if each.is_floating_point() else each.dtype for each in inputs]
    pairs = zip(inputs, dtypes, strict=True)
    return tuple(TensorSpec(tuple(each.shape[1:]), str(dtype).removeprefix("torch.")) for each, dtype in pairs)


def _described(item: Any) -> Hashable:
    if isinstance(item, Tensor):
        return item.shape, item.dtype
    return tuple(map(_described, item)) if isinstance(item, list | tuple) else repr(item)


def _zeros(item: Any, device: str, dtype: torch.dtype) -> Any:
    if isinstance(item, Tensor):
        kind = dtype if item.is_floating_point() else item.dtype
        return torch.zeros(item.shape, dtype=kind, device=device)
    return type(item)(_zeros(part, device, dtype) for part in item) if isinstance(item, list | tuple) else item
