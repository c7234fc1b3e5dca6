"""Any sampler of Optuna."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from archwright.errors import StrategyError, require
from archwright.space import Architecture, Choice, Decision, Integer, Real, Space, Subset, Value
from archwright.strategies._base import Strategy, register
from archwright.trials import History, Trial

__all__ = ["TPE", "Optuna"]

_TRIES = 5  # how often a sampler is asked before a constraint is met by chance
_SAMPLERS = {"tpe": "TPESampler", "gp": "GPSampler", "random": "RandomSampler", "qmc": "QMCSampler"}


@register("optuna")
@dataclass(frozen=True)
class Optuna(Strategy):
    """A sampler of Optuna, asked for one decision after the other.

    Akiba et al., "Optuna: a next-generation hyperparameter optimization framework", KDD 2019. Unordered choices become
    categorical parameters, ordered ones and depths integers, subsets one parameter for each option. What a sampler does
    follows from the trials it is told, and from a seed that is new for each proposal; samplers that keep notes of
    their own on trials (CMA-ES, NSGA-II) begin anew each time, and are not listed.

    Args:
        sampler: "tpe", "gp", "random", "qmc"; or a function that takes `seed` and returns a sampler, such as
            `functools.partial(optuna.samplers.TPESampler, multivariate=True)`, which cannot be kept in a run folder.

    Raises:
        MissingExtra: Optuna is not installed.
        StrategyError: There is no such sampler.
    """

    sampler: str | Callable[..., Any] = "tpe"
    _studies: WeakKeyDictionary[History, list[Any]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Check the settings."""
        if not callable(self.sampler) and self.sampler not in _SAMPLERS:
            raise StrategyError(
                f"optuna: sampler is one of {', '.join(_SAMPLERS)}, or a function of a seed that returns an "
                f"Optuna sampler; {self.sampler!r} was given"
            )
        require("optuna", extra="optuna", purpose="the strategy 'optuna'")

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return what the sampler suggests; a random architecture where constraints refuse all of it."""
        with _silenced() as optuna:
            told = self._studies.setdefault(history, [])
            if not told:
                told.append(optuna.create_study(direction="maximize"))
            study = told[0]
            for trial in history.finished[len(told) - 1 :]:
                study.add_trial(_frozen(optuna, space, history, trial))
                told.append(trial.number)
            make = self.sampler if callable(self.sampler) else getattr(optuna.samplers, _SAMPLERS[self.sampler])
            study.sampler = make(seed=int(rng.integers(2**31)))
            for _ in range(_TRIES):
                asked = study.ask()
                architecture = space.decide(partial(_suggested, asked))
                study.tell(asked, state=optuna.trial.TrialState.FAIL)  # it is told for good once it has ended
                if not space.where or architecture in space:
                    return architecture
        return space.sample(rng)


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


def _frozen(optuna: Any, space: Space, history: History, trial: Trial) -> Any:
    """Return an Optuna trial for one that has ended."""
    params: dict[str, Any] = {}
    distributions: dict[str, Any] = {}
    for name, value in trial.architecture.items():
        for parameter, distribution, held in _parameters(optuna, name, space.decisions[name], value):
            params[parameter], distributions[parameter] = held, distribution
    complete = trial.state == "complete"
    return optuna.trial.create_trial(
        params=params,
        distributions=distributions,
        state=optuna.trial.TrialState.COMPLETE if complete else optuna.trial.TrialState.FAIL,
        value=history.score(trial) if complete else None,
    )


def _parameters(optuna: Any, name: str, decision: Decision, value: Any) -> list[tuple[str, Any, Any]]:
    """Return the Optuna parameters of a decision: name, distribution, and what a value of the decision is there."""
    kinds = optuna.distributions
    if decision.size == 1:
        return []
    if isinstance(decision, Subset):
        either = kinds.CategoricalDistribution((False, True))
        return [(f"{name}[{label!r}]", either, label in value) for label in decision.labels]
    if isinstance(decision, Real):
        return [(name, kinds.FloatDistribution(decision.low, decision.high, log=decision.log), value)]
    if isinstance(decision, Integer):
        return [(name, kinds.IntDistribution(decision.low, decision.high, log=decision.log), value)]
    labels = list(decision.values())
    if isinstance(decision, Choice) and not decision.ordered:
        return [(name, kinds.CategoricalDistribution(tuple(range(len(labels)))), labels.index(value))]
    return [(name, kinds.IntDistribution(0, len(labels) - 1), labels.index(value))]


def _suggested(asked: Any, name: str, decision: Decision) -> Value:
    """Ask for the parameters of a decision."""
    if decision.size == 1:
        return next(decision.values())
    if isinstance(decision, Subset):
        return decision.decode(
            [float(asked.suggest_categorical(f"{name}[{label!r}]", (False, True))) for label in decision.labels]
        )
    if isinstance(decision, Real):
        return decision.check(asked.suggest_float(name, decision.low, decision.high, log=decision.log))
    if isinstance(decision, Integer):
        return int(asked.suggest_int(name, decision.low, decision.high, log=decision.log))
    labels = list(decision.values())
    if isinstance(decision, Choice) and not decision.ordered:
        return labels[int(asked.suggest_categorical(name, tuple(range(len(labels)))))]
    return labels[int(asked.suggest_int(name, 0, len(labels) - 1))]
