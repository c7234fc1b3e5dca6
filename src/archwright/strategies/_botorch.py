"""Bayesian optimisation with BoTorch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from archwright._checks import check_counts, check_options
from archwright.errors import require
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._initial import initial
from archwright.strategies._parts import Part, parts, split
from archwright.strategies._pool import everything, near_and_random, pool
from archwright.surrogates import clipped, squash
from archwright.trials import History

if TYPE_CHECKING:
    from botorch.models.gp_regression import SingleTaskGP

    from archwright.strategies._botorch_model import Parameters

Acquisition = Literal["log-ei", "noisy-ei", "ucb", "thompson"]

_PARENTS = 5  # of the best trials whose neighbours are candidates in any case


@dataclass
class _Models:
    """What follows from the complete trials of one history."""

    rows: list[NDArray[np.float64]] = field(default_factory=list)
    fitted: int = 0  # how many trials the parameters were fitted to
    parameters: list[Parameters] = field(default_factory=list)  # for each objective


@register("botorch")
@dataclass(frozen=True)
class BoTorch(Strategy):
    """Bayesian optimisation with the Gaussian processes and acquisition functions of BoTorch.

    Balandat et al., "BoTorch: a framework for efficient Monte-Carlo Bayesian optimization", NeurIPS 2020. The
    acquisition is maximised over candidates that were not proposed yet: in a small space neighbours of the best and
    random others, in a large one mutations and random samples. Low scores are compressed: see `surrogates.squash`. A
    running trial enters the model with its predicted mean. The parameters are fitted after every fifth trial, and less
    often as trials accumulate. The models see the decisions alone; those of "bo" see features of the networks too.

    With several objectives there is a model for each, and the acquisition function is the logarithm of the noisy
    expected hypervolume improvement, qLogNEHVI (Ament et al., "Unexpected improvements to expected improvement for
    Bayesian optimization", NeurIPS 2023, after Daulton, Balandat and Bakshy, NeurIPS 2021). The candidates are then
    neighbours of the front and random architectures.

    Args:
        model: "single": a `SingleTaskGP` over the space's vector; "mixed": a `MixedSingleTaskGP`, which compares
            unordered decisions by whether they are equal.
        acquisition: "log-ei", logarithmic expected improvement; "noisy-ei", the same for noisy scores; "ucb", mean plus
            two standard deviations; "thompson", the maximum of one sample of the posterior. Not used with several
            objectives.
        initial: Number of random trials at the start, at least 1.
        iterations: Maximum number of iterations of a fit.
        candidates: Maximum number of candidates.

    Raises:
        MissingExtra: BoTorch is not installed.
        StrategyError: The value of a setting is not allowed, or a count is not 1 or more.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.BoTorch(initial=3))
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=12))
        >>> study.best.trial.architecture["x"]
        40
    """

    recursive: ClassVar[bool] = False

    multi_objective: ClassVar[bool] = True
    model: Literal["single", "mixed"] = "single"
    acquisition: Acquisition = "log-ei"
    initial: int = 10
    iterations: int = 60
    candidates: int = 500

    def __post_init__(self) -> None:
        check_options(self, model=("single", "mixed"), acquisition=get_args(Acquisition))
        check_counts(self, "initial", "iterations", "candidates")
        require("botorch", extra="botorch", purpose="the strategy 'botorch'")

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the candidate for which the acquisition is greatest, or a random start."""
        candidates = self._candidates(space, history, rng) if len(history.complete) >= self.initial else ()
        if not candidates:
            return initial(space, history, rng)
        from archwright.strategies._botorch_model import (
            acquisition_values,
            hypervolume_improvement,
            make_gp,
            posterior_mean,
        )

        models, columns = self.state_of(history, _Models), _columns(space, self.model)
        models.rows += [_row(space, columns, trial.architecture) for trial in history.complete[len(models.rows) :]]
        self._fit(models, columns, history)
        rows, scores, categories = np.array(models.rows), _scores(history), _categories(columns)

        def known() -> list[SingleTaskGP]:
            """Return the models of the rows and scores that there are."""
            pairs = zip(scores.T, models.parameters, strict=True)
            return [make_gp(rows, column, categories, parameters) for column, parameters in pairs]

        pending = [_row(space, columns, trial.architecture) for trial in history.running]
        if pending:
            expected = [posterior_mean(model, np.array(pending)) for model in known()]
            rows, scores = np.vstack([rows, pending]), np.vstack([scores, np.transpose(expected)])
        points = np.array([_row(space, columns, architecture) for architecture in candidates])
        if len(models.parameters) == 1:
            values = acquisition_values(known()[0], self.acquisition, points, rng)
        else:
            values = hypervolume_improvement(known(), points, rng)
        return candidates[int(np.argmax(values))]

    def _fit(self, models: _Models, columns: Sequence[Part], history: History) -> None:
        """Fit the parameters where that is due, which follows from the number of complete trials alone."""
        from archwright.strategies._botorch_model import fit

        count = len(models.rows)
        step = 5 * 2 ** int(math.log2(max(1.0, count / 25)))
        due = max(self.initial, count - count % step)
        if due != models.fitted:
            rows, categories = np.array(models.rows[:due]), _categories(columns)
            models.parameters = [
                fit(rows, column, categories, iterations=self.iterations) for column in _scores(history, due).T
            ]
            models.fitted = due

    def _candidates(self, space: Space, history: History, rng: np.random.Generator) -> list[Architecture]:
        if len(history.objectives) > 1:
            front = [trial.architecture for trial in history.front]
            found = near_and_random(space, front, rng, self.candidates)
            return [architecture for architecture in found if not history.seen(architecture)]
        listed = everything(space)
        if listed is None or len(listed) <= self.candidates:
            return pool(space, history, rng, size=self.candidates)
        best = np.argsort(-np.asarray(history.scores), kind="stable")[:_PARENTS]
        around = [near for index in best for near in space.neighbours(history.complete[index].architecture, rng)]
        drawn = [listed[index] for index in rng.choice(len(listed), size=self.candidates, replace=False)]
        unseen = (architecture for architecture in (*around, *drawn) if not history.seen(architecture))
        return list(dict.fromkeys(unseen))[: self.candidates] or pool(space, history, rng)[: self.candidates]


def _scores(history: History, count: int | None = None) -> NDArray[np.float64]:
    """Return (n, objectives) scores of the first trials that are complete, standardised."""
    points = np.array(history.points[:count])
    standard = squash if points.shape[1] == 1 else clipped
    return np.transpose([standard(column) for column in points.T])


def _columns(space: Space, model: str) -> list[Part]:
    """Return what the inputs of a mixed model stand for; nothing where the input is the space's vector."""
    every = [part for name, decision in space.decisions.items() for part in parts(name, decision)]
    return every if model == "mixed" and any(part.kind == "category" for part in every) else []


def _categories(columns: Sequence[Part]) -> list[int]:
    return [index for index, part in enumerate(columns) if part.kind == "category"]


def _row(space: Space, columns: Sequence[Part], architecture: Architecture) -> NDArray[np.float64]:
    """Return an architecture as (d,) inputs; in a mixed model -1 is the category of what is not decided."""
    if not columns:
        return space.encode(architecture)
    held: dict[str, float] = {}
    for name, value in architecture.items():
        decision = space.decisions[name]
        here = parts(name, decision)
        numbers = split(decision, value) if all(part.kind == "category" for part in here) else decision.encode(value)
        held.update(zip((part.name for part in here), numbers, strict=True))
    return np.array([held.get(part.name, -1.0 if part.kind == "category" else 0.0) for part in columns])
