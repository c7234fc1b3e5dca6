"""DARTS-PT: derivation by the loss of accuracy without an option."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from archwright.errors import RelaxationError
from archwright.space import Architecture, Choice, Decision, Subset, Value
from archwright.supernet import _base
from archwright.supernet._base import derivable
from archwright.supernet._execution import Draw

if TYPE_CHECKING:
    from archwright.supernet._base import Batch
    from archwright.supernet._supernet import Supernet
    from archwright.supernet._trainer import Trainer


def perturb(trainer: Trainer, *, steps: int = 10, batches: int = 4, share: float = 0.1, seed: int = 0) -> Architecture:
    """Derive an architecture branch by branch, keeping the option whose removal lowers the accuracy most (DARTS-PT).

    Wang, Cheng, Chen, Tang and Hsieh, "Rethinking architecture selection in differentiable NAS", ICLR 2021. Branches
    between modules come first, in a random order, then those between values, such as the edges that a node keeps.
    Between two of them the weights are trained for some steps. Decisions that size layers take their most probable
    values.

    Args:
        trainer: The trainer of the supernet; the training of the weights is continued.
        steps: Number of steps of the weights after each decision, 0 or more.
        batches: Number of held-out batches on which options are compared, 1 or more.
        share: The share of the peak learning rate for those steps.
        seed: The random seed of the order of the branches.

    Raises:
        RelaxationError: The relaxation has no logits for its branches, or the derived architecture is infeasible.

    Example:
        >>> from archwright.evaluate import Recipe, Setup
        >>> task = aw.Training(aw.data((torch.eye(2).repeat(256, 1), torch.arange(512) % 2))).task
        >>> space = aw.Space(model=nn.Sequential(aw.choice(nn.Identity(), nn.Hardshrink(9), name="f"), nn.Linear(2, 2)))
        >>> supernet = aw.Supernet(space, "softmax", example_input=(2,))
        >>> trainer = aw.supernet.Trainer(supernet, task, Recipe(batch_size=8, lr=0.01), Setup("cpu"), epochs=9, seed=0)
        >>> _ = [trainer.epoch() for _ in range(9)]
        >>> dict(aw.supernet.perturb(trainer, steps=1))
        {'f': 'Identity()'}
    """
    supernet = trainer.supernet
    relaxation = supernet.relaxation
    if not (relaxation.learns and relaxation.apart):
        raise RelaxationError(
            f"the relaxation {_base.name_of(relaxation)!r} makes no mixtures, from which an option could be left out; "
            f"take 'softmax', 'partial' or 'dirichlet'"
        )
    rng = np.random.default_rng(seed)
    preferred = relaxation.best(supernet)
    before, supernet.decided = supernet.decided, dict(supernet.decided)
    was_tuning, trainer.tuning = trainer.tuning, share
    held = list(itertools.islice(trainer.endless(-1), batches))
    fresh = trainer.endless(0)
    try:
        supernet.decided |= {name: preferred[name] for name in supernet.sizes if name in preferred}
        for name in _order(supernet, rng):
            value = _worth(trainer, name, held)
            if value is not None:
                supernet.decided[name] = value
                for batch in itertools.islice(fresh, steps):
                    relaxation.weight_step(trainer, batch)

        decided = {**preferred, **supernet.decided}
    finally:
        supernet.decided, trainer.tuning = before, was_tuning

    def rule(name: str, decision: Decision) -> Value:
        return decided[name] if name in decided else decision.decode([0.5] * decision.width)

    found = Architecture(supernet.space.program.decide(rule))
    if found not in supernet.space:
        raise RelaxationError(f"{dict(found)} is what perturbation selects, and it breaks `where`")
    return found


def _order(supernet: Supernet, rng: np.random.Generator) -> list[str]:
    """Return the branches in the order in which they are decided."""
    names = [name for name in supernet.branches if name not in supernet.decided]
    modules = [name for name in names if isinstance(supernet.branches[name], Choice)]
    subsets = [name for name in names if name not in modules]
    return [each[int(index)] for each in (modules, subsets) for index in rng.permutation(len(each))]


def _worth(trainer: Trainer, name: str, held: list[Batch]) -> Value | None:
    """Return the value of a branch that is worth most; None where the branch is not run."""
    supernet = trainer.supernet
    decision = supernet.branches[name]
    draw = _mixture(supernet)
    trainer.evaluate(draw, held[0])
    if name not in supernet.used:
        return None
    count = len(decision.options)
    without = [_score(trainer, _left_out(draw, name, number, count), held) for number in range(count)]
    ranked = sorted(range(count), key=lambda number: without[number])  # the least accurate without it first
    if isinstance(decision, Subset):
        return decision.pick(ranked[: max(decision.low, 1)])
    values = list(decision.values())
    allowed = derivable(supernet, decision, values)
    return next(values[number] for number in ranked if values[number] in allowed)


def _mixture(supernet: Supernet) -> Draw:
    """Return the mixture of all branches that are not decided, weighed by what is preferred."""
    draw = supernet.draw(1.0)
    shares = supernet.probabilities()
    mixes = {
        name: replace(mix, weights=shares[name].to(supernet.logits[name]) if name in shares else None, active=None)
        for name, mix in draw.mixes.items()
    }
    return replace(draw, mixes=mixes)


def _left_out(draw: Draw, name: str, number: int, count: int) -> Draw:
    active = tuple(index for index in range(count) if index != number)
    return replace(draw, mixes={**draw.mixes, name: replace(draw.mixes[name], active=active)})


def _score(trainer: Trainer, draw: Draw, held: list[Batch]) -> tuple[float, float]:
    """Return the mean accuracy of a draw, and the mean of its loss below zero."""
    found = [trainer.evaluate(draw, batch) for batch in held]
    return float(np.mean([accuracy for accuracy, _ in found])), -float(np.mean([loss for _, loss in found]))
