"""Close an expression: every decision replaced by what was decided.

What remains is a small language that building and writing source share: constants, lists, `Call`, and `Graph` over
`Input`, `Apply` and `Merge`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archwright.errors import SpaceError
from archwright.space._decisions import Choice, Decision, Repeat, Subset, Value
from archwright.space._names import find, plain
from archwright.space._nodes import SYMBOLS, Apply, Blank, Call, Filled, Graph, Merge, children, written
from archwright.space._program import Program

__all__ = ["compute", "live_edges", "resolve"]


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
    return _Resolver(program, values, {}).close(item, path)


def compute(call: Call, operands: list[Any], path: str) -> Any:
    """Return the result of arithmetic on what has been decided.

    Raises:
        SpaceError: An operand is no number, or the result is none.
    """
    try:
        if not all(isinstance(operand, int | float) for operand in operands):
            raise TypeError("arithmetic takes numbers")
        return find(call.target, call.callee)(*operands)
    except (ArithmeticError, TypeError) as error:
        symbol = SYMBOLS.get(call.target.removeprefix("operator."), call.target)
        terms = f" {symbol} ".join(map(written, operands))
        raise SpaceError(f"{path}: {terms} cannot be computed: {error}") from error


class _Absent:
    """The value of no operation; it would have had the shape of `like`."""

    def __init__(self, like: Any) -> None:
        self.like = like


class _Resolver:
    def __init__(self, program: Program, values: Mapping[str, Value], filled: Mapping[Blank, Any]) -> None:
        self.program = program
        self.values = values
        self.filled = filled

    def value(self, decision: Decision) -> Value:
        return self.values[self.program.names[decision]]

    def close(self, item: Any, path: str) -> Any:
        if isinstance(item, Choice):
            return self.close(item.chosen(self.value(item))[0], path)
        if isinstance(item, Subset):
            chosen = item.chosen(self.value(item))
            return [self.close(part, f"{path}.{index}") for index, part in enumerate(chosen)]
        if isinstance(item, Repeat):
            return self.close(Call("torch.nn.Sequential", item.chosen(self.value(item))), path)
        if isinstance(item, Decision):
            return self.value(item)
        if isinstance(item, Call):
            return self._call(item, path)
        if isinstance(item, Filled):
            values = [self.close(part, f"{path}.{blank}") for blank, part in zip(item.blanks, item.values, strict=True)]
            filled = {**self.filled, **dict(zip(item.blanks, values, strict=True))}
            return _Resolver(self.program, self.values, filled).close(item.body, path)
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
        labels: dict[Any, str] = {}

        def value(item: Any) -> Any:
            if id(item) not in memo:
                memo[id(item)] = fresh(item)
            return memo[id(item)]

        def values(item: Any) -> list[Any]:
            """Return what an operand stands for: the chosen ones of a subset, else one value."""
            if isinstance(item, Subset):
                return [inner for part in item.chosen(self.value(item)) for inner in values(part)]
            if isinstance(item, Choice):
                return values(item.chosen(self.value(item))[0])
            return [value(item) if item is not None else _Absent(graph.inputs[0])]

        def present(item: Any) -> Any:
            (found,) = values(item)  # the graph has refused what may be absent, or several, when it was made
            return found

        def fresh(item: Any) -> Any:
            if isinstance(item, Apply):
                label = graph.labels[item]
                inputs = tuple(present(part) for part in item.inputs)
                module = self.close(item.module, f"{path}.{label}")
                if module is None:
                    return _Absent(inputs[0])
                closed: Any = Apply(module, inputs, label)
            else:
                operands = [operand for part in item.operands for operand in values(part)]
                kept = tuple(operand for operand in operands if not isinstance(operand, _Absent))
                if not kept:
                    closed = Merge("zeros", (operands[0].like if operands else graph.inputs[0],))
                elif len(kept) == 1:
                    return kept[0]
                else:
                    closed = Merge(item.kind, kept)
                label = graph.labels[item]
            labels[closed] = label
            return closed

        output = present(graph.output)
        for node in graph.nodes if graph.keep_unused else ():
            value(node)
        order = {label: place for place, label in enumerate(graph.labels.values())}
        labels = dict(sorted(labels.items(), key=lambda entry: order[entry[1]]))
        return Graph(graph.inputs, output, graph.name, labels=labels, path=path, keep_unused=graph.keep_unused)


def live_edges(program: Program, values: Mapping[str, Value], graph: Graph) -> set[tuple[int, int]]:
    """Return the edges of a cell that an architecture keeps and that carry an operation."""
    places = {id(apply): place for place, apply in graph.edges.items()}
    live: set[tuple[int, int]] = set()
    stack, visited = [graph.output], set[int]()
    while stack:
        item = stack.pop()
        if id(item) in visited:
            continue
        visited.add(id(item))
        if isinstance(item, Decision):
            stack.extend(item.chosen(values[program.names[item]]))
        elif isinstance(item, Merge):
            stack.extend(item.operands)
        elif isinstance(item, Apply):
            module = item.module
            while isinstance(module, Choice | Filled):
                module = module.body if isinstance(module, Filled) else module.chosen(values[program.names[module]])[0]
            if module is None:
                continue
            if id(item) in places:
                live.add(places[id(item)])
            stack.extend(item.inputs)
    return live
