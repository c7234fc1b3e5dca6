"""The base class of relaxations, and their registry."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archwright._checks import check_numbers
from archwright._registry import Classes
from archwright.errors import ArchwrightError, RelaxationError
from archwright.evaluate import Batch
from archwright.space import Architecture, Choice, Decision, Subset, Value, choice_of
from archwright.supernet._execution import Draw, Mix

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet
    from archwright.supernet._trainer import Trainer


__all__ = [
    "Batch",
    "Relaxation",
    "between",
    "create",
    "derivable",
    "entries",
    "name_of",
    "names",
    "option_count",
    "register",
]

Shares: TypeAlias = NDArray[np.float64]
"""(n,) how much each option of a decision is preferred."""

_MOVE = 16.0  # how far Adam could carry a logit in all, if its gradients had one sign; their noise takes most of it
_RATES = (3e-4, 0.1)  # the learning rate of DARTS for 20,000 steps, and the largest for short trainings


@dataclass(frozen=True)
class Relaxation:
    """Base class of relaxations: what a supernet computes in each training step, and how its logits are trained.

    It is a frozen dataclass of its settings and holds no tensors: the logits belong to the supernet. By default all
    branches are mixed by `mix`; decisions that size layers cannot be mixed, and are sampled from the softmax of their
    logits, which are trained by the score-function gradient (REINFORCE, Williams 1992) with a moving baseline.

    Args:
        warmup: The share of the training in which only the weights are updated, from 0 to below 1.

    Attributes:
        learns: Whether there are logits, from which the supernet derives an architecture. They are trained on one half
            of the data, and the weights on the other.
        edges: Whether the inputs of a node of a cell have logits of their own (edge normalisation).
        absent: Whether "no operation" can be derived. In a mixture its logit is not informative, since it only scales
            the others (Liu et al. 2019).
        apart: Whether the logits of the decisions are independent.

    Raises:
        RelaxationError: A setting is out of its range.

    Example:
        >>> class Uniform(aw.supernet.Relaxation):
        ...     def mix(self, supernet, logits, progress):
        ...         return aw.supernet.Mix(torch.full_like(logits, 1 / len(logits)))
        >>> space = aw.Space(model=aw.choice(nn.ReLU(), nn.Tanh(), name="act"), example_input=(4,))
        >>> aw.Supernet(space, Uniform()).draw().mixes["act"].weights
        tensor([0.5000, 0.5000])
    """

    learns: ClassVar[bool] = True
    edges: ClassVar[bool] = False
    absent: ClassVar[bool] = False
    apart: ClassVar[bool] = True
    settings_error: ClassVar[type[ArchwrightError]] = RelaxationError

    warmup: float = 0.2

    def __post_init__(self) -> None:
        check_numbers(self, "warmup", allowed="from 0 to below 1", holds=lambda value: 0 <= value < 1)

    def prepare(self, supernet: Supernet) -> Any:
        """Return the state of the relaxation for a new supernet, its `plan`.

        If it is a module, it is part of the supernet's state, and its parameters are trained with the logits.

        Raises:
            RelaxationError: The relaxation does not support the supernet; the message names the path.
        """
        return None

    def draw(self, supernet: Supernet, progress: float) -> Draw:
        """Return the draw for the next forward pass.

        Args:
            supernet: The supernet; its `rng` is the only source of randomness.
            progress: The progress of the training, from 0 to 1.
        """
        mixes = {name: self.branch(supernet, name, decision, progress) for name, decision in supernet.branches.items()}
        values, log_probs = supernet.sized()
        edges = supernet.edge_weights() if self.edges else {}
        return Draw(values, mixes, edges, log_probs)

    def branch(self, supernet: Supernet, name: str, decision: Choice | Subset, progress: float) -> Mix:
        """Return the mixture of a branch."""
        if isinstance(decision, Subset) and name not in supernet.logits:
            return Mix()  # all that it could hold; what they are worth is learned by their own choices
        return self.mix(supernet, supernet.logits[name], progress)

    def mix(self, supernet: Supernet, logits: Tensor, progress: float) -> Mix:
        """Return the mixture for logits.

        Args:
            supernet: The supernet.
            logits: (n,) logits of the options.
            progress: The progress of the training, from 0 to 1.
        """
        raise NotImplementedError

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the (n,) probabilities of the options."""
        return torch.softmax(logits, dim=0)

    def initial(self, decision: Decision, rng: np.random.Generator) -> Tensor:
        """Return the initial logits of a decision, close to zero."""
        return torch.from_numpy(rng.normal(0.0, 1e-3, size=option_count(decision)))

    # ------------------------------------------------------------------ architectures

    def best(self, supernet: Supernet) -> Architecture:
        """Return the architecture with the most probable value of each decision.

        Constraints are not checked.
        """

        def likeliest(decision: Decision, shares: Shares | None) -> Value:
            if shares is None:
                return decision.decode([0.5] * decision.width)
            if isinstance(decision, Subset):
                return _strongest(decision, shares)
            values = list(decision.values())
            return max(derivable(supernet, decision, values), key=lambda value: shares[values.index(value)])

        return _decided(supernet, likeliest)

    def sample(self, supernet: Supernet, rng: np.random.Generator) -> tuple[float, Architecture]:
        """Return a sampled architecture with its log-probability.

        A node that keeps some of its edges keeps the most probable ones of the sample.
        """
        logarithm = 0.0

        def drawn(decision: Decision, shares: Shares | None) -> Value:
            nonlocal logarithm
            if shares is None:
                return decision.sample(rng)
            share = shares / shares.sum()
            if isinstance(decision, Subset):  # the largest k with noise: without replacement
                return _strongest(decision, np.log(np.maximum(share, 1e-12)) + rng.gumbel(size=len(share)))
            values = list(decision.values())
            allowed = [values.index(value) for value in derivable(supernet, decision, values)]
            weights = share[allowed] / share[allowed].sum() if share[allowed].sum() > 0 else None
            index = int(rng.choice(allowed, p=weights))
            logarithm += math.log(max(share[index], 1e-12))
            return values[index]

        architecture = _decided(supernet, drawn)
        return logarithm, architecture

    def preferred(self, trainer: Trainer, count: int) -> list[Architecture]:
        """Return different architectures after a training, best first; see `Supernet.preferred`.

        Args:
            trainer: The trainer of the supernet, which has held-out data.
            count: The maximum number.
        """
        return trainer.supernet.preferred(count)

    # ------------------------------------------------------------------ steps of the training

    def optimizer(self, parameters: list[torch.nn.Parameter], steps: int, rate: float | None) -> torch.optim.Optimizer:
        """Return the optimizer of the logits.

        Args:
            parameters: `Supernet.arch_parameters`.
            steps: Number of steps of the training.
            rate: The learning rate; `None` to derive it from the number of steps.
        """
        rate = rate or min(max(_MOVE / max(steps, 1), _RATES[0]), _RATES[1])
        return torch.optim.Adam(parameters, lr=rate, betas=(0.5, 0.999), weight_decay=1e-3)

    def weight_step(self, trainer: Trainer, batch: Batch) -> Tensor:
        """Make one step of the weights.

        Args:
            trainer: The trainer of the supernet.
            batch: Inputs and targets.

        Returns:
            () the loss before the step.
        """
        with torch.no_grad():  # for the weights the mixture is a constant
            draw = trainer.draw()
        loss = trainer.loss(draw, batch)
        trainer.step_weights(loss)
        return loss.detach()

    def arch_step(self, trainer: Trainer, batch: Batch, weight_batch: Batch) -> Tensor:
        """Make one step of the logits.

        Args:
            trainer: The trainer of the supernet.
            batch: Held-out inputs and targets.
            weight_batch: The batch of the next step of the weights.

        Returns:
            () the loss before the step, without penalties of the relaxation.
        """
        draw = trainer.draw()
        loss = trainer.loss(draw, batch)
        trainer.step_logits(trainer.surrogate(draw, loss) + self.penalty(trainer.supernet))
        return loss.detach()

    def penalty(self, supernet: Supernet) -> Tensor | float:
        """Return () the penalty that is added to the loss of the logits."""
        return 0.0


