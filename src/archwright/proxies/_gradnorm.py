"""Gradient norm."""

from __future__ import annotations

from dataclasses import dataclass

from archwright.proxies._base import Proxy, register
from archwright.proxies._passes import Passes


@register("grad-norm")
@dataclass(frozen=True)
class GradNorm(Proxy):
    """Gradient norm: sum of the Euclidean norms of the layers' gradients.

    Abdelfattah, Mehrotra, Dudziak and Lane, "Zero-Cost Proxies for Lightweight NAS", ICLR 2021.

    Example:
        >>> model = torch.nn.Linear(2, 2, bias=False)
        >>> _ = torch.nn.init.eye_(model.weight)
        >>> round(aw.proxies.score(model, torch.eye(2), torch.tensor([0, 1]), "grad-norm")["grad-norm"], 3)
        0.269
    """

    needs = frozenset({"gradients"})

    def score(self, passes: Passes) -> float:
        """Return the sum over all weights' tensors."""
        return sum(float(gradient.norm()) for gradient in passes.gradients)
