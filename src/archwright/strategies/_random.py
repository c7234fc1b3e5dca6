"""Random search."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._initial import initial
from archwright.trials import History


@register("random")
@dataclass(frozen=True)
class Random(Strategy):
    """Random search: independent samples of the space; the baseline for all other strategies.

    Bergstra and Bengio, "Random search for hyper-parameter optimization", JMLR 2012; for architectures, Li and
    Talwalkar, "Random search and reproducibility for neural architecture search", UAI 2019.

    With a prior of the user, half of the samples come from the prior or are mutations of the best trial (PriorBand:
    Mallik et al., NeurIPS 2023). The two share them in proportion to the densities of the best third of the trials
    under the prior, and under the same prior with the decisions of the best trial as its beliefs. Under "hyperband" and
    "asha" these are the trials of one rung.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.Random())
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=60))
        >>> study.best.trial.architecture["x"]
        40
    """

    multi_objective: ClassVar[bool] = True

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return a sample of the space, of the prior, or a mutation of the best trial."""
        prior, best, count = history.background.prior, history.best, len(history.complete) // 3
        if not prior or best is None or count < 1 or rng.random() < 0.5:
            return initial(space, history, rng)
        around = replace(
            prior, beliefs={name: (best.architecture.get(name, v), sure) for name, (v, sure) in prior.beliefs.items()}
        )
        good = [trial.architecture for trial in history.best_first(history.complete, count)]
        weights = [float(np.exp(each.log_ratios(space, good)).sum()) for each in (prior, around)]
        if rng.random() * sum(weights) < weights[0]:
            return prior.sample(space, rng)
        return space.mutate(best.architecture, rng)
