"""One search on the simulated clock."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from archwright.bench._comparison import Run
from archwright.errors import EvaluationError, Exhausted, SchedulerError, TableError
from archwright.evaluate import Candidate, Evaluator
from archwright.schedulers import Full, Scheduler, narrowed, scores
from archwright.space import Architecture, Space
from archwright.strategies import Strategy
from archwright.study import Study
from archwright.trials import History, Objective, Trial

__all__ = ["Judge", "Searcher", "Task"]

Judge = Callable[[Architecture], float]
Outcome = Mapping[str, float] | Exception

_ROUNDING = 1e-9  # of the clock


@dataclass(frozen=True)
class Searcher:
    """What searches.

    Args:
        strategy: What proposes.
        scheduler: What says how much each trial gets; `None` where each is a full evaluation.
    """

    strategy: Strategy
    scheduler: Scheduler | None = None

    def __str__(self) -> str:
        """Return both with all their settings."""
        return repr(self.strategy) if self.scheduler is None else f"{self.strategy!r}+{self.scheduler!r}"


@dataclass(frozen=True)
class _Counting(Strategy):
    """Another strategy, with a count of what it proposed though it had been proposed before."""

    inner: Strategy
    repeats: list[int]

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return what the other strategy proposes."""
        architecture = self.inner.propose(space, history, rng)
        self.repeats[0] += history.seen(architecture)
        return architecture

    def check(self, space: Space) -> None:
        """Refuse what the other strategy refuses."""
        self.inner.check(space)


@dataclass(frozen=True)
class Task:
    """What searches are given, and how they are judged.

    Args:
        space: Where to search.
        evaluator: What measures a candidate.
        objective: What to optimise.
        trials: How many evaluations a search has; with `seconds`, how many full ones that is the time of.
        workers: How many evaluations run at one time.
        judge: Returns the value by which the best found is judged.
        seconds: How much simulated time a search has; `None` where evaluations are counted.
    """

    space: Space
    evaluator: Evaluator
    objective: Objective
    trials: int
    workers: int = 1
    judge: Judge | None = None
    seconds: float | None = None

    def study(self, searcher: Searcher, seed: int) -> Study:
        """Return the study of a search.

        Raises:
            StrategyError: The strategy cannot serve the space.
            SchedulerError: The scheduler cannot work with the strategy, or there is nothing to be given less of.
        """
        return Study(
            self.space,
            strategy=searcher.strategy,
            scheduler=Full() if searcher.scheduler is None else searcher.scheduler,
            fidelity=narrowed(self.evaluator.fidelities, None),
            objective=self.objective,
            seed=seed,
        )

    def run(self, searcher: Searcher, seed: int) -> Run:
        """Return what a search comes to.

        Raises:
            EvaluationError: The "seconds" of an evaluation are no time.
            SchedulerError: The scheduler goes by curves, and the evaluator reports none.
            TableError: A table lacks what is proposed.
        """
        repeats = [0]
        if self.seconds is None:
            searcher = Searcher(_Counting(searcher.strategy, repeats))
        return _Search(self, self.study(searcher, seed)).go(repeats)


