"""Peak memory of a forward pass and a training step. Importing this loads torch."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from archwright.cost._network import run

_STATES = 2  # numbers that AdamW keeps for each parameter that learns


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """Return how many bytes tensors take."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def forward_peak(model: torch.nn.Module, inputs: Sequence[Tensor]) -> int:
    """Return the most bytes that a forward pass holds at one time, besides weights and buffers."""
    alive = _Alive(beside=_held(model))
    with alive, torch.no_grad():
        alive.take(inputs)
        run(model, inputs)
    return alive.peak


def training_peak(model: torch.nn.Module, inputs: Sequence[Tensor]) -> int:
    """Return the most bytes that a step of AdamW holds: a forward and a backward pass beside weights and its numbers.

    Where nothing learns there is no backward pass.
    """
    held = _held(model)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    alive = _Alive(beside=held)
    model.train()
    try:
        with alive, torch.enable_grad(), _AnyBatch():
            alive.take(inputs)
            out = run(model, inputs)
            learned = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor) and leaf.requires_grad]
            if learned:
                learned[0].sum().backward()  # type: ignore[no-untyped-call]
            del out, learned
            at_step = bytes_of(parameter.grad for parameter in learning if parameter.grad is not None)
    finally:
        model.eval()
        for parameter in learning:
            parameter.grad = None
    return bytes_of(held) + _STATES * bytes_of(learning) + max(alive.peak, at_step)


def _held(model: torch.nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows, while it is entered, every tensor that an operation makes, until nobody holds its storage any more.

    It works on the meta device, where storages have a size but no memory.

    Args:
        beside: Tensors that are not counted, nor views of them.

    Attributes:
        peak: The most bytes that were alive at one time.
    """

    def __init__(self, beside: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._now = 0
        self._known: Any = WeakIdKeyDictionary()  # of storages
        for tensor in beside:
            self._known[tensor.untyped_storage()] = 0

    def take(self, tensors: Iterable[Tensor]) -> None:
        """Count tensors that were there before."""
        for tensor in tensors:
            self._take(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and count what it makes."""
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._take(leaf)
        return out

    def _take(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage in self._known:
            return
        size = self._known[storage] = storage.nbytes()
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._free, size)

    def _free(self, size: int) -> None:
        self._now -= size


class _AnyBatch(TorchFunctionMode):
    """Lets batch normalization learn from a single sample too, which holds as much as any of a larger batch."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function of torch."""
        if func is torch.nn.functional.batch_norm:
            return _batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return what `torch.nn.functional.batch_norm` returns, which refuses one value per channel."""
    return torch.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, False)
