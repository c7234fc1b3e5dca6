"""Local search."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from archwright._checks import check_options
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._initial import initial
from archwright.strategies._mutants import kicked
from archwright.trials import History, Trial

Improvement = Literal["first", "best"]
Restart = Literal["random", "best"]


@dataclass
class _Climb:
    """Where the search stands once the first `replayed` trials of the history have ended."""

    replayed: int = 0
    current: Trial | None = None  # where it stands; None: at a local optimum, or at the very start
    better: Trial | None = None  # the best neighbour so far, for "best"
    frontier: dict[Architecture, None] = field(default_factory=dict)  # neighbours not measured yet
    ended: set[Architecture] = field(default_factory=set)


@register("local-search")
@dataclass(frozen=True)
class LocalSearch(Strategy):
    """Local search: hill climbing over neighbours, with random restarts from local optima.

    White, Nolen and Savani, "Exploring the loss landscape in neural architecture search", UAI 2021; den Ottelander
    et al., "Local search is a remarkably strong baseline for neural architecture search", EMO 2021. Neighbours differ
    in one decision: see `Space.neighbours`.

    The state of the climb is replayed from the history.

    Args:
        improvement: "first" moves to the first better neighbour; "best" evaluates all neighbours and moves to the best
            of them.
        restart: The next start after a local optimum: "random"; or "best", a few mutations away from the best so far
            (iterated local search, Lourenço, Martin and Stützle 2003).

    Raises:
        StrategyError: The value of a setting is not allowed.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.LocalSearch())
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=30))
        >>> study.best.trial.architecture["x"]
        40
    """

    improvement: Improvement = "first"
    restart: Restart = "random"

    def __post_init__(self) -> None:
        check_options(self, improvement=get_args(Improvement), restart=get_args(Restart))

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return a neighbour of the current architecture, or a random start."""
        climb = self.state_of(history, _Climb)
        for trial in history.finished[climb.replayed :]:
            self._replay(climb, trial, space, history)
        left = [architecture for architecture in climb.frontier if not history.seen(architecture)]
        if left:
            return left[rng.integers(len(left))]
        if self.restart == "random" or history.best is None:
            return initial(space, history, rng)
        return kicked(space, history.best.architecture, rng)

    def _replay(self, climb: _Climb, trial: Trial, space: Space, history: History) -> None:
        climb.replayed += 1
        climb.ended.add(trial.architecture)
        climb.frontier.pop(trial.architecture, None)
        above = climb.better or climb.current
        if trial.state == "complete" and (above is None or history.score(trial) > history.score(above)):
            climb.better = trial
        waits = self.improvement == "best" and climb.current is not None and climb.frontier
        if climb.better is not None and not waits:
            climb.current, climb.better = climb.better, None
            climb.frontier = self._around(climb.current, climb, space)
        if not climb.frontier:
            climb.current = None

    @staticmethod
    def _around(trial: Trial, climb: _Climb, space: Space) -> dict[Architecture, None]:
        # Real numbers have random neighbours: the trial's own seed makes each replay find the same.
        around = space.neighbours(trial.architecture, np.random.default_rng(trial.seed))
        return dict.fromkeys(near for near in around if near not in climb.ended)
