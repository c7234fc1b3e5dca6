"""BOHB."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from archwright._checks import check_shares
from archwright.errors import SchedulerError
from archwright.schedulers._base import register
from archwright.schedulers._hyperband import Hyperband
from archwright.schedulers._ladder import Ladder
from archwright.space import Architecture, Space
from archwright.strategies import Strategy, name_of
from archwright.trials import History

_BLIND = ("random", "grid")  # they learn nothing


@register("bohb")
@dataclass(frozen=True)
class BOHB(Hyperband):
    """BOHB: Hyperband with model-based proposals; a third of the proposals are random.

    Falkner, Klein and Hutter, "BOHB: robust and efficient hyperparameter optimization at scale", ICML 2018. The model
    is the strategy: "tpe" as in the paper, "bo", or any other with a model. It sees the highest rung with more trials
    than the space has decisions.

    Args:
        eta: The reduction factor: 1 in `eta` trials is promoted, to a rung of about `eta` times the cost; above 1.
        random: The share of random proposals, which bounds the loss against Hyperband.

    Raises:
        SchedulerError: A setting is out of range.

    Example:
        >>> space, epochs = aw.Space(x=aw.integer(0, 63)), {"epochs": (1, 9)}
        >>> study = aw.Study(space, strategy="tpe", scheduler=aw.schedulers.BOHB(), fidelity=epochs)
        >>> study = study.run(lambda candidate: candidate.settings["x"], aw.Budget(trials=5))
        >>> [trial.fidelity["epochs"] for trial in study.trials[:14]]
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 9, 3]
    """

    random: float = 1 / 3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares(self, "random")

    def check(self, strategy: Strategy) -> None:
        """Check that the strategy has a model.

        Raises:
            SchedulerError: It does not.
        """
        if name_of(strategy) in _BLIND:
            raise SchedulerError(
                f"the scheduler 'bohb' is Hyperband with a model, and {name_of(strategy)!r} learns nothing: take a "
                "strategy such as 'tpe' or 'bo', or the scheduler 'hyperband'"
            )

    def propose(
        self,
        ladder: Ladder,
        level: int | None,
        strategy: Strategy,
        space: Space,
        history: History,
        rng: np.random.Generator,
    ) -> Architecture:
        """Return the strategy's proposal, or a random one."""
        if rng.random() < self.random:
            return space.sample(rng)
        return super().propose(ladder, level, strategy, space, history, rng)
