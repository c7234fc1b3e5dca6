"""Algorithms of Hyperopt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from archwright._checks import check_options
from archwright.errors import require
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._nearby import unseen_near
from archwright.strategies._parts import Part, join, parts, split
from archwright.trials import History, Trial

Algorithm = Literal["tpe", "anneal", "random"]


@register("hyperopt")
@dataclass(frozen=True)
class Hyperopt(Strategy):
    """An algorithm of Hyperopt: tree-structured Parzen estimator, annealing or random search.

    Bergstra, Yamins and Cox, "Making a science of model search", ICML 2013. Unordered choices become `hp.choice`,
    ordered ones and depths `hp.quniform` over ranks, subsets one `hp.choice` for each option. A trial has values for
    its active decisions only. Trials that are running, failed or were pruned have an infinite loss, as is usual in
    Hyperopt. If a suggestion was proposed before, or violates a constraint of the space, a mutation of it is proposed.

    Args:
        algorithm: "tpe", "anneal" or "random".

    Raises:
        MissingExtra: Hyperopt is not installed.
        StrategyError: There is no such algorithm.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.Hyperopt())
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=30))
        >>> study.best.trial.architecture["x"]
        40
    """

    recursive: ClassVar[bool] = False

    algorithm: Algorithm = "tpe"

    def __post_init__(self) -> None:
        check_options(self, algorithm=get_args(Algorithm))
        _library()

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the suggestion of the algorithm, or a mutation of it."""
        if space.bound == 1:  # Hyperopt wants something to decide
            return space.sample(rng)
        mirror = self.state_of(history, lambda: _Mirror(_library(), space))
        mirror.tell(history)
        suggested = mirror.ask(space, self.algorithm, int(rng.integers(2**31)))
        return unseen_near(space, history, suggested, rng)


class _Mirror:
    """The trials of one history in Hyperopt's form."""

    def __init__(self, library: Any, space: Space) -> None:
        self._library = library
        self._decisions = space.decisions
        self._parts = {name: parts(name, decision) for name, decision in space.decisions.items()}
        self._labels = [part.name for several in self._parts.values() for part in several]
        expression = {part.name: _parameter(library.hp, part) for several in self._parts.values() for part in several}
        self._domain = library.Domain(None, expression)
        self._told = library.Trials()
        self._ended = 0

    def tell(self, history: History) -> None:
        """Take in what has begun and what has ended since."""
        told = self._told
        told.insert_trial_docs([self._document(trial) for trial in history.trials[len(told.trials) :]])
        told.refresh()
        for trial in history.finished[self._ended :]:
            document = told.trials[trial.number]
            document["state"] = self._library.JOB_STATE_DONE
            if trial.state == "complete":
                document["result"] = {"status": self._library.STATUS_OK, "loss": -history.score(trial)}
            else:
                document["result"] = {"status": self._library.STATUS_FAIL}
        self._ended = len(history.finished)

    def ask(self, space: Space, algorithm: Algorithm, seed: int) -> Architecture:
        """Return what an algorithm suggests; constraints are not looked at."""
        module = {"tpe": self._library.tpe, "anneal": self._library.anneal, "random": self._library.rand}[algorithm]
        settings = {"verbose": False} if algorithm == "tpe" else {}
        (document,) = module.suggest([len(self._told.trials)], self._domain, self._told, seed, **settings)
        given = document["misc"]["vals"]
        return space.decide(lambda name, decision: join(decision, [given[part.name][0] for part in self._parts[name]]))

    def _document(self, trial: Trial) -> dict[str, Any]:
        held = {
            part.name: number
            for name, value in trial.architecture.items()
            for part, number in zip(self._parts[name], split(self._decisions[name], value), strict=True)
        }
        misc = {
            "tid": trial.number,
            "cmd": self._domain.cmd,
            "workdir": None,
            "idxs": {label: [trial.number] if label in held else [] for label in self._labels},
            "vals": {label: [held[label]] if label in held else [] for label in self._labels},
        }
        (document,) = self._told.new_trial_docs([trial.number], [None], [self._domain.new_result()], [misc])
        return {**document, "state": self._library.JOB_STATE_RUNNING}


def _library() -> Any:
    return require("hyperopt", extra="hyperopt", purpose="the strategy 'hyperopt'")


def _parameter(hp: Any, part: Part) -> Any:
    if part.kind == "category":
        return hp.choice(part.name, list(range(int(part.high) + 1)))
    whole = part.kind == "whole"  # then half a step further at both ends, which so are as likely as what lies between
    low, high = part.low - 0.5 * whole, part.high + 0.5 * whole
    ends = (math.log(low), math.log(high)) if part.log else (low, high)
    make = getattr(hp, f"{'q' * whole}{'log' * part.log}uniform")
    return make(part.name, *ends, *[1] * whole)
