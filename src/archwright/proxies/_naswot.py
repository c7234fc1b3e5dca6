"""NASWOT: separation of samples by the activation codes of piecewise linear units."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from archwright.errors import EvaluationError
from archwright.proxies._base import Proxy, register
from archwright.proxies._passes import Passes

_RANK = 1e-12  # eigenvalues below this share of the largest are rounding: float64, at most some hundred samples


@register("naswot")
@dataclass(frozen=True)
class Naswot(Proxy):
    """NASWOT: log-determinant of the kernel of the samples' binary ReLU activation codes.

    log det K, where K_ij is the number of units that are in the same linear piece for samples i and j: for a ReLU, both
    positive or both not. Units with three pieces, such as ReLU6, agree if they are in the same one. Smooth units (GELU,
    SiLU) are not counted.

    Undefined without piecewise linear units, and if K is singular, for instance if two samples have the same code.

    Mellor, Turner, Storkey and Crowley, "Neural Architecture Search without Training", ICML 2021.

    Example:
        >>> inputs, targets = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]), torch.tensor([0, 1])
        >>> round(aw.proxies.score(torch.nn.ReLU(), inputs, targets, "naswot")["naswot"], 3)
        1.386
    """

    needs = frozenset({"agreement"})

    def score(self, passes: Passes) -> float:
        """Return the log-determinant."""
        eigenvalues = torch.linalg.eigvalsh(passes.agreement)
        if not float(eigenvalues[0]) > _RANK * float(eigenvalues[-1]):
            raise EvaluationError(
                f"the kernel of the codes of {len(eigenvalues)} samples is singular: two samples have the same code, "
                "or the network has too few units to tell so many apart; take a smaller batch or a wider network"
            )
        return float(eigenvalues.log().sum())
