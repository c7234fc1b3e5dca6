"""The initial weights of a supernet: as in the networks that are built.

Layers of torch that stand by themselves are initialised by their own rules. Whatever a class or a function of the
user's own makes, or does to the modules that it is given, is made here as it is built, and its weights are taken over.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from archwright.build import headline
from archwright.errors import RelaxationError
from archwright.space import Decision, Value, decisions_in
from archwright.supernet._execution import Context
from archwright.supernet._layer import SharedLayer
from archwright.supernet._weights import Slot, independent_of_seed, same_values
from archwright.supernet.elastic import rule_of

_LISTED = 64  # values of a decision that are looked through for what they open
MOST = 16  # values of a decision that are built to see whether the first weights hang on it


def separated(layer: SharedLayer, branches: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the decisions on which the initial weights of a layer depend: weights that differ there are not shared.

    Two sizes may share weights that are drawn at random, or of which the smaller ones are a part of the larger. They do
    not share weights that are loaded, such as those of two networks that were trained before, nor a tensor that one of
    them freezes. Where nothing but the decision differs and the same seed gives other values, as for schemes of
    initialization, they do not share either.

    Args:
        layer: A layer of the user's own, after sizes were found out; or one that takes parts that run by themselves.
        branches: The names of the decisions that are mixed.

    Returns:
        The names of those of which each value is to have weights of its own, and of those that have too many values.

    Raises:
        RelaxationError: Loaded weights hang on a decision that is not made in all networks of the layer.
    """
    if not layer.runs:
        return [], []
    program = layer.engine.program
    inputs, context = next(iter(layer.runs.values()))
    rounds = _rounds(layer, context)
    built: dict[str, _Built] = {}

    def references(settled: Mapping[str, Value]) -> list[_Built]:
        """Return the networks in which some decisions are made, with every option in one of them."""
        wanted = [{**taken, **settled} for taken in rounds]
        return [built.setdefault(repr(each), _Built(layer, inputs, context, each)) for each in wanted]

    names = layer.names + [program.names[each] for root in layer.roots[1:] for each in decisions_in(root)]
    exposed = [*names, *(program.names[decision] for decision in layer.exposed())]
    if layer.inner and any(reference.is_loaded for reference in references({})):
        names += [program.names[decision] for decision in decisions_in(layer.call)]
    names = [name for name in names if name not in branches]
    found: tuple[list[str], list[str]] = ([], [])
    for name, settled in _reached(layer).items():
        if name in names and _depends_on(name, program.decisions[name], references(settled)):
            if name not in exposed:
                raise RelaxationError(
                    f"{layer.path}: {headline(layer.call)} loads weights that hang on {name}, which only some of its "
                    f"networks decide, so they can be no part of one set of weights: settle {name}, or write a choice "
                    f"between several such calls"
                )
            found[program.decisions[name].size > MOST].append(name)
    return found


def initialise(layer: SharedLayer) -> None:
    """Give the shared weights the initial values of a layer that takes parts, and of those parts."""
    largest: dict[str, tuple[int, Context]] = {}
    for each in (layer, *layer.inner):
        for context, slots in each.met:
            for slot in slots:
                known = largest.get(slot.key)
                if known is None or slot.shape.numel() > known[0]:
                    largest[slot.key] = slot.shape.numel(), context
    by_draw: dict[int, list[Context]] = {}
    for _, context in largest.values():
        by_draw.setdefault(id(context.draw), []).append(context)
    for draw, contexts in by_draw.items():
        for taken in covers(dict(context.taken) for context in contexts):
            layer.engine.bank.request(layer.built(*layer.runs[draw], taken))


def covers(wanted: Iterable[Mapping[str, Value]]) -> list[dict[str, Value]]:
    """Return a few sets of decisions of which each that is wanted is a part of one."""
    found: list[dict[str, Value]] = []
    for each in wanted:
        for known in found:
            if all(known.get(name, value) == value for name, value in each.items()):
                known.update(each)
                break
        else:
            found.append(dict(each))
    return found


@dataclass(eq=False)
class _Built:
    """The tensors of a layer as it is built, with some decisions made."""

    layer: SharedLayer
    inputs: tuple[Any, ...]
    context: Context
    values: Mapping[str, Value]

    @functools.cached_property
    def slots(self) -> dict[str, Slot]:
        """Their tensors by key."""
        return {slot.key: slot for slot in self.layer.built(self.inputs, self.context, self.values)}

    @functools.cached_property
    def fixed(self) -> set[str]:
        """The keys of the tensors that are the same for every seed."""
        again = self.layer.built(self.inputs, self.context, self.values, again=True)
        return independent_of_seed(self.slots, {slot.key: slot for slot in again})

    @property
    def is_loaded(self) -> bool:
        """Whether a layer that has a rule holds weights that are neither drawn nor all the same."""
        shared = (self.slots[key] for key in self.fixed if rule_of(self.slots[key].layer) is not None)
        return any(bool((slot.tensor != slot.tensor.flatten()[:1]).any()) for slot in shared)

    def decided(self, name: str) -> Value:
        """Return the value of a decision."""
        return self.values.get(name, self.context.draw.values[name])

    def at(self, name: str, value: Value) -> _Built | None:
        """Return the same with one more decision made; None where it cannot be built."""
        wanted = {**self.context.draw.values, name: value}
        runs = self.layer.runs.values()
        run = next((run for run in runs if run[1].draw.values == wanted), None)
        other = _Built(self.layer, *(run or (self.inputs, self.context)), {**self.values, name: value})
        if run is None:  # constraints keep it from being run, and it may not even fit
            try:
                return other if other.slots else None
            except Exception:  # whatever a layer raises
                return None
        return other


def _rounds(layer: SharedLayer, context: Context) -> list[dict[str, Value]]:
    """Return what has to be decided to have every option inside of a layer made once."""
    return covers(dict(met.taken) for inner in layer.inner for met, _ in inner.met if met.draw is context.draw) or [{}]


def _reached(layer: SharedLayer) -> dict[str, dict[str, Value]]:
    """Return each decision in the call of a layer, with the decisions by which it is active there, by name."""
    program = layer.engine.program
    left = layer.exposed()
    found: dict[str, dict[str, Value]] = {program.names[decision]: {} for decision in left}
    while left:
        decision = left.pop(0)
        name = program.names[decision]
        for value in decision.values() if decision.branches and decision.size <= _LISTED else ():
            for inner in program.opened(decision, value):
                if program.names[inner] not in found:
                    found[program.names[inner]] = {**found[name], name: value}
                    left.append(inner)
    return found


def _depends_on(name: str, decision: Decision, references: list[_Built]) -> bool:
    """Tell whether another value of a decision makes weights that cannot begin as one with those of a reference."""
    values = list(decision.values()) if decision.size <= MOST else [decision.decode([0.0] * decision.width)]
    for reference in references:
        for value in values:
            other = None if value == reference.decided(name) else reference.at(name, value)
            if other is not None and _differ(reference, other):
                return True
    return False


def _differ(one: _Built, other: _Built) -> bool:
    """Tell whether tensors of the same place cannot begin as one."""
    pairs = {key: (slot, other.slots[key]) for key, slot in one.slots.items() if key in other.slots}
    if any(a.tensor.requires_grad != b.tensor.requires_grad for a, b in pairs.values()):
        return True
    if len(pairs) == len(one.slots) == len(other.slots) and all(a.shape == b.shape for a, b in pairs.values()):
        return not all(same_values(*pair) for pair in pairs.values())
    return any(key in one.fixed and key in other.fixed and not same_values(*pair) for key, pair in pairs.items())
