"""AZ-NAS, trainability: spectral norms of the blocks' Jacobians."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from archwright.errors import EvaluationError
from archwright.proxies._base import Proxy, register
from archwright.proxies._blocks import Block
from archwright.proxies._passes import Passes, gaussian


@register("trainability")
@dataclass(frozen=True)
class Trainability(Proxy):
    """Trainability (AZ-NAS): mean over the blocks of 2 - s - 1 / s, s the norm of the block's Jacobian.

    s is the spectral norm of a block's Jacobian, averaged over positions and estimated by backpropagating random signs.
    If the block reduces the resolution, merged positions count as channels.

    Undefined with fewer than two blocks, and if a block is the identity or has no gradient.

    Lee and Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", CVPR 2024.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(3)))
        >>> round(aw.proxies.score(model, torch.randn(8, 4), torch.arange(8) % 4, "trainability")["trainability"], 2)
        -0.01
    """

    needs = frozenset({"blocks"})

    def score(self, passes: Passes) -> float:
        """Return the mean; at most 0."""
        blocks = passes.blocks
        if len(blocks) < 2:
            raise EvaluationError("the network has one block, and two are compared: take another proxy")
        generator = passes.generator()
        terms = []
        for place, (before, after) in enumerate(pairwise(blocks), start=1):
            signs = gaussian(after.output, generator).sign().to(after.output.dtype)
            norm = _norm(before, after, signs, place)
            terms.append(2 - norm - 1 / (norm + 1e-6))
        return math.fsum(terms) / len(terms)


def _norm(before: Block, after: Block, signs: Tensor, place: int) -> float:
    """Return the spectral norm of the Jacobian between the outputs of two blocks."""
    found: Tensor | None = None
    if after.output.requires_grad and before.output.requires_grad:
        (found,) = torch.autograd.grad(
            after.output, before.output, grad_outputs=signs, retain_graph=True, allow_unused=True
        )
    if found is None or torch.equal(found, signs):
        does = "gets no gradient" if found is None else "hands on what it gets"
        raise EvaluationError(f"block {place} of the network {does}: leave such networks out of the space")
    sent, came = signs.movedim(after.axis, 1).float(), found.movedim(before.axis, 1).float()
    came = _gather(came, sent.shape[2:], place)
    rows = sent.shape[0] * sent.shape[2:].numel()
    mean = came.movedim(1, -1).reshape(rows, -1).T @ sent.movedim(1, -1).reshape(rows, -1) / rows
    return float(torch.linalg.matrix_norm(mean, 2))


def _gather(values: Tensor, positions: torch.Size, place: int) -> Tensor:
    """Return (n, channels, ...) values at as many positions as are wanted: what is more becomes channels.

    Edges are filled with zeros; `place` is the number of the block, for the message.
    """
    for axis, wanted in enumerate(positions, start=2):
        have = values.shape[axis]
        if have < wanted:
            raise EvaluationError(
                f"block {place} of the network raises the resolution from {have} to {wanted}; this proxy is for "
                "networks that keep or lower it"
            )
        factor = -(-have // wanted)
        if factor > 1:
            last = values.ndim - 1 - axis
            padded = F.pad(values, (0, 0) * last + (0, factor * wanted - have))
            values = torch.unflatten(padded, axis, (wanted, factor)).movedim(axis + 1, 2).flatten(1, 2)
    return values
