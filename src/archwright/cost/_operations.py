"""The operations of a network with their inputs. Importing this loads torch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_flatten, tree_unflatten

from archwright.build import Shaped
from archwright.cost._network import run

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_FREE = {"size", "dim", "shape", "__get__", "stride", "numel", "__len__"}  # functions that compute nothing


@dataclass(frozen=True)
class Operation:
    """A layer or a function, with the shapes of what goes in."""

    key: str  # what it is, as text: two operations of one key take the same time
    run: _Call  # takes real tensors of the shapes, and computes
    shapes: tuple[Shaped, ...]  # the shape and the type of each tensor that goes in


def operations(model: nn.Module, inputs: Sequence[Tensor]) -> list[Operation]:
    """Return the operations of a forward pass in their order: layers, and functions between them.

    Torch's own layers are operations as a whole; the user's are looked into, where they hold others. On the meta device
    this computes nothing.
    """
    found: list[Operation] = []
    inside = [0]  # how many layers the present call is in

    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        if not inside[0]:
            found.append(_operation(repr(module), module, args, kwargs))
        inside[0] += 1

    def after(module: nn.Module, args: Any, out: Any) -> None:
        inside[0] -= 1

    with ExitStack() as hooks, _Functions(found, inside), torch.no_grad():
        for module in _layers(model):
            hooks.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
            hooks.callback(module.register_forward_hook(after).remove)
        run(model, inputs)
    return found


class _Functions(TorchFunctionMode):
    """Notes the functions that are called between layers."""

    def __init__(self, found: list[Operation], inside: list[int]) -> None:
        super().__init__()
        self._found = found
        self._inside = inside

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._inside[0] or getattr(func, "__name__", "") in _FREE:
            return func(*args, **kwargs)
        self._inside[0] += 1  # what a function of Python calls is a part of it
        try:
            out = func(*args, **kwargs)
        finally:
            self._inside[0] -= 1
        if any(isinstance(leaf, Tensor) for leaf in tree_flatten(out)[0]):
            name = resolve_name(func) or getattr(func, "__name__", repr(func))
            self._found.append(_operation(name, func, args, kwargs))
        return out


class _Call(nn.Module):
    """A layer or a function whose tensors go in one by one, whatever it is called with; everything else is fixed."""

    def __init__(self, function: Callable[..., Any], leaves: Sequence[Any], tree: Any) -> None:
        super().__init__()
        self.function, self.leaves, self.tree = function, list(leaves), tree

    def forward(self, *tensors: Tensor) -> Any:
        rest = iter(tensors)
        leaves = [next(rest) if leaf is Tensor else leaf for leaf in self.leaves]
        args, kwargs = tree_unflatten(leaves, self.tree)
        return self.function(*args, **kwargs)  # a layer is a module of this one, and moves with it


def _operation(name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Operation:
    leaves, tree = tree_flatten((args, kwargs))
    shapes = tuple((tuple(leaf.shape), leaf.dtype) for leaf in leaves if isinstance(leaf, Tensor))
    fixed = [Tensor if isinstance(leaf, Tensor) else leaf for leaf in leaves]
    return Operation(f"{name} {', '.join(map(_told, leaves))}", _Call(function, fixed, tree), shapes)


def _told(leaf: Any) -> str:
    return f"{str(leaf.dtype).removeprefix('torch.')}{list(leaf.shape)}" if isinstance(leaf, Tensor) else repr(leaf)


def _layers(module: nn.Module) -> Iterator[nn.Module]:
    children = list(module.children())
    if isinstance(module, _CONTAINERS) or (children and not type(module).__module__.startswith("torch.nn.")):
        for child in children:
            yield from _layers(child)
    else:
        yield module


def on_device(operation: Operation, device: str) -> nn.Module:
    """Return an operation's network on a device, with weights of its own where it was on the meta device."""
    run = operation.run
    function = copy.deepcopy(run.function) if isinstance(run.function, nn.Module) else run.function
    layer = _Call(function, run.leaves, run.tree)
    is_meta = any(tensor.is_meta for tensor in (*layer.parameters(), *layer.buffers()))
    if not is_meta:
        return layer.eval().to(device)
    layer = layer.to_empty(device=device).eval()
    with torch.no_grad():
        for tensor in (*layer.parameters(), *layer.buffers()):
            if tensor.dtype.is_floating_point:
                tensor.fill_(1.0 if tensor.ndim < 2 else 0.01)
            else:
                tensor.zero_()
    return layer
