"""Spaces as readable text."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archwright._words import counted
from archwright.errors import SpaceError
from archwright.space._decisions import Choice, Decision, Integer, Real, Repeat, Subset
from archwright.space._fold import children
from archwright.space._grammar import Recursive
from archwright.space._graph import Graph
from archwright.space._names import Unread, digest
from archwright.space._nodes import SYMBOLS, Apply, Call, Filled, Function, Input, Merge, Node
from archwright.space._program import Program
from archwright.space._text import last_name, written

if TYPE_CHECKING:
    from archwright.space._space import Space

_WIDTH = 100
_LONG = 1_000  # letters that are written in one line, of what may hold one part many times over
_LINES = 20_000  # of an outline


def tree(program: Program, parts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the expressions of a space as an indented outline; what occurs again is referred to by its name."""
    printer = _Printer(program)
    for name, part in parts.items():
        yield from printer.lines(f"{name} = ", part, 0)


def outline(space: Space) -> str:
    """Return a space as a person reads it: its size, its expression, its decisions."""
    most = "at most " if space.where else ""
    lines = [
        f"Space{f' {space.name}' if space.name else ''}: {most}{counted(describe_size(space.bound), 'architecture')}, "
        f"{counted(describe_size(space.program.number), 'decision')}",
        *("  " + line for line in tree(space.program, space.parts)),
    ]
    if space.is_recursive:
        lines.append("decisions are named by their path in the expression when they become active")
    elif space.decisions:
        width = max(map(len, space.decisions))
        lines.append("decisions")
        lines += [f"  {name:<{width}}  {describe_decision(decision)}" for name, decision in space.decisions.items()]
    return "\n".join([*lines, *(f"where {called(predicate)}" for predicate in space.where)])


def describe_decision(decision: Decision) -> str:
    """Return the kind and the domain of a decision."""
    if isinstance(decision, Choice):
        return f"{'ordinal' if decision.ordered else 'choice'}  {' · '.join(map(str, decision.labels))}"
    if isinstance(decision, Subset):
        return f"subset  {_count(decision)} of {' · '.join(map(str, decision.labels))}"
    if isinstance(decision, Repeat):
        return f"repeat  {decision.low} to {len(decision.bodies)}"
    assert isinstance(decision, Integer | Real)
    word, form = ("integer", "") if isinstance(decision, Integer) else ("real", "g")
    step = f" in steps of {decision.step}" if isinstance(decision, Integer) and decision.step > 1 else ""
    return f"{word}  {decision.low:{form}} to {decision.high:{form}}{step}{' (log)' if decision.log else ''}"


def describe_size(size: int | float) -> str:
    """Return a size as text with separators, or as a power of ten if it is long.

    Example:
        >>> from archwright.space import describe_size
        >>> describe_size(15625), describe_size(10**20)
        ('15,625', '100,000,000,000,000,000,000 (about 10^20)')
    """
    if size == math.inf:
        return "infinitely many"
    if size < 10**12:
        return f"{size:,}"
    about = f"about 10^{math.floor(math.log10(size))}"
    return f"{size:,} ({about})" if size < 10**30 else about


def differences(space: Space, other: Space | Mapping[str, Any]) -> list[str]:
    """Return the differences of a space to another, or to its JSON object, as lines of a diff; empty if equal."""
    data = dict(other) if isinstance(other, Mapping) else other.to_json()
    if digest(data) == space.fingerprint:
        return []
    try:
        theirs = type(space)._read(data, Unread) if isinstance(other, Mapping) else other
    except SpaceError as error:
        return [f"the other space cannot be read here: {error}"]
    alike = "the spaces read alike, and differ in code that they call or in their constraints"
    return changed_lines(str(theirs), str(space)) or [alike]


def changed_lines(before: str, after: str) -> list[str]:
    """Return the lines in which two texts differ: those of the first with a minus, of the second with a plus."""
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0))[2:]
    return [line for line in lines if not line.startswith("@@")]


