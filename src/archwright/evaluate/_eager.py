"""Optimizers without their marks for `torch.compile`."""

from __future__ import annotations

import inspect

import torch
from torch.optim import Optimizer

_MARKED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def eager(kind: type[Optimizer]) -> type[Optimizer]:
    """Return an optimizer class that is the same but for its marks for `torch.compile`.

    Where a method that has them is called, torch loads its compiler, which takes longer than to load torch itself.
    """
    plain = {name: inspect.unwrap(getattr(kind, name)) for name in _MARKED}
    return type(kind.__name__, (kind,), {**plain, "step": torch.no_grad()(inspect.unwrap(kind.step))})
