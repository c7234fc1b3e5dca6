"""Device, memory format and precision of a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from archwright.tasks import map_tensors


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
