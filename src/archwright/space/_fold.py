"""Walks and maps over expressions: direct parts, all parts, the same expression with other parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from archwright.space._decisions import Decision
from archwright.space._grammar import Grammar, Recursive
from archwright.space._graph import Graph
from archwright.space._nodes import Apply, Call, Filled, Merge, is_value

_PLAIN = (list, tuple, slice, Mapping)  # what holds parts and is no node


def children(item: Any) -> Iterator[tuple[str, Any]]:
    """Iterate over the direct parts of an item, except for the options of decisions; of a recursive part its rules.

    Yields:
        The part's name in its parent ("" if it has none) and the part.

    Example:
        >>> from archwright.space import children
        >>> [place for place, part in children(nn.Conv2d(3, out_channels=8, kernel_size=3))]
        ['in_channels', 'out_channels', 'kernel_size']
    """
    if isinstance(item, Call):
        for index, value in enumerate(item.args):
            yield (item.names[index] if index < len(item.names) else str(index)), value
        yield from item.kwargs.items()
    elif isinstance(item, Graph):
        yield "", item.output
        if item.keep_unused:
            for value in item.nodes:
                yield "<", value
    elif isinstance(item, Filled):
        yield "", item.body
        for blank, value in zip(item.blanks, item.values, strict=True):
            yield blank.name, value
    elif isinstance(item, Apply):
        yield "", item.module
        for index, value in enumerate(item.inputs):  # a value is named from its graph, not from whom it feeds
            yield (f"from_{index}" if hasattr(value, "options") else "<"), value
    elif isinstance(item, Merge):
        only = len(item.operands) == 1
        for index, value in enumerate(item.operands):
            is_named = not is_value(value) or hasattr(value, "options")
            yield ("<" if not is_named else "" if only else str(index)), value
        yield "kind", item.kind
        yield "axis", item.axis
    elif isinstance(item, Recursive):
        yield "", item.grammar
    elif isinstance(item, Grammar):
        for symbol, body in zip(item.symbols, item.bodies, strict=True):
            yield symbol.name, body
    elif isinstance(item, list | tuple):
        for index, value in enumerate(item):
            yield str(index), value
    elif isinstance(item, slice):
        yield from (("start", item.start), ("stop", item.stop), ("step", item.step))
    elif isinstance(item, Mapping):
        for key, value in item.items():
            yield str(key), value


def below(item: Any) -> list[Any]:
    """Return the direct parts of an item, including the options of decisions.

    Example:
        >>> from archwright.space import below
        >>> len(below(aw.choice(nn.ReLU(), nn.Tanh(), nn.GELU())))
        3
    """
    return [*(part for _, part in children(item)), *getattr(item, "branches", ())]


def walk(item: Any) -> Iterator[Any]:
    """Iterate over an item and all its parts, including the options of decisions, each object once.

    Example:
        >>> from archwright.space import Call, walk
        >>> [part.target for part in walk(nn.Sequential(aw.choice(nn.ReLU(), nn.Tanh()))) if isinstance(part, Call)]
        ['torch.nn.Sequential', 'torch.nn.Tanh', 'torch.nn.ReLU']
    """
    stack, visited = [item], set[int]()
    while stack:
        part = stack.pop()
        if id(part) not in visited:
            visited.add(id(part))
            yield part
            stack += below(part)


def decisions_in(item: Any) -> list[Decision]:
    """Return the decisions in an item, including those in options.

    Example:
        >>> from archwright.space import decisions_in
        >>> [decision.name for decision in decisions_in(nn.Linear(4, aw.ordinal(8, 16, name="width")))]
        ['width']
    """
    return [part for part in walk(item) if isinstance(part, Decision)]


def rebuilt(item: Any, parts: Sequence[Any], path: str = "") -> Any:
    """Return a call, list, tuple, slice or mapping with other parts, in the order of `children`; else the item."""
    if isinstance(item, Call):
        count = len(item.args)
        kwargs = dict(zip(item.kwargs, parts[count:], strict=True))
        return replace(item, args=tuple(parts[:count]), kwargs=kwargs, path=path or item.path)
    if isinstance(item, list | tuple):
        return type(item)(parts)
    if isinstance(item, slice):
        return slice(*parts)
    return dict(zip(item, parts, strict=True)) if isinstance(item, Mapping) else item


def mapped(item: Any, change: Callable[[Any], Any]) -> Any:
    """Return a call, list, tuple, slice or mapping with a function applied to its direct parts; else the item.

    Example:
        >>> from archwright.space import mapped
        >>> mapped([1, {"a": 2}], lambda part: part if isinstance(part, dict) else part + 1)
        [2, {'a': 2}]
    """
    return rebuilt(item, [change(part) for _, part in children(item)]) if has_parts(item) else item


def has_parts(item: Any) -> bool:
    """Tell whether an item is made of parts that `rebuilt` can replace."""
    return isinstance(item, (Call, *_PLAIN))


def with_modules(graph: Graph, change: Callable[[Any], Any]) -> Graph:
    """Return a resolved graph with a function applied to its modules.

    Example:
        >>> from archwright.space import with_modules
        >>> graph = aw.graph(lambda x: nn.ReLU()(x))
        >>> with_modules(graph, lambda module: nn.Tanh()).output.module
        Tanh()
    """
    found: dict[Any, Any] = {value: value for value in graph.inputs}
    for value in graph.labels:  # in the order of execution
        sources = tuple(found[part] for part in value.sources)
        if isinstance(value, Apply):
            found[value] = Apply(change(value.module), sources, value.name)
        else:
            found[value] = replace(value, operands=sources)
    labels = {found[value]: label for value, label in graph.labels.items()}
    return replace(graph, output=found[graph.output], labels=labels)