class _Printer:
    def __init__(self, program: Program, texts: dict[int, str] | None = None) -> None:
        self.program = program
        self.texts = {} if texts is None else texts  # of bodies, each by itself
        self.shorts: dict[int, tuple[Any, str | None]] = {}
        self.left = _LINES
        self.printed: set[int] = set()
        self.options: dict[str, str] = {}
        self.values: dict[Decision, str] = {}

    def lines(self, prefix: str, item: Any, depth: int) -> Iterator[str]:
        self.left -= 1
        if self.left <= 0:
            if self.left == 0:
                yield "  " * depth + "…"
            return
        if isinstance(item, Filled):
            given = [f"{blank}={self.short(part)}" for blank, part in zip(item.blanks, item.values, strict=True)]
            yield from self.lines(f"{prefix}with {', '.join(given)}: ", item.body, depth)
            return
        pad = "  " * depth + prefix
        short = self.short(item)
        if short is not None and len(pad) + len(short) <= _WIDTH:
            yield pad + short
            return
        head, below = self.parts(item)
        if id(item) in self.printed and isinstance(item, Graph | Decision | Recursive):
            yield f"{pad}{head} (as above)"
            return
        self.printed.add(id(item))
        inner = [line for place, part in below for line in self.lines(self.prefix(place, part), part, depth + 1)]
        text = "\n".join(line.lstrip() for line in inner)
        if isinstance(item, Decision) and (name := self.program.names.get(item)) is not None:  # none in rules
            first = self.options.setdefault(text, name)
            if first != name:
                yield f"{pad}{head} the options of {first}"
                return
        yield pad + head
        yield from inner

    def prefix(self, place: str, item: Any) -> str:
        """Return what stands before an item, unless the item itself says the same."""
        return "" if self.short(item) == place else f"{place}: "

    def short(self, item: Any) -> str | None:
        """Return an item in one line, or None where it needs an outline."""
        if id(item) not in self.shorts:
            text = self.in_one_line(item)
            self.shorts[id(item)] = item, text if text is None or len(text) <= _LONG else None
        return self.shorts[id(item)][1]

    def in_one_line(self, item: Any) -> str | None:
        if isinstance(item, Decision):
            if any(isinstance(part, Node) for part in item.branches):
                return None
            return item.name or written(item)
        if isinstance(item, Graph | Apply | Merge | Filled | Recursive):
            return None
        if isinstance(item, Function):
            return repr(item)
        if isinstance(item, Call):
            return self.call(item)
        if isinstance(item, list | tuple):
            return self.joined("[", item, "]")
        return written(item)

    def call(self, item: Call) -> str | None:
        symbol = SYMBOLS.get(item.target.removeprefix("operator."))
        if symbol is None:
            return self.joined(f"{last_name(item.target)}(", item.args, ")", item.kwargs)
        terms = [self.short(value) for value in item.args]
        if None in terms:
            return None
        nested = [isinstance(value, Call) for value in item.args]
        return f" {symbol} ".join(f"({term})" if n else str(term) for term, n in zip(terms, nested, strict=True))

    def joined(
        self, opening: str, items: Sequence[Any], closing: str, named: Mapping[str, Any] | None = None
    ) -> str | None:
        texts = [("", self.short(item)) for item in items]
        texts += [(f"{key}=", self.short(item)) for key, item in (named or {}).items()]
        if any(text is None for _, text in texts):
            return None
        return f"{opening}{', '.join(f'{key}{text}' for key, text in texts)}{closing}"

    def parts(self, item: Any) -> tuple[str, list[tuple[str, Any]]]:
        """Return the heading of an item and what stands below it."""
        if isinstance(item, Decision):
            name = f"{item.name}: " if item.name else ""
            if isinstance(item, Repeat):
                return f"{name}repeat {item.low} to {len(item.bodies)} of", self.bodies(item)
            assert isinstance(item, Choice | Subset)
            kind = describe_decision(item).partition("  ")[0]
            count = "" if isinstance(item, Choice) else f" {_count(item)}"
            return f"{name}{kind}{count} of", list(zip(map(str, item.labels), item.options, strict=True))
        if isinstance(item, Graph):
            steps = [self.step(value, item) for value in item.labels]
            head = f"graph {item.name or ''}".rstrip()
            last = next(reversed(item.labels), None)
            return head if item.output is last else f"{head}, returns {self.value(item.output, item)}", steps
        if isinstance(item, Call):
            return last_name(item.target), list(children(item))
        if isinstance(item, Recursive):
            growth = "" if item.grammar.growth == 1 else f", growth {item.grammar.growth:g}"
            return f"{item.rule} of rules, up to {item.depth} deep{growth}", list(children(item.grammar))
        if isinstance(item, _Text):
            return item.text, []
        return type(item).__name__, list(children(item))

    def bodies(self, item: Repeat) -> list[tuple[str, Any]]:
        """Return the bodies of a repeat; of those in a row that read alike, the first."""
        shown: list[tuple[int, str, Any]] = []
        for index, body in enumerate(item.bodies):
            if id(body) not in self.texts:
                self.texts[id(body)] = "\n".join(_Printer(self.program, self.texts).lines("", body, 0))
            text = self.texts[id(body)]
            if not shown or shown[-1][1] != text:
                shown.append((index, text, body))
        ends = [index for index, _, _ in shown[1:]] + [len(item.bodies)]
        return [
            (str(first) if last == first + 1 else f"{first} to {last - 1}", body)
            for (first, _, body), last in zip(shown, ends, strict=True)
        ]

    def step(self, value: Apply | Merge, graph: Graph) -> tuple[str, Any]:
        """Return one line of a graph: what is applied to what, or what is merged."""
        label, sources = graph.labels[value], ", ".join(self.value(part, graph) for part in value.sources)
        if isinstance(value, Apply):
            return f"{label} on {sources}", value.module
        kind = value.kind if isinstance(value.kind, str) else self.short(value.kind)
        axis = self.short(value.axis)
        return label, _Text(f"{kind} of {sources}{f' along axis {axis}' if axis != '1' else ''}")

    def value(self, item: Any, graph: Graph) -> str:
        """Return what a value of a graph is called."""
        if isinstance(item, Input):
            return f"x{item.index}" if len(graph.inputs) > 1 else "x"
        if isinstance(item, Choice | Subset):
            if item not in self.values:
                count = "one" if isinstance(item, Choice) else _count(item)
                text = f"{count} of ({', '.join(self.value(option, graph) for option in item.options)})"
                self.values[item] = text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"
            return self.values[item]
        return graph.labels.get(item, "nothing")


class _Text:
    """A text that stands in an outline as it is."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _count(subset: Subset) -> str:
    return f"{subset.low}" if subset.low == subset.high else f"{subset.low} to {subset.high}"


def called(predicate: Any) -> str:
    """Return what a constraint is called."""
    name: str = getattr(predicate, "__qualname__", repr(predicate))
    return name
