"""How a network is run: where, in which layout, how precisely."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from archwright.errors import EvaluationError

__all__ = ["Setup", "lay_out"]


@dataclass(frozen=True)
class Setup:
    """How a network is run.

    Args:
        device: Where, as torch names it.
        channels_last: Whether images lie in memory pixel by pixel rather than channel by channel.
        bf16: Whether to compute in bfloat16 wherever that is safe.
    """

    device: str
    channels_last: bool = False
    bf16: bool = False

    @property
    def layout(self) -> torch.memory_format:
        """The memory format of images."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def scores(self, model: torch.nn.Module, inputs: Tensor, classes: int) -> Tensor:
        """Run a network on a batch.

        Args:
            model: The network.
            inputs: The batch, `n` samples.
            classes: How many scores are wanted of each sample.

        Returns:
            Scores, float32, shape `(n, classes)`.

        Raises:
            EvaluationError: The network gives something else.
        """
        kind = torch.device(self.device).type
        with torch.autocast(kind, torch.bfloat16, enabled=self.bf16):
            scores = model(inputs)
        wanted = (len(inputs), classes)
        if isinstance(scores, Tensor) and scores.shape == wanted and scores.is_floating_point():
            return scores.float()
        got = type(scores).__name__
        if isinstance(scores, Tensor):
            kind = "" if scores.is_floating_point() else f" and type {scores.dtype}"
            got = f"shape {tuple(scores.shape)}{kind}"
        raise EvaluationError(
            f"the network's output for a batch of {len(inputs)} is of {got}; wanted is shape {wanted}: "
            f"one score, a floating-point number, for each of the {classes} classes"
        )


def lay_out(model: torch.nn.Module, layout: torch.memory_format) -> None:
    """Put the weights of two-dimensional layers into a memory format."""
    for tensor in chain(model.parameters(), model.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.to(tensor.dtype, memory_format=layout)
