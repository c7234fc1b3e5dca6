"""A search on the simulated clock."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from archwright.bench._comparison import Run
from archwright.bench._executor import Simulated
from archwright.errors import EvaluationError, Exhausted, SchedulerError, TableError
from archwright.evaluate import Candidate, Evaluator, Stopped
from archwright.execute import Job, Report, Worker, drive
from archwright.schedulers import Full, Scheduler, narrowed, scores
from archwright.space import Architecture, Space
from archwright.strategies import Strategy
from archwright.study import Study
from archwright.trials import History, Objective, Trial

Test = Callable[[Architecture], float]
T = TypeVar("T")

_ROUNDING = 1e-9  # of the clock


@dataclass(frozen=True)
class Searcher:
    """What searches."""

    strategy: Strategy  # what proposes
    scheduler: Scheduler | None = None  # what says how much each trial gets; `None` where each is a full evaluation

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
    """What searches are given, and how they are compared."""

    space: Space  # where to search
    evaluator: Evaluator  # what measures a candidate
    objective: Objective  # what to optimise
    trials: int  # how many evaluations a search has; with `seconds`, how many full ones that is the time of
    workers: int = 1  # how many evaluations run at one time
    test: Test | None = None  # returns the test value of the incumbent
    seconds: float | None = None  # how much simulated time a search has; `None` where evaluations are counted

    def study(self, searcher: Searcher, seed: int) -> Study:
        """Return the study of a search."""
        return Study(
            self.space,
            strategy=searcher.strategy,
            scheduler=Full() if searcher.scheduler is None else searcher.scheduler,
            fidelity=narrowed(self.evaluator.fidelities, None),
            objective=self.objective,
            seed=seed,
        )

    def run(self, searcher: Searcher, seed: int) -> Run:
        """Return what a search comes to."""
        repeats = [0]
        if self.seconds is None:
            searcher = Searcher(_Counting(searcher.strategy, repeats))
        return _Search(self, self.study(searcher, seed)).go(repeats)


@dataclass
class _Search:
    """A search under way."""

    task: Task  # what it is given
    study: Study  # its record
    _until: dict[int, float] = field(default_factory=dict)  # of each trial, with all that it goes on from
    _known: dict[Architecture, tuple[float, float]] = field(default_factory=dict)
    _asked: int = 0
    _overhead: float = 0.0
    _end: float = math.inf
    _clock: Simulated = field(init=False)

    def go(self, repeats: list[int]) -> Run:
        """Return what it comes to when the evaluations or the time are up, or nothing is left to propose."""
        task, study = self.task, self.study
        most, self._end = (math.inf, task.seconds) if task.seconds is not None else (task.trials, math.inf)
        worker = Worker(task.space, task.evaluator, attempt=_attempt)
        self._clock = Simulated(worker, task.workers, self._seconds)
        clock: list[float] = []
        values: list[float] = []
        tested: list[float] = []
        value = verdict = math.nan
        for report, _ in drive(self._clock, self._next_job, self._listen):
            if self._clock.now > self._end * (1 + _ROUNDING):
                break
            start = time.perf_counter()
            told = report if task.seconds is not None else replace(report, curve=())
            trial = study.tell(study.trials[report.trial], told)
            self._overhead += time.perf_counter() - start
            self._check_curve(trial)
            best = study.history.best
            if best is not None and best.number == trial.number:
                value, verdict = self._worth(best)
            clock.append(min(self._clock.now, self._end))
            values.append(value)
            tested.append(verdict)
            if len(values) >= most:
                break
        return Run(
            study.seed,
            np.array(clock),
            np.array(values),
            None if task.test is None else np.array(tested),
            repeats[0] if task.seconds is None else math.nan,
            self._overhead / max(1, len(values)),
        )

    def _next_job(self) -> Job | None:
        """Return the job of the next trial; `None` where the evaluations or the time are up, or nothing is left now."""
        task, study = self.task, self.study
        if self._clock.now >= self._end or (task.seconds is None and self._asked >= task.trials):
            return None
        start = time.perf_counter()
        try:
            trial = study.ask()
        except Exhausted:
            if task.seconds is None:
                self._asked = task.trials
            return None  # what runs may be gone on with when it has ended
        self._overhead += time.perf_counter() - start
        self._asked += 1
        stages = [trial]
        while (before := study.history.before(stages[0])) is not None:
            stages.insert(0, before)
        return Job(
            trial.number,
            task.space.fingerprint,
            trial.architecture,
            trial.seed,
            fidelity=trial.fidelity,
            stages=tuple(each.fidelity or {} for each in stages),
        )

    def _listen(self, report: Report) -> Stopped | None:
        """Return why a trial is to end now, if it is: all that has ended by now says."""
        history = self.study.history
        return self.study.scheduler.stop(history, history.trials[report.trial], report.curve)

    def _seconds(self, job: Job, report: Report) -> float:
        """Return how long an evaluation takes on the simulated clock: less what it goes on from took."""
        last, trial = report.metrics if report.kind == "complete" else {}, self.study.trials[job.trial]
        if self.task.seconds is None:
            seconds = last.get("seconds", 1.0)
        else:
            before = self.study.history.before(trial)
            spent, share = (0.0, 0.0) if before is None else (self._until[before.number], before.share)
            if not last and report.curve:
                last = report.curve[-1]  # it was stopped there, or it failed after that
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
        """Return the value of the best so far and its test value, both after a full evaluation.

        Where it was given less, or was stopped, a full evaluation is looked up, which costs no time. NaN where that
        fails.
        """
        task, architecture = self.task, best.architecture
        if task.seconds is None:
            value = best.metrics[task.objective.metric]
        elif architecture in self._known:
            return self._known[architecture]
        else:
            candidate = Candidate(task.space, architecture, seed=best.seed)
            full = _attempt("a full evaluation", lambda: task.evaluator.evaluate(candidate))
            value = full.get(task.objective.metric, math.nan) if isinstance(full, Mapping) else math.nan
        tested = math.nan if task.test is None or math.isnan(value) else task.test(architecture)
        self._known[architecture] = value, tested
        return value, tested

    def _check_curve(self, trial: Trial) -> None:
        """Refuse an evaluator that does not report what the scheduler goes by."""
        scheduler, objective = self.study.scheduler, self.task.objective
        if scheduler.needs_curve and trial.state == "complete" and not scores(trial.curve, objective):
            raise SchedulerError(
                f"the scheduler {scheduler!r} needs intermediate reports, and {objective.metric!r} was "
                f"not reported; a table needs results after several numbers of epochs"
            )


def _attempt(doing: str, call: Callable[[], T], seed: int | None = None) -> T | BaseException:
    """Return what an evaluation gives or raises, which ends the trial; what a table lacks ends the run."""
    try:
        return call()
    except TableError:
        raise
    except Exception as error:  # the evaluator may be anybody's
        return error
