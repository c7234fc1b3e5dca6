"""DEHB."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import numpy as np

from archwright._checks import check_shares
from archwright.errors import SchedulerError
from archwright.schedulers._base import Assignment, Scheduler, check_eta, register
from archwright.schedulers._brackets import Brackets, cost, hyperband
from archwright.schedulers._ladder import Ladder
from archwright.schedulers._rungs import Rungs, rungs
from archwright.space import Architecture, Space
from archwright.strategies import Random, Strategy, initial, unseen_near
from archwright.trials import History, Trial


@dataclass
class _Population:
    """The best of each place, of the first `complete` trials that were measured on a rung."""

    complete: int = 0
    members: dict[int, Trial] = field(default_factory=dict)


@register("dehb")
@dataclass(frozen=True)
class DEHB(Scheduler):
    """DEHB: Hyperband with differential evolution on each rung; it makes its own proposals.

    Awad, Mallik and Hutter, "DEHB: evolutionary hyperband for scalable, robust and efficient hyperparameter
    optimization", IJCAI 2021. The first bracket is successive halving. Later brackets evaluate new vectors on each rung
    (`Space.encode`): a member of the rung's population is crossed with a mutant x1 + factor × (x2 - x3) of parents from
    the best of the rung below, and replaced if the child is better. While a population is not full, the best of the
    rung below are promoted to it. DEHB makes its own proposals, so the strategy has to be "random".

    Args:
        eta: The reduction factor: 1 in `eta` trials is promoted, to a rung of about `eta` times the cost; above 1.
        factor: The mutation factor, the weight of the difference, from 0 to 1.
        crossover: The probability with which each component of the mutant is taken, from 0 to 1.

    Raises:
        SchedulerError: A setting is out of range.

    Example:
        >>> space, epochs = aw.Space(x=aw.integer(0, 63)), {"epochs": (1, 9)}
        >>> study = aw.Study(space, strategy="random", scheduler=aw.schedulers.DEHB(), fidelity=epochs)
        >>> study = study.run(lambda candidate: candidate.settings["x"], aw.Budget(trials=5))
        >>> [trial.fidelity["epochs"] for trial in study.trials[:14]]
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 9, 3]
    """

    multi_objective: ClassVar[bool] = False

    eta: float = 3.0
    factor: float = 0.5
    crossover: float = 0.5
    _first: Brackets = field(default_factory=lambda: Brackets(1), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_eta(self)
        check_shares(self, "factor", "crossover")

    def check(self, strategy: Strategy) -> None:
        """Check that the strategy is "random", since DEHB makes its own proposals.

        Raises:
            SchedulerError: It is not random search.
        """
        if type(strategy) is not Random:
            raise SchedulerError(
                f"the scheduler 'dehb' proposes by itself, by differential evolution; {strategy!r} would never be "
                "asked: take the strategy 'random', or another scheduler"
            )

    def assign(
        self, ladder: Ladder, history: History, rng: np.random.Generator, *, more: bool = True
    ) -> Assignment | None:
        """Return the next evaluation of the first bracket, and then those of the later ones."""
        plan = partial(hyperband, ladder, self.eta)
        due = self._first.assign(ladder, history, plan, more=more)
        if due is not None or not more:
            return due
        level = self._level(ladder, len(history.trials) - self._first.trials(ladder, history, plan))
        if self._first.over(ladder, history, plan):
            for number in self._rising(ladder, rungs(ladder, history), level):
                return Assignment(level, history.trials[number])
        return Assignment(level)

    def checkpoints(self, ladder: Ladder, history: History) -> frozenset[int]:
        """Return the trials that may be promoted in the first bracket or into a population that is not full."""
        held = rungs(ladder, history)
        rising = [self._rising(ladder, held, level) for level in range(1, len(ladder.rungs))]
        return self._first.checkpoints(ladder, history, partial(hyperband, ladder, self.eta)).union(*rising)

    def propose(
        self,
        ladder: Ladder,
        level: int | None,
        strategy: Strategy,
        space: Space,
        history: History,
        rng: np.random.Generator,
    ) -> Architecture:
        """Return a member of the rung's population, crossed with a mutant of the best of the rung below."""
        held, level = rungs(ladder, history), level or 0
        size = self._size(ladder, level)
        target = self._members(held.views[level], size).get(len(held.views[level].trials) % size)
        parents = self._parents(held, ladder, level)
        if target is None or len(parents) < 3:
            return initial(space, history, rng)
        chosen = rng.choice(len(parents), 3, replace=False)
        x1, x2, x3 = (space.encode(parents[place].architecture) for place in chosen)
        mutant = x1 + self.factor * (x2 - x3)
        outside = (mutant < 0) | (mutant > 1)
        mutant[outside] = rng.random(int(outside.sum()))
        taken = rng.random(len(mutant)) < self.crossover
        taken[rng.integers(len(mutant))] = True
        child = np.where(taken, mutant, space.encode(target.architecture))
        return unseen_near(space, history, space.decode(child.tolist()), rng)

    def bracket(self, ladder: Ladder) -> float:
        """Return the cost of the first bracket in full evaluations."""
        return cost(ladder, hyperband(ladder, self.eta, 0))

    def _level(self, ladder: Ladder, number: int) -> int:
        """Return the rung of an evaluation after the first bracket, by how many there were."""
        round_ = [hyperband(ladder, self.eta, bracket) for bracket in range(len(ladder.rungs))]
        number %= sum(sum(bracket.sizes) for bracket in round_)
        for bracket in (*round_[1:], round_[0]):
            for rung, size in enumerate(bracket.sizes):
                if number < size:
                    return bracket.start + rung
                number -= size
        raise AssertionError("a round holds every number below its length")

    def _size(self, ladder: Ladder, level: int) -> int:
        """Return how large the population of a rung is: as the largest number that a bracket has on it."""
        round_ = (hyperband(ladder, self.eta, bracket) for bracket in range(len(ladder.rungs)))
        return max(bracket.sizes[level - bracket.start] for bracket in round_ if bracket.start <= level)

    def _rising(self, ladder: Ladder, held: Rungs, level: int) -> list[int]:
        """Return the best of the rung below that none goes on from, as many as the rung's population lacks."""
        lacking = self._size(ladder, level) - len(held.views[level].trials)
        return held.waiting(level - 1, max(0, lacking)) if level else []

    def _members(self, view: History, size: int) -> dict[int, Trial]:
        """Return the best trial of each place of a rung's population; the places are taken round and round."""
        held = self.state_of(view, _Population)
        for trial in view.complete[held.complete :]:
            member = held.members.get(trial.number % size)
            if member is None or view.rank(trial) > view.rank(member):
                held.members[trial.number % size] = trial
        held.complete = len(view.complete)
        return held.members

    def _parents(self, held: Rungs, ladder: Ladder, level: int) -> list[Trial]:
        """Return the best of the rung below, as many as a rung's population has; its own on the lowest."""
        below = max(0, level - 1)
        view = held.views[below]
        members = sorted(self._members(view, self._size(ladder, below)).values(), key=view.rank, reverse=True)
        return members[: max(3, self._size(ladder, level))]
