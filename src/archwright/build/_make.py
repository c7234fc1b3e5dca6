"""Make what a closed expression says: its calls, and the classes of its graphs, as syntax trees that source shares."""

from __future__ import annotations

import ast
import functools
import hashlib
import keyword
import linecache
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from archwright.build._syntax import (
    NO_TYPE_PARAMETERS,
    call,
    check_reads_back,
    dotted,
    identifier,
    layout,
    literal,
    method,
)
from archwright.errors import ArchwrightError, BuildError
from archwright.space import (
    STRUCTURE,
    Apply,
    Call,
    Function,
    Graph,
    Input,
    Merge,
    children,
    find,
    last_name,
    mapped,
    tensor_function,
)

_TAKEN = frozenset((*dir(torch.nn.Module()), "nn", "self", "super", "torch"))
_KEPT = 1024
_classes: dict[str, type[torch.nn.Module]] = {}
"""Classes that were made, by their text."""


def instantiate(item: Any, made: Callable[[Call, Any], None] = lambda call, result: None) -> Any:
    """Return the object of a resolved expression.

    Args:
        item: A resolved expression.
        made: Called with every call and its result.

    Raises:
        BuildError: A call refuses its arguments; the message names its path.

    Example:
        >>> from archwright.build import instantiate
        >>> instantiate(nn.Linear(4, 3))
        Linear(in_features=4, out_features=3, bias=True)
    """
    if isinstance(item, Graph):
        return _graph_class(item)(**{label: instantiate(module, made) for label, module in modules(item).items()})
    if isinstance(item, Function):
        return partial(_run, item)
    inner = mapped(item, lambda part: instantiate(part, made))
    if isinstance(item, Call):
        try:
            result = find(item.target, item.callee)(*inner.args, **inner.kwargs)
        except ArchwrightError:
            raise
        except Exception as error:  # whatever a layer raises, the path must be known
            raise BuildError(f"{item.path}: {headline(item)} cannot be made: {error}") from error
        made(item, result)
        return result
    # torch.nn.Sequential takes an OrderedDict, and every other taker a dict
    return OrderedDict(inner) if isinstance(item, Mapping) else inner


def _run(function: Function, *values: Any) -> Any:
    """Return what a closed function gives for some values."""

    def filled(part: Any) -> Any:
        return values[part.index] if isinstance(part, Input) else mapped(part, filled)

    args, kwargs = filled((function.args, dict(function.kwargs)))
    return tensor_function(function.target)(*args, **kwargs)