def between(start: float, end: float, progress: float) -> float:
    """Return what lies as far between two numbers as the training is: `start` at 0, `end` at 1."""
    return start + (end - start) * progress


def option_count(decision: Decision) -> int:
    """Return how many options a decision has: the logits that are learned about it."""
    return len(decision.options) if isinstance(decision, Subset) else int(decision.size)


# ---------------------------------------------------------------------- deriving architectures


def _decided(supernet: Supernet, rule: Callable[[Decision, Shares | None], Value]) -> Architecture:
    """Return the architecture whose decisions a rule makes, from what is learned about each."""
    space = supernet.space
    shares: dict[str, Shares] = {name: each.double().numpy() for name, each in supernet.probabilities().items()}
    edges = {name: each.detach().double().cpu().numpy() for name, each in supernet.edge_weights().items()}
    of_merge = {
        id(part): (edges[name], offset)
        for merge, name in supernet.named_edges()
        if name in edges
        for offset, part in _offsets(merge)
    }

    def decide(name: str, decision: Decision) -> Value:
        if isinstance(decision, Subset) and name in supernet.branches and name not in shares:
            strengths = np.array([_strength(supernet, option, shares) for option in decision.options])
            if id(decision) in of_merge:
                weights, offset = of_merge[id(decision)]
                strengths = strengths * weights[offset : offset + len(strengths)]
            return _strongest(decision, strengths)
        return rule(decision, shares.get(name))

    return Architecture(space.program.decide(decide))


def _offsets(merge: Any) -> list[tuple[int, Any]]:
    found, offset = [], 0
    for part in merge.operands:
        found.append((offset, part))
        offset += len(getattr(part, "options", (part,)))
    return found


def _strongest(decision: Subset, strengths: Shares) -> Value:
    """Return as many options as the subset takes at least (one at least where it may be empty), the strongest."""
    count = max(decision.low, 1)
    return decision.pick(np.argsort(-strengths, kind="stable")[:count])


def _strength(supernet: Supernet, option: Any, shares: dict[str, Shares]) -> float:
    """Return how likely the likeliest operation of an edge is, "no operation" left out of account."""
    choice = choice_of(option)
    name = None if choice is None else supernet.space.program.names[choice]
    if choice is None or name not in shares:
        return 1.0
    return max(
        (float(share) for share, part in zip(shares[name], choice.options, strict=True) if part is not None),
        default=0.0,
    )


def derivable(supernet: Supernet, decision: Decision, values: list[Value]) -> list[Value]:
    """Return the values that may be derived: an edge that a node has kept has an operation."""
    if not isinstance(decision, Choice) or supernet.space.program.names[decision] not in supernet.branches:
        return values
    if supernet.relaxation.absent and decision not in _kept_edges(supernet):
        return values
    return [value for value, part in zip(values, decision.options, strict=True) if part is not None] or values


def _kept_edges(supernet: Supernet) -> set[Any]:
    """Return the choices of operation on edges among which a node keeps some."""
    subsets = (each for each in supernet.branches.values() if isinstance(each, Subset))
    return {choice_of(option) for subset in subsets for option in subset.options}


_classes: Classes[Relaxation] = Classes("relaxation", RelaxationError)
register = _classes.register
create = _classes.create
names = _classes.names
entries = _classes.entries
name_of = _classes.name_of
