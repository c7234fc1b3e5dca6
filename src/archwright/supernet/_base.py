"""What a relaxation is, and the registry of those that have a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from archwright._registry import Entry, Registry
from archwright.errors import RelaxationError
from archwright.space import Architecture, Choice, Decision, Subset
from archwright.supernet._frame import Draw, Mix

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet
    from archwright.supernet._trainer import Trainer

Batch = tuple[Tensor, Tensor]

__all__ = ["Batch", "Relaxation", "create", "entries", "name_of", "names", "register"]

_registry: Registry[type[Relaxation]] = Registry("relaxation")


@dataclass(frozen=True)
class Relaxation:
    """Says what a supernet runs in each step, and how it learns which of its architectures is best.

    It is a frozen dataclass of its settings and holds no tensors: logits are the supernet's. The default is a mixture
    of all branches by `mix`; decisions that size layers, and so cannot be mixed, are drawn from the softmax of their
    logits, which learn by the score function (Williams 1992) with a moving baseline.

    Args:
        warmup: The share of the training in which the weights alone learn, from 0 to below 1.

    Attributes:
        learns: Whether there are logits, so that the supernet can derive an architecture. They then learn from one half
            of the data, and the weights from the other.
        edges: Whether the values that a node of a cell sums up have logits of their own.
        ranked: Whether what is preferred is to be put in order by its accuracy with shared weights.
        absent: Whether "no operation" may be derived. In a mixture its logit means little, for all it does is to make
            the others smaller (Liu et al. 2019).

    Raises:
        RelaxationError: A setting is out of its range.
    """

    learns: ClassVar[bool] = True
    edges: ClassVar[bool] = False
    ranked: ClassVar[bool] = False
    absent: ClassVar[bool] = False

    warmup: float = 0.2

    def __post_init__(self) -> None:
        """Check the settings."""
        self.check_range("warmup", 0.0, 1.0)

    def check_range(self, setting: str, low: float, high: float) -> None:
        """Refuse a setting that is not a number from `low` to below `high`.

        Raises:
            RelaxationError: It is not.
        """
        value = getattr(self, setting)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value < high:
            raise RelaxationError(
                f"{type(self).__name__}: {setting} is a number from {low:g} to below {high:g}, not {value!r}"
            )

    def draw(self, supernet: Supernet, progress: float) -> Draw:
        """Return what to run next.

        Args:
            supernet: The supernet; its `rng` is the only source of randomness.
            progress: How far the training is, from 0 to 1.
        """
        values = supernet.sized()
        edges = supernet.edge_weights() if self.edges else {}
        return Draw(values, self.mixtures(supernet, progress), edges, supernet.log_probs(values))

    def mixtures(self, supernet: Supernet, progress: float) -> dict[str, Mix]:
        """Return the mixtures of all branches, by name; arguments are those of `draw`."""
        return {name: self.branch(supernet, name, decision, progress) for name, decision in supernet.branches.items()}

    def branch(self, supernet: Supernet, name: str, decision: Choice | Subset, progress: float) -> Mix:
        """Return the mixture of a branch."""
        if name not in supernet.logits:
            return Mix()  # all that it could hold; what they are worth is learned by their own choices
        return self.mix(supernet, supernet.logits[name], progress)

    def mix(self, supernet: Supernet, logits: Tensor, progress: float) -> Mix:
        """Return the mixture that logits stand for.

        Args:
            supernet: The supernet.
            logits: (n,) one for each option.
            progress: How far the training is, from 0 to 1.
        """
        raise NotImplementedError

    def temperature(self, hot: float, cold: float, progress: float) -> float:
        """Return a temperature that falls, by the same factor in equal times, from `hot` to `cold`."""
        return float(hot ** (1 - progress) * cold**progress)

    def policy(self, supernet: Supernet) -> nn.Module | None:
        """Return what the supernet holds for this relaxation besides logits, and trains with them; None for nothing."""
        return None

    def preferred(self, supernet: Supernet, count: int, rng: np.random.Generator) -> list[Architecture]:
        """Return different architectures that the policy prefers, the likeliest first; only where there is a policy."""
        raise NotImplementedError

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return (n,) how much each option is preferred, summing to 1."""
        return torch.softmax(logits, dim=0)

    def initial(self, decision: Decision, rng: np.random.Generator) -> Tensor:
        """Return the first logits of a decision: near zero, so that no option is preferred."""
        return torch.from_numpy(rng.normal(0.0, 1e-3, size=_count(decision)))

    # ------------------------------------------------------------------ steps of the training

    def weight_step(self, trainer: Trainer, batch: Batch) -> Tensor:
        """Make one step of the weights.

        Args:
            trainer: What trains the supernet.
            batch: Inputs and targets.

        Returns:
            () the loss before the step.
        """
        with torch.no_grad():  # the mixture is a constant here
            draw = trainer.draw()
        loss = trainer.loss(draw, batch)
        trainer.step_weights(loss)
        return loss.detach()

    def arch_step(self, trainer: Trainer, batch: Batch, weight_batch: Batch) -> Tensor:
        """Make one step of the logits.

        Args:
            trainer: What trains the supernet.
            batch: Inputs and targets that the weights do not learn from.
            weight_batch: Those that the next step of the weights will learn from.

        Returns:
            () the loss before the step.
        """
        draw = trainer.draw()
        loss = trainer.loss(draw, batch)
        trainer.step_logits(trainer.surrogate(draw, loss))
        return loss.detach()


def _count(decision: Decision) -> int:
    return len(decision.options) if isinstance(decision, Subset) else int(decision.size)


def register(name: str) -> Any:
    """Return a decorator that files a relaxation under a name.

    Raises:
        ValueError: The name is taken.
    """
    return _registry.register(name)


def create(name: str, **settings: Any) -> Relaxation:
    """Make the relaxation that is filed under a name.

    Raises:
        UnknownName: There is none.
        RelaxationError: It does not have such a setting, or refuses its value.
    """
    made: Relaxation = _registry.create(name, settings, error=RelaxationError)
    return made


def name_of(relaxation: Relaxation) -> str:
    """Return the name that a relaxation's class is filed under."""
    return next(entry.name for entry in _registry if entry.make is type(relaxation))


def names() -> list[str]:
    """Return the names of all relaxations."""
    return _registry.names()


def entries() -> list[Entry[type[Relaxation]]]:
    """Return what is filed: name, one line about it, and the class."""
    return list(_registry)
