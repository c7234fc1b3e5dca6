"""The pieces of an expression: calls written down, and graphs of values.

A node is compared by identity: the same object met twice is the same decision. What a call makes is made anew
wherever the call stands, so two places that hold one `Call` share its decisions and not its weights.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from archwright.errors import SpaceError

__all__ = ["Apply", "Call", "Graph", "Input", "Merge", "Node", "children", "is_value"]


class Node:
    """Anything in an expression that is not a plain constant."""

    name: str | None = None

    def __call__(self, *values: Any, name: str | None = None) -> Apply:
        """Apply the module that this node makes to values of a graph.

        Args:
            *values: Values inside `aw.graph`.
            name: The attribute that the module gets; derived from its class when not given.
        """
        if not values or not all(is_value(value) for value in values):
            raise SpaceError(
                f"{self!r} is a layer written down, not a layer: inside aw.graph it can be called with the "
                f"graph's values, elsewhere put it into nn.Sequential; it was called with {values!r}"
            )
        return Apply(self, values, name)

    def __add__(self, other: Any) -> Node:
        """Sum two values of a graph, or two numbers."""
        return _combine("add", self, other)

    def __radd__(self, other: Any) -> Node:
        """Sum, with this node on the right."""
        return _combine("add", other, self)

    def __sub__(self, other: Any) -> Node:
        """Subtract one number from another."""
        return _combine("sub", self, other)

    def __rsub__(self, other: Any) -> Node:
        """Subtract, with this node on the right."""
        return _combine("sub", other, self)

    def __mul__(self, other: Any) -> Node:
        """Multiply two numbers."""
        return _combine("mul", self, other)

    def __rmul__(self, other: Any) -> Node:
        """Multiply, with this node on the right."""
        return _combine("mul", other, self)

    def __floordiv__(self, other: Any) -> Node:
        """Divide one number by another, rounding down."""
        return _combine("floordiv", self, other)


@dataclass(frozen=True, eq=False)
class Call(Node):
    """A call that has been written down instead of made.

    Args:
        target: The dotted name of what is called, such as "torch.nn.Conv2d".
        args: Positional arguments; they may hold nodes, also inside lists, tuples and dictionaries.
        kwargs: Keyword arguments.
        names: The parameters that `args` belong to, as far as they have names; decisions are named by them.
        callee: The object that is called, where it cannot be found by its name.
        path: Where the call stands; known in closed expressions only.
    """

    target: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    callee: Callable[..., Any] | None = None
    path: str = ""

    def __repr__(self) -> str:
        """Return the call as it was written."""
        arguments = [repr(value) for value in self.args]
        arguments += [f"{key}={value!r}" for key, value in self.kwargs.items()]
        return f"{self.target.rpartition('.')[2]}({', '.join(arguments)})"


@dataclass(frozen=True, eq=False)
class Input(Node):
    """A value that comes into a graph."""

    index: int

    def __repr__(self) -> str:
        """Return the value's name."""
        return f"x{self.index}"


@dataclass(frozen=True, eq=False)
class Apply(Node):
    """The value that a module gives for some inputs. A module of `None` gives nothing: the value is absent."""

    module: Any
    inputs: tuple[Any, ...]
    name: str | None = None

    def __repr__(self) -> str:
        """Return the application as it was written."""
        return f"{self.module!r}({', '.join(map(repr, self.inputs))})"


@dataclass(frozen=True, eq=False)
class Merge(Node):
    """Values joined into one; absent values are left out.

    Args:
        kind: "sum", "mean" or "concat" (along axis 1); in closed expressions also "zeros" (zeros like its operand).
        operands: Values, or one `Subset` of them.
        name: What the paths of decisions inside call it.
    """

    kind: str
    operands: tuple[Any, ...]
    name: str | None = None

    def __repr__(self) -> str:
        """Return the merge as it was written."""
        return f"{self.kind}({', '.join(map(repr, self.operands))})"


