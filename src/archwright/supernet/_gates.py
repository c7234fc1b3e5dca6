"""ProxylessNAS: binary gates, and a cost that counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from archwright.errors import RelaxationError
from archwright.supernet._base import Batch, Relaxation, register
from archwright.supernet._costs import COSTS
from archwright.supernet._frame import Draw, Mix

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet
    from archwright.supernet._trainer import Trainer

__all__ = ["Gates"]


@register("gates")
@dataclass(frozen=True)
class Gates(Relaxation):
    """One option of each branch is run; two are compared to learn which is better (ProxylessNAS).

    Steps of the weights run one path, drawn from what was learned. Steps of the logits draw two options of each branch;
    both are computed, one of them counts, and the gradient of its binary gate moves the two logits against each other,
    so that all other options stay as likely as they were. The expected cost of the branches can be added to the loss:
    the cost of each option, measured once, times its probability, over that of the most expensive network.

    Cai, Zhu and Han, "ProxylessNAS: Direct neural architecture search on target task and hardware", ICLR 2019.

    Args:
        warmup: As in `Relaxation`.
        cost: "latency" (measured on this machine), "flops", "params", or "" for none.
        weight: The loss that all of the cost of the most expensive network is worth.
    """

    absent: ClassVar[bool] = True

    cost: str = ""
    weight: float = 0.2

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        if self.cost not in ("", *COSTS):
            raise RelaxationError(f"Gates: cost is '', {', '.join(map(repr, COSTS))}; {self.cost!r} was given")
        self.check_range("weight", 0.0, 1e3)

    def mix(self, supernet: Supernet, logits: Tensor, progress: float) -> Mix:
        """Return one drawn option."""
        return Mix(None, (_drawn(supernet, logits, 1)[0],))

    def arch_step(self, trainer: Trainer, batch: Batch, weight_batch: Batch) -> Tensor:
        """Make one step of the logits of two options of each branch."""
        supernet = trainer.supernet
        draw, pairs = self.pairs(supernet, trainer.progress)
        loss = trainer.loss(draw, batch)
        total = trainer.surrogate(draw, loss)
        if self.cost:
            total = total + self.weight * supernet.expected_cost(self.cost)
        before = {name: supernet.logits[name].detach().clone() for name in pairs}
        trainer.step_logits(total)
        if not self.cost:
            with torch.no_grad():
                for name, pair in pairs.items():
                    _settle(supernet.logits[name], before[name], pair)
        return loss.detach()

    def pairs(self, supernet: Supernet, progress: float) -> tuple[Draw, dict[str, list[int]]]:
        """Return what compares two options of each branch, and which."""
        draw = self.draw(supernet, progress)
        mixes, pairs = dict(draw.mixes), {}
        for name in supernet.branches:
            logits = supernet.logits.get(name)
            if logits is None or len(logits) < 2:
                continue
            pairs[name] = pair = _drawn(supernet, logits, 2)
            soft = torch.softmax(logits[pair], dim=0)
            hard = torch.zeros_like(soft)
            hard[int(supernet.rng.random() > float(soft[0]))] = 1.0
            gates = hard + soft - soft.detach()
            mixes[name] = Mix(torch.zeros_like(logits).index_add(0, torch.tensor(pair), gates), tuple(pair))
        return Draw(draw.values, mixes, draw.edges, draw.log_probs), pairs


def _drawn(supernet: Supernet, logits: Tensor, count: int) -> list[int]:
    """Return different options, drawn by their probabilities."""
    noisy = logits.detach().double().cpu().numpy() + supernet.rng.gumbel(size=len(logits))
    return [int(index) for index in np.argsort(-noisy)[:count]]


def _settle(logits: Tensor, before: Tensor, pair: list[int]) -> None:
    """Let two logits alone have moved, and their joint share be what it was."""
    moved = logits[pair].clone()
    moved += torch.logsumexp(before[pair], 0) - torch.logsumexp(moved, 0)
    logits.copy_(before)
    logits[pair] = moved
