"""SNIP: sensitivity of the loss to the weights."""

from __future__ import annotations

from dataclasses import dataclass

from archwright.proxies._base import Proxy, register
from archwright.proxies._passes import Passes


@register("snip")
@dataclass(frozen=True)
class Snip(Proxy):
    """SNIP: sum of `|weight × gradient|`.

    Lee, Ajanthan and Torr, "SNIP: Single-shot Network Pruning based on Connection Sensitivity", ICLR 2019; summed over
    a network by Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021.

    Example:
        >>> model = torch.nn.Linear(2, 2, bias=False)
        >>> _ = torch.nn.init.eye_(model.weight)
        >>> round(aw.proxies.score(model, torch.eye(2), torch.tensor([0, 1]), "snip")["snip"], 3)
        0.269
    """

    needs = frozenset({"gradients"})

    def score(self, passes: Passes) -> float:
        """Return the sum over all weights."""
        pairs = zip(passes.weights, passes.gradients, strict=True)
        return sum(float((weight.detach().float() * gradient).abs().sum()) for weight, gradient in pairs)