@dataclass
class _Search:
    """A search under way.

    Args:
        task: What it is given.
        study: Its record.
    """

    task: Task
    study: Study
    _until: dict[int, float] = field(default_factory=dict)  # of each trial, with all that it goes on from
    _known: dict[Architecture, tuple[float, float]] = field(default_factory=dict)

    def go(self, repeats: list[int]) -> Run:
        """Return what it comes to when the evaluations or the time are up, or nothing is left to propose."""
        task, study = self.task, self.study
        most, end = (math.inf, task.seconds) if task.seconds is not None else (task.trials, math.inf)
        running: list[tuple[float, int, Candidate, Outcome]] = []
        asked, now, overhead = 0, 0.0, 0.0
        clock: list[float] = []
        values: list[float] = []
        judged: list[float] = []
        value = verdict = math.nan
        while len(values) < most:
            while len(running) < task.workers and asked < most and now < end:
                start = time.perf_counter()
                try:
                    trial = study.ask()
                except Exhausted:
                    if task.seconds is None:
                        asked = task.trials
                    break  # what runs may be gone on with when it has ended
                overhead += time.perf_counter() - start
                asked += 1
                candidate, outcome = self._measure(trial)
                heapq.heappush(
                    running, (now + self._seconds(trial, candidate, outcome), trial.number, candidate, outcome)
                )
            if not running:
                break
            now, number, candidate, outcome = heapq.heappop(running)
            if now > end * (1 + _ROUNDING):
                break
            start = time.perf_counter()
            curve = () if task.seconds is None else candidate.curve
            trial = study.tell(study.trials[number], outcome, curve=curve)
            overhead += time.perf_counter() - start
            self._check_curve(trial)
            best = study.history.best
            if best is not None and best.number == number:
                value, verdict = self._worth(best)
            clock.append(min(now, end))
            values.append(value)
            judged.append(verdict)
        return Run(
            study.seed,
            np.array(clock),
            np.array(values),
            None if task.judge is None else np.array(judged),
            repeats[0] if task.seconds is None else math.nan,
            overhead / max(1, len(values)),
        )

    def _measure(self, trial: Trial) -> tuple[Candidate, Outcome]:
        """Evaluate a trial at once; it may be stopped, as all that has ended by now says."""
        history, scheduler = self.study.history, self.study.scheduler
        stages = [trial]
        while (before := history.before(stages[0])) is not None:
            stages.insert(0, before)
        candidate = Candidate(
            self.task.space,
            trial.architecture,
            seed=trial.seed,
            fidelity=trial.fidelity,
            stages=[each.fidelity or {} for each in stages],
            stop=lambda curve: scheduler.stop(history, trial, tuple(curve)),
        )
        return candidate, _outcome(self.task.evaluator, candidate)

    def _seconds(self, trial: Trial, candidate: Candidate, outcome: Outcome) -> float:
        """Return how long an evaluation takes on the simulated clock: less what it goes on from took.

        Raises:
            EvaluationError: It says so with a number that is no time.
        """
        last = outcome if isinstance(outcome, Mapping) else {}
        if self.task.seconds is None:
            seconds = last.get("seconds", 1.0)
        else:
            before = self.study.history.before(trial)
            spent, share = (0.0, 0.0) if before is None else (self._until[before.number], before.share)
            if not last and candidate.curve:
                last = candidate.curve[-1]  # it was stopped there, or it failed after that
            whole = self.task.seconds / self.task.trials
            self._until[trial.number] = until = last.get("seconds", spent + whole * (trial.share - share))
            seconds = until - spent
            if before is None and seconds == 0:
                raise EvaluationError(
                    f"the evaluation of {trial.architecture!r} took no time, so a comparison by simulated time would "
                    f'not end: the metric "seconds" is above 0'
                )
        if not 0 <= seconds < math.inf:
            raise EvaluationError(f'the metric "seconds" is the time of an evaluation, 0 or more, not {seconds!r}')
        return float(seconds)

    def _worth(self, best: Trial) -> tuple[float, float]:
        """Return the value of the best so far and that by which it is judged, both after a full evaluation.

        Where it was given less, or was stopped, a full evaluation is looked up, which costs no time. NaN where that
        fails.
        """
        task, architecture = self.task, best.architecture
        if task.seconds is None:
            value = best.metrics[task.objective.metric]
        elif architecture in self._known:
            return self._known[architecture]
        else:
            full = _outcome(task.evaluator, Candidate(task.space, architecture, seed=best.seed))
            value = full.get(task.objective.metric, math.nan) if isinstance(full, Mapping) else math.nan
        judged = math.nan if task.judge is None or math.isnan(value) else task.judge(architecture)
        self._known[architecture] = value, judged
        return value, judged

    def _check_curve(self, trial: Trial) -> None:
        """Refuse an evaluator that does not report what the scheduler goes by."""
        scheduler, objective = self.study.scheduler, self.task.objective
        if scheduler.needs_curve and trial.state == "complete" and not scores(trial.curve, objective):
            raise SchedulerError(
                f"the scheduler {scheduler!r} needs intermediate reports, and {objective.metric!r} was "
                f"not reported; a table needs results after several numbers of epochs"
            )


def _outcome(evaluator: Evaluator, candidate: Candidate) -> Outcome:
    """Return the metrics, or the exception, which ends the trial; what a table lacks ends the run."""
    try:
        return evaluator.evaluate(candidate)
    except TableError:
        raise
    except Exception as error:  # the evaluator may be anybody's
        return error
