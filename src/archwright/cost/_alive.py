"""How many bytes tensors hold at one time. Importing this loads torch."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

__all__ = ["Alive"]


class Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows, while it is entered, every tensor that an operation makes, until nobody holds its storage any more.

    It works on the meta device, where storages have a size but no memory.

    Args:
        beside: Tensors that are not counted, nor views of them.

    Attributes:
        peak: The most bytes that were alive at one time.
    """

    def __init__(self, beside: Iterable[torch.Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._now = 0
        self._known: Any = WeakIdKeyDictionary()  # of storages
        for tensor in beside:
            self._known[tensor.untyped_storage()] = 0

    def take(self, tensors: Iterable[torch.Tensor]) -> None:
        """Count tensors that were there before."""
        for tensor in tensors:
            self._take(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and count what it makes."""
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor):
                self._take(leaf)
        return out

    def _take(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage in self._known:
            return
        size = self._known[storage] = storage.nbytes()
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._free, size)

    def _free(self, size: int) -> None:
        self._now -= size
