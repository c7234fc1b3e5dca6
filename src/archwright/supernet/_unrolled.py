"""The gradient of logits through a step of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from archwright.supernet._frame import Draw

if TYPE_CHECKING:
    from archwright.supernet._base import Batch
    from archwright.supernet._trainer import Trainer

__all__ = ["unrolled_gradient"]

_NUDGE = 0.01  # the length of the step by which the finite difference is taken, as in the paper


def unrolled_gradient(trainer: Trainer, batch: Batch, weight_batch: Batch) -> tuple[Tensor, list[Tensor]]:
    """Return the loss after a virtual step of the weights, and its gradient with respect to the logits.

    The weights w are moved to w' = w - r g(w, a), with g the gradient of the training loss and r the present learning
    rate: plain gradient descent, whatever optimizer makes the real steps. The gradient of the held-out loss L(w', a) is
    dL/da - r d(g v)/da with v = dL/dw', and its second part is the difference of two gradients at w + e v and w - e v
    (Liu et al. 2019, eq. 7 and 8). Of those passes no gradient of a weight is computed. Statistics of batch
    normalisation are left as the first pass left them.

    Args:
        trainer: What trains the supernet.
        batch: Held-out samples.
        weight_batch: The samples of the virtual step.

    Returns:
        () the loss, and a gradient for each of `Supernet.arch_parameters()`.
    """
    supernet = trainer.supernet
    logits = supernet.arch_parameters()
    draw = trainer.draw()
    rate = trainer.rate
    first = trainer.loss(draw, weight_batch)
    weights = supernet.weight_parameters()
    gradients = torch.autograd.grad(first, weights, allow_unused=True)
    used = [(weight, gradient) for weight, gradient in zip(weights, gradients, strict=True) if gradient is not None]
    weights = [weight for weight, _ in used]
    with trainer.statistics_kept():
        with _moved(weights, [gradient for _, gradient in used], -rate):
            loss = trainer.loss(draw_again(trainer, draw), batch)
            found = torch.autograd.grad(
                trainer.surrogate(draw, loss), [*logits, *weights], allow_unused=True, materialize_grads=True
            )
        direct, vector = list(found[: len(logits)]), list(found[len(logits) :])
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(each) for each in vector]))
        nudge = _NUDGE / float(norm.clamp_min(1e-12))
        sides = []
        for sign in (1.0, -1.0):
            with _moved(weights, vector, sign * nudge):
                nudged = trainer.loss(draw_again(trainer, draw), weight_batch)
                sides.append(torch.autograd.grad(nudged, logits, allow_unused=True, materialize_grads=True))
    total = [one - rate * (plus - minus) / (2 * nudge) for one, plus, minus in zip(direct, *sides, strict=True)]
    return loss.detach(), total


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
