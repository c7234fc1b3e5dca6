"""Number of parameters."""

from __future__ import annotations

from dataclasses import dataclass

from archwright.proxies._base import Proxy, register
from archwright.proxies._passes import Passes


@register("parameters")
@dataclass(frozen=True)
class Parameters(Proxy):
    """Number of parameters, frozen ones included.

    A strong baseline: White, Khodak, Tu, Shah, Bubeck and Dey, "A Deeper Look at Zero-Cost Proxies for Lightweight
    NAS", ICLR Blog Track 2022.

    Example:
        >>> model = torch.nn.Linear(2, 2, bias=False)
        >>> _ = torch.nn.init.eye_(model.weight)
        >>> round(aw.proxies.score(model, torch.eye(2), torch.tensor([0, 1]), "parameters")["parameters"], 3)
        4.0
    """

    def score(self, passes: Passes) -> float:
        """Return the number."""
        return float(sum(weight.numel() for weight in passes.model.parameters()))