@dataclass(frozen=True, eq=False)
class Graph(Node):
    """A module whose forward pass is a directed acyclic graph of values.

    Args:
        inputs: The values that come in.
        output: The value that goes out.
        name: A name; the decisions inside are then named from it, wherever the graph stands.
        edges: For a cell: the operation from node i to node j.
        nodes: For a cell: the values at its nodes, inputs first.
        labels: The attribute or path part of each value of the graph that has one, by its node.
        path: Where the graph stands; known in closed expressions only.
    """

    inputs: tuple[Input, ...]
    output: Any
    name: str | None = None
    edges: Mapping[tuple[int, int], Apply] = field(default_factory=dict)
    nodes: tuple[Any, ...] = ()
    labels: Mapping[Node, str] = field(default_factory=dict)
    path: str = ""

    def __post_init__(self) -> None:
        """Name the values, and refuse values of another graph."""
        if not is_value(self.output):
            raise SpaceError(f"a graph returns one of its values, not {self.output!r}")
        if not self.labels:
            object.__setattr__(self, "labels", _label(self))

    def __repr__(self) -> str:
        """Return the graph's name or shape."""
        return f"graph({self.name!r})" if self.name else f"graph({self.output!r})"


def is_value(item: Any) -> bool:
    """Tell whether an item stands for a value of a graph, rather than for a module or a number."""
    if isinstance(item, Input | Apply | Merge):
        return True
    options = getattr(item, "options", ())
    return any(is_value(option) for option in options)


def children(item: Any) -> Iterator[tuple[str, Any]]:
    """Iterate over the parts directly below an item, except for the options of decisions.

    Yields:
        The part's place in its parent ("" where it has no place of its own) and the part.
    """
    if isinstance(item, Call):
        for index, value in enumerate(item.args):
            yield (item.names[index] if index < len(item.names) else str(index)), value
        yield from item.kwargs.items()
    elif isinstance(item, Graph):
        yield "", item.output
    elif isinstance(item, Apply):
        yield "", item.module
        for value in item.inputs:
            yield "<", value  # a value is named from its graph, not from whom it feeds
    elif isinstance(item, Merge):
        for index, value in enumerate(item.operands):
            yield ("<" if is_value(value) and not hasattr(value, "options") else _only(item, index)), value
    elif isinstance(item, list | tuple):
        for index, value in enumerate(item):
            yield str(index), value
    elif isinstance(item, Mapping):
        for key, value in item.items():
            yield str(key), value


def _only(merge: Merge, index: int) -> str:
    return "" if len(merge.operands) == 1 else str(index)


def _combine(operation: str, left: Any, right: Any) -> Node:
    if is_value(left) or is_value(right):
        if operation != "add" or not (is_value(left) and is_value(right)):
            raise SpaceError(
                f"values of a graph can be added to each other; {left!r} {operation} {right!r} is not that"
            )
        return Merge("sum", (left, right))
    for operand in (left, right):
        if not isinstance(operand, Node | int | float):
            raise SpaceError(f"arithmetic on decisions takes numbers; {operand!r} is none")
    return Call(f"operator.{operation}", (left, right))


def _label(graph: Graph) -> dict[Node, str]:
    """Give every application and merge of a graph a name of its own, in the order of execution."""
    labels: dict[Node, str] = {}
    taken: dict[str, int] = {}
    visited: set[int] = set()

    def visit(item: Any) -> None:
        if id(item) in visited:
            return
        visited.add(id(item))
        if isinstance(item, Input):
            if item not in graph.inputs:
                raise SpaceError("a graph uses a value of another graph: pass that value in as an input of its own")
            return
        if isinstance(item, Apply):
            for value in item.inputs:
                visit(value)
        elif isinstance(item, Merge):
            for value in item.operands:
                visit(value)
        else:
            for option in getattr(item, "options", ()):
                visit(option)
            return
        stem = item.name or _stem(item)
        if not stem.isidentifier() or keyword.iskeyword(stem):
            raise SpaceError(f"the name of a value becomes an attribute in Python; {stem!r} cannot be one")
        taken[stem] = taken.get(stem, 0) + 1
        if item.name and taken[stem] > 1:
            raise SpaceError(f"two values of one graph are named {stem!r}")
        labels[item] = stem if taken[stem] == 1 else f"{stem}_{taken[stem]}"

    for value in (*graph.nodes, graph.output):
        visit(value)
    return labels


def _stem(item: Apply | Merge) -> str:
    if isinstance(item, Merge):
        return item.kind
    if isinstance(item.module, Call):
        return item.module.target.rpartition(".")[2].lower().removeprefix("lazy")
    return item.module.name or "graph" if isinstance(item.module, Graph) else "op"
