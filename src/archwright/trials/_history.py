"""The history of a search: what a strategy sees."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import nlargest
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from archwright.errors import EvaluationError, StudyError
from archwright.evaluate import Learned
from archwright.space import Architecture, Space
from archwright.transfer import Background
from archwright.trials._constraint import Constraint
from archwright.trials._objective import Objective, canonical
from archwright.trials._outside import Outside
from archwright.trials._pareto import crowding, dominates, hypervolume, ranks
from archwright.trials._trial import Trial

S = TypeVar("S")

_REFUSED = 1_000_000  # architectures that constraints refuse, after which a walk to the next is given up

_FIRST = 10  # trials from which the reference point is chosen
_ROOM = 0.1  # of their range, that it is beyond the worst of them


class History:
    """All trials of a study, indexed so that queries take constant time.

    A trial is added when it begins, and again when it has ended. The sequences must not be modified.

    Args:
        objective: One or several objectives; with several, the best trials are those on the Pareto front.
        constraints: Constraints on metrics. A trial that violates one is infeasible.
        reference: The reference point of the hypervolume, values of the objectives' metrics. By default slightly worse
            than the worst of the first ten complete trials.
        within: The history of which this one is a view; architectures of either count as seen.

    Attributes:
        objectives: All objectives.
        objective: The first of them.
        constraints: The constraints.
        learned: The result of the evaluator's preparation before the first trial, if any.
        outside: What reached the search from outside, such as the replies of a server.
        background: Earlier runs and the prior of the user, which strategies read.

    Example:
        >>> import archwright as aw
        >>> history = aw.History(aw.Objective("accuracy"))
        >>> history.add(aw.Trial(0, aw.Architecture({"x": 1}), state="complete", metrics={"accuracy": 0.9}))
        >>> history.best.number, len(history.trials)
        (0, 1)
    """

    def __init__(
        self,
        objective: Objective | Sequence[Objective],
        *,
        constraints: Iterable[Constraint] = (),
        reference: Mapping[str, float] | None = None,
        within: History | None = None,
    ) -> None:
        self.objectives = (objective,) if isinstance(objective, Objective) else tuple(objective)
        self.objective = self.objectives[0]
        self.constraints = tuple(constraints)
        self._reference = None
        if reference is not None:
            self._reference = self.values({canonical(name): value for name, value in reference.items()})
        self.learned: Learned | None = None
        self.background: Background = Background() if within is None else within.background
        self._trials: list[Trial] = []
        self._finished: list[Trial] = []
        self._complete: list[Trial] = []
        self._scores: list[float] = []
        self._points: list[tuple[float, ...]] = []
        self._infeasible: list[Trial] = []
        self._front: dict[tuple[float, ...], list[Trial]] = {}  # equals are one point, however many they are
        self._best: Trial | None = None
        self._best_rank: tuple[float, ...] = ()
        self._ranked: list[tuple[tuple[float, ...], int]] = []  # of the complete trials, with minus their position
        self._spent = 0.0
        self._running: dict[int, Trial] = {}
        self._measured: dict[tuple[Architecture, float], Trial] = {}  # of the first complete trials, as asked for
        self._sought = 0  # how many of the complete trials are in it
        self._fastest: dict[float, float] = {}
        self._seen: _Seen = _Seen() if within is None else within._seen
        self.outside: Outside = Outside(self._trials) if within is None else within.outside

    @property
    def trials(self) -> Sequence[Trial]:
        """All trials, by number."""
        return self._trials

    @property
    def finished(self) -> Sequence[Trial]:
        """The trials that have ended, in any state, in the order of their end."""
        return self._finished

    @property
    def complete(self) -> Sequence[Trial]:
        """The complete trials in the order of their end."""
        return self._complete

    @property
    def scores(self) -> Sequence[float]:
        """The scores of the complete trials, in the same order: greater is better."""
        return self._scores

    @property
    def points(self) -> Sequence[tuple[float, ...]]:
        """The scores of the complete trials in all objectives, in the same order: greater is better."""
        return self._points

    @property
    def infeasible(self) -> Sequence[Trial]:
        """The infeasible trials in the order of their end."""
        return self._infeasible

    @property
    def front(self) -> Sequence[Trial]:
        """The Pareto front of the complete trials, sorted by the first objective.

        Trials below the highest fidelity so far are not included.
        """
        return [trial for point in sorted(self._front, reverse=True) for trial in self._front[point]]

    @property
    def reference(self) -> tuple[float, ...] | None:
        """The reference point of the hypervolume, as scores; `None` while it is neither given nor chosen."""
        if self._reference is None and len(self._points) >= _FIRST:
            first = np.array(self._points[:_FIRST])
            low, high = first.min(axis=0), first.max(axis=0)
            self._reference = tuple((low - _ROOM * np.maximum(high - low, 1e-12)).tolist())
        return self._reference

    def hypervolume(self) -> float:
        """Return the hypervolume of the front, in the units of the metrics."""
        reference = self.reference
        return 0.0 if reference is None else hypervolume(np.array(list(self._front)), reference)

    def hypervolumes(self) -> list[tuple[int, float]]:
        """Return (number of the trial, hypervolume) for each complete trial that changed the hypervolume."""
        grown = History(self.objectives)
        grown._reference = self.reference
        found: list[tuple[int, float]] = []
        if grown._reference is None:
            return found
        for trial in self._complete:
            grown._take(trial)
            volume = grown.hypervolume()
            if not found or volume != found[-1][1]:
                found.append((trial.number, volume))
        return found

    @property
    def best(self) -> Trial | None:
        """The best complete trial in the first objective; without one, the best pruned trial.

        Trials below the highest fidelity so far are not considered. Ties are resolved by `rank`, then by the order of
        their end. `None` if no trial has a value of the objective.
        """
        return self._best

    @property
    def running(self) -> Sequence[Trial]:
        """The trials that have not ended, by number."""
        return [self._running[number] for number in sorted(self._running)]

    @property
    def count_running(self) -> int:
        """The number of trials that have not ended."""
        return len(self._running)

    def seen(self, architecture: Architecture) -> bool:
        """Tell whether the architecture was proposed before, in a trial of any state."""
        return architecture in self._seen.architectures

    @property
    def spent(self) -> float:
        """The cost of all ended trials in full evaluations; the cost of a continued trial is not counted again."""
        return self._spent

    @property
    def count_seen(self) -> int:
        """Return the number of different architectures proposed."""
        return len(self._seen.architectures)

    def score(self, trial: Trial) -> float:
        """Return the score of a trial: greater is better, for both directions of the objective.

        Raises:
            EvaluationError: The trial has no value of the objective.
        """
        return self.objective.score(trial.metrics)

    def values(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """Return the scores of metrics in all objectives: greater is better.

        Raises:
            EvaluationError: A metric of an objective is missing.
        """
        if len(self.objectives) == 1:
            return (self.objective.score(metrics),)
        return tuple(objective.score(metrics) for objective in self.objectives)

    def violation(self, trial: Trial) -> float:
        """Return the sum of the constraint violations of a trial, each relative to its bound; 0 if it is feasible.

        Infinity for an infeasible trial whose violation was not measured.
        """
        beyond = sum(each.violation(trial.metrics) for each in self.constraints if each.metric in trial.metrics)
        return math.inf if trial.state == "infeasible" and not beyond else beyond

    def rank(self, trial: Trial) -> tuple[float, ...]:
        """Return the sort key of trials: the fidelity, the objectives, and the lower "loss" for ties.

        A trial at a lower fidelity ranks below those at a higher one until it is promoted. On small data many networks
        have the same accuracy, and differ in the loss.
        """
        return _rank(trial, self.values(trial.metrics))

    def best_first(self, trials: Iterable[Trial], count: int | None = None) -> list[Trial]:
        """Return complete trials in the order of promotion: by `rank`.

        With several objectives: by fidelity, then by non-dominated front, then by crowding distance (Deb et al. 2002).

        Args:
            trials: The trials.
            count: How many of them to return; by default all.
        """
        listed = list(trials)
        if len(self.objectives) == 1:
            return nlargest(len(listed) if count is None else count, listed, key=self.rank)
        points = np.array([self.values(trial.metrics) for trial in listed]).reshape(len(listed), len(self.objectives))
        shares = np.array([trial.share for trial in listed])
        fronts, rooms = np.zeros(len(listed)), np.zeros(len(listed))
        for share in np.unique(shares):
            same = np.flatnonzero(shares == share)
            fronts[same] = ranks(points[same])
            for front in np.unique(fronts[same]):
                of_front = same[fronts[same] == front]
                rooms[of_front] = crowding(points[of_front])
        order = np.lexsort((np.arange(len(listed)), -rooms, fronts, -shares))
        return [listed[index] for index in order[:count]]

    def top(self, count: int, *, also: Trial | None = None) -> list[Trial]:
        """Return the best trials with different architectures, best first.

        Args:
            count: The maximum number.
            also: A further trial that is not in the history yet.
        """
        if count < 1:
            return []
        known = self._complete if len(self.objectives) > 1 else self._leading(count)
        ranked = self.best_first([*known, *([] if also is None else [also])])
        best = also if also is not None and self.beaten_by(also) else self._best
        if best is not None:
            ranked.insert(0, best)  # with several objectives that in the first of them
        found: dict[Architecture, Trial] = {}
        for trial in ranked:
            found.setdefault(trial.architecture, trial)  # and not what it went on from
        return list(found.values())[:count]

    def beaten_by(self, trial: Trial) -> bool:
        """Tell whether an ended trial would be the new best."""
        best = self._best
        if trial.state == "complete":
            return best is None or best.state != "complete" or self.rank(trial) > self._best_rank
        if trial.state != "pruned" or not self._is_measured(trial):
            return False
        return best is None or (best.state == "pruned" and self.rank(trial) > self._best_rank)

    def joins_front(self, trial: Trial) -> bool:
        """Tell whether an ended trial would be on the front."""
        return trial.state == "complete" and self._joins_front(trial, self.values(trial.metrics))

    def unseen(self, space: Space) -> Architecture | None:
        """Return the first architecture, in the order of enumeration, that was not proposed yet.

        All calls together enumerate the space once; a call skips at most a million infeasible architectures.

        Args:
            space: The space of the study; finite.

        Returns:
            An architecture, or `None` if all that were found have been proposed.

        Raises:
            SpaceError: The space is not finite.
        """
        return self._seen.next_after(space)

    def measured(self, architecture: Architecture, share: float) -> Trial | None:
        """Return the first complete trial of an architecture at a share of the full cost, if there is one."""
        for trial in self._complete[self._sought :]:
            self._measured.setdefault((trial.architecture, trial.share), trial)
        self._sought = len(self._complete)
        return self._measured.get((architecture, share))

    def fastest(self, share: float) -> float:
        """Return the seconds of the fastest complete trial at a share of the full cost; 0 without one."""
        return self._fastest.get(share, 0.0)

    def before(self, trial: Trial) -> Trial | None:
        """Return the trial that a trial continues, or `None` if it started from scratch."""
        if trial.origin is None:
            return None
        origin = self._trials[trial.origin]
        return origin if origin.architecture == trial.architecture else None

    def cost(self, trial: Trial) -> float:
        """Return the cost of a trial in full evaluations, without that of the trial that it continues."""
        before = self.before(trial)
        return trial.share - (0.0 if before is None else before.share)

    def add(self, trial: Trial) -> None:
        """Add a trial that has begun (its number follows the last) or has ended.

        Raises:
            StudyError: The number is out of order, or the trial has ended before.
        """
        if trial.number > len(self._trials):
            raise StudyError(f"trial {trial.number} cannot follow trial {len(self._trials) - 1}")
        if trial.number == len(self._trials):
            self._trials.append(trial)
            self._seen.new.append(trial.architecture)
        elif self._trials[trial.number].ended:
            raise StudyError(f"trial {trial.number} has ended already")
        else:
            self._trials[trial.number] = trial
        if not trial.ended:
            self._running[trial.number] = trial
            return
        self._running.pop(trial.number, None)
        self._end(trial)

    def restore(self, trials: Sequence[Trial], ended: Iterable[Trial]) -> None:
        """Add the trials of a study on record at once, which is the same as adding them one by one.

        Args:
            trials: All trials, by number from 0.
            ended: Those of them that have ended, in the order of their end.

        Raises:
            StudyError: There are trials already.
        """
        if self._trials:
            raise StudyError(f"{len(self._trials)} trials are there already: a study is restored into a new history")
        self._trials.extend(trials)
        self._seen.new.extend(trial.architecture for trial in trials)
        self._running = {trial.number: trial for trial in trials if not trial.ended}
        for trial in ended:
            self._end(trial)

    def _end(self, trial: Trial) -> None:
        self._finished.append(trial)
        self._spent += self.cost(trial)
        if trial.state == "complete":
            rank = self._take(trial)
            if self._best is None or self._best.state != "complete" or rank > self._best_rank:
                self._best, self._best_rank = trial, rank
        elif self.beaten_by(trial):
            self._best, self._best_rank = trial, self.rank(trial)
        elif trial.state == "infeasible":
            self._infeasible.append(trial)

    def _take(self, trial: Trial) -> tuple[float, ...]:
        """Take in a complete trial, and return its rank."""
        point = self.values(trial.metrics)
        if self._joins_front(trial, point):
            if trial.share > self._front_share:
                self._front = {}
            if point not in self._front:
                self._front = {other: held for other, held in self._front.items() if not dominates(point, other)}
            self._front.setdefault(point, []).append(trial)
        self._complete.append(trial)
        self._fastest[trial.share] = min(trial.seconds, self._fastest.get(trial.share, math.inf))
        self._scores.append(point[0])
        self._points.append(point)
        return _rank(trial, point)

    def _joins_front(self, trial: Trial, point: tuple[float, ...]) -> bool:
        share = self._front_share
        if trial.share != share:
            return trial.share > share
        if len(point) == 1:  # as many as are on the front are equal
            return point >= next(iter(self._front))
        return not any(dominates(other, point) for other in self._front)

    def _leading(self, count: int) -> list[Trial]:
        """Return the best complete trials by `rank`, best first: the best of each of so many architectures."""
        start = len(self._ranked)
        new = [(self.rank(trial), -place) for place, trial in enumerate(self._complete[start:], start)]
        if len(new) > len(self._ranked) // 10:
            self._ranked = sorted([*self._ranked, *new])
        else:  # one more at a time, as a search goes on
            for each in new:
                insort(self._ranked, each)
        found: dict[Architecture, Trial] = {}
        for _, place in reversed(self._ranked):
            trial = self._complete[-place]
            found.setdefault(trial.architecture, trial)
            if len(found) == count:
                break
        return list(found.values())

    @property
    def _front_share(self) -> float:
        """How much those on the front were given."""
        return next(iter(self._front.values()))[0].share if self._front else 0.0

    def _is_measured(self, trial: Trial) -> bool:
        """Tell whether a trial that was stopped early has a value of each objective."""
        try:
            return all(map(math.isfinite, self.values(trial.metrics)))
        except EvaluationError:
            return False


def _rank(trial: Trial, point: tuple[float, ...]) -> tuple[float, ...]:
    loss = trial.metrics.get("loss", 0.0)
    return trial.share, *point, -loss if math.isfinite(loss) else -math.inf


class _Seen:
    """The architectures that were proposed, and a walk along those that were not."""

    def __init__(self) -> None:
        self.new: list[Architecture] = []  # those that are not among the others yet: nobody has asked since
        self._architectures: set[Architecture] = set()
        self._walk: Iterator[Architecture | None] | None = None
        self._next: Architecture | None = None

    @property
    def architectures(self) -> set[Architecture]:
        """All of them."""
        if self.new:
            self._architectures.update(self.new)
            self.new = []
        return self._architectures

    def next_after(self, space: Space) -> Architecture | None:
        """Return the first of a space, in the order of enumeration, that is not among them."""
        if self._walk is None:
            space.enumerate()  # refuses a space that is not finite
            self._walk = space.walk()
        refused = 0
        while self._next is None or self._next in self.architectures:
            try:
                self._next = next(self._walk)
            except StopIteration:
                self._next = None
                return None
            refused += self._next is None
            if refused > _REFUSED:
                return None
        return self._next


class Stateful:
    """Mixin that keeps a state for each history, a cache that is replayed from it and released with it.

    Example:
        >>> from archwright.trials import Stateful
        >>> history, counter = aw.History(aw.Objective("value")), Stateful()
        >>> counter.state_of(history, dict)["seen"] = 3
        >>> counter.state_of(history, dict)
        {'seen': 3}
    """

    def state_of(self, history: History | Outside, begin: Callable[[], S]) -> S:
        """Return the state that this object keeps for a history, to be brought up to date with it.

        Args:
            history: The trials; or `History.outside`, for a state that all views of a history share.
            begin: Creates the initial state; independent of the length of the history.
        """
        states: WeakKeyDictionary[History | Outside, Any] = self.__dict__.setdefault("_states", WeakKeyDictionary())
        if history not in states:
            states[history] = begin()
        state: S = states[history]
        return state
