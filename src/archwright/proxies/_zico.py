"""ZiCo: how steady the gradients are."""

from __future__ import annotations

import math
from dataclasses import dataclass

from archwright.errors import EvaluationError
from archwright.proxies._base import Proxy, register
from archwright.proxies._passes import Passes

__all__ = ["Zico"]


@register("zico")
@dataclass(frozen=True)
class Zico(Proxy):
    """ZiCo: inverse coefficient of variation of the gradients between batches.

    For each tensor of weights the logarithm of the sum, over its weights, of the mean absolute gradient over its
    standard deviation; summed. The two batches are the halves of the batch, each run by itself.

    Undefined with less than four samples, and where no gradient differs between the halves.

    Li, Yang, Bhardwaj and Marculescu, "ZiCo: Zero-shot NAS via Inverse Coefficient of Variation on Gradients", ICLR
    2023.
    """

    needs = frozenset({"half_gradients"})

    def score(self, passes: Passes) -> float:
        """Return the sum over all weights' tensors in which a gradient differs."""
        total, counted = 0.0, 0
        for first, second in zip(*passes.half_gradients, strict=True):
            deviation = (first - second).abs().double() / 2
            mean = (first.abs() + second.abs()).double() / 2
            varies = deviation > 0
            if bool(varies.any()):
                total += math.log(float((mean[varies] / deviation[varies]).sum()))
                counted += 1
        if not counted:
            raise EvaluationError(
                "no gradient differs between the halves of the batch: give samples that differ, and a network whose "
                "outputs depend on them"
            )
        return total
