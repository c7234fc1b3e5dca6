"""The nodes of expressions: recorded calls, and values of graphs.

Nodes are compared by identity: the same object in two places is the same decision. A call creates a new layer in each
place, so two uses of one `Call` share its decisions but not its weights.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

from archwright._scalars import is_number, is_whole, scalar
from archwright.errors import SpaceError
from archwright.space._text import last_name, written
from archwright.space._undecided import Undecided, unpacked

SYMBOLS = {"add": "+", "sub": "-", "mul": "*", "floordiv": "//"}
"""The arithmetic of the language, by the names of the `operator` module."""
VALUE_SYMBOLS = {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "matmul": "@", "pow": "**"}
"""The arithmetic of values of a graph."""
STRUCTURE = "graph:structure"
"""The target of the function that gives a tuple, list or dictionary of values."""
MERGES = ("sum", "mean", "mul", "max", "concat")
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
            *values: Values inside `aw.graph`, or tuples, lists and dictionaries of them.
            name: The attribute that the module gets; derived from its class when not given.
        """
        given = tuple(map(gathered, values))
        if not given or not all(is_value(value) for value in given):
            raise SpaceError(
                f"{self!r} is a layer written down, not a layer: inside aw.graph it can be called with the "
                f"graph's values, elsewhere put it into nn.Sequential; it was called with {written(values)}"
            )
        return Apply(self, given, name)

    def __getitem__(self, index: Any) -> Node:
        """Index a value of a graph, as torch does: `x[:, 0]`; or one of several outputs of a layer: `outputs[0]`."""
        if not is_value(self):
            raise SpaceError(f"{self!r} is no value of a graph, and cannot be indexed")
        return applied("operator:getitem", (self, index), names=("value", "index"))

    def __iter__(self) -> Iterator[Any]:
        """Unpack a value of a graph into names, as in `outputs, state = gru(x)`; refuse any other loop."""
        count = unpacked(sys._getframe(1)) if is_value(self) else None
        return super().__iter__() if count is None else iter([self[index] for index in range(count)])

    def __add__(self, other: Any) -> Node:
        """Add two numbers, or a value of a graph and a value or a number."""
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

    def __truediv__(self, other: Any) -> Any:
        return _combine("truediv", self, other) if is_value(self) or is_value(other) else super().__truediv__(other)

    def __rtruediv__(self, other: Any) -> Any:
        return _combine("truediv", other, self) if is_value(self) else super().__rtruediv__(other)

    def __matmul__(self, other: Any) -> Any:
        return _combine("matmul", self, other) if is_value(self) or is_value(other) else super().__matmul__(other)

    def __pow__(self, other: Any) -> Any:
        return _combine("pow", self, other) if is_value(self) or is_value(other) else super().__pow__(other)

    def __neg__(self) -> Any:
        return applied("operator:neg", (self,)) if is_value(self) else super().__neg__()

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
class Function(Call):
    """A recorded function of values of a graph: the module of an `Apply`, without weights and without a module.

    Its arguments hold an `Input` for each value that it is applied to.

    Example:
        >>> aw.graph(lambda x: nn.functional.leaky_relu(x, 0.2)[:, 0]).output.module
        x0[:, 0]
    """

    @property
    def is_setting(self) -> bool:
        """Whether it is a number: never."""
        return False

    def __repr__(self) -> str:
        if self.target == STRUCTURE:
            return written(self.args[0])
        if self.target == "operator:getitem":
            index = self.args[1]
            inside = ", ".join(map(written, index)) if isinstance(index, tuple) and index else written(index)
            return f"{written(self.args[0])}[{inside}]"
        if self.target == "operator:neg":
            return f"-{written(self.args[0])}"
        symbol = VALUE_SYMBOLS.get(self.target.removeprefix("operator:"))
        return super().__repr__() if symbol is None else f" {symbol} ".join(map(written, self.args))


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

    if not TYPE_CHECKING:  # for which it would have every attribute

        def __getattr__(self, name: str) -> NoReturn:
            """Say what to write in place of a method of a tensor."""
            raise AttributeError(
                f"a value of a graph has no {name!r}, as it is no tensor yet: functions of torch are applied by "
                f"nn.functional or aw.lazy, such as aw.lazy(torch.mean)(x, 1)"
            )

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
        if isinstance(self.module, Function):
            shown = [_Shown(_brief(value)) for value in self.inputs]
            args, kwargs = with_leaves(
                (self.module.args, dict(self.module.kwargs)),
                lambda part: shown[part.index] if isinstance(part, Input) else part,
            )
            return repr(replace(self.module, args=args, kwargs=kwargs))
        return f"{written(self.module)}({', '.join(map(_brief, self.inputs))})"


