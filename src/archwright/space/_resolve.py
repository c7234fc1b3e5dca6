"""Close an expression: every decision replaced by what was decided.

What remains is a small language that building and writing source share: constants, lists, `Call`, and `Graph` over
`Input`, `Apply` and `Merge`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archwright.errors import SpaceError
from archwright.space._decisions import Choice, Decision, Repeat, Subset, Value, place_of
from archwright.space._names import find, plain
from archwright.space._nodes import SYMBOLS, Apply, Blank, Call, Filled, Graph, Merge, Node, children, written
from archwright.space._program import Program

__all__ = ["Resolver", "compute", "live", "resolve"]


def resolve(program: Program, values: Mapping[str, Value], item: Any, path: str) -> Any:
    """Return an item of an expression with every decision made.

    Args:
        program: The decisions of the expression.
        values: What was decided, by name.
        item: The expression.
        path: Where it stands; calls and graphs in the result carry their paths.

    Raises:
        SpaceError: Arithmetic fails, or a blank stands outside of its template.
    """
    return Resolver(program, values, {}).close(item, path)


def compute(call: Call, operands: list[Any], path: str) -> Any:
    """Return the result of arithmetic on what has been decided.

    Raises:
        SpaceError: An operand is no number, or the result is none.
    """
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


class _Absent:
    """The value of no operation; it would have had the shape of `like`."""

    def __init__(self, like: Any) -> None:
        self.like = like


class Resolver:
    """Closes parts of an expression, one after the other.

    A call in the result knows its path. Options of a choice have paths of their own, so a path names one place of one
    part: what a supernet keeps weights under.

    Args:
        program: The decisions of the expression.
        values: What was decided, by name.
        filled: What the blanks of templates stand for.
    """

    def __init__(self, program: Program, values: Mapping[str, Value], filled: Mapping[Blank, Any]) -> None:
        self.program = program
        self.values = values
        self.filled = filled

    def value(self, decision: Decision) -> Value:
        """Return what was decided."""
        return self.values[self.program.names[decision]]

    def close(self, item: Any, path: str) -> Any:
        """Return an item, which stands at a path, with every decision made."""
        if isinstance(item, Choice | Subset):
            closed = [
                self.close(item.options[index], f"{path}.{place_of(item, index)}")
                for index in sorted(item.indices(self.value(item)))
            ]
            return closed if isinstance(item, Subset) else closed[0]
        if isinstance(item, Repeat):
            return self.close(Call("torch.nn.Sequential", item.chosen(self.value(item))), path)
        if isinstance(item, Decision):
            return self.value(item)
        if isinstance(item, Call):
            return self._call(item, path)
        if isinstance(item, Filled):
            values = [self.close(part, f"{path}.{blank}") for blank, part in zip(item.blanks, item.values, strict=True)]
            filled = {**self.filled, **dict(zip(item.blanks, values, strict=True))}
            return Resolver(self.program, self.values, filled).close(item.body, path)
        if isinstance(item, Blank):
            if item not in self.filled:
                raise SpaceError(f"{path}: the blank {item.name!r} stands outside of its template")
            return self.filled[item]
        if isinstance(item, Graph):
            return self._graph(item, path)
        if isinstance(item, list | tuple):
            return type(item)(self.close(part, f"{path}.{index}") for index, part in enumerate(item))
        if isinstance(item, Mapping):
            return {key: self.close(part, f"{path}.{key}") for key, part in item.items()}
        return plain(item)

    def _call(self, call: Call, path: str) -> Any:
        places = [place for place, _ in children(call)]
        closed = [self.close(part, f"{path}.{place}") for place, part in children(call)]
        if call.target.startswith("operator."):
            return compute(call, closed, path)
        n = len(call.args)
        kwargs = dict(zip(places[n:], closed[n:], strict=True))
        return Call(call.target, tuple(closed[:n]), kwargs, call.names, call.callee, path)

    def _graph(self, graph: Graph, path: str) -> Graph:
        memo: dict[int, Any] = {id(value): value for value in graph.inputs}
        labels: dict[Node, str] = {}

        def values(item: Any) -> list[Any]:
            """Return what an operand stands for: the chosen ones of a subset, else one value."""
            if isinstance(item, Choice | Subset):
                return [value for part in item.chosen(self.value(item)) for value in values(part)]
            return [memo[id(item)] if item is not None else _Absent(graph.inputs[0])]

        def closed(item: Apply | Merge) -> Any:
            if isinstance(item, Apply):
                inputs = tuple(value for part in item.inputs for value in values(part))
                module = self.close(item.module, f"{path}.{graph.labels[item]}")
                return _Absent(inputs[0]) if module is None else Apply(module, inputs, graph.labels[item])
            operands = [value for part in item.operands for value in values(part)]
            kept = tuple(operand for operand in operands if not isinstance(operand, _Absent))
            if not kept:
                return Merge("zeros", (operands[0].like if operands else graph.inputs[0],))
            return kept[0] if len(kept) == 1 else Merge(item.kind, kept)

        for item in needed(self.program, self.values, graph):
            memo[id(item)] = value = closed(item)
            if isinstance(value, Apply | Merge):
                labels.setdefault(value, graph.labels[item])
        (output,) = values(graph.output)
        return Graph(graph.inputs, output, graph.name, labels=labels, path=path, keep_unused=graph.keep_unused)


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
        elif isinstance(item, Apply | Merge):
            stack += item.inputs if isinstance(item, Apply) else item.operands
    return [item for item in graph.labels if isinstance(item, Apply | Merge) and item in found]


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
        elif isinstance(item, Merge):
            stack += item.operands
        elif isinstance(item, Apply) and _has_operation(program, values, item.module):
            found.add(item)
            stack += item.inputs
    return found


def _has_operation(program: Program, values: Mapping[str, Value], module: Any) -> bool:
    while isinstance(module, Choice | Filled):
        module = module.body if isinstance(module, Filled) else module.chosen(values[program.names[module]])[0]
    return module is not None
