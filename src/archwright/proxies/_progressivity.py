"""AZ-NAS, progressivity: increase of feature entropy from block to block."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from archwright.errors import EvaluationError
from archwright.proxies._base import Proxy, register
from archwright.proxies._passes import Passes


@register("progressivity")
@dataclass(frozen=True)
class Progressivity(Proxy):
    """Progressivity (AZ-NAS): smallest increase of feature entropy from one block to the next.

    Undefined with fewer than two blocks, and if the output of a block is constant. Lee and Ham, "AZ-NAS: Assembling
    Zero-Cost Proxies for Network Architecture Search", CVPR 2024.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(3)))
        >>> round(aw.proxies.score(model, torch.randn(8, 4), torch.arange(8) % 4, "progressivity")["progressivity"], 2)
        -0.16
    """

    needs = frozenset({"blocks"})

    def score(self, passes: Passes) -> float:
        """Return the least gain, in nats."""
        entropies = passes.entropies
        if len(entropies) < 2:
            raise EvaluationError("the network has one block, and two are compared: take another proxy")
        return min(later - earlier for earlier, later in pairwise(entropies))
