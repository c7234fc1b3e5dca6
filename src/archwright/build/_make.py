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
from archwright.space import Call, Graph, find, last_name, mapped

__all__ = ["class_name", "headline", "instantiate", "instantiate_settings"]


def instantiate(item: Any, made: Callable[[Call, Any], None] = lambda call, result: None) -> Any:
    """Return what a closed expression makes.

    Args:
        item: A closed expression.
        made: Told of every call and of what it returned.

    Raises:
        BuildError: A call refuses its arguments; the message names its path.
    """
    if isinstance(item, Graph):
        kind = wiring_class(wiring(item, class_name(item)))
        return kind(**{label: instantiate(module, made) for label, module in modules(item).items()})
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


def headline(call: Call) -> str:
    """Return a call as it was written, or only its name where it is long."""
    text = repr(call)
    return text if len(text) <= 100 else f"{last_name(call.target)}(…)"


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