@dataclass(frozen=True, eq=False)
class Merge(GraphValue):
    """Values merged into one; absent values are omitted.

    Args:
        kind: "sum", "mean", "mul" (product), "max" or "concat", or a `Choice` of them; in resolved expressions also
            "zeros" (zeros like its operand).
        operands: Values, or one `Subset` of them.
        name: Its name in the paths of decisions inside.
        axis: The axis of "concat", a number or a decision.

    Example:
        >>> graph = aw.graph(lambda a, b: a + b)
        >>> graph.output.kind, len(graph.output.operands)
        ('sum', 2)
    """

    kind: Any
    operands: tuple[Any, ...]
    name: str | None = None
    axis: Any = 1

    def __post_init__(self) -> None:
        """Refuse a kind that there is not, and an axis that is none."""
        for kind in _ends(self.kind):
            if not isinstance(kind, str) or kind not in (*MERGES, "zeros"):
                known = ", ".join(map(repr, MERGES))
                raise SpaceError(f"values are merged by one of {known}, or by a choice of them, not by {kind!r}")
        for axis in _ends(self.axis):
            if not is_whole(axis) and not (isinstance(axis, Node) and axis.is_setting):
                raise SpaceError(f"values are concatenated along an axis, a whole number; {axis!r} is none")
            if is_whole(axis) and axis == 0:
                raise SpaceError("values cannot be concatenated along axis 0, which is the batch")

    @property
    def is_sum(self) -> bool:
        """Whether it is a sum, whatever is decided."""
        return isinstance(self.kind, str) and self.kind == "sum"

    @property
    def sources(self) -> tuple[Any, ...]:
        """The values that it is made from: the operands."""
        return self.operands

    def __repr__(self) -> str:
        return f"{self.kind}({', '.join(map(_brief, self.operands))})"


def applied(target: str, args: Any, kwargs: Mapping[str, Any] | None = None, names: tuple[str, ...] = ()) -> Apply:
    """Return the value of a function of torch for some arguments, of which one or more are values of a graph.

    Args:
        target: "operator:name", "torch:name" or "torch.nn.functional:name".
        args: Positional arguments: values, numbers, texts, decisions about them, slices; also inside lists, tuples and
            dictionaries.
        kwargs: Keyword arguments.
        names: The names of the parameters of `args`.

    Raises:
        SpaceError: No argument is a value of a graph, or one is nothing that a function takes.

    Example:
        >>> from archwright.space import applied
        >>> aw.graph(lambda x: applied("torch:roll", (x, 1), {"dims": 2})).output.module
        roll(x0, 1, dims=2)
    """
    values: list[Any] = []

    def opened(item: Any) -> Any:
        if is_value(item):
            values.append(item)
            return Input(len(values) - 1)
        item = scalar(item)
        is_constant = item is None or item is ... or isinstance(item, bool | int | float | str)
        is_dtype = type(item).__module__ == "torch" and type(item).__name__ == "dtype"
        if not (is_constant or is_dtype or (isinstance(item, Node) and item.is_setting)):
            raise SpaceError(
                f"{last_name(target)} takes values of a graph, numbers, texts and decisions about them; "
                f"{written(item)} is none of these"
            )
        return item

    positional, named = with_leaves((tuple(args), dict(kwargs or {})), opened)
    function = Function(target, positional, named, names)
    if not values:
        raise SpaceError(
            f"{last_name(target)} is a function of values of a graph: call it inside aw.graph, as in "
            f"aw.graph(lambda x: {last_name(target)}(x)); it was called with {written(tuple(args))}"
        )
    return Apply(function, tuple(values))


def with_leaves(item: Any, change: Callable[[Any], Any]) -> Any:
    """Return an item with a function applied to what stands in it, also inside lists, tuples, dictionaries, slices."""
    if type(item) in (list, tuple):
        return type(item)(with_leaves(part, change) for part in item)
    if type(item) is dict:
        return {key: with_leaves(part, change) for key, part in item.items()}
    if isinstance(item, slice):
        return slice(*(with_leaves(part, change) for part in (item.start, item.stop, item.step)))
    return change(item)


def gathered(item: Any) -> Any:
    """Return one value that holds those in a tuple, list or dictionary, and anything else unchanged."""
    stack = [item] if type(item) in (list, tuple, dict) else []
    while stack:
        part = stack.pop()
        if is_value(part):
            return applied(STRUCTURE, (item,))
        if type(part) in (list, tuple, dict):
            stack += part.values() if type(part) is dict else part
    return item


class _Shown:
    """Stands for a value in the text of a function."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


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


def _ends(item: Any) -> tuple[Any, ...]:
    """Return the options of a decision, or the item itself."""
    return getattr(item, "options", None) or (item,)


def _combine(operation: str, left: Any, right: Any) -> Node:
    left, right = scalar(left), scalar(right)
    if is_value(left) or is_value(right):
        are_values = is_value(left) and is_value(right)
        others = [each for each in (left, right) if not is_value(each)]
        takes = all(is_number(each) or (isinstance(each, Node) and each.is_setting) for each in others)
        if operation not in VALUE_SYMBOLS or not takes:
            symbol, known = {**SYMBOLS, **VALUE_SYMBOLS}[operation], ", ".join(VALUE_SYMBOLS.values())
            raise SpaceError(
                f"values of a graph are combined with each other and with numbers by {known}; "
                f"{written(left)} {symbol} {written(right)} is not that"
            )
        if are_values and operation in ("add", "mul"):  # of which either operand may be absent
            return Merge("sum" if operation == "add" else "mul", (left, right))
        return applied(f"operator:{operation}", (left, right))
    for operand in (left, right):
        if not isinstance(operand, Node) and not is_number(operand):
            raise SpaceError(f"arithmetic on decisions takes numbers; {written(operand)} is none")
    return Call(f"operator.{operation}", (left, right))
