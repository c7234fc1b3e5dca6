"""The number of floating-point operations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from archwright.errors import EvaluationError
from archwright.evaluate.proxies._base import Proxy, register
from archwright.evaluate.proxies._passes import Passes

__all__ = ["Flops"]

_SAMPLES = 2  # one is too few for batch normalisation


@register("flops")
@dataclass(frozen=True)
class Flops(Proxy):
    """How many floating-point operations one sample takes, 2 for a multiply-add.

    Those of convolutions and matrix products are counted, in a pass of its own over two samples.

    A baseline that is hard to beat: White, Khodak, Tu, Shah, Bubeck and Dey, "A Deeper Look at Zero-Cost Proxies for
    Lightweight NAS", ICLR Blog Track 2022.
    """

    def score(self, passes: Passes) -> float:
        """Return the number."""
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            passes.model(passes.inputs[:_SAMPLES])
        total = int(counter.get_total_flops())
        if not total:
            raise EvaluationError("the network has no convolution and no matrix product that could be counted")
        return total / _SAMPLES
