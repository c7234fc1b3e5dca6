"""An open expression, compiled: what runs it with every decision made, or with several options at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from archwright.build import instantiate
from archwright.errors import RelaxationError, ShapeError
from archwright.space import (
    Absent,
    Apply,
    Blank,
    Choice,
    Filled,
    Function,
    Graph,
    Merge,
    Repeat,
    Resolver,
    Subset,
    Value,
    decisions_in,
)
from archwright.supernet._execution import Context, Engine, Mix
from archwright.supernet._fused import weighted_sum

Term = tuple["Tensor | None", Tensor]  # a weight, None for 1, and what it is multiplied by


class SupernetNode(Protocol):
    """A module of the expression."""

    def run(self, inputs: tuple[Tensor, ...], context: Context) -> Any:
        """Return what the module gives for some inputs; None where there is no operation."""


class Row:
    """Modules in a row."""

    def __init__(self, nodes: list[SupernetNode]) -> None:
        self.nodes = nodes

    def run(self, inputs: tuple[Tensor, ...], context: Context) -> Any:
        for node in self.nodes:
            inputs = (node.run(inputs, context),)
        return inputs[0]


class Depth:
    """The first of several modules in a row; how many is decided."""

    def __init__(self, engine: Engine, repeat: Repeat, nodes: list[SupernetNode]) -> None:
        self.name, self.nodes = engine.program.names[repeat], nodes

    def run(self, inputs: tuple[Tensor, ...], context: Context) -> Any:
        for node in self.nodes[: int(context.value(self.name))]:  # type: ignore[arg-type]  # a depth is an integer
            inputs = (node.run(inputs, context),)
        return inputs[0]


class FunctionNode:
    """A function of values; what is open in its arguments is decided in each pass."""

    def __init__(self, engine: Engine, function: Function, path: str) -> None:
        self.engine, self.function, self.path = engine, function, path
        self._names = [engine.program.names[decision] for decision in decisions_in(function)]

    def run(self, inputs: tuple[Tensor, ...], context: Context) -> Any:
        return instantiate(_closed(self.engine, self.function, self.path, self._names, context))(*inputs)


class Scope:
    """A template with its blanks filled in."""

    def __init__(self, engine: Engine, filled: Filled, node: SupernetNode | None, path: str) -> None:
        self.engine, self.filled, self.node, self.path = engine, filled, node, path

    def run(self, inputs: tuple[Tensor, ...], context: Context) -> Any:
        if self.node is None:
            return None
        resolver = Resolver(self.engine.program, context.draw.values, context.filled)
        values: dict[Blank, Any] = {**context.filled}
        for blank, value in zip(self.filled.blanks, self.filled.values, strict=True):
            if isinstance(value, int | float | str):
                values[blank] = value
            elif not isinstance(value, Graph):  # a picture for encoders, which nothing uses
                values[blank] = resolver.close(value, f"{self.path}.{blank}")
        return self.node.run(inputs, context.within(values))


@dataclass(frozen=True)
class Visit:
    """A branch that was met while a supernet ran."""

    branch: Branch
    inputs: tuple[Tensor, ...]  # what went in
    context: Context  # what was run


class Branch:
    """A choice between modules."""

    def __init__(self, engine: Engine, choice: Choice, nodes: list[SupernetNode | None]) -> None:
        self.name, self.choice, self.nodes = engine.program.names[choice], choice, nodes
        self.engine = engine
        self._numbers: dict[Value, int] = {label: number for number, label in enumerate(choice.labels)}

    def run(self, inputs: tuple[Tensor, ...], context: Context) -> Any:
        """Run the option that was taken, or the mixture."""
        mix = context.draw.mixes.get(self.name)
        if mix is None:
            self.engine.meet(Visit(self, inputs, context))
            node = self.nodes[self._numbers[context.value(self.name)]]
            return None if node is None else node.run(inputs, context)
        return mixed(self.terms(inputs, context))

    def terms(self, inputs: tuple[Tensor, ...], context: Context) -> list[Term]:
        """Return what the mixture consists of."""
        mix = context.draw.mixes.get(self.name)
        if mix is None:
            value = self.run(inputs, context)
            return [] if value is None else [(None, value)]
        self.engine.meet(Visit(self, inputs, context))
        context.used.add(self.name)
        if mix.channels > 1 and context.divisor == 1:
            return [(None, value) for value in (self._partial(inputs, context, mix),) if value is not None]
        return self._weighed(inputs, context, mix)

    def _weighed(self, inputs: tuple[Tensor, ...], context: Context, mix: Mix) -> list[Term]:
        found: list[Term] = []
        for number in range(len(self.nodes)) if mix.active is None else mix.active:
            node = self.nodes[number]
            if node is not None:
                value = node.run(inputs, context.taking(self.name, self.choice.labels[number]))
                found.append((None if mix.weights is None else mix.weights[number], value))
        _check_alike(self.name, found)
        return found

    def _partial(self, inputs: tuple[Tensor, ...], context: Context, mix: Mix) -> Tensor | None:
        """Run the options on some of the channels, and let the others pass (Xu et al. 2020)."""
        (x,) = inputs
        size = x.shape[1] // mix.channels
        chosen, rest = torch.split(x, [size, x.shape[1] - size], dim=1)
        worked = mixed(self._weighed((chosen,), context.narrowed(mix.channels), mix))
        if worked is None:
            return None
        if worked.shape[2:] != rest.shape[2:]:
            pool = {3: F.adaptive_max_pool1d, 4: F.adaptive_max_pool2d, 5: F.adaptive_max_pool3d}[rest.ndim]
            rest = pool(rest, worked.shape[2:])
        if worked.shape[1] != size:
            raise RelaxationError(f"{self.name}: options that change the number of channels cannot be run on a part")
        both = torch.cat((worked, rest), dim=1)
        groups = both.shape[1] // size
        shuffled: Tensor = torch.unflatten(both, 1, (groups, size)).transpose(1, 2).flatten(1, 2)
        return shuffled


class GraphNode:
    """A graph of values."""

    def __init__(self, engine: Engine, graph: Graph, nodes: Mapping[Apply, SupernetNode | None], name: str) -> None:
        self.graph, self.nodes = graph, nodes
        self._names = engine.program.names
        self.edges = {
            value: f"{name}.{graph.labels[value]}"
            for value in graph.nodes
            if graph.edges and isinstance(value, Merge) and value.is_sum
        }
        self._summed = _summed(graph)
        self._engine, self._name = engine, name
        self._merged = {
            value: [self._names[decision] for decision in decisions_in([value.kind, value.axis])]
            for value in graph.labels
            if isinstance(value, Merge)
        }

    def run(self, inputs: tuple[Tensor, ...], context: Context) -> Any:
        """Return the value that goes out; only what it needs is computed."""
        if len(inputs) != len(self.graph.inputs):
            raise ShapeError(f"a graph takes {len(self.graph.inputs)} values and was given {len(inputs)}")
        memo: dict[Any, Any] = dict(zip(self.graph.inputs, inputs, strict=True))
        before, context.shared = context.shared, {}
        try:
            return self._value(self.graph.output, memo, context)
        finally:
            context.shared = before

    def _value(self, item: Any, memo: dict[Any, Any], context: Context) -> Any:
        if item not in memo:
            memo[item] = self._fresh(item, memo, context)
        return memo[item]

    def _fresh(self, item: Any, memo: dict[Any, Any], context: Context) -> Any:
        if isinstance(item, Choice):
            terms = [term for term in self._operands(item, None, memo, context) if not isinstance(term[1], Absent)]
            _check_alike(self._names[item], terms)
            return mixed(terms)
        if isinstance(item, Apply):
            inputs = tuple(self._value(part, memo, context) for part in self._chosen(item.inputs, context))
            node = self.nodes[item]
            value = None if node is None else node.run(inputs, context)
            return Absent(inputs[0]) if value is None else value
        return self._merge(item, memo, context)

    def _chosen(self, parts: tuple[Any, ...], context: Context) -> list[Any]:
        """Return parts with decided subsets replaced by what they hold."""
        found: list[Any] = []
        for part in parts:
            is_decided = isinstance(part, Subset) and self._names[part] not in context.draw.mixes
            found += part.chosen(context.value(self._names[part])) if is_decided else (part,)
        return found

    def _merge(self, merge: Merge, memo: dict[Any, Any], context: Context) -> Any:
        kind, axis = _closed(self._engine, (merge.kind, merge.axis), self._name, self._merged[merge], context)
        edges = context.draw.edges.get(self.edges.get(merge, ""))
        operands: list[tuple[Tensor | None, Any]] = []
        for index, part in enumerate(merge.operands):
            found = self._operands(part, edges, memo, context, index)
            if isinstance(part, Choice | Subset) and self._names[part] in context.draw.mixes and kind != "concat":
                terms = [term for term in found if not isinstance(term[1], Absent)]
                _check_alike(self._names[part], terms)
                if isinstance(part, Choice) and kind in ("mul", "max") and terms:
                    found = [(None, mixed(terms))]
            operands += found
        kept = [(weight, value) for weight, value in operands if not isinstance(value, Absent)]
        if not kept:
            like = operands[0][1].like if operands else memo[self.graph.inputs[0]]
            return torch.zeros_like(like)
        if kind in ("concat", "mul", "max"):
            values = [value if weight is None else weight * value for weight, value in kept]
            if kind == "concat":
                return values[0] if len(values) == 1 else torch.cat(values, dim=axis)
            return reduce(torch.mul if kind == "mul" else torch.maximum, values)
        total = mixed(kept)
        return total / len(kept) if kind == "mean" and len(kept) > 1 else total

    def _operands(
        self, part: Any, edges: Tensor | None, memo: dict[Any, Any], context: Context, index: int = 0
    ) -> list[tuple[Tensor | None, Any]]:
        """Return the values that an operand stands for, each with its weight."""
        if isinstance(part, Choice | Subset):
            name = self._names[part]
            mix = context.draw.mixes.get(name)
            if mix is None:
                chosen = [option for option in part.chosen(context.value(name)) if option is not None]
                weights: list[Tensor | None] = [None] * len(chosen)
                contexts = [context] * len(chosen)
                if edges is not None:
                    numbers = [next(n for n, each in enumerate(part.options) if each is option) for option in chosen]
                    weights = [edges[number] for number in numbers]
            else:
                context.used.add(name)
                numbers = list(range(len(part.options)) if mix.active is None else mix.active)
                chosen = [part.options[number] for number in numbers]
                by = edges if edges is not None else mix.weights
                weights = [None if by is None else by[number] for number in numbers]
                contexts = [context.taking(name, _taken(part, number)) for number in numbers]
            if not chosen:
                return [(None, Absent(memo[self.graph.inputs[0]]))]
            return [
                (_times(weight, inner), value)
                for weight, option, inside in zip(weights, chosen, contexts, strict=True)
                for inner, value in self._operands(option, None, memo, inside)
            ]
        weight = None if edges is None else edges[index]
        if part is None:
            return [(None, Absent(memo[self.graph.inputs[0]]))]
        node = self.nodes.get(part) if isinstance(part, Apply) else None
        if isinstance(node, Branch) and part not in memo and node.name in context.draw.mixes:
            inputs = tuple(self._value(each, memo, context) for each in self._chosen(part.inputs, context))
            terms = node.terms(inputs, context)
            if terms and part in self._summed:
                return [(_times(weight, inner), value) for inner, value in terms]
            total = mixed(terms)
            memo[part] = Absent(inputs[0]) if total is None else total
        return [(weight, self._value(part, memo, context))]


class Unmixable(RelaxationError):
    """Options of one decision differ in shape, so that there is no mixture of them."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def _closed(engine: Engine, item: Any, path: str, names: list[str], context: Context) -> Any:
    """Return settings of a graph, such as the arguments of a function, with the decisions in them made."""
    for name in names:
        context.used.add(name)
    return Resolver(engine.program, context.draw.values, context.filled).close(item, path)


