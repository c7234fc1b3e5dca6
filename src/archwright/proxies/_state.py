"""Restoration of a network's state after a pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain

import torch
from torch import Tensor, nn

_BATCH_NORMS = (nn.modules.batchnorm._BatchNorm,)
NORMS = (
    *_BATCH_NORMS,
    nn.modules.instancenorm._InstanceNorm,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.LocalResponseNorm,
)
"""Layers that normalise."""

Fill = Callable[[nn.Module, str, Tensor], Tensor]


def batch_norms(model: nn.Module) -> list[nn.Module]:
    """Return the layers of batch normalisation of a network."""
    return [module for module in model.modules() if isinstance(module, _BATCH_NORMS)]


@contextmanager
def borrowed(model: nn.Module) -> Iterator[None]:
    """Put a network into the mode in which it is scored, and leave it as it was.

    Batch normalisation goes by the batch, since its running statistics have seen nothing yet; dropout is off.
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    try:
        model.eval()
        for norm in batch_norms(model):
            norm.training = True
        # A fused recurrent layer has no second derivative, and its FLOPs are not counted.
        with ExitStack() as kernels:
            if any(isinstance(module, nn.RNNBase) for module in model.modules()):
                for backend in (torch.backends.mkldnn, torch.backends.cudnn):
                    kernels.callback(backend.set_flags, *backend.set_flags(False))
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for module, name, buffer, values in buffers:
                buffer.copy_(values)
                module._buffers[name] = buffer


@contextmanager
def refilled(model: nn.Module, fill: Fill, dtype: torch.dtype) -> Iterator[None]:
    """Give a network other parameters inside the block, and its own after it.

    Args:
        model: The network.
        fill: Takes a module, the name of one of its parameters and its values, and returns new ones.
        dtype: The type of all that is not a whole number.
    """
    held = [(tensor, tensor.data) for tensor in chain(model.parameters(), model.buffers())]
    try:
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                parameter.data = fill(module, name, parameter.data).to(dtype)
        for buffer in model.buffers():
            if buffer.is_floating_point():
                buffer.data = buffer.data.to(dtype, copy=True)
        yield
    finally:
        for tensor, data in held:
            tensor.data = data


@contextmanager
def bypassed(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Let modules hand on what they are given inside the block."""
    held = [(module, module.__dict__.get("forward")) for module in modules]
    try:
        for module, _ in held:
            module.__dict__["forward"] = lambda inputs: inputs
        yield
    finally:
        for module, forward in held:
            if forward is None:
                del module.__dict__["forward"]
            else:
                module.__dict__["forward"] = forward
