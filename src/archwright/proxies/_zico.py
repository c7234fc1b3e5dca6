"""ZiCo: coefficient of variation of the gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass

from archwright.errors import EvaluationError
from archwright.proxies._base import Proxy, register
from archwright.proxies._passes import Passes


@register("zico")
@dataclass(frozen=True)
class Zico(Proxy):
    """ZiCo: inverse coefficient of variation of the gradients between batches.

    The sum, over the tensors of weights, of log(sum over the weights of mean `|gradient|` / standard deviation of
    `|gradient|`). The two batches are the halves of the batch.

    Undefined with fewer than four samples, and if no gradient differs between the halves.

    Li, Yang, Bhardwaj and Marculescu, "ZiCo: Zero-shot NAS via Inverse Coefficient of Variation on Gradients", ICLR
    2023.

    Example:
        >>> inputs, targets = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1, 0, 1])
        >>> model = torch.nn.Linear(2, 2, bias=False)
        >>> _ = torch.nn.init.eye_(model.weight)
        >>> round(aw.proxies.score(model, inputs, targets, "zico")["zico"], 3)
        3.503
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
