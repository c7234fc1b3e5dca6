"""The gradient of logits through a step of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from archwright.supernet._frame import Draw

if TYPE_CHECKING:
    from archwright.supernet._base import Batch
    from archwright.supernet._trainer import Trainer

__all__ = ["unrolled_gradient"]

_NUDGE = 0.01  # as in the paper


def unrolled_gradient(
    trainer: Trainer, batch: Batch, weight_batch: Batch, *, nudge: float = _NUDGE
) -> tuple[Tensor, list[Tensor]]:
    """Return the loss after a virtual step of the weights, and its gradient with respect to the logits.

    The weights w are moved to w' = w - r g(w, a), with g the gradient of the training loss and r the present learning
    rate: plain gradient descent, whatever optimizer makes the real steps. The gradient of the held-out loss L(w', a) is
    dL/da - r d(g v)/da with v = dL/dw' (Liu et al. 2019, eq. 7). Its second part is the difference of two gradients of
    the training loss with respect to a, at w and at w + e v: the first comes with g, so three passes are enough, where
    the paper's central difference (eq. 8) takes four. Statistics of batch normalisation are left as the first pass left
    them.

    Args:
        trainer: What trains the supernet.
        batch: Held-out samples.
        weight_batch: The samples of the virtual step.
        nudge: The length of e v.

    Returns:
        () the loss, and a gradient for each of `Supernet.arch_parameters()`.
    """
    supernet, rate, draw = trainer.supernet, trainer.rate, trainer.draw()
    logits, weights = supernet.arch_parameters(), supernet.weight_parameters()
    count = len(logits)
    found: Any = torch.autograd.grad(trainer.loss(draw, weight_batch), [*logits, *weights], allow_unused=True)
    before = [_or_zeros(gradient, each) for gradient, each in zip(found[:count], logits, strict=True)]
    used = [(each, gradient) for each, gradient in zip(weights, found[count:], strict=True) if gradient is not None]
    weights = [each for each, _ in used]
    with trainer.statistics_kept():
        with _moved(weights, [gradient for _, gradient in used], -rate):
            draw = draw_again(trainer, draw)
            loss = trainer.loss(draw, batch)
            found = torch.autograd.grad(trainer.surrogate(draw, loss), [*logits, *weights], allow_unused=True)
        direct = [_or_zeros(gradient, each) for gradient, each in zip(found[:count], logits, strict=True)]
        vector = [_or_zeros(gradient, each) for gradient, each in zip(found[count:], weights, strict=True)]
        norm = float(torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(each) for each in vector])))
        scale = nudge / max(norm, 1e-12)
        with _moved(weights, vector, scale):
            nudged = trainer.loss(draw_again(trainer, draw), weight_batch)
            after = torch.autograd.grad(nudged, logits, allow_unused=True)
    total = [
        one - rate * (_or_zeros(new, one) - old) / scale for one, new, old in zip(direct, after, before, strict=True)
    ]
    return loss.detach(), total


def _or_zeros(gradient: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if gradient is None else gradient


def draw_again(trainer: Trainer, draw: Draw) -> Draw:
    """Return the same draw with mixtures computed anew, for another pass backward.

    A softmax draws nothing, so only the sizes have to be the same.
    """
    fresh = trainer.supernet.relaxation.mixtures(trainer.supernet, trainer.progress)
    return Draw(draw.values, fresh, draw.edges, trainer.supernet.log_probs(draw.values))


@contextmanager
def _moved(weights: Sequence[Tensor], directions: Sequence[Tensor], by: float) -> Iterator[None]:
    """Move weights inside the block, and put them back exactly."""
    held = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        torch._foreach_add_(list(weights), list(directions), alpha=by)
    try:
        yield
    finally:
        with torch.no_grad():
            torch._foreach_copy_(list(weights), held)
