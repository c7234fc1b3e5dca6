"""Devices: their choice, the form of networks and batches on them, and their random generators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from archwright.errors import EvaluationError
from archwright.tasks import map_tensors


def available_devices() -> list[str]:
    """Return the names of the devices of this machine, the fastest kind first."""
    names = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def choose_device(name: str = "auto") -> str:
    """Return the device that is meant: "auto" for the first of cuda, mps and cpu; "cuda" is the first of its kind."""
    present = available_devices()
    if name == "auto":
        return present[0]
    for device in present:
        if name in (device, device.removesuffix(":0")):
            return device
    raise EvaluationError(f"device {name!r} is not available; available are: {', '.join(present)}, auto")


def has_bf16(device: str) -> bool:
    """Tell whether a device has instructions for bfloat16: AVX-512 BF16 or AMX; a compute capability of 8.0.

    A processor without them is many times slower with it. Nothing is timed: the answer is the same in all processes.
    """
    where = torch.device(device)
    if where.type == "cuda":
        with torch.cuda.device(where):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    cpu = torch.cpu
    return where.type == "cpu" and bool(cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported())


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Context manager that seeds the global generators of the CPU and of `device`, and restores them at its end.

    Layers such as dropout use the global generators only.

    Example:
        >>> from archwright.evaluate import seeded
        >>> with seeded(0, "cpu"):
        ...     first = torch.rand(2)
        >>> with seeded(0, "cpu"):
        ...     print(torch.equal(first, torch.rand(2)))
        True
    """
    where = torch.device(device)
    on_cuda, on_mps = where.type == "cuda", where.type == "mps"
    mps_state = torch.mps.get_rng_state() if on_mps else None
    with torch.random.fork_rng(devices=[where] if on_cuda else [], device_type="cuda"):
        # Not `torch.manual_seed`: it would also seed devices that are not restored here.
        torch.default_generator.manual_seed(seed)
        if on_cuda:
            with torch.cuda.device(where):
                torch.cuda.manual_seed(seed)
        if on_mps:
            torch.mps.manual_seed(seed)
        try:
            yield
        finally:
            if mps_state is not None:
                torch.mps.set_rng_state(mps_state)


@dataclass(frozen=True)
class Setup:
    """Device, memory format and precision of a network.

    Args:
        device: The torch device.
        channels_last: Whether images are in the channels-last memory format.
        bf16: Whether to use autocast to bfloat16.

    Example:
        >>> from archwright.evaluate import Setup
        >>> Setup("cpu", channels_last=True).layout
        torch.channels_last
    """

    device: str
    channels_last: bool = False
    bf16: bool = False

    @property
    def exact(self) -> Setup:
        """The same in float32."""
        return replace(self, bf16=False)

    @property
    def layout(self) -> torch.memory_format:
        """The memory format of images."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def place(self, batch: Any) -> Any:
        """Return a batch on the device, images in their memory format."""
        return map_tensors(self._placed, batch)

    def _placed(self, tensor: Tensor) -> Tensor:
        tensor = tensor.to(self.device)
        return tensor.contiguous(memory_format=self.layout) if tensor.ndim == 4 else tensor

    def run(self, model: Callable[..., Any], inputs: Any) -> Any:
        """Return the outputs of a network for a batch, floating-point tensors as float32.

        Args:
            model: The network.
            inputs: Its input, or a tuple of its inputs.
        """
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.bf16):
            outputs = model(*inputs) if isinstance(inputs, tuple) else model(inputs)
        return map_tensors(lambda tensor: tensor.float() if tensor.is_floating_point() else tensor, outputs)


def lay_out(model: torch.nn.Module, layout: torch.memory_format) -> None:
    """Convert the weights of two-dimensional layers to a memory format.

    Example:
        >>> from archwright.evaluate import lay_out
        >>> layer = torch.nn.Conv2d(2, 2, 3)
        >>> lay_out(layer, torch.channels_last)
        >>> layer.weight.is_contiguous(memory_format=torch.channels_last)
        True
    """
    for tensor in chain(model.parameters(), model.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.to(tensor.dtype, memory_format=layout)
