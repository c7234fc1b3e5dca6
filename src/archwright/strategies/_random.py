"""Random search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.trials import History


@register("random")
@dataclass(frozen=True)
class Random(Strategy):
    """Random search: independent samples of the space; the baseline for all other strategies.

    Bergstra and Bengio, "Random search for hyper-parameter optimization", JMLR 2012; for architectures, Li and
    Talwalkar, "Random search and reproducibility for neural architecture search", UAI 2019.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.Random())
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=60))
        >>> study.best.trial.architecture["x"]
        40
    """

    multi_objective: ClassVar[bool] = True

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return a sample of the space."""
        return space.sample(rng)
