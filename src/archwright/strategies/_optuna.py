"""Samplers of Optuna."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from archwright.errors import StrategyError, require
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._nearby import unseen_near
from archwright.trials import History

if TYPE_CHECKING:
    from archwright.strategies._optuna_study import Mirror

_SAMPLERS = {
    "tpe": "TPESampler",
    "gp": "GPSampler",
    "random": "RandomSampler",
    "qmc": "QMCSampler",
    "cmaes": "CmaEsSampler",
    "nsga2": "NSGAIISampler",
}
_NOTING = ("CmaEsSampler", "NSGAIISampler", "NSGAIIISampler")


@register("optuna")
@dataclass(frozen=True)
class Optuna(Strategy):
    """A sampler of Optuna: TPE, Gaussian process, QMC, CMA-ES, NSGA-II or random.

    Akiba et al., "Optuna: a next-generation hyperparameter optimization framework", KDD 2019. Unordered choices become
    categorical parameters, ordered ones and depths integers, subsets one parameter for each option. Trials that are
    running, failed or were pruned have the corresponding state in Optuna. A suggestion depends on the trials and on a
    new seed for each proposal. If it was proposed before, or violates a constraint of the space, a mutation of it is
    proposed.

    CMA-ES optimises ordered choices, depths, integers and reals that every architecture has; TPE samples the other
    decisions. NSGA-II crosses the decisions that all architectures have, unordered ones too; conditional ones are
    random. All samplers see a single objective; for several use the strategy "nsga2".

    Args:
        sampler: "tpe", "gp", "random", "qmc", "cmaes", "nsga2"; or a function that takes `seed` and returns a sampler,
            such as `functools.partial(optuna.samplers.NSGAIISampler, population_size=20)`, which cannot be kept in a
            run folder.

    Raises:
        MissingExtra: Optuna is not installed, or for CMA-ES the package cmaes.
        StrategyError: No sampler has that name, or it cannot be resumed from a history.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.Optuna("random"))
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=40))
        >>> study.best.trial.architecture["x"]
        40
    """

    recursive: ClassVar[bool] = False

    sampler: str | Callable[..., Any] = "tpe"

    def __post_init__(self) -> None:
        if not callable(self.sampler) and self.sampler not in _SAMPLERS:
            raise StrategyError(
                f"optuna: sampler is one of {', '.join(_SAMPLERS)}, or a function of a seed that returns an "
                f"Optuna sampler; {self.sampler!r} was given"
            )
        with _silenced() as optuna:
            sampler = self._make(optuna, 0)
            if not isinstance(sampler, optuna.samplers.BaseSampler):
                raise StrategyError(f"optuna: sampler returned {sampler!r}, which is no sampler of Optuna")
            if isinstance(sampler, optuna.samplers.GridSampler):
                raise StrategyError("optuna: GridSampler wants a grid of its own; use the strategy 'grid'")
            if isinstance(sampler, optuna.samplers.CmaEsSampler):
                require("cmaes", extra="optuna", purpose="Optuna's CmaEsSampler")
                if sampler._with_margin:
                    raise StrategyError(
                        "optuna: with_margin=True notes on each trial a number that a history does not hold; leave it "
                        "out, and ordered decisions are rounded"
                    )

    def check(self, space: Space) -> None:
        """Check that CMA-ES has decisions to optimise in a space.

        Raises:
            StrategyError: Less than two of its decisions are numbers that every architecture has.
        """
        with _silenced() as optuna:
            if not isinstance(self._make(optuna, 0), optuna.samplers.CmaEsSampler):
                return
            from archwright.strategies._optuna_study import moved

            numbers = moved(space)
            if len(numbers) < 2:
                raise StrategyError(
                    f"optuna: CMA-ES moves two or more ordered decisions that every architecture has; of the space it "
                    f"could move {', '.join(numbers) or 'none'}. Take sampler='tpe' or 'nsga2', or the strategy "
                    f"'evolution', which take unordered and conditional decisions too"
                )

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the suggestion of the sampler, or a mutation of it."""
        with _silenced() as optuna:

            def begin() -> Mirror:
                from archwright.strategies._optuna_study import Mirror

                is_noting = isinstance(self._make(optuna, 0), tuple(getattr(optuna.samplers, name) for name in _NOTING))
                return Mirror(space, partial(self._make, optuna) if is_noting else None)

            mirror = self.state_of(history, begin)
            mirror.tell(history)
            suggested = mirror.ask(space, self._make(optuna, int(rng.integers(2**31))))
        return unseen_near(space, history, suggested, rng)

    def _make(self, optuna: Any, seed: int) -> Any:
        if callable(self.sampler):
            return self.sampler(seed=seed)
        if self.sampler == "cmaes":
            return optuna.samplers.CmaEsSampler(seed=seed, independent_sampler=optuna.samplers.TPESampler(seed=seed))
        return getattr(optuna.samplers, _SAMPLERS[self.sampler])(seed=seed)


@register("tpe")
@dataclass(frozen=True)
class TPE(Optuna):
    """Tree-structured Parzen estimator (TPE) of Optuna.

    Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011: maximise l(x) / g(x), the ratio of the
    densities of good and of other trials. Settings and errors are those of `Optuna`.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.TPE())
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=30))
        >>> study.best.trial.architecture["x"]
        40
    """


@contextmanager
def _silenced() -> Iterator[Any]:
    """Give Optuna without its log lines and notes on experimental features; afterwards all is as before."""
    optuna = require("optuna", extra="optuna", purpose="the strategy 'optuna'")
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield optuna
    finally:
        optuna.logging.set_verbosity(before)
