"""The history of a search: what a strategy sees."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from archwright.errors import StudyError
from archwright.evaluate import Learned
from archwright.space import Architecture, Space
from archwright.trials._objective import Objective
from archwright.trials._trial import Trial

__all__ = ["History"]


class History:
    """All trials of a study, kept so that each question about them is answered in constant time.

    A trial is added when it begins, and once more when it has ended. The sequences are the history's own:
    read them, do not change them.

    Args:
        objective: What makes one trial better than another.
        within: The history that this one shows a part of: what was proposed there counts as seen here too.

    Attributes:
        learned: What the evaluator learned about the space before the first trial, if anything.
    """

    def __init__(self, objective: Objective, *, within: History | None = None) -> None:
        self.objective = objective
        self.learned: Learned | None = None
        self._trials: list[Trial] = []
        self._finished: list[Trial] = []
        self._complete: list[Trial] = []
        self._scores: list[float] = []
        self._best: Trial | None = None
        self._spent = 0.0
        self._running: dict[int, Trial] = {}
        self._measured: dict[tuple[Architecture, float], Trial] = {}
        self._seen: _Seen = _Seen() if within is None else within._seen

    @property
    def trials(self) -> Sequence[Trial]:
        """All trials, by number."""
        return self._trials

    @property
    def finished(self) -> Sequence[Trial]:
        """The trials that have ended, in whatever way, in the order in which they ended."""
        return self._finished

    @property
    def complete(self) -> Sequence[Trial]:
        """The trials that were measured to the end, in the order in which they ended."""
        return self._complete

    @property
    def scores(self) -> Sequence[float]:
        """How good each of the complete trials is, in the same order: greater is better."""
        return self._scores

    @property
    def best(self) -> Trial | None:
        """The best complete trial; while there is none, the best of those that were stopped early.

        Of trials that were given less and more, those that were given most come first. Equals are told apart as `rank`
        says; the first to end is the best of what is still equal then. `None` while neither kind has a value of the
        objective.
        """
        return self._best

    @property
    def running(self) -> Sequence[Trial]:
        """The trials that have not ended, by number."""
        return [self._running[number] for number in sorted(self._running)]

    def seen(self, architecture: Architecture) -> bool:
        """Tell whether the architecture was proposed before, whatever became of it."""
        return architecture in self._seen.architectures

    @property
    def spent(self) -> float:
        """How many full evaluations all that has ended comes to; what a trial goes on from is not counted again."""
        return self._spent

    @property
    def count_seen(self) -> int:
        """How many different architectures have been proposed."""
        return len(self._seen.architectures)

    def score(self, trial: Trial) -> float:
        """Return how good a trial is: greater is better, whatever the objective's direction.

        Raises:
            EvaluationError: The trial has no value of the objective.
        """
        return self.objective.score(trial.metrics)

    def rank(self, trial: Trial) -> tuple[float, float, float]:
        """Return what trials are ranked by: how much they were given, the objective, and the lower "loss" among equals.

        A trial that was given less is promoted where it is good; until then it has not shown what it can do. On small
        data many networks have the same accuracy; the loss still tells which is surer.
        """
        loss = trial.metrics.get("loss", 0.0)
        return trial.share, self.score(trial), -loss if math.isfinite(loss) else -math.inf

    def beaten_by(self, trial: Trial) -> bool:
        """Tell whether a trial that has ended would be the new best."""
        if trial.state == "complete":
            best = self._best
            return best is None or best.state != "complete" or self.rank(trial) > self.rank(best)
        if trial.state != "pruned" or not math.isfinite(trial.metrics.get(self.objective.metric, math.nan)):
            return False
        best = self._best
        return best is None or (best.state == "pruned" and self.rank(trial) > self.rank(best))

    def unseen(self, space: Space) -> Architecture | None:
        """Return the first architecture, in the order of enumeration, that was not proposed yet.

        All calls together walk through the space once.

        Args:
            space: The space of the study; finite.

        Returns:
            An architecture, or `None` when all have been proposed.

        Raises:
            SpaceError: The space is not finite.
        """
        return self._seen.next_after(space)

    def measured(self, architecture: Architecture, share: float) -> Trial | None:
        """Return the first complete trial of an architecture at a share of the full cost, if there is one."""
        return self._measured.get((architecture, share))

    def before(self, trial: Trial) -> Trial | None:
        """Return the trial of the same architecture that a trial goes on from, or `None` where it began anew."""
        if trial.origin is None:
            return None
        origin = self._trials[trial.origin]
        return origin if origin.architecture == trial.architecture else None

    def add(self, trial: Trial) -> None:
        """Take in a trial that has begun (its number follows the last) or has ended.

        Raises:
            StudyError: The number is out of order, or the trial has ended before.
        """
        if trial.number > len(self._trials):
            raise StudyError(f"trial {trial.number} cannot follow trial {len(self._trials) - 1}")
        if trial.number == len(self._trials):
            self._trials.append(trial)
            self._seen.architectures.add(trial.architecture)
        elif self._trials[trial.number].ended:
            raise StudyError(f"trial {trial.number} has ended already")
        else:
            self._trials[trial.number] = trial
        if not trial.ended:
            self._running[trial.number] = trial
            return
        self._running.pop(trial.number, None)
        if self.beaten_by(trial):
            self._best = trial
        self._finished.append(trial)
        before = self.before(trial)
        self._spent += trial.share - (0.0 if before is None else before.share)
        if trial.state == "complete":
            self._complete.append(trial)
            self._measured.setdefault((trial.architecture, trial.share), trial)
            self._scores.append(self.score(trial))


class _Seen:
    """The architectures that were proposed, and a walk along those that were not."""

    def __init__(self) -> None:
        self.architectures: set[Architecture] = set()
        self._walk: Iterator[Architecture] | None = None
        self._next: Architecture | None = None

    def next_after(self, space: Space) -> Architecture | None:
        """Return the first of a space, in the order of enumeration, that is not among them."""
        if self._walk is None:
            self._walk = space.enumerate()
            self._next = next(self._walk, None)
        while self._next is not None and self._next in self.architectures:
            self._next = next(self._walk, None)
        return self._next
