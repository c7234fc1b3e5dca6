"""Networks for counting, on the meta device or on the CPU. Importing this loads torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from archwright.build import innermost
from archwright.errors import CostError
from archwright.space import Space, TensorSpec

_T = TypeVar("_T")


def on_meta_or_cpu(count: Callable[[str], _T]) -> _T:
    """Return a count made on the meta device, without computation, or if that is impossible on the CPU.

    Layers that read values (`item()`, an `if` on a tensor, data-dependent shapes) or contain tensors on another device
    do not run on the meta device. On the CPU the weights are initial ones and the inputs noise.

    Args:
        count: A function of the name of the device.

    Raises:
        CostError: The count fails on the CPU too.

    Example:
        >>> aw.cost.on_meta_or_cpu(lambda device: torch.nn.Linear(4, 3, device=device).weight.numel())
        12
    """
    with suppress(Exception):
        return count("meta")
    try:
        return count("cpu")
    except Exception as error:  # whatever a layer raises
        raise CostError(f"what the network costs cannot be counted: {error}") from error


def fresh(space: Space, architecture: Mapping[str, Any], specs: Sequence[TensorSpec] | None, device: str) -> nn.Module:
    """Return the network of an architecture with fresh weights, in evaluation mode; no generator goes on by it."""
    with torch.random.fork_rng(devices=()), torch.device(device):
        torch.default_generator.manual_seed(0)  # `torch.manual_seed` would seed devices that are not put back
        return space.build(architecture, specs).eval()


def run(model: nn.Module, inputs: Sequence[Tensor]) -> Any:
    """Run a network operation by operation, also where the CPU has one kernel for several of them.

    CostError where it does not run; the message names the layer.
    """
    try:
        with unfused(), torch.random.fork_rng(devices=()):
            return model(*inputs)
    except Exception as error:  # whatever a layer raises, its name must be known
        names = {id(layer): f"{name or 'model'} ({type(layer).__name__})" for name, layer in model.named_modules()}
        raise CostError(f"{innermost(error, names)}: {error}") from error


@contextmanager
def unfused() -> Iterator[None]:
    """Keep recurrent layers, attention and transformers from kernels that hide what they are made of."""
    kernels: Any = torch.backends.mkldnn
    mha = torch.backends.mha
    before = kernels.enabled, mha.get_fastpath_enabled()
    kernels.enabled = False
    mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), torch.backends.cudnn.flags(enabled=False):
            yield
    finally:
        kernels.enabled = before[0]
        mha.set_fastpath_enabled(before[1])
