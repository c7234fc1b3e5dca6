"""The functions of the search space language."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from archwright._scalars import is_number, is_whole, scalar, scalars
from archwright.errors import SpaceError
from archwright.space._decisions import Choice, Integer, Real, Repeat, Scalar, Subset
from archwright.space._functions import write_function
from archwright.space._graph import Graph
from archwright.space._names import PURE, declare, name_in_torch, parameter_names, plain
from archwright.space._nodes import Apply, Blank, Call, Filled, Input, Merge, Node, gathered, is_value
from archwright.space._text import last_name, written


def choice(*options: Any, name: str | None = None) -> Choice:
    """Define a choice between several options without an order.

    Args:
        *options: Constants, or calls written with `archwright.nn`, or other open expressions, one by one
            (`choice(*widths)` for those in a list); or one mapping from labels to options. Inside a graph an option may
            be `None`: no operation, and no value. An array is the list of its numbers.
        name: A name for the decision; by default its path in the expression.

    Raises:
        SpaceError: No option is given, two are equal, or a list is given instead of the options.

    Example:
        >>> aw.Space(model=nn.Sequential(aw.choice(nn.ReLU(), nn.Tanh(), name="activation"))).size
        2
    """
    return Choice(*_labelled("choice", options), name=name)


def ordinal(*options: Any, name: str | None = None) -> Choice:
    """Define a choice between several options in an order; adjacent options are similar.

    Arguments and errors are those of `choice`.

    Example:
        >>> aw.Space(width=aw.ordinal(16, 32, 64)).size
        3
    """
    return Choice(*_labelled("ordinal", options), ordered=True, name=name)


def integer(low: int, high: int, *, step: int = 1, log: bool = False, name: str | None = None) -> Integer:
    """Define an integer decision.

    Args:
        low: The minimum.
        high: The maximum, included.
        step: The difference between adjacent values; the range is a multiple of it.
        log: Whether to sample and mutate on a logarithmic scale; with a step of 1 only.
        name: A name for the decision; by default its path in the expression.

    Raises:
        SpaceError: The range is empty, too long, no multiple of the step, or reaches zero or below with `log`.

    Example:
        >>> aw.Space(width=aw.integer(1, 64)).size, list(aw.integer(16, 64, step=16).values())
        (64, [16, 32, 48, 64])
    """
    low, high, step, log = scalar(low), scalar(high), scalar(step), bool(log)
    for end in (low, high, step):
        if not is_whole(end):
            raise SpaceError(f"integer{_of(name)} takes whole numbers; {end!r} is none")
    _check_range("integer", low, high, log, name)
    if step < 1 or (log and step > 1):
        raise SpaceError(f"integer{_of(name)}: step={step} is not 1 or more{', or with log not 1' if log else ''}")
    if (high - low) % step:
        below = high - (high - low) % step
        raise SpaceError(
            f"integer{_of(name)}: steps of {step} from {low} do not lead to {high}; write {below} or {below + step}"
        )
    if high - low >= 2 ** (40 if log else 53):  # beyond that, a vector cannot tell two values apart
        raise SpaceError(f"integer{_of(name)}: the range {low} to {high} is too long; use real")
    return Integer(low, high, log, name, step)


def real(low: float, high: float, *, log: bool = False, name: str | None = None) -> Real:
    """Define a real decision, rounded to six significant digits.

    Args:
        low: The minimum.
        high: The maximum.
        log: Whether to sample and mutate on a logarithmic scale.
        name: A name for the decision; by default its path in the expression.

    Raises:
        SpaceError: The range is empty, not finite, or reaches zero or below with `log`.

    Example:
        >>> aw.Space(lr=aw.real(1e-4, 1e-1, log=True)).size
        inf
    """
    low, high, log = scalar(low), scalar(high), bool(log)
    for end in (low, high):
        if not is_number(end):
            raise SpaceError(f"real{_of(name)} takes numbers; {end!r} is none")
    low, high = _as_float(low), _as_float(high)
    if not math.isfinite(high - low):
        raise SpaceError(f"real{_of(name)} takes a finite range; {low:g} to {high:g} was given")
    _check_range("real", low, high, log, name)
    if f"{low:.6g}" == f"{high:.6g}":
        raise SpaceError(
            f"real{_of(name)}: {low!r} and {high!r} are the same to six significant digits; use a constant"
        )
    return Real(low, high, log, name)


def subset(*options: Any, k: int | tuple[int, int], name: str | None = None) -> Subset:
    """Define a choice of `k` of several options.

    As an argument of `merge`, the chosen values are merged; elsewhere the value is the list of the chosen options, in
    the given order.

    Args:
        *options: As in `choice`.
        k: The number of options, or its minimum and maximum.
        name: A name for the decision; by default its path in the expression.

    Raises:
        SpaceError: As in `choice`, or `k` is not within the number of options.

    Example:
        >>> aw.Space(features=aw.subset("a", "b", "c", k=2)).size
        3
    """
    parts, labels = _labelled("subset", options)
    count = scalar(k)
    ends = scalars(list(k)) if isinstance(k, Sequence) and len(k) == 2 else [count, count]
    low, high = ends
    if not (is_whole(low) and is_whole(high) and 0 <= low <= high <= len(parts) and high >= 1):
        raise SpaceError(
            f"subset{_of(name)}: k={k!r} is not a number, or a least and a greatest, within the {len(parts)} options"
        )
    return Subset(parts, labels, low, high, name)


def repeat(body: Callable[[int], Any], low: int, high: int | None = None, *, name: str | None = None) -> Node:
    """Define a sequence of bodies of variable depth.

    Args:
        body: Called with 0, 1, ... when the space is defined; returns the body at that position. Decisions of different
            bodies are independent, unless they share a decision.
        low: The minimum number of bodies.
        high: The maximum number; by default `low`, a fixed depth.
        name: A name for the decision; by default its path in the expression.

    Raises:
        SpaceError: The range is empty or negative, or the body is not a function.

    Example:
        >>> deep = aw.repeat(lambda i: nn.LazyLinear(aw.ordinal(8, 16)), 1, 3)
        >>> aw.Space(model=deep).size
        14
    """
    if isinstance(body, Node) or not callable(body):
        raise SpaceError(
            f"repeat{_of(name)} takes a function that writes each body, such as lambda i: nn.LazyLinear(8); "
            f"{written(body)} was given"
        )
    low, high = scalar(low), scalar(low if high is None else high)
    if not is_whole(low) or not is_whole(high) or not 0 <= low <= high or high < 1:
        raise SpaceError(
            f"repeat{_of(name)} takes whole numbers 0 <= low <= high with high >= 1; {low!r} to {high!r} was given"
        )
    bodies = tuple(body(index) for index in range(high))
    if low == high:
        return Call("torch.nn.Sequential", bodies)
    return Repeat(bodies, low, name)


def graph(body: Callable[..., Any], *, name: str | None = None) -> Graph:
    """Define a module by a function of values, its forward pass.

    Inside, a layer is applied by calling it: `aw.graph(lambda x: conv(x) + shortcut(x))`. Values can be combined with
    each other and with numbers by `+`, `-`, `*`, `/`, `@` and `**`, indexed as tensors are (`x[:, 0]`), unpacked
    (`outputs, state = gru(x)`), given to functions of torch (`archwright.nn.functional`), merged by `aw.merge`, and
    chosen by `choice` and `subset`. A layer that is applied twice is created twice, without shared weights.

    Args:
        body: A function of one value for each input that returns the output value, or a tuple, list or dictionary of
            values.
        name: A name, the prefix of the names of the decisions inside, wherever the graph is used.

    Raises:
        SpaceError: The body returns no value, uses a value of another graph, gives two values the same name, or uses a
            value that may be absent where one is required.

    Example:
        >>> residual = aw.graph(lambda x: x + nn.LazyLinear(4)(x))
        >>> aw.Space(model=residual, example_input=(4,)).size
        1
    """
    if isinstance(body, Node) or not callable(body):
        raise SpaceError(f"graph takes a function of values, such as lambda x: conv(x) + x; {written(body)} was given")
    parameters = inspect.signature(body).parameters.values()
    required = [parameter for parameter in parameters if parameter.default is parameter.empty]
    if not required or any(parameter.kind is not parameter.POSITIONAL_OR_KEYWORD for parameter in required):
        raise SpaceError("the body of a graph names each of its inputs: one parameter for each, and at least one")
    inputs = tuple(Input(index) for index in range(len(required)))
    return Graph(inputs, gathered(body(*inputs)), name)


def merge(*values: Any, kind: Any = "sum", axis: Any = 1, name: str | None = None) -> Merge:
    """Merge values of a graph into one.

    Args:
        *values: Values, or choices or subsets of values. Absent ones (of an operation `None`) are omitted; if all are
            absent the result is zero.
        kind: "sum", "mean", "mul" (the product), "max" (the maximum) or "concat"; or a choice of them.
        axis: The axis of "concat": any but 0, the batch; negative ones count from the last. It may be a decision.
        name: Its name in the paths of decisions inside.

    Raises:
        SpaceError: The kind is unknown, no values are given, an argument is not a value, or the axis is 0.

    Example:
        >>> model = aw.graph(lambda a, b: nn.LazyLinear(2)(aw.merge(a, b, kind="concat")))
        >>> aw.Space(model=model, example_input=[(3,), (5,)]).size
        1
        >>> joined = lambda x: aw.merge(x, nn.ReLU()(x), kind=aw.choice("sum", "concat", name="join"))
        >>> aw.Space(model=nn.Sequential(aw.graph(joined), nn.LazyLinear(2)), example_input=(4,)).size
        2
    """
    if not values:
        raise SpaceError("merge takes one value or more; none was given")
    for value in values:
        if value is not None and not is_value(value):
            raise SpaceError(f"merge takes values of a graph; {written(value)} is none")
    return Merge(kind, values, name, scalar(axis))


def cell(
    edge: Callable[[int, int], Any],
    *,
    nodes: int,
    inputs: int = 1,
    node: Callable[[int], Any] | None = None,
    fan_in: int | None = None,
    combine: str = "sum",
    output: str = "last",
    keep_unused: bool = False,
    name: str | None = None,
) -> Graph:
    """Define a cell: a directed acyclic graph in which a node may have edges from all nodes before it.

    Nodes are numbered from the inputs: with one input, node 0 is the input and nodes 1, 2, ... are computed.

    Args:
        edge: Called with (i, j) for every i before j; returns the operation from node i to node j, usually a choice.
            `None` as the operation, or as an option of it, means no edge.
        nodes: Number of computed nodes.
        inputs: Number of inputs.
        node: Called with j; returns the operation on the combined value of node j. By default none.
        fan_in: Number of incoming edges that each node keeps; which ones is a decision. By default all.
        combine: How a node combines its edges: a kind of `merge`.
        output: The output: "last", the last node, or "concat", all computed nodes along axis 1, or their "sum" or
            "mean".
        keep_unused: Whether operations that are not connected to the output stay in the network with their weights,
            without being computed. Published benchmarks count them. They cannot be lazy layers.
        name: A name, the prefix of the names of the decisions inside, wherever the cell is used.

    Raises:
        SpaceError: A count is below 1, or `output` or `combine` is unknown.

    Example:
        >>> cell = aw.cell(lambda source, node: aw.choice(nn.Identity(), nn.ReLU()), nodes=2)
        >>> aw.Space(model=cell).size
        8
    """
    nodes, inputs, fan_in = scalars((nodes, inputs, fan_in))
    counts = (nodes, inputs) if fan_in is None else (nodes, inputs, fan_in)
    if not all(is_whole(count) and count >= 1 for count in counts):
        raise SpaceError(
            f"a cell has at least one computed node, input and kept edge; nodes={nodes!r}, inputs={inputs!r}, "
            f"fan_in={fan_in!r} was given"
        )
    if output not in ("last", "concat", "sum", "mean"):
        raise SpaceError(f"a cell's output is 'last', 'concat', 'sum' or 'mean', not {output!r}")
    values: list[Any] = [Input(index) for index in range(inputs)]
    edges: dict[tuple[int, int], Apply] = {}
    for j in range(inputs, inputs + nodes):
        incoming: dict[str, Apply] = {}
        for i in range(j):
            operation = edge(i, j)
            if operation is not None:
                edges[i, j] = incoming[str(i)] = Apply(operation, (values[i],), f"edge_{i}_{j}")
        if not incoming:
            raise SpaceError(f"no edge leads to node {j} of the cell: edge(i, {j}) gave None for every i")
        operands: tuple[Any, ...] = tuple(incoming.values())
        if fan_in is not None and fan_in < len(operands):
            operands = (subset(incoming, k=fan_in),)
        value: Any = merge(*operands, kind=combine, name=f"node_{j}")
        if node is not None:
            value = Apply(node(j), (value,), f"op_{j}")
        values.append(value)
    computed = values[inputs:]
    result = computed[-1] if output == "last" else merge(*computed, kind=output, name="output")
    return Graph(tuple(values[:inputs]), result, name, edges, tuple(values), keep_unused=bool(keep_unused))


def template(body: Callable[..., Any]) -> Callable[..., Filled]:
    """Define a part with parameters, to be used several times with the same decisions.

    `cell = aw.template(lambda width: ...)` returns a function: `cell(16)` and `cell(32)` are two uses of one part. All
    uses share its decisions, but not its weights.

    Args:
        body: Called once, when the space is defined, with a placeholder for each of its parameters. A placeholder can
            be used like a number, also in arithmetic.

    Returns:
        A function of the same parameters, which are numbers or decisions.

    Raises:
        SpaceError: The body is not a function, has no parameters or a variable number of them; or the arguments of a
            use do not match.

    Example:
        >>> stage = aw.template(lambda width: nn.LazyLinear(width))
        >>> aw.Space(model=nn.Sequential(stage(8), stage(16))).size
        1
    """
    if isinstance(body, Node) or not callable(body):
        raise SpaceError(f"template takes a function, such as lambda width: conv(width); {written(body)} was given")
    signature = inspect.signature(body)
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if not kinds or kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        raise SpaceError("the body of a template names each of its blanks: one parameter for each, and at least one")
    blanks = {name: Blank(name) for name in signature.parameters}
    bound = signature.bind_partial()
    bound.arguments = blanks
    part = body(*bound.args, **bound.kwargs)

    def fill(*args: Any, **kwargs: Any) -> Filled:
        try:
            given = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise SpaceError(f"template{signature}: {error}") from None
        given.apply_defaults()
        return Filled(part, tuple(blanks.values()), tuple(scalars(given.arguments[name]) for name in blanks))

    return fill


def lazy(target: Callable[..., Any] | str) -> Callable[..., Any]:
    """Let a class or function of your own join the language: `aw.lazy(MyBlock)(channels=aw.choice(16, 32))`.

    A function of torch that works on tensors joins it as a function of values of a graph:
    `aw.graph(lambda x: aw.lazy(torch.roll)(x, 1, dims=2))`.

    The class stays plain PyTorch. `source` copies its text, so it should use nothing but what its own module defines
    and imports from torch and the standard library.

    Args:
        target: A class, a function that returns a module, a function of torch, or a name to be imported on first use,
            such as "package.module:MyBlock" or "torch:roll".

    Raises:
        SpaceError: The target cannot be called; or, when the result is called, the arguments do not fit.

    Example:
        >>> scale = aw.lazy(torch.nn.LayerNorm)(aw.choice(8, 16, name="size"))
        >>> list(aw.Space(model=scale).decisions)
        ['size']
    """
    callee: Callable[..., Any] | None = None
    if isinstance(target, str):
        if ":" not in target:
            raise SpaceError(f"a target by name is written 'package.module:Class'; {target!r} was given")
        if target.partition(":")[0] in PURE:
            return write_function(target)
        dotted = target
        declare(target)
    elif (known := name_in_torch(target)) is not None and not inspect.isclass(target):
        return write_function(known)
    elif inspect.isclass(target) or inspect.isfunction(target) or inspect.ismethod(target):
        callee = plain(target)
        dotted = f"{callee.__module__}:{callee.__qualname__}"
        if callee.__module__.startswith("torch.nn.modules."):
            dotted, callee = f"torch.nn.{callee.__qualname__}", None
        declare(target)
    else:
        raise SpaceError(f"lazy takes a class, a function or its name; {written(target)} was given")

    def write(*args: Any, **kwargs: Any) -> Call:
        for value in (*args, *kwargs.values()):
            if is_value(value):
                raise SpaceError(
                    f"{last_name(dotted)} is called with {written(value)}, a value of a graph: make it a class of "
                    f"layers, aw.lazy(YourClass)(...)(value); functions of torch take values as they are"
                )
        names = () if isinstance(target, str) else parameter_names(plain(target), args, kwargs)
        return Call(dotted, scalars(args), scalars(kwargs), names, callee)

    return write


def _labelled(word: str, options: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Scalar, ...]]:
    if len(options) == 1 and isinstance(options[0], Mapping):
        named = {str(label): _constant(part) for label, part in options[0].items()}
        if len(named) < len(options[0]):
            raise SpaceError(f"{word}: two labels read the same: {', '.join(map(repr, options[0]))}")
        labels: list[Any] = list(named)
        parts = tuple(named.values())
    else:
        _check_apart(word, options)
        parts = tuple(_constant(option) for option in options)
        for second, part in enumerate(parts):
            first = next(i for i, other in enumerate(parts) if other is part or _is_equal(other, part))
            if first != second:
                raise SpaceError(f"{word}: options {first} and {second} are the same: {written(part)}")
        labels = []
        for part in parts:
            labels.append(next(each for each in _variants(_label_of(part)) if each not in labels))
    if not parts:
        raise SpaceError(f"{word} takes one option or more; none was given")
    return parts, tuple(labels)


def _check_apart(word: str, options: tuple[Any, ...]) -> None:
    """Refuse one collection in place of the options that it holds."""
    if len(options) == 1 and isinstance(options[0], Iterable) and not isinstance(options[0], str | Node):
        (option,) = options
        told = written(option) if isinstance(option, list | tuple | range) else f"one {type(option).__name__}"
        raise SpaceError(
            f"{word} takes its options one by one, and {told} was given: write aw.{word}(*options); a list can be an "
            f"option only beside others"
        )


def _constant(option: Any) -> Any:
    """Return an option with Python's own numbers in place of those of numpy; an array is the list of its numbers."""
    is_array = bool(getattr(option, "shape", ())) and hasattr(option, "tolist")
    return option.tolist() if is_array else scalars(option)


