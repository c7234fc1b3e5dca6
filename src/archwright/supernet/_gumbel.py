"""GDAS: one option per branch, sampled by straight-through Gumbel-softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from archwright._checks import check_positive
from archwright.space import Choice, Subset
from archwright.supernet._base import Relaxation, between, register
from archwright.supernet._execution import Mix

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet


@register("gumbel")
@dataclass(frozen=True)
class Gumbel(Relaxation):
    """One option per choice, sampled by straight-through Gumbel-softmax (GDAS).

    Dong and Yang, "Searching for a robust neural architecture in four GPU hours", CVPR 2019. The option is
    argmax(logits + g) with Gumbel noise g, the only one that is computed; its gradient is that of softmax((logits + g)
    / temperature) (straight-through). For a node that keeps k of its edges, k are sampled.

    Args:
        start: The first temperature, above 0.
        end: The last temperature; it changes linearly.

    Example:
        >>> model = nn.Sequential(aw.choice(nn.ReLU(), nn.Tanh(), name="act"), nn.Linear(4, 3))
        >>> supernet = aw.Supernet(aw.Space(model=model, example_input=(4,)), aw.supernet.Gumbel())
        >>> supernet.draw().mixes["act"].weights.sum().item(), len(supernet.draw().mixes["act"].active)
        (1.0, 1)
    """

    start: float = 10.0
    end: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "start", "end")

    def branch(self, supernet: Supernet, name: str, decision: Choice | Subset, progress: float) -> Mix:
        """Return the sampled option of a branch as a mixture."""
        if isinstance(decision, Subset) and name in supernet.logits:
            return self._drawn(supernet, supernet.logits[name], progress, max(decision.low, 1))
        return super().branch(supernet, name, decision, progress)

    def mix(self, supernet: Supernet, logits: Tensor, progress: float) -> Mix:
        """Return one option."""
        return self._drawn(supernet, logits, progress, 1)

    def _drawn(self, supernet: Supernet, logits: Tensor, progress: float, count: int) -> Mix:
        noise = torch.from_numpy(supernet.rng.gumbel(size=len(logits))).to(logits)
        noisy = torch.log_softmax(logits, dim=0) + noise
        soft = torch.softmax(noisy / between(self.start, self.end, progress), dim=0)
        taken = noisy.detach().topk(count).indices
        hard = torch.zeros_like(soft).index_fill(0, taken, 1.0)
        active = tuple(sorted(taken.tolist()))
        return Mix(hard + (soft - soft.detach()), active)  # the difference is exactly zero
