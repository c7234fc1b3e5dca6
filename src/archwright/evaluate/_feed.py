"""One part of the data on a device, handed out in batches as a network wants them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from archwright.evaluate._augment import crop, cutout, flip

if TYPE_CHECKING:
    from archwright.datasets import Data, Part
    from archwright.evaluate._setup import Setup

__all__ = ["Feed"]

Batch = tuple[Tensor, Tensor]  # normalised inputs, float32, and targets, int64 of shape (n,)


class Feed:
    """One part of the data, whole on the device.

    Args:
        data: The data, which know how to normalise.
        part: The part to hand out.
        setup: How the network will be run.
    """

    def __init__(self, data: Data, part: Part, setup: Setup) -> None:
        self.classes = len(data.classes)
        self._normalise = data.normalise
        self._layout = setup.layout
        self._inputs = part.inputs.to(setup.device)
        self._targets = part.targets.to(setup.device)

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._targets)

    def in_order(self, size: int) -> Iterator[Batch]:
        """Yield all samples in their order, as they are, `size` at a time."""
        for start in range(0, len(self), size):
            chosen = slice(start, start + size)
            yield self._prepare(self._inputs[chosen]), self._targets[chosen]

    def shuffled(self, size: int, generator: torch.Generator, *, augment: tuple[str, ...] = ()) -> Iterator[Batch]:
        """Yield all samples in a new order, `size` at a time.

        The last batch holds the rest. A rest of one joins the batch before it, because batch
        normalisation learns nothing from a single sample.

        Args:
            size: The batch size.
            generator: Where the order and the augmentation come from; on the CPU.
            augment: The names of the random changes to make to images.
        """
        order = torch.randperm(len(self), generator=generator).to(self._targets.device)
        for chosen in torch.split(order, self.sizes(size)):
            inputs = self._inputs.index_select(0, chosen)
            # While they are bytes: a quarter of the memory to move, and the border that comes in is black.
            if "crop" in augment:
                inputs = crop(inputs, generator)
            if "flip" in augment:
                inputs = flip(inputs, generator)
            inputs = self._prepare(inputs)
            if "cutout" in augment:
                inputs = cutout(inputs, generator)
            yield inputs, self._targets[chosen]

    def sizes(self, size: int) -> list[int]:
        """Return the sizes of the batches that `shuffled(size)` yields."""
        full, rest = divmod(len(self), size)
        sizes = [size] * full
        if rest == 1 and full:
            sizes[-1] += 1
        elif rest:
            sizes.append(rest)
        return sizes

    def steps(self, size: int) -> int:
        """Return how many batches `shuffled(size)` yields."""
        return len(self.sizes(size))

    def _prepare(self, inputs: Tensor) -> Tensor:
        """Return inputs normalised, in the layout that the network wants."""
        if inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=self._layout)
        return self._normalise(inputs)
