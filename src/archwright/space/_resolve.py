"""Resolution of an expression: all decisions are replaced by their values.

The resolved expression consists of constants, lists, `Call`, and `Graph` over `Input`, `Apply` and `Merge`; it is what
networks and source code are made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Self

from archwright.errors import SpaceError
from archwright.space._decisions import Choice, Decision, Repeat, Subset, Value, place_of
from archwright.space._fold import children, has_parts, rebuilt
from archwright.space._grammar import Recursive
from archwright.space._graph import Graph
from archwright.space._names import find, plain
from archwright.space._nodes import SYMBOLS, Apply, Blank, Call, Filled, Merge, body_of
from archwright.space._program import Program
from archwright.space._rules import expansion
from archwright.space._text import written


@dataclass(frozen=True)
class Absent:
    """The value of an absent operation, with the shape of `like`.

    Example:
        >>> from archwright.space import Absent
        >>> Absent(like=3).like
        3
    """

    like: Any


class Resolver:
    """Replacement of the decisions in expressions by their values.

    Calls in the result have paths, which include the options of choices, so that a path identifies a layer; a supernet
    uses it as the key of weights. A subclass may take decisions from elsewhere, and leave parts open.

    Args:
        program: The decisions of the expression.
        values: Values of the decisions by name.
        filled: Values of the placeholders of templates.

    Example:
        >>> from archwright.space import Program, Resolver
        >>> part = nn.Linear(4, aw.ordinal(8, 16, name="width"))
        >>> Resolver(Program({"model": part}), {"width": 16}, {}).close(part, "model").args
        (4, 16)
    """

    def __init__(self, program: Program, values: Mapping[str, Value], filled: Mapping[Blank, Any]) -> None:
        self.program = program
        self.values = values
        self.filled = filled

    def value(self, decision: Decision) -> Value:
        """Return the value of a decision."""
        return self.values[self.program.names[decision]]

    def close(self, item: Any, path: str) -> Any:
        """Return an item, given its path, with all decisions replaced.

        Raises:
            SpaceError: Arithmetic fails, or a placeholder is used outside its template.
        """
        if isinstance(item, Decision):
            return self.decided(item, path)
        if isinstance(item, Filled):
            return self.filling(item, path).close(item.body, path)
        if isinstance(item, Blank):
            if item not in self.filled:
                raise SpaceError(f"{path}: the blank {item.name!r} stands outside of its template")
            return self.filled[item]
        if isinstance(item, Graph):
            return self._graph(item, path)
        if isinstance(item, Recursive):
            return self.close(expansion(item), path)
        if has_parts(item):
            closed = rebuilt(item, [self.close(part, f"{path}.{place}") for place, part in children(item)], path)
            return _compute(item, closed.args, path) if isinstance(item, Call) and item.is_setting else closed
        return plain(item)

    def decided(self, decision: Decision, path: str) -> Any:
        """Return the replacement of a decision."""
        value = self.value(decision)
        if isinstance(decision, Choice | Subset):
            indices = sorted(decision.indices(value))
            closed = [self.close(decision.options[i], f"{path}.{place_of(decision, i)}") for i in indices]
            return closed if isinstance(decision, Subset) else closed[0]
        if isinstance(decision, Repeat):
            return self.close(Call("torch.nn.Sequential", decision.chosen(value)), path)
        return value

    def filling(self, item: Filled, path: str) -> Self:
        """Return what closes the body of a template."""
        closed = [self.close(part, f"{path}.{blank}") for blank, part in zip(item.blanks, item.values, strict=True)]
        inside = copy(self)
        inside.filled = {**self.filled, **dict(zip(item.blanks, closed, strict=True))}
        return inside

    def _graph(self, graph: Graph, path: str) -> Graph:
        memo: dict[int, Any] = {id(value): value for value in graph.inputs}
        labels: dict[Apply | Merge, str] = {}

        def values(item: Any) -> list[Any]:
            """Return what an operand stands for: the chosen ones of a subset, else one value."""
            if isinstance(item, Choice | Subset):
                return [value for part in item.chosen(self.value(item)) for value in values(part)]
            return [memo[id(item)] if item is not None else Absent(graph.inputs[0])]

        def closed(item: Apply | Merge) -> Any:
            if isinstance(item, Apply):
                inputs = tuple(value for part in item.inputs for value in values(part))
                module = self.close(item.module, f"{path}.{graph.labels[item]}")
                return Absent(inputs[0]) if module is None else Apply(module, inputs, graph.labels[item])
            operands = [value for part in item.operands for value in values(part)]
            kept = tuple(operand for operand in operands if not isinstance(operand, Absent))
            if not kept:
                return Merge("zeros", (operands[0].like if operands else graph.inputs[0],))
            kind, axis = self.close((item.kind, item.axis), f"{path}.{graph.labels[item]}")
            return kept[0] if len(kept) == 1 else Merge(kind, kept, None, axis)

        for item in needed(self.program, self.values, graph):
            memo[id(item)] = value = closed(item)
            if isinstance(value, Apply | Merge):
                labels.setdefault(value, graph.labels[item])
        (output,) = values(graph.output)
        return Graph(graph.inputs, output, graph.name, labels=labels, path=path, keep_unused=graph.keep_unused)


def _compute(call: Call, operands: Sequence[Any], path: str) -> Any:
    """Return the result of arithmetic on what has been decided."""
    try:
        if not all(isinstance(operand, int | float) for operand in operands):
            raise TypeError("arithmetic takes numbers")
        result = find(call.target, call.callee)(*operands)
        if abs(result) >= 2**64:
            raise OverflowError("the result is beyond 64 bits")
        return result
    except (ArithmeticError, TypeError) as error:
        symbol = SYMBOLS.get(call.target.removeprefix("operator."), call.target)
        terms = f" {symbol} ".join(map(written, operands))
        raise SpaceError(f"{path}: {terms} cannot be computed: {error}") from error


def needed(program: Program, values: Mapping[str, Value], graph: Graph) -> list[Apply | Merge]:
    """Return the values of a graph that an architecture computes, in the order of execution.

    What an absent operation would have been applied to is among them.
    """
    found: set[Any] = set()
    stack = [graph.output, *(graph.nodes if graph.keep_unused else ())]
    while stack:
        item = stack.pop()
        if item in found or item is None:
            continue
        found.add(item)
        if isinstance(item, Decision):
            stack += item.chosen(values[program.names[item]])
        else:
            stack += item.sources
    return [item for item in graph.labels if item in found]


def live(program: Program, values: Mapping[str, Value], graph: Graph) -> set[Apply]:
    """Return the operations of a graph that an architecture computes, and whose values lead to the output."""
    found: set[Apply] = set()
    stack, visited = [graph.output], set[Any]()
    while stack:
        item = stack.pop()
        if item in visited or item is None:
            continue
        visited.add(item)
        if isinstance(item, Decision):
            stack += item.chosen(values[program.names[item]])
        elif not isinstance(item, Apply):
            stack += item.sources
        elif _has_operation(program, values, item.module):
            found.add(item)
            stack += item.inputs
    return found


def _has_operation(program: Program, values: Mapping[str, Value], module: Any) -> bool:
    while isinstance(module := body_of(module), Choice):
        module = module.chosen(values[program.names[module]])[0]
    return module is not None
