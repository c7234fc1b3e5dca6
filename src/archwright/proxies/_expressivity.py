"""AZ-NAS, expressivity: in how many directions the features vary."""

from __future__ import annotations

from dataclasses import dataclass

from archwright.proxies._base import Proxy, register
from archwright.proxies._passes import Passes

__all__ = ["Expressivity"]


@register("expressivity")
@dataclass(frozen=True)
class Expressivity(Proxy):
    """Expressivity (AZ-NAS): entropy of the features' principal components, summed over the blocks.

    Undefined where a block gives the same everywhere. Lee and Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network
    Architecture Search", CVPR 2024.
    """

    needs = frozenset({"blocks"})

    def score(self, passes: Passes) -> float:
        """Return the sum over all blocks, in nats."""
        return sum(passes.entropies)