def _is_equal(first: Any, second: Any) -> bool:
    """Tell whether two constants are equal; calls that read alike are two options all the same."""
    return not isinstance(first, Node) and not isinstance(second, Node) and bool(first == second)


def _variants(label: Any) -> Iterator[Any]:
    return itertools.chain((label,), (f"{label} #{number}" for number in itertools.count(2)))


def _label_of(option: Any) -> Any:
    if option is None or isinstance(option, bool | int | float | str):
        return option
    if isinstance(option, Call):
        arguments = [_short(value) for value in option.args]
        arguments += [f"{key}={_short(value)}" for key, value in option.kwargs.items()]
        text = ", ".join(arguments)
        return f"{last_name(option.target)}({text if len(text) <= 48 else '…'})"
    if isinstance(option, Filled):
        inside = (f"{blank}={_short(value)}" for blank, value in zip(option.blanks, option.values, strict=True))
        return f"{_label_of(option.body)} with {', '.join(inside)}"
    return written(option) if len(written(option)) <= 60 else type(option).__name__.lower()


def _short(value: Any) -> str:
    return "…" if isinstance(value, Node) else written(value)


def _check_range(word: str, low: float, high: float, log: bool, name: str | None) -> None:
    if low > high:
        raise SpaceError(f"{word}{_of(name)}: the range {low} to {high} is empty; write the smaller end first")
    if log and low <= 0:
        raise SpaceError(f"{word}{_of(name)}: a logarithmic range starts above zero; {low} was given")


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number that is too large for one
        return math.inf if value > 0 else -math.inf


def _of(name: str | None) -> str:
    return f" {name!r}" if name else ""
