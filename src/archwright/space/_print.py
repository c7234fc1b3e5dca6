"""A space as text that a person can read, and compare."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from archwright.space._decisions import Choice, Decision, Integer, Real, Repeat, Subset
from archwright.space._nodes import Apply, Call, Graph, Input, Merge, Node, children
from archwright.space._program import Program

__all__ = ["describe_decision", "describe_size", "tree"]

_WIDTH = 100


def tree(program: Program, parts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the expressions of a space as an indented outline; what occurs again is referred to by its name."""
    printer = _Printer(program)
    for name, part in parts.items():
        yield from printer.lines(f"{name} = ", part, 0)


def describe_decision(decision: Decision) -> str:
    """Return the kind and the domain of a decision."""
    if isinstance(decision, Choice):
        return f"{'ordinal' if decision.ordered else 'choice'}  {' · '.join(map(str, decision.labels))}"
    if isinstance(decision, Subset):
        k = f"{decision.low}" if decision.low == decision.high else f"{decision.low} to {decision.high}"
        return f"subset  {k} of {' · '.join(map(str, decision.labels))}"
    if isinstance(decision, Repeat):
        return f"repeat  {decision.low} to {len(decision.bodies)}"
    assert isinstance(decision, Integer | Real)
    word = "integer" if isinstance(decision, Integer) else "real"
    return f"{word}  {decision.low:g} to {decision.high:g}{' (log)' if decision.log else ''}"


def describe_size(size: int | float) -> str:
    """Return a size with separators, or in powers of ten where it is long."""
    if size == math.inf:
        return "infinitely many"
    return f"{size:,}" if size < 10**12 else f"{int(size):,} (about 10^{len(str(int(size))) - 1})"


class _Printer:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.printed: set[int] = set()
        self.options: dict[str, str] = {}

    def lines(self, prefix: str, item: Any, depth: int) -> Iterator[str]:
        pad = "  " * depth + prefix
        short = self.short(item)
        if short is not None and len(pad) + len(short) <= _WIDTH:
            yield pad + short
            return
        head, below = self.parts(item)
        if id(item) in self.printed and isinstance(item, Graph | Decision):
            yield f"{pad}{head} (as above)"
            return
        self.printed.add(id(item))
        inner = [line for place, part in below for line in self.lines(f"{place}: ", part, depth + 1)]
        text = "\n".join(line.lstrip() for line in inner)
        if isinstance(item, Decision) and text in self.options:
            yield f"{pad}{head} the options of {self.options[text]}"
            return
        if isinstance(item, Decision):
            self.options[text] = self.program.names[item]
        yield pad + head
        yield from inner

    def short(self, item: Any) -> str | None:
        """Return an item in one line, or None where it needs an outline."""
        if isinstance(item, Decision):
            if any(isinstance(part, Node) for part in item.branches):
                return None
            if item.name:
                return item.name
            return repr(item)
        if isinstance(item, Graph | Apply | Merge):
            return None
        if isinstance(item, Call):
            if item.target.startswith("operator."):
                symbol = {"add": "+", "sub": "-", "mul": "*", "floordiv": "//"}[item.target.partition(".")[2]]
                return f"{self.short(item.args[0])} {symbol} {self.short(item.args[1])}"
            inside = [self.short(value) for value in item.args]
            inside += [f"{key}={self.short(value)}" for key, value in item.kwargs.items()]
            if any(self.short(value) is None for value in (*item.args, *item.kwargs.values())):
                return None
            return f"{_class(item.target)}({', '.join(str(text) for text in inside)})"
        if isinstance(item, list | tuple):
            parts = [self.short(part) for part in item]
            return None if any(part is None for part in parts) else f"[{', '.join(map(str, parts))}]"
        return repr(item)

    def parts(self, item: Any) -> tuple[str, list[tuple[str, Any]]]:
        """Return the heading of an item and what stands below it."""
        if isinstance(item, Decision):
            name = f"{item.name}: " if item.name else ""
            if isinstance(item, Repeat):
                return f"{name}repeat {item.low} to {len(item.bodies)} of", [
                    (str(i), b) for i, b in enumerate(item.bodies)
                ]
            assert isinstance(item, Choice | Subset)
            kind = describe_decision(item).partition("  ")[0]
            count = "" if isinstance(item, Choice) else f" {describe_decision(item).split('  ')[1].split(' of ')[0]}"
            labels = map(str, item.labels)
            return f"{name}{kind}{count} of", list(zip(labels, item.options, strict=True))
        if isinstance(item, Graph):
            labels = item.labels
            steps = [(label, value) for value, label in labels.items() if isinstance(value, Apply)]
            return f"graph {item.name or ''}".rstrip(), [
                (f"{label} on {', '.join(self.value(part, item) for part in value.inputs)}", value.module)
                for label, value in steps
            ]
        if isinstance(item, Call):
            return _class(item.target), list(children(item))
        return type(item).__name__, list(children(item))

    def value(self, item: Any, graph: Graph) -> str:
        if isinstance(item, Input):
            return repr(item)
        return graph.labels.get(item) or self.program.names.get(item, "")


def _class(target: str) -> str:
    return target.replace(":", ".").rpartition(".")[2]
