"""The nodes of expressions: recorded calls, and values of graphs.

Nodes are compared by identity: the same object in two places is the same decision. A call creates a new layer in each
place, so two uses of one `Call` share its decisions but not its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from archwright._scalars import is_number, scalar
from archwright.errors import SpaceError
from archwright.space._undecided import Undecided

SYMBOLS = {"add": "+", "sub": "-", "mul": "*", "floordiv": "//"}
"""The arithmetic of the language, by the names of the `operator` module."""
MERGES = ("sum", "mean", "concat")
"""The ways in which values of a graph are joined."""


class Node(Undecided):
    """Base class of the nodes of an expression: everything but constants.

    Example:
        >>> from archwright.space import Node
        >>> isinstance(nn.ReLU(), Node), isinstance(aw.choice(1, 2), Node)
        (True, True)
    """

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
                f"graph's values, elsewhere put it into nn.Sequential; it was called with {written(values)}"
            )
        return Apply(self, values, name)

    def __add__(self, other: Any) -> Node:
        """Sum two values of a graph, or two numbers."""
        return _combine("add", self, other)

    def __radd__(self, other: Any) -> Node:
        return _combine("add", other, self)

    def __sub__(self, other: Any) -> Node:
        return _combine("sub", self, other)

    def __rsub__(self, other: Any) -> Node:
        return _combine("sub", other, self)

    def __mul__(self, other: Any) -> Node:
        return _combine("mul", self, other)

    def __rmul__(self, other: Any) -> Node:
        return _combine("mul", other, self)

    def __floordiv__(self, other: Any) -> Node:
        return _combine("floordiv", self, other)

    def __rfloordiv__(self, other: Any) -> Node:
        return _combine("floordiv", other, self)


@dataclass(frozen=True, eq=False)
class Call(Node):
    """A recorded call of a class or function, evaluated when a network is built.

    Args:
        target: The dotted name of the callee, such as "torch.nn.Conv2d".
        args: Positional arguments; they may hold nodes, also inside lists, tuples and dictionaries.
        kwargs: Keyword arguments.
        names: The names of the parameters of `args`, used in the names of decisions.
        callee: The callee, if it cannot be found by its name.
        path: The path of the call, in resolved expressions only.

    Example:
        >>> call = nn.Conv2d(3, 8, kernel_size=3)
        >>> call.target, call.args, dict(call.kwargs)
        ('torch.nn.Conv2d', (3, 8), {'kernel_size': 3})
    """

    target: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    callee: Callable[..., Any] | None = None
    path: str = ""

    @property
    def is_setting(self) -> bool:
        """Whether it is arithmetic."""
        return self.target.startswith("operator.")

    def __repr__(self) -> str:
        arguments = [written(value) for value in self.args]
        arguments += [f"{key}={written(value)}" for key, value in self.kwargs.items()]
        return f"{last_name(self.target)}({', '.join(arguments)})"


@dataclass(frozen=True, eq=False)
class Blank(Node):
    """A placeholder for a parameter of a template.

    Example:
        >>> blanks = []
        >>> part = aw.template(lambda width: blanks.append(width) or nn.LazyLinear(width))
        >>> blanks[0].name
        'width'
    """

    name: str

    @property
    def is_setting(self) -> bool:
        """Whether it is a number: always."""
        return True

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True, eq=False)
class Filled(Node):
    """One use of a template; all uses share its body, and thus its decisions.

    Args:
        body: The expression with placeholders.
        blanks: The placeholders.
        values: Their values.

    Example:
        >>> part = aw.template(lambda width: nn.LazyLinear(width))
        >>> part(16).values, part(16).body is part(32).body
        ((16,), True)
    """

    body: Any
    blanks: tuple[Blank, ...]
    values: tuple[Any, ...]

    def __repr__(self) -> str:
        inside = ", ".join(f"{blank.name}={written(v)}" for blank, v in zip(self.blanks, self.values, strict=True))
        return f"{written(self.body)} with {inside}"


class GraphValue(Node):
    """A value of a graph."""

    @property
    def sources(self) -> tuple[Any, ...]:
        """The values that it is made from."""
        return ()


@dataclass(frozen=True, eq=False)
class Input(GraphValue):
    """An input value of a graph.

    Example:
        >>> graph = aw.graph(lambda a, b: a + b)
        >>> [value.index for value in graph.inputs]
        [0, 1]
    """

    index: int

    def __repr__(self) -> str:
        return f"x{self.index}"


@dataclass(frozen=True, eq=False)
class Apply(GraphValue):
    """The output value of a module for some inputs; with the module `None` the value is absent.

    Example:
        >>> graph = aw.graph(lambda x: nn.ReLU()(x))
        >>> graph.output.module, graph.output.inputs == graph.inputs
        (ReLU(), True)
    """

    module: Any
    inputs: tuple[Any, ...]
    name: str | None = None

    @property
    def sources(self) -> tuple[Any, ...]:
        """The values that it is made from: the inputs."""
        return self.inputs

    def __repr__(self) -> str:
        return f"{written(self.module)}({', '.join(map(_brief, self.inputs))})"


@dataclass(frozen=True, eq=False)
class Merge(GraphValue):
    """Values merged into one; absent values are omitted.

    Args:
        kind: "sum", "mean" or "concat" (along axis 1); in resolved expressions also "zeros" (zeros like its operand).
        operands: Values, or one `Subset` of them.
        name: Its name in the paths of decisions inside.

    Example:
        >>> graph = aw.graph(lambda a, b: a + b)
        >>> graph.output.kind, len(graph.output.operands)
        ('sum', 2)
    """

    kind: str
    operands: tuple[Any, ...]
    name: str | None = None

    def __post_init__(self) -> None:
        """Refuse a kind that there is not."""
        if self.kind not in (*MERGES, "zeros"):
            raise SpaceError(f"values are merged by 'sum', 'mean' or 'concat', not {self.kind!r}")

    @property
    def sources(self) -> tuple[Any, ...]:
        """The values that it is made from: the operands."""
        return self.operands

    def __repr__(self) -> str:
        return f"{self.kind}({', '.join(map(_brief, self.operands))})"


def last_name(target: str) -> str:
    """Return the last part of a dotted target.

    Example:
        >>> from archwright.space import last_name
        >>> last_name("torch.nn.Conv2d")
        'Conv2d'
    """
    return target.replace(":", ".").rpartition(".")[2]


def written(item: Any) -> str:
    """Return the text of an item as in an expression, truncated; the same in every process.

    Example:
        >>> from archwright.space import written
        >>> written(nn.Conv2d(3, 8, kernel_size=3))
        'Conv2d(3, 8, kernel_size=3)'
    """
    room = _room.get()
    if room is None:
        token = _room.set(_Room())
        try:
            return written(item)
        finally:
            _room.reset(token)
    if room.letters <= 0 or room.depth <= 0:
        return "…"
    room.depth -= 1
    try:
        text = _written(item)
    finally:
        room.depth += 1
    room.letters -= len(text) if not isinstance(item, Node | list | tuple | Mapping) else 2
    return text


def _written(item: Any) -> str:
    if isinstance(item, tuple):
        return f"({', '.join(map(written, item))}{',' * (len(item) == 1)})"
    if isinstance(item, list):
        return f"[{', '.join(map(written, item))}]"
    if isinstance(item, Mapping):
        return f"{{{', '.join(f'{written(key)}: {written(value)}' for key, value in item.items())}}}"
    if isinstance(item, partial):
        inside = [*map(written, (item.func, *item.args)), *(f"{k}={written(v)}" for k, v in item.keywords.items())]
        return f"partial({', '.join(inside)})"
    if isinstance(item, Node) or not callable(item):
        text = repr(item)
        return text if " at 0x" not in text else type(item).__name__
    return str(getattr(item, "__name__", type(item).__name__))


@dataclass
class _Room:
    """How much more of an expression may be written, whose parts are shared and may unfold without end."""

    letters: int = 10_000
    depth: int = 60


_room: ContextVar[_Room | None] = ContextVar("room", default=None)


def _brief(value: Any) -> str:
    """Return a value without what it is made from, which may be most of a network."""
    return repr(value) if isinstance(value, Input) else "…"


def is_value(item: Any) -> bool:
    """Tell whether an item is a value of a graph, rather than a module or a number.

    Example:
        >>> from archwright.space import is_value
        >>> is_value(aw.graph(lambda x: nn.ReLU()(x)).output), is_value(nn.ReLU())
        (True, False)
    """
    return any(isinstance(part, GraphValue) for part in with_options(item))


def body_of(item: Any) -> Any:
    """Return the body of an item that is a use of a template, and other items unchanged.

    Example:
        >>> from archwright.space import body_of
        >>> body_of(aw.template(lambda width: nn.ReLU())(8))
        ReLU()
    """
    while isinstance(item, Filled):
        item = item.body
    return item


def with_options(item: Any) -> Iterator[Any]:
    """Iterate over an item, the options of a decision, the body of a template, and so on, each object once."""
    stack, visited = [item], set[int]()
    while stack:
        part = stack.pop()
        yield part
        if isinstance(part, Node) and id(part) not in visited:
            visited.add(id(part))
            stack += [part.body] if isinstance(part, Filled) else getattr(part, "options", ())


def _combine(operation: str, left: Any, right: Any) -> Node:
    if is_value(left) or is_value(right):
        if operation != "add" or not (is_value(left) and is_value(right)):
            raise SpaceError(
                f"values of a graph can be added to each other; {written(left)} {SYMBOLS[operation]} {written(right)} "
                f"is not that"
            )
        return Merge("sum", (left, right))
    left, right = scalar(left), scalar(right)
    for operand in (left, right):
        if not isinstance(operand, Node) and not is_number(operand):
            raise SpaceError(f"arithmetic on decisions takes numbers; {written(operand)} is none")
    return Call(f"operator.{operation}", (left, right))
