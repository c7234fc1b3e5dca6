"""The functions that a graph may apply to its values."""

from __future__ import annotations

import importlib
import operator
import re
from collections.abc import Callable
from typing import Any

from archwright.errors import SpaceError
from archwright.space._names import PURE, functions_of, parameter_names
from archwright.space._nodes import STRUCTURE, VALUE_SYMBOLS, Apply, applied

_UNSTEADY = re.compile(
    "rand|bernoulli|multinomial|poisson|gumbel|rrelu|fractional|batch_norm|instance_norm|multi_head|normal$|.*dropout|.*_$"
)
"""Names of functions of tensors that draw random numbers, do something else in training, or change their input."""


def write_function(target: str) -> Callable[..., Apply]:
    """Return what applies a function of torch to values of a graph.

    Args:
        target: Its name, such as "torch.nn.functional:gelu".

    Raises:
        SpaceError: It is no function of tensors, or does not always give the same for the same input.

    Example:
        >>> from archwright.space import write_function
        >>> aw.graph(lambda x: write_function("torch.nn.functional:pad")(x, (1, 1))).output.module
        pad(x0, (1, 1))
    """
    function = tensor_function(target)

    def write(*args: Any, **kwargs: Any) -> Apply:
        return applied(target, args, kwargs, parameter_names(function, args, kwargs))

    return write


def tensor_function(target: str) -> Callable[..., Any]:
    """Return the function that may be applied to values of a graph, by its name.

    These are the arithmetic of values and the functions of torch that work on tensors alone, except for those that draw
    random numbers, do something else in training, or change their input in place.

    Args:
        target: "operator:name", or "module:name" with a module of torch such as "torch.nn.functional".

    Raises:
        SpaceError: The target is none of them.

    Example:
        >>> from archwright.space import tensor_function
        >>> tensor_function("torch.nn.functional:relu") is torch.nn.functional.relu
        True
    """
    module_name, _, name = target.partition(":")
    if target == STRUCTURE:
        return _itself
    if module_name == "operator" and name in (*VALUE_SYMBOLS, "neg", "getitem"):
        arithmetic: Callable[..., Any] = getattr(operator, name)
        return arithmetic
    found: Callable[..., Any] | None = None
    if module_name in PURE and module_name != "torch.nn.init":
        importlib.import_module(module_name)
        found = functions_of(module_name).get(name)
    if found is None:
        raise SpaceError(f"{target!r} is no function of torch that a graph may apply to its values")
    if _UNSTEADY.match(name):
        raise SpaceError(
            f"{target} draws random numbers, does something else in training, or changes its input, so it cannot be a "
            f"function of a graph; use the layer of archwright.nn that does the same, such as nn.Dropout(0.1)(x)"
        )
    return found


def _itself(structure: Any) -> Any:
    return structure
