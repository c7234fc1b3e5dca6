"""Any sampler of Optuna that needs no notes of its own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from archwright.errors import StrategyError, require
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._nearby import nearby
from archwright.trials import History

if TYPE_CHECKING:
    from archwright.strategies._optuna_study import Mirror

__all__ = ["TPE", "Optuna"]

_SAMPLERS = {"tpe": "TPESampler", "gp": "GPSampler", "random": "RandomSampler", "qmc": "QMCSampler"}
_NOTING = ("CmaEsSampler", "GridSampler", "NSGAIISampler", "NSGAIIISampler")


@register("optuna")
@dataclass(frozen=True)
class Optuna(Strategy):
    """A sampler of Optuna, asked for one decision after the other.

    Akiba et al., "Optuna: a next-generation hyperparameter optimization framework", KDD 2019. Unordered choices become
    categorical parameters, ordered ones and depths integers, subsets one parameter for each option. Trials that run,
    failed or were pruned are told as such. A sampler suggests what follows from the trials, and from a seed that is
    new for each proposal. Where that was proposed before, or constraints refuse it, a mutation of it is proposed.

    Samplers that note something of their own on each trial cannot go on from a history, and are refused; CMA-ES and
    evolution are to be had from the strategy "nevergrad".

    Args:
        sampler: "tpe", "gp", "random", "qmc"; or a function that takes `seed` and returns a sampler, such as
            `functools.partial(optuna.samplers.TPESampler, multivariate=False)`, which cannot be kept in a run folder.

    Raises:
        MissingExtra: Optuna is not installed.
        StrategyError: There is no such sampler, or it is refused.
    """

    sampler: str | Callable[..., Any] = "tpe"
    _mirrors: WeakKeyDictionary[History, Mirror] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Check the settings."""
        if not callable(self.sampler) and self.sampler not in _SAMPLERS:
            raise StrategyError(
                f"optuna: sampler is one of {', '.join(_SAMPLERS)}, or a function of a seed that returns an "
                f"Optuna sampler; {self.sampler!r} was given"
            )
        with _silenced() as optuna:
            sampler = self._make(optuna, 0)
            if not isinstance(sampler, optuna.samplers.BaseSampler):
                raise StrategyError(f"optuna: sampler returned {sampler!r}, which is no sampler of Optuna")
            if isinstance(sampler, tuple(getattr(optuna.samplers, name) for name in _NOTING)):
                raise StrategyError(
                    f"optuna: {type(sampler).__name__} notes on each trial what a history does not hold. Use the "
                    f"strategy 'nevergrad' for CMA-ES and evolution, 'grid' for a grid"
                )

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return what the sampler suggests, or a mutation of it."""
        with _silenced() as optuna:
            if history not in self._mirrors:
                from archwright.strategies._optuna_study import Mirror

                self._mirrors[history] = Mirror(space)
            mirror = self._mirrors[history]
            mirror.tell(history)
            suggested = mirror.ask(space, self._make(optuna, int(rng.integers(2**31))))
        return nearby(space, history, suggested, rng)

    def _make(self, optuna: Any, seed: int) -> Any:
        if callable(self.sampler):
            return self.sampler(seed=seed)
        return getattr(optuna.samplers, _SAMPLERS[self.sampler])(seed=seed)


@register("tpe")
@dataclass(frozen=True)
class TPE(Optuna):
    """The tree-structured Parzen estimator, as Optuna has it.

    Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011. Settings and errors are those of
    `Optuna`.
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
