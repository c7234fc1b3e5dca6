"""Jacobian covariance: correlation of the input gradients of samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from archwright.errors import EvaluationError
from archwright.proxies._base import Proxy, register
from archwright.proxies._passes import Passes

_FLOOR = 1e-5  # what the paper adds to eigenvalues


@register("jacov")
@dataclass(frozen=True)
class Jacov(Proxy):
    """Jacobian covariance: how uncorrelated the input gradients are between samples.

    Minus the sum of log(v + k) + 1 / (v + k), with k = 1e-5, over the eigenvalues v of the (n, n) matrix of
    correlations between the samples' gradients of the sum of all outputs.

    Undefined for integer inputs, and if the gradient of a sample is constant.

    Mellor, Turner, Storkey and Crowley, "Neural Architecture Search without Training", arXiv:2006.04647v1, 2020; as
    "jacob_cov" in Abdelfattah, Mehrotra, Dudziak and Lane, "Zero-Cost Proxies for Lightweight NAS", ICLR 2021.

    Example:
        >>> inputs, targets = torch.tensor([[1.0, -1.0, 2.0], [-1.0, 1.0, 2.0]]), torch.tensor([0, 1])
        >>> round(aw.proxies.score(torch.nn.ReLU(), inputs, targets, "jacov")["jacov"], 3)
        -2.379
    """

    needs = frozenset({"input_gradients"})

    def score(self, passes: Passes) -> float:
        """Return minus the sum."""
        rows = passes.input_gradients.flatten(1).double()
        if rows.shape[1] < 2 or bool((rows == rows[:, :1]).all(1).any()):
            raise EvaluationError(
                "the outputs do not depend on a sample, or on all of its values alike, and a constant has no "
                "correlation: leave networks out of the space through which nothing leads"
            )
        eigenvalues = torch.linalg.eigvalsh(torch.corrcoef(rows)).clamp_min(0) + _FLOOR
        return -float((eigenvalues.log() + 1 / eigenvalues).sum())