def _check_alike(name: str, terms: list[Term]) -> None:
    """Refuse to mix values of several shapes, also where torch would spread one over the other."""
    shapes: dict[Any, None] = {getattr(value, "shape", None): None for _, value in terms}
    if None in shapes:
        raise Unmixable(name, f"{name}: its options give several values here, which cannot be mixed; take 'path'")
    if len(shapes) > 1:
        told = " and ".join(str(tuple(shape)) for shape in shapes)
        raise Unmixable(name, f"{name}: its options differ in shape here, {told}, and cannot be mixed; take 'path'")


def mixed(terms: list[Term]) -> Any:
    """Return the weighted sum of some tensors; None where there are none."""
    if not terms:
        return None
    return weighted_sum([weight for weight, _ in terms], [value for _, value in terms])


def _taken(decision: Choice | Subset, number: int) -> Value:
    """Return a value of a decision between values of a graph by which one of its options is taken."""
    if isinstance(decision, Choice):
        return decision.labels[number]
    others = [each for each in range(len(decision.options)) if each != number]
    return decision.pick([number, *others[: max(0, decision.low - 1)]])


def _times(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if first is None or second is None:
        return second if first is None else first
    return first * second


def _summed(graph: Graph) -> set[Any]:
    """Return the values that nothing takes but one sum: their terms may as well be summed there."""
    users: dict[Any, list[Any]] = {graph.output: [None]}
    for value in graph.labels:
        for part in value.sources:
            for inner in getattr(part, "options", None) or (part,):
                users.setdefault(inner, []).append(value)
    return {
        part for part, found in users.items() if len(found) == 1 and isinstance(found[0], Merge) and found[0].is_sum
    }
