"""DARTS of second order: the gradient of the logits through one step of the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from archwright.supernet._base import Batch
from archwright.supernet._execution import Draw

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet
    from archwright.supernet._trainer import Trainer

_REACH = 0.01  # how far weights are moved for the finite difference, as a norm (Liu et al. 2019)


def unrolled_step(trainer: Trainer, batch: Batch, weight_batch: Batch) -> Tensor:
    """Make one step of the logits; arguments and value are those of `Relaxation.arch_step`."""
    supernet = trainer.supernet
    draw = trainer.draw()
    trainer.schedule()
    loss, pairs = unrolled(
        supernet,
        draw,
        learn=lambda still: trainer.loss(still, weight_batch),
        held_out_loss=lambda still: trainer.loss(still, batch),
        optimizer=trainer.weights,
    )
    score = trainer.surrogate(draw, loss)
    if score.requires_grad:
        pairs.append((score, torch.ones_like(score)))
    assert trainer.logits is not None
    trainer.logits.zero_grad(set_to_none=True)
    if pairs:
        mixed, slopes = zip(*pairs, strict=True)
        torch.autograd.backward(mixed, slopes, inputs=supernet.arch_parameters())
    trainer.step_logits()
    return loss


def unrolled(
    supernet: Supernet,
    draw: Draw,
    *,
    learn: Callable[[Draw], Tensor],
    held_out_loss: Callable[[Draw], Tensor],
    optimizer: Optimizer,
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Return the held-out loss after one more step of the weights, and its gradient by the weights of mixtures.

    Liu, Simonyan and Yang, "DARTS: Differentiable architecture search", ICLR 2019, equations 7 and 8: the product with
    the second derivative is a finite difference of first ones. It is taken to one side, where the paper goes to both:
    one of the two gradients is then known already, and a pass in four is saved. The step is that of SGD, with the
    momentum and the weight decay of the optimizer where that is SGD; for any other optimizer it is a plain step of
    gradient descent with the present learning rate. Gradients are not clipped.

    Three passes are made. Dropout sees the same noise in the two on the training batch, or the finite difference would
    be one of noise. The shared weights are afterwards what they were, bit by bit, and so are the statistics of
    batch normalisation but for one pass. What is drawn rather than mixed is the same in all passes.

    Args:
        supernet: The supernet.
        draw: What is run.
        learn: Returns () the training loss of a draw.
        held_out_loss: Returns () the held-out loss of a draw.
        optimizer: Of the weights.
    """
    mixed, still, leaves = _cut_off(draw)
    noise = _noise(supernet)
    loss = learn(still)
    learned = supernet.weight_parameters()
    slopes: tuple[Tensor | None, ...] = torch.autograd.grad(loss, [*learned, *leaves], allow_unused=True)
    here = slopes[len(learned) :]
    used = [(weight, slope) for weight, slope in zip(learned, slopes, strict=False) if slope is not None]
    weights: list[Tensor] = [weight for weight, _ in used]
    known = {id(weight): group for group in optimizer.param_groups for weight in group["params"]}
    groups = [known.get(id(weight), optimizer.param_groups[0]) for weight in weights]  # some may have come just now
    steps, factors = [], []
    with torch.no_grad():
        statistics = [(buffer, buffer.clone()) for buffer in supernet.bank.buffers()]
        kept = [weight.clone() for weight in weights]
        for (weight, slope), group in zip(used, groups, strict=True):
            step, factor = _step(optimizer, group, weight, slope)
            steps.append(step)
            factors.append(group["lr"] * factor)
        torch._foreach_add_(weights, torch._foreach_mul(steps, [-group["lr"] for group in groups]))
    try:
        loss = held_out_loss(still)
        first = torch.autograd.grad(loss, [*leaves, *weights], allow_unused=True)
        found = [_or_zero(slope, leaf) for slope, leaf in zip(first, leaves, strict=False)]
        moves = [_or_zero(slope, weight) for slope, weight in zip(first[len(leaves) :], weights, strict=True)]
        after = _noise(supernet)
        with torch.no_grad():
            moves = list(torch._foreach_mul(moves, factors))
            norm = torch.stack([move.norm() for move in moves]).norm().item()
        if norm > 0 and leaves:
            with torch.no_grad():
                torch._foreach_copy_(weights, kept)
                torch._foreach_add_(weights, moves, alpha=_REACH / norm)
            _restore_noise(noise)
            there: tuple[Tensor | None, ...] = torch.autograd.grad(learn(still), leaves, allow_unused=True)
            _restore_noise(after)
            for slope, near, far in zip(found, here, there, strict=True):
                if near is not None and far is not None:
                    slope.sub_(far - near, alpha=norm / _REACH)
    finally:
        with torch.no_grad():
            torch._foreach_copy_(weights, kept)
            for buffer, value in statistics:
                buffer.copy_(value)
    return loss.detach(), list(zip(mixed, found, strict=True))


def _cut_off(draw: Draw) -> tuple[list[Tensor], Draw, list[Tensor]]:
    """Return what a draw multiplies by, the draw with leaves in its place, and the leaves."""
    mixed, leaves = [], []

    def leaf(weights: Tensor) -> Tensor:
        mixed.append(weights)
        leaves.append(weights.detach().requires_grad_())
        return leaves[-1]

    mixes = {
        name: mix if mix.weights is None else replace(mix, weights=leaf(mix.weights))
        for name, mix in draw.mixes.items()
    }
    return mixed, replace(draw, mixes=mixes, edges={name: leaf(each) for name, each in draw.edges.items()}), leaves


def _step(optimizer: Optimizer, group: dict[str, Any], weight: Tensor, slope: Tensor) -> tuple[Tensor, float]:
    """Return what the optimizer takes off a weight, over its learning rate, and how that grows with the gradient."""
    if not isinstance(optimizer, SGD):
        return slope, 1.0
    step = slope.add(weight, alpha=group["weight_decay"]) if group["weight_decay"] else slope
    momentum = group["momentum"]
    if not momentum:
        return step, 1.0
    velocity = optimizer.state.get(weight, {}).get("momentum_buffer")
    factor = 1.0 if velocity is None else 1.0 - group["dampening"]
    velocity = step if velocity is None else momentum * velocity + factor * step
    return (step + momentum * velocity, 1.0 + momentum * factor) if group["nesterov"] else (velocity, factor)


def _or_zero(slope: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if slope is None else slope


def _noise(supernet: Supernet) -> list[tuple[torch.device, Tensor]]:
    """Return the state of the generators that layers draw from."""
    devices = {weight.device for weight in supernet.bank.parameters() if weight.device.type == "cuda"}
    cuda = [(device, torch.cuda.get_rng_state(device)) for device in devices]
    return [(torch.device("cpu"), torch.get_rng_state()), *cuda]


def _restore_noise(states: list[tuple[torch.device, Tensor]]) -> None:
    for device, state in states:
        if device.type == "cuda":
            torch.cuda.set_rng_state(state, device)
        else:
            torch.set_rng_state(state)
