"""What stands for a layer in an expression, and what for a number or a setting."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from archwright.space import Call, Choice, Graph, Recursive, Repeat, Symbol, body_of, find, walk


def is_layer(item: Any) -> bool:
    """Tell whether an item is a module, rather than a number or a setting.

    Example:
        >>> from archwright.build import is_layer
        >>> is_layer(nn.ReLU()), is_layer(aw.integer(1, 8))
        (True, False)
    """
    kinds = Graph | Repeat | Recursive | Symbol
    return any(isinstance(part, kinds) or (isinstance(part, Call) and _makes_layer(part)) for part in _ends(item))


def is_open(item: Any) -> bool:
    """Tell whether an item always stands for a module, and holds choices between some."""
    item = body_of(item)
    if isinstance(item, Recursive):
        return True
    if isinstance(item, Choice):
        return all(map(is_layer, _ends(item)))
    return (is_row(item) or isinstance(item, Repeat)) and any(
        isinstance(part, Choice) and is_layer(part) for part in walk(item)
    )


def is_row(item: Any) -> bool:
    """Tell whether an item is an `nn.Sequential` of layers.

    Example:
        >>> from archwright.build import is_row
        >>> is_row(nn.Sequential(nn.ReLU(), nn.Tanh())), is_row(nn.ReLU())
        (True, False)
    """
    is_call = isinstance(item, Call) and item.target == "torch.nn.Sequential"
    return is_call and not (len(item.args) == 1 and isinstance(item.args[0], Mapping))


def _ends(item: Any) -> Iterator[Any]:
    """Iterate over what may stand in the place of an item, once its choices are made and its templates filled in."""
    stack, visited = [item], set[int]()
    while stack:
        part = body_of(stack.pop())
        if not isinstance(part, Choice):
            yield part
        elif id(part) not in visited:  # options may hold the same parts again and again
            visited.add(id(part))
            stack += part.options


def _makes_layer(call: Call) -> bool:
    if ":" not in call.target:
        return call.target.startswith("torch.nn.")
    callee = find(call.target, call.callee)
    return not inspect.isclass(callee) or issubclass(callee, torch.nn.Module)
