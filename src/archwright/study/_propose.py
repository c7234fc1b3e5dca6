"""The next trial of a study."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from archwright._words import counted
from archwright.errors import ArchwrightError, Exhausted, StrategyError, StudyError
from archwright.schedulers import Full, Ladder, Scheduler
from archwright.space import Architecture, Space
from archwright.strategies import Random, Strategy, openings
from archwright.study._feasibility import FeasibilityModel
from archwright.study._prechecks import Prechecks
from archwright.study._proxy_filter import ProxyFilter, ProxyScorer
from archwright.trials import Constraint, History, Trial

_ASKS = 20  # how often a strategy is asked for something unseen
_SAMPLES = 100  # how many random samples are tried after that
_SAMPLES_WITHIN = 400  # the same where there are prechecks: one network in thirty may keep to them
_LISTED = 1_000_000  # architectures, up to which a space with constraints is walked through before its neighbours
_NEAR = 8  # architectures that keep to the constraints, around which others are looked for
_STEPS = 200  # from what comes closest
_HEIRS = 16  # of how many trials, the best, others may inherit the weights


@dataclass
class Planner:
    """The choice of the next trial of a study, a function of the seed and the history.

    Args:
        space: The search space.
        strategy: The strategy.
        scheduler: The scheduler.
        ladder: The rungs.
        seed: The study's seed.
        inherit: Whether a new trial inherits the weights of the most similar of the best trials.
        screen: The zero-cost proxy that selects one of several proposals, if any.
        constraints: Prechecks of metrics. Those on counted metrics are checked for every proposal.
        starts: Architectures of the first trials; infeasible ones are omitted. The first trial is a full evaluation,
            or one on a single split.

    Attributes:
        prechecks: The constraints that are checked before training.
        scorer: The score of the proxy; set when an evaluator is known.

    Example:
        >>> from archwright.study import Planner
        >>> full = aw.schedulers.Full()
        >>> planner = Planner(aw.Space(x=aw.integer(0, 9)), aw.strategies.Grid(), full, aw.schedulers.Ladder(), seed=0)
        >>> planner.next(aw.History(aw.Objective("value"))).architecture["x"]
        0
    """

    space: Space
    strategy: Strategy
    scheduler: Scheduler
    ladder: Ladder
    seed: int
    inherit: bool = False
    screen: ProxyFilter | None = None
    constraints: tuple[Constraint, ...] = ()
    starts: tuple[Architecture, ...] = ()
    scorer: ProxyScorer | None = field(default=None, init=False)
    prechecks: Prechecks = field(init=False)
    _feasibility: FeasibilityModel = field(default_factory=FeasibilityModel, init=False)

    def __post_init__(self) -> None:
        """Judge by what can be counted; a run knows more."""
        self.prechecks = Prechecks(self.space, self.constraints)

    def next(self, history: History) -> Trial:
        """Return the next trial: a new architecture, or a promotion.

        Raises:
            Exhausted: All architectures were proposed, and there is no promotion.
            StrategyError: The strategy proposed something that is not in the space.
            StudyError: No architecture satisfies the constraints.
        """
        number = len(history.trials)
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, number], spawn_key=(3,)))
        assigned = self.scheduler.assign(self.ladder, history, rng)
        assert assigned is not None
        if assigned.origin is None:
            try:
                architecture = self._propose(history, assigned.level)
            except Exhausted:
                assigned = self.scheduler.assign(self.ladder, history, rng, more=False)
                if assigned is None:
                    raise
            else:
                seed, origin = trial_seed(self.seed, number), self._parent(history, architecture)
        if assigned.origin is not None:
            architecture, seed, origin = assigned.origin.architecture, assigned.origin.seed, assigned.origin.number
        level = assigned.level
        if level is None:
            return Trial(number, architecture, seed=seed, origin=origin)
        if not number and architecture in self.starts and not self.trains_completely:
            level = self.ladder.top  # what all others are compared with
        share, fidelity = self.ladder.costs[level], self.ladder.rungs[level]
        return Trial(number, architecture, seed=seed, fidelity=fidelity, share=share, origin=origin)

    def check_feasible(self, history: History) -> None:
        """Check before any training that there are feasible architectures.

        Raises:
            StudyError: None was found.
        """
        if self.prechecks and not history.trials:
            other = replace(self, strategy=Random(), scheduler=Full(), ladder=Ladder())
            other.prechecks = self.prechecks
            other._unseen(history, None, np.random.default_rng(self.seed))

    @property
    def trains_completely(self) -> bool:
        """Whether each network is trained for all its epochs, on one or several splits of the data."""
        return not self.scheduler.partial or any("splits" in rung for rung in self.ladder.rungs)

    @property
    def checkpoints(self) -> bool:
        """Whether trials may begin with what others leave."""
        return self.scheduler.partial or self.inherit

    def kept(self, history: History) -> frozenset[int]:
        """Return the numbers of the trials whose weights are still of use."""
        kept = {trial.origin for trial in history.running if trial.origin is not None}
        if self.inherit:
            kept.update(self._heirs(history))
        if self.scheduler.partial:
            kept |= self.scheduler.checkpoints(self.ladder, history)
        return frozenset(kept)

    def _propose(self, history: History, level: int | None) -> Architecture:
        """Return an architecture that was not proposed yet: the strategy's, or one nobody asked for.

        In an infinite space something seen may be proposed again, after as many tries.
        """
        for start in (*self.starts, *openings(self.space, history)):
            if not history.seen(start) and self.prechecks.keep(start):
                return start
        rng = np.random.default_rng([self.seed, len(history.trials)])
        found = self._feasibility.keep_away(
            self.space,
            history,
            lambda: self._unseen(history, level, rng),
            lambda architecture: self.space.mutate(architecture, rng),
            self.prechecks.keep,
        )
        if self.screen is None:
            return found
        if self.scorer is None:
            raise StudyError(
                "the study screens its proposals with the data of its evaluator: let it run, or make it without screen"
            )
        drawn = {found: None}
        for _ in range(self.screen.of - 1):
            try:
                drawn[self._unseen(history, level, rng)] = None
            except Exhausted:
                break
        return max(drawn, key=self.scorer)

    def _unseen(self, history: History, level: int | None, rng: np.random.Generator) -> Architecture:
        space, count = self.space, history.count_seen
        crowded = 10 * count >= 9 * space.bound
        for _ in range(1 if crowded else _ASKS):
            proposed: object = self.scheduler.propose(self.ladder, level, self.strategy, space, history, rng)
            kind = type(self.strategy).__name__
            if not isinstance(proposed, Architecture):
                raise StrategyError(f"{kind}.propose must return an Architecture, not {proposed!r}")
            architecture = proposed
            if not history.seen(architecture):
                if architecture not in space:
                    raise StrategyError(f"{kind} proposed {architecture!r}, which is not in the space")
                if self.prechecks.keep(architecture):
                    return architecture
        if not crowded:
            for _ in range(_SAMPLES_WITHIN if self.prechecks else _SAMPLES):
                architecture = space.sample(rng)
                if not history.seen(architecture) and self.prechecks.keep(architecture):
                    return architecture
        is_large = bool(space.where) and space.bound > _LISTED
        near = self._near(history, rng) if self.prechecks or is_large else None
        if near is not None:
            return near
        if self.prechecks:
            raise self._infeasible(history)
        if space.bound == math.inf:
            return architecture
        unseen = history.unseen(space)
        if unseen is None:
            found = "that were found, of a space too large to be listed," if is_large else "of the space"
            raise Exhausted(f"all {counted(count, 'architecture')} {found} have been proposed")
        return unseen

    def _near(self, history: History, rng: np.random.Generator) -> Architecture | None:
        """Return what is near something that keeps to all constraints: a neighbour, or a mutant of what comes close.

        While nothing is known that keeps to the constraints, a walk begins at what comes closest to them.
        """
        space = self.space
        known = [trial.architecture for trial in history.best_first(history.complete, _NEAR)]
        known += [trial.architecture for trial in history.trials[-_NEAR:]]
        for architecture in dict.fromkeys(known):
            for near in space.neighbours(architecture, rng):
                if not history.seen(near) and self.prechecks.keep(near):
                    return near
        closest = min(known or [space.sample(rng) for _ in range(_NEAR)], key=self.prechecks.violation)
        for _ in range(_STEPS):
            near = space.mutate(closest, rng)
            if not history.seen(near) and self.prechecks.keep(near):
                return near
            if self.prechecks.violation(near) <= self.prechecks.violation(closest):
                closest = near
        return None

    def _infeasible(self, history: History) -> ArchwrightError:
        """Return the error for constraints that nothing new keeps to; where nothing did, it has the closest values."""
        if history.count_seen:
            return Exhausted("no feasible architecture is left that was not proposed before")
        return StudyError(f"no feasible network was found ({self.prechecks.closest()}); relax the constraints")

    def _parent(self, history: History, architecture: Architecture) -> int | None:
        """Return the trial whose weights a new architecture begins with: the nearest of the best, if one is near."""
        if not self.inherit:
            return None
        heirs = [history.trials[number] for number in self._heirs(history)]
        apart = {trial.number: _apart(trial.architecture, architecture) for trial in heirs}
        near = [number for number, count in apart.items() if 0 < count <= len(architecture) / 2]
        return min(near, key=apart.__getitem__, default=None)

    def _heirs(self, history: History) -> list[int]:
        best = sorted(history.complete, key=history.rank, reverse=True)[:_HEIRS]
        return [trial.number for trial in best]


def trial_seed(seed: int, number: int) -> int:
    """Return the seed of a trial's evaluation, in [0, 2**31), apart from that of its proposal."""
    sequence = np.random.SeedSequence([seed, number], spawn_key=(1,))
    return int(sequence.generate_state(1)[0]) >> 1


def preparation_seed(seed: int) -> int:
    """Return the seed of what an evaluator does before the first trial, in [0, 2**31), apart from those of trials."""
    return int(np.random.SeedSequence([seed], spawn_key=(2,)).generate_state(1)[0]) >> 1


def _apart(one: Architecture, other: Architecture) -> int:
    """Return in how many decisions two architectures differ; one that only one of them has counts too."""
    return sum(one.get(name) != other.get(name) or (name in one) != (name in other) for name in {**one, **other})
