"""AZ-NAS, expressivity: entropy of the features' principal components."""

from __future__ import annotations

from dataclasses import dataclass

from archwright.proxies._base import Proxy, register
from archwright.proxies._passes import Passes


@register("expressivity")
@dataclass(frozen=True)
class Expressivity(Proxy):
    """Expressivity (AZ-NAS): entropy of the features' principal components, summed over the blocks.

    With p_i the shares of the principal components in the variance of a block's output, its entropy is -sum p_i log
    p_i. Undefined if the output of a block is constant. Lee and Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network
    Architecture Search", CVPR 2024.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(3)))
        >>> round(aw.proxies.score(model, torch.randn(8, 4), torch.arange(8) % 4, "expressivity")["expressivity"], 2)
        1.5
    """

    needs = frozenset({"blocks"})

    def score(self, passes: Passes) -> float:
        """Return the sum over all blocks, in nats."""
        return sum(passes.entropies)