def instantiate_settings(closed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the objects of the resolved parts of a space besides the model.

    Optimizers become `functools.partial` objects, to be called with the parameters; other calls are evaluated.

    Example:
        >>> from archwright.build import instantiate_settings
        >>> instantiate_settings({"optimizer": aw.optim.SGD(lr=0.1), "epochs": 3})["optimizer"].keywords
        {'lr': 0.1}
    """
    return {name: _setting(item) for name, item in closed.items() if name != "model"}


def _setting(item: Any) -> Any:
    if isinstance(item, Call):
        callee = find(item.target, item.callee)
        if isinstance(callee, type) and issubclass(callee, torch.optim.Optimizer):
            return functools.partial(callee, **instantiate(dict(item.kwargs)))
    return instantiate(item)


def headline(call: Call) -> str:
    """Return the text of a call, or only its name if it is long.

    Example:
        >>> from archwright.build import headline
        >>> headline(nn.Linear(4, 3))
        'Linear(4, 3)'
    """
    text = repr(call)
    return text if len(text) <= 100 else f"{last_name(call.target)}(…)"


def innermost(error: Exception, paths: Mapping[int, str]) -> str | None:
    """Return the path of the innermost layer in the traceback of an error, if any.

    Args:
        error: The exception.
        paths: Paths of layers by the `id` of their modules.

    Example:
        >>> from archwright.build import innermost
        >>> layer = torch.nn.Linear(4, 3)
        >>> try:
        ...     layer(torch.zeros(1, 5))
        ... except RuntimeError as error:
        ...     print(innermost(error, {id(layer): "model.0"}))
        model.0
    """
    at, seen = None, error.__traceback__
    while seen is not None:
        at = paths.get(id(seen.tb_frame.f_locals.get("self")), at)
        seen = seen.tb_next
    return at


def parts_of(item: Any) -> list[Any]:
    """Return the parts directly below an item of a closed expression: of a graph, its modules."""
    if isinstance(item, Graph):
        return list(modules(item).values())
    if isinstance(item, partial):
        return [item.func, *item.args, *item.keywords.values()]
    return [part for _, part in children(item)]


def modules(graph: Graph) -> dict[str, Any]:
    """Return the closed modules of a graph by attribute, in the order of execution."""
    values = graph.labels.items() if graph.keep_unused else _ordered(graph)
    return {attribute(label): value.module for value, label in values if isinstance(value, Apply) and _is_made(value)}


def _is_made(value: Apply) -> bool:
    """Tell whether a value of a closed graph is computed by a module, rather than by a function."""
    return not isinstance(value.module, Function)


def attribute(label: str) -> str:
    """Return the attribute for a label; names that a module or its text uses itself get an underscore."""
    return f"{label}_" if label in _TAKEN else identifier(label)


def class_name(graph: Graph) -> str:
    """Return the name of a graph's class."""
    words = (graph.name or "block").replace("-", "_").replace(".", "_").split("_")
    name = "".join(word[:1].upper() + word[1:] for word in words)
    return name if name.isidentifier() and not keyword.iskeyword(name) else "Block"


def class_tree(graph: Graph, name: str) -> ast.ClassDef:
    """Return the class whose forward pass is a graph, and whose modules come in as arguments."""
    inputs = {value: f"x{index}" if len(graph.inputs) > 1 else "x" for index, value in enumerate(graph.inputs)}
    ordered = _ordered(graph)
    uses = Counter(part for value, _ in ordered for part in value.sources)
    merged = {part for value, _ in ordered if isinstance(value, Merge) for part in value.operands}
    terms: dict[Any, ast.expr] = {value: dotted(variable) for value, variable in inputs.items()}
    forward: list[ast.stmt] = []
    for value, label in ordered:
        term = _term(value, label, [terms[part] for part in value.sources])
        if value is graph.output:
            forward.append(ast.Return(term))
        elif isinstance(value, Apply) and _is_made(value) and uses[value] == 1 and value in merged:
            terms[value] = term
        else:
            variable = attribute(label) if label not in inputs.values() else f"{label}_"
            forward.append(ast.Assign([ast.Name(variable, ast.Store())], term))
            terms[value] = dotted(variable)
    if graph.output in inputs:
        forward.append(ast.Return(terms[graph.output]))
    names = list(modules(graph))
    initialise: list[ast.stmt] = [ast.Expr(ast.Call(ast.Attribute(call("super"), "__init__", ast.Load()), [], []))]
    initialise += [ast.Assign([ast.Attribute(dotted("self"), each, ast.Store())], dotted(each)) for each in names]
    made = [method("__init__", {"self": "", **dict.fromkeys(names, "nn.Module")}, "None", initialise)] if names else []
    parameters = {"self": "", **dict.fromkeys(inputs.values(), "torch.Tensor")}
    return ast.ClassDef(
        name=identifier(name),
        bases=[dotted("nn.Module")],
        keywords=[],
        body=[*made, method("forward", parameters, _kind(graph), forward)],
        decorator_list=[],
        **NO_TYPE_PARAMETERS,
    )


def _kind(graph: Graph) -> str:
    """Return the type of what a graph returns."""
    function = getattr(graph.output, "module", None)
    if isinstance(function, Function) and function.target == STRUCTURE:
        return type(function.args[0]).__name__
    return "torch.Tensor"


def _graph_class(graph: Graph) -> type[torch.nn.Module]:
    """Return the class of a graph; tracebacks show its text."""
    tree = class_tree(graph, class_name(graph))
    text = layout(tree)
    if text not in _classes:
        check_reads_back(tree, text)
    return _class_of(tree.name, text)


def _class_of(name: str, text: str) -> type[torch.nn.Module]:
    """Return the class that a text defines, whose objects are pickled with the text."""
    if text not in _classes:
        filename = f"<graph {name} {hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}>"
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
        namespace: dict[str, Any] = {"torch": torch, "nn": torch.nn, "__name__": "network"}
        exec(compile(text, filename, "exec", dont_inherit=True), namespace)  # nothing but a tree that was made here
        if len(_classes) >= _KEPT:
            _classes.clear()
        made = _classes[text] = namespace[name]
        made.__reduce__ = lambda self: (_empty, (name, text), self.__dict__)
    return _classes[text]


def _empty(name: str, text: str) -> torch.nn.Module:
    """Return an object of a pickled class, which its state is still to be given to."""
    return object.__new__(_class_of(name, text))


def _ordered(graph: Graph) -> list[tuple[Any, str]]:
    """Return the values of a closed graph that its output needs, in the order of execution."""
    needed: set[Any] = set()
    stack = [graph.output]
    while stack:
        value = stack.pop()
        if value not in needed and not isinstance(value, Input):
            needed.add(value)
            stack.extend(value.sources)
    return [(value, label) for value, label in graph.labels.items() if value in needed]


def _term(value: Apply | Merge, label: str, parts: list[ast.expr]) -> ast.expr:
    """Return what computes a value from what it is made from."""
    if isinstance(value, Apply):
        is_function = isinstance(value.module, Function)
        return _function_term(value.module, parts) if is_function else call(f"self.{attribute(label)}", *parts)
    if value.kind == "zeros":
        return call("torch.zeros_like", *parts)
    if value.kind == "concat":
        return call("torch.cat", ast.List(parts, ast.Load()), dim=literal(value.axis))
    total, *rest = parts
    for part in rest:
        if value.kind == "max":
            total = call("torch.maximum", total, part)
        else:
            total = ast.BinOp(total, ast.Mult() if value.kind == "mul" else ast.Add(), part)
    return ast.BinOp(total, ast.Div(), ast.Constant(len(parts))) if value.kind == "mean" else total


_SYMBOLS: dict[str, type[ast.operator]] = {
    "operator:add": ast.Add,
    "operator:sub": ast.Sub,
    "operator:mul": ast.Mult,
    "operator:truediv": ast.Div,
    "operator:matmul": ast.MatMult,
    "operator:pow": ast.Pow,
}


def _function_term(function: Function, parts: list[ast.expr]) -> ast.expr:
    """Return what applies a closed function to values."""

    def term(item: Any) -> ast.expr:
        if isinstance(item, Input):
            return parts[item.index]
        if isinstance(item, list | tuple):
            return (ast.List if isinstance(item, list) else ast.Tuple)(list(map(term, item)), ast.Load())
        if isinstance(item, Mapping):
            return ast.Dict([literal(key) for key in item], list(map(term, item.values())))
        if isinstance(item, slice):
            return ast.Slice(*(None if end is None else term(end) for end in (item.start, item.stop, item.step)))
        return ast.Constant(...) if item is ... else literal(item)

    args = list(map(term, function.args))
    if function.target == STRUCTURE:
        return args[0]
    if function.target == "operator:getitem":
        return ast.Subscript(args[0], args[1], ast.Load())
    if function.target == "operator:neg":
        return ast.UnaryOp(ast.USub(), args[0])
    if function.target in _SYMBOLS:
        return ast.BinOp(args[0], _SYMBOLS[function.target](), args[1])
    tensor_function(function.target)  # nothing else is written
    name = function.target.replace(":", ".").replace("torch.nn.", "nn.")
    return call(name, *args, **{key: term(part) for key, part in function.kwargs.items()})
