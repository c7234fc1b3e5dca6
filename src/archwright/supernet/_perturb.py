"""Which options a trained supernet can least do without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import torch

from archwright.space import Architecture, Choice, Decision, Subset, Value
from archwright.supernet._base import Batch
from archwright.supernet._derive import derive
from archwright.supernet._frame import Draw, Mix
from archwright.supernet._trainer import Trainer

__all__ = ["perturb"]

_BATCHES = 4  # of held-out samples, by which options are compared
_STEPS = 20  # of the weights after each decision, for the supernet to get used to it


def perturb(trainer: Trainer, *, batches: int = _BATCHES, steps: int = _STEPS) -> Architecture:
    """Return the architecture that is left when a trained supernet decides one branch after the other.

    In an order drawn at random, each option of a branch is left out in turn, and the one whose absence costs most
    accuracy on held-out samples is kept; then the weights are trained on a little. Of the edges among which a node
    keeps some, those are kept that are missed most. Sizes are the likeliest ones.

    Wang, Cheng, Chen, Tang and Hsieh, "Rethinking architecture selection in differentiable NAS", ICLR 2021.

    Args:
        trainer: What has trained the supernet. Its weights are changed.
        batches: Batches of held-out samples.
        steps: Steps of the weights after each decision.
    """
    supernet = trainer.supernet
    held = list(islice(trainer.feeds[-1].in_order(trainer.batch_size), batches))
    likely = derive(supernet)
    decided: dict[str, Value] = {name: likely[name] for name in supernet.sizes if name in likely}
    branches = list(supernet.branches.items())
    order = supernet.rng.permutation(len(branches))
    # Operations before edges: what an edge is worth is known when its operation is.
    for name, decision in sorted((branches[index] for index in order), key=lambda pair: isinstance(pair[1], Subset)):
        losses = {}
        for number in range(len(decision.options)):
            if _is_allowed(trainer, decision, number):
                active = tuple(other for other in range(len(decision.options)) if other != number)
                losses[number] = -_accuracy(trainer, decided, held, {name: active})
        count = max(decision.low, 1) if isinstance(decision, Subset) else 1
        kept = sorted(sorted(losses, key=lambda number: -losses[number])[:count])
        labels = tuple(decision.labels[number] for number in kept)
        decided[name] = labels if isinstance(decision, Subset) else labels[0]
        _tune(trainer, decided, steps)

    def rule(name: str, decision: Decision) -> Value:
        return decided[name] if name in decided else likely.get(name, decision.decode([0.5] * decision.width))

    return Architecture(supernet.space.program.decide(rule))


def _is_allowed(trainer: Trainer, decision: Choice | Subset, number: int) -> bool:
    return decision.options[number] is not None or trainer.supernet.relaxation.absent


def _draw(trainer: Trainer, decided: Mapping[str, Value]) -> Draw:
    draw = trainer.draw()
    mixes = {name: mix for name, mix in draw.mixes.items() if name not in decided}
    return replace(draw, mixes=mixes, values={**draw.values, **decided}, log_probs={})


@torch.no_grad()
def _accuracy(
    trainer: Trainer, decided: Mapping[str, Value], held: list[Batch], without: Mapping[str, tuple[int, ...]]
) -> float:
    trainer.supernet.train()  # with the statistics of each batch: those on record are of other mixtures
    right = total = 0
    draw = _draw(trainer, decided)
    mixes: dict[str, Any] = dict(draw.mixes)
    for name, active in without.items():
        before = mixes.get(name, Mix())
        mixes[name] = replace(before, active=active)
    draw = replace(draw, mixes=mixes)
    with trainer.statistics_kept():
        for inputs, targets in held:
            right += int((trainer.scores(draw, inputs).argmax(1) == targets).sum())
            total += len(targets)
    return right / total


def _tune(trainer: Trainer, decided: Mapping[str, Value], steps: int) -> None:
    trainer.supernet.train()
    generator = torch.Generator().manual_seed(int(np.int64(trainer.supernet.rng.integers(2**31))))
    feed = trainer.feeds[0]
    augment = trainer.recipe.augment
    for batch in islice(feed.shuffled(trainer.batch_size, generator, augment=augment), steps):
        trainer.step_weights(trainer.loss(_draw(trainer, decided), batch))
