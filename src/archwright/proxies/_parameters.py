"""The number of parameters."""

from __future__ import annotations

from dataclasses import dataclass

from archwright.proxies._base import Proxy, register
from archwright.proxies._passes import Passes

__all__ = ["Parameters"]


@register("parameters")
@dataclass(frozen=True)
class Parameters(Proxy):
    """Number of parameters, frozen ones included.

    A baseline that is hard to beat: White, Khodak, Tu, Shah, Bubeck and Dey, "A Deeper Look at Zero-Cost Proxies for
    Lightweight NAS", ICLR Blog Track 2022.
    """

    def score(self, passes: Passes) -> float:
        """Return the number."""
        return float(sum(weight.numel() for weight in passes.model.parameters()))
