"""GraSP: effect of the weights on the gradient flow."""

from __future__ import annotations

from dataclasses import dataclass

from archwright.proxies._base import Proxy, register
from archwright.proxies._passes import Passes


@register("grasp")
@dataclass(frozen=True)
class Grasp(Proxy):
    """GraSP: sum of -weight × (Hessian × gradient).

    Undefined if a layer is not twice differentiable, as some fused layers are.

    Wang, Zhang and Grosse, "Picking Winning Tickets Before Training by Preserving Gradient Flow", ICLR 2020; summed
    over a network, with this sign, by Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021.

    Example:
        >>> model = torch.nn.Linear(2, 2, bias=False)
        >>> _ = torch.nn.init.eye_(model.weight)
        >>> round(aw.proxies.score(model, torch.eye(2), torch.tensor([0, 1]), "grasp")["grasp"], 3)
        0.053
    """

    needs = frozenset({"gradients", "curvature"})

    def score(self, passes: Passes) -> float:
        """Return the sum over all weights."""
        pairs = zip(passes.weights, passes.curvature, strict=True)
        return sum(-float((weight.detach().float() * product).sum()) for weight, product in pairs)
