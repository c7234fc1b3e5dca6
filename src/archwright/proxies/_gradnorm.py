"""The norm of the gradients."""

from __future__ import annotations

from dataclasses import dataclass

from archwright.proxies._base import Proxy, register
from archwright.proxies._passes import Passes

__all__ = ["GradNorm"]


@register("grad-norm")
@dataclass(frozen=True)
class GradNorm(Proxy):
    """Gradient norm: sum of the Euclidean norms of the layers' gradients.

    Abdelfattah, Mehrotra, Dudziak and Lane, "Zero-Cost Proxies for Lightweight NAS", ICLR 2021.
    """

    needs = frozenset({"gradients"})

    def score(self, passes: Passes) -> float:
        """Return the sum over all weights' tensors."""
        return sum(float(gradient.norm()) for gradient in passes.gradients)
