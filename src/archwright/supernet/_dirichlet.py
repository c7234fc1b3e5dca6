"""DrNAS: mixtures with weights from trained Dirichlet distributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Dirichlet as Distribution
from torch.distributions import kl_divergence

from archwright._checks import check_options, check_positive
from archwright.supernet._base import Relaxation, register
from archwright.supernet._execution import Mix

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet


@register("dirichlet")
@dataclass(frozen=True)
class Dirichlet(Relaxation):
    """A mixture of all options, with weights sampled from trained Dirichlet distributions (DrNAS).

    Chen, Wang, Cheng, Tang and Hsieh, "DrNAS: Dirichlet neural architecture search", ICLR 2021. The concentration of an
    option is elu(logit) + 1, which is 1 at first, the uniform distribution over mixtures. The gradient is pathwise
    (reparameterised). A regulariser keeps the concentrations near 1.

    Args:
        regulariser: "l2", the squared distance of the concentrations from 1, as in the paper's experiments; "kl", the
            Kullback-Leibler divergence of the distribution from the uniform one; or "" for none.
        scale: The weight of the regulariser, above 0.

    Example:
        >>> model = nn.Sequential(aw.choice(nn.ReLU(), nn.Tanh(), name="act"), nn.Linear(4, 3))
        >>> supernet = aw.Supernet(aw.Space(model=model, example_input=(4,)), aw.supernet.Dirichlet())
        >>> round(supernet.draw().mixes["act"].weights.sum().item(), 3)
        1.0
    """

    regulariser: str = "l2"
    scale: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_options(self, regulariser=("", "l2", "kl"))
        check_positive(self, "scale")

    def mix(self, supernet: Supernet, logits: Tensor, progress: float) -> Mix:
        """Return the options weighed by a draw."""
        with torch.random.fork_rng(devices=()):
            torch.default_generator.manual_seed(int(supernet.rng.integers(2**63)))
            weights = Distribution(concentration(logits.cpu()), validate_args=False).rsample()
        return Mix(weights.to(logits.device))

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return (n,) the means of the weights."""
        found = concentration(logits)
        return found / found.sum()

    def penalty(self, supernet: Supernet) -> Tensor | float:
        """Return () the regulariser on the concentrations of all branches, times the scale."""
        found = [concentration(supernet.logits[name]) for name in supernet.branches if name in supernet.logits]
        if not self.regulariser or not found:
            return 0.0
        if self.regulariser == "l2":
            parts = [(each - 1).square().sum() for each in found]
        else:
            parts = [kl_divergence(Distribution(each), Distribution(torch.ones_like(each))) for each in found]
        return self.scale * torch.stack(parts).sum()


def concentration(logits: Tensor) -> Tensor:
    """Return (n,) the concentrations that logits stand for, above 0."""
    return F.elu(logits) + 1
