"""Make what a closed expression says."""

from __future__ import annotations

import functools
import keyword
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import torch

from archwright.build._wiring import modules, wiring, wiring_class
from archwright.errors import ArchwrightError, BuildError
from archwright.space import Apply, Call, Graph, Merge, find, last_name

__all__ = ["class_name", "headline", "instantiate", "instantiate_settings", "rewrite"]


def instantiate(item: Any, made: Callable[[Call, Any], None] = lambda call, result: None) -> Any:
    """Return what a closed expression makes.

    Args:
        item: A closed expression.
        made: Told of every call and of what it returned.

    Raises:
        BuildError: A call refuses its arguments; the message names its path.
    """
    if isinstance(item, Call):
        args = [instantiate(value, made) for value in item.args]
        kwargs = {key: instantiate(value, made) for key, value in item.kwargs.items()}
        try:
            result = find(item.target, item.callee)(*args, **kwargs)
        except ArchwrightError:
            raise
        except Exception as error:  # whatever a layer raises, the path must be known
            raise BuildError(f"{item.path}: {headline(item)} cannot be made: {error}") from error
        made(item, result)
        return result
    if isinstance(item, Graph):
        kind = wiring_class(wiring(item, class_name(item)))
        return kind(**{label: instantiate(module, made) for label, module in modules(item).items()})
    if isinstance(item, list | tuple):
        return type(item)(instantiate(value, made) for value in item)
    if isinstance(item, Mapping):  # torch.nn.Sequential takes an OrderedDict, and every other taker a dict
        return OrderedDict((key, instantiate(value, made)) for key, value in item.items())
    return item


def headline(call: Call) -> str:
    """Return a call as it was written, or only its name where it is long."""
    text = repr(call)
    return text if len(text) <= 100 else f"{last_name(call.target)}(…)"


def rewrite(item: Any, change: Callable[[Call], Call]) -> Any:
    """Return a closed expression with every call changed, from the inside out."""
    if isinstance(item, Call):
        args = tuple(rewrite(value, change) for value in item.args)
        kwargs = {key: rewrite(value, change) for key, value in item.kwargs.items()}
        changed = change(item)
        if changed is item:
            return Call(item.target, args, kwargs, item.names, item.callee, item.path)
        return changed
    if isinstance(item, Graph):
        memo: dict[Any, Any] = {value: value for value in item.inputs}
        labels: dict[Any, str] = {}

        def value(old: Any) -> Any:
            if old not in memo:
                if isinstance(old, Apply):
                    inputs = tuple(value(part) for part in old.inputs)
                    memo[old] = Apply(rewrite(old.module, change), inputs, old.name)
                else:
                    memo[old] = Merge(old.kind, tuple(value(part) for part in old.operands))
                labels[memo[old]] = item.labels[old]
            return memo[old]

        for old in item.labels:
            value(old)
        output = value(item.output)
        return Graph(item.inputs, output, item.name, labels=labels, path=item.path, keep_unused=item.keep_unused)
    if isinstance(item, list | tuple):
        return type(item)(rewrite(value, change) for value in item)
    if isinstance(item, Mapping):
        return {key: rewrite(value, change) for key, value in item.items()}
    return item


def instantiate_settings(closed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the closed parts of a space besides the model as what is used.

    Optimizers become `functools.partial` objects that wait for their parameters; other calls are made; constants stay.
    """
    return {name: _setting(item) for name, item in closed.items() if name != "model"}


def class_name(graph: Graph) -> str:
    """Return the name of a graph's class."""
    words = (graph.name or "block").replace("-", "_").replace(".", "_").split("_")
    name = "".join(word[:1].upper() + word[1:] for word in words)
    return name if name.isidentifier() and not keyword.iskeyword(name) else "Block"


def _setting(item: Any) -> Any:
    if isinstance(item, Call):
        callee = find(item.target, item.callee)
        if isinstance(callee, type) and issubclass(callee, torch.optim.Optimizer):
            return functools.partial(callee, **instantiate(dict(item.kwargs)))
    return instantiate(item)
