"""The loop of a search."""

from __future__ import annotations

import math
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from archwright._words import counted
from archwright.errors import CostError, Exhausted, SchedulerError, StoreError, StudyLocked
from archwright.evaluate import Candidate, Evaluator, Preparation, Stopped
from archwright.execute import Checkpoints, Executor, InProcess, Job, Report, Worker, conclude, drive, report_of
from archwright.schedulers import scores
from archwright.study._baseline import fit_baselines
from archwright.study._budget import Budget, search_time
from archwright.study._callback import Callback
from archwright.study._deadlines import Deadlines
from archwright.study._dispatcher import Dispatcher
from archwright.study._ensemble import Ensembler
from archwright.study._failures import Failures
from archwright.study._finals import Finals
from archwright.study._folder import TRIAL_LOGS
from archwright.study._guard import Guard, Overdue, say
from archwright.study._log import EventLog, Log
from archwright.study._propose import Planner, preparation_seed
from archwright.study._stop import StopRequests
from archwright.study._workers import Workers
from archwright.trials import History, Trial, last_line

if TYPE_CHECKING:
    from archwright.study._best import Artifacts
    from archwright.study._recorder import Recorder
    from archwright.study._study import Study

T = TypeVar("T")

_PREPARATION_SHARE = 0.6  # of what is left for the search, for an evaluator that gets ready first
_TRIED = 29  # networks that are tried out before the first trial, as long as none of them can be evaluated
_LEAST_SECONDS = 1.0  # of the training of a first network, however late it is
_LATE_SHARE = 0.5  # of a time budget, that a first network which begins late has for its first steps, however slow
_NOTE_EVERY = 2.0  # seconds between writings of a running trial's curve
_SLOW = 0.05  # seconds of a proposal, from which the next one is made while all workers are busy


@dataclass
class _Running:
    """A trial that runs."""

    trial: Trial
    checked: Collection[str]  # metrics whose constraints were checked before it began
    unchecked: str | None  # why not all of them could be
    noted: float  # when its curve was written last, in seconds of `time.monotonic()`


class SearchLoop:
    """One session of a search in this process."""

    def __init__(
        self,
        study: Study,
        planner: Planner,
        recorder: Recorder,
        checkpoints: Checkpoints,
        artifacts: Artifacts,
        evaluator: Evaluator,
        budget: Budget,
        finals: int,
        ensemble: int,
        callbacks: Iterable[Callback],
        workers: Workers,
    ) -> None:
        # Why the search ended, as in `Study.stopped_by`; it ends after the running trials once this is set.
        self.stopped_by: str | None = None
        self._study = study
        self._planner = planner
        self._recorder = recorder
        url = None if workers.cluster is None else workers.cluster.checkpoints
        self._checkpoints = checkpoints = checkpoints if url is None else Checkpoints(url)
        self._artifacts = artifacts
        self._evaluator = evaluator
        self._workers = workers
        self._guard = Guard(budget.time, self._give_up)
        self._attempt = self._guard.attempt
        self._dispatcher = Dispatcher(planner, recorder, checkpoints, evaluator, self._problem)
        self._worker = Worker(
            planner.space,
            evaluator,
            constraints=recorder.history.constraints,
            states=checkpoints,
            attempt=self._attempt_in_time,
        )
        self._budget = budget
        self._ensembler = Ensembler(ensemble, planner.space, recorder, artifacts, evaluator)
        self._top = finals if finals > 1 else 0  # networks that are kept beside the best, which one is anyway
        self._beside: Literal["front", "top"] = "front" if len(recorder.history.objectives) > 1 else "top"
        folder = recorder.folder
        self._logs = [] if folder is None else [Log(folder / "log.txt"), EventLog(folder / "log.jsonl")]
        self._callbacks: list[Callback] = [*self._logs, *callbacks]
        self.finals = Finals(
            finals if evaluator.retrains else 0,
            self._beside if self._beside == "front" or self._top else None,
            recorder,
            artifacts,
            evaluator,
            self._dispatcher,
            self._worker,
            self._guard,
            self._keep,
            self._notify,
            self._problem,
        )
        parts = self.finals.count + (self._ensembler.kept > 0) if self.finals.count else 0
        self.times = Deadlines(parts, math.inf if "epochs" in planner.space.parts else evaluator.most_final_epochs)
        self._failures = Failures(recorder.history)
        self._running: dict[int, _Running] = {}
        self._outside = recorder.under_way()  # trials that the caller runs beside the search
        self._ahead: Trial | None = None  # the next proposal, made while all workers were busy
        self._pace = 0.0  # seconds of the last proposal

    def go(self) -> None:
        """Search, then train the best again; an interrupt ends it cleanly."""
        recorder = self._recorder
        with self._guard, StopRequests(recorder.folder, recorder.holder, self._end):
            self._go()

    def _end(self, is_over: threading.Event) -> bool:
        """End the search as Ctrl-C does; in a thread of its own, after the trials that run."""
        if self._guard.is_in_main_thread:
            return self._guard.interrupt(is_over)
        self.stopped_by = "interrupt"
        return True

    def _go(self) -> None:
        clock = self._recorder.clock
        clock.start()
        left = self._budget.time - clock.elapsed
        if math.isfinite(left):
            final, ensemble = self.finals.count > 0, self._ensembler.kept > 0
            plan, complete = self._study.forecast, self._planner.trains_completely
            whole = search_time(self._budget, self._evaluator, complete=complete, final=final, ensemble=ensemble)
            share = 1 - (whole if plan is None else plan.seconds) / self._budget.time
            # Where a final training is part of what was spent, what is left is shared out.
            shared = left if self._recorder.finals else self._budget.time
            self.times.begin(left, share * max(0.0, shared), self._history, plan)
        self._guard.until(self._until_late())
        try:
            self._notify("on_start")
            self._try_out()
            for baseline in fit_baselines(self._recorder, self._evaluator, self._budget, self._attempt, self._problem):
                self._notify("on_baseline", baseline)
            self._prepare()
            self._guard.until(self._until_late())
            self._search()
            now = time.monotonic()
            self._guard.until(now + (self.times.end - now) / (2 if self.finals.count else 1))
            if self._ensembler.make(self._attempt, self._problem):
                self._notify("on_ensemble", self._study.ensemble)
            self.finals.train(self.times.end)
        except KeyboardInterrupt:
            self.stopped_by = "interrupt"
            self._recorder.recover(keep=self._outside)
        except BaseException:
            self._recorder.hand_back(keep=self._outside)
            raise
        finally:
            clock.stop()
            with suppress(StoreError, StudyLocked):  # whose disk is full, say: it is the time alone that is lost
                self._recorder.update(elapsed=clock.elapsed)
            self._notify("on_end")

    # ------------------------------------------------------------------ before the first trial

    def _try_out(self) -> None:
        """Learn whether any network can be evaluated at all, where nothing has been yet; the first that can will do.

        Not where trials are kept out of this process, which a network might end.
        """
        space, evaluator, rng = self._planner.space, self._evaluator, np.random.default_rng(0)
        for number in range(0 if self._history.complete or self._workers.are_processes else _TRIED):

            def look(seed: int = number) -> None:
                candidate = Candidate(
                    space, space.sample(rng), seed=seed, device=evaluator.device, example_input=evaluator.example_input
                )
                evaluator.try_out(candidate)

            failed = self._attempt("a look at the networks before the first trial", look, number)
            if not isinstance(failed, Exception):
                self._failures = Failures(self._history)
                return
            self._failures.expect(failed)

    def _prepare(self) -> None:
        """Let the evaluator get ready, and put on record what it learned."""
        if not self._evaluator.prepares:
            return
        recorder = self._recorder
        self._planner.check_feasible(self._history)
        deadline = None
        if math.isfinite(self.times.search_end):
            left = self.times.search_end - time.monotonic()
            spent = recorder.clock.elapsed
            deadline = time.monotonic() + max(0.0, _PREPARATION_SHARE * (spent + left) - spent)

        def report(step: int, metrics: Mapping[str, float]) -> None:
            if recorder.history.learned is None:
                recorder.learn(None)  # the time that was spent, for a process that goes on
            self._notify("on_prepare", step, metrics)

        seed = preparation_seed(self._planner.seed)
        preparation = Preparation(self._planner.space, seed, recorder.folder, deadline, report)
        learned = self._attempt("the evaluator's preparation", lambda: self._evaluator.prepare(preparation), seed)
        if isinstance(learned, Overdue):
            self._problem("the evaluator's preparation did not return when its time was over, and was ended")
            return
        if isinstance(learned, BaseException):
            raise learned
        if learned is not None:
            recorder.learn(learned)
            self._notify("on_prepared", learned)

    # ------------------------------------------------------------------ the search

    def _search(self) -> None:
        self._dispatcher.clear()  # of what a killed process had no time to remove
        with closing(self._executor()) as executor:
            for report, candidate in drive(
                executor, self._next_job, self._listen, lambda: self._look_ahead(executor.capacity)
            ):
                self._end_trial(self._running.pop(report.trial), report, candidate)
        finished = self._history.finished
        if self.stopped_by == "seconds" and not self._history.trials:
            elapsed = counted(f"{self._recorder.clock.elapsed:.3g}", "second")
            self._problem(f"the time budget ended before the first trial: {elapsed}. Give more time")
        if finished and self._history.best is None and self.stopped_by != "failures":
            told = finished[-1].cause or "no error is on record"
            self._problem(f"no trial of {len(finished)} is complete; last error: {told}")

    def _executor(self) -> Executor:
        """Return what runs the trials: this process, or processes of their own, here or on a cluster."""
        if not self._workers.are_processes:
            return InProcess(self._worker)
        place = self._checkpoints.share() if self._planner.checkpoints else None
        logs = None if self._recorder.folder is None else self._recorder.folder / TRIAL_LOGS
        return self._workers.start(
            self._worker,
            self._history.constraints,
            place,
            self._budget,
            logs=logs,
            until=lambda: self.times.search_end,
        )

    def _next_job(self) -> Job | None:
        """Return the job of the next trial; `None` if there is none now, or when the search ends."""
        while self.stopped_by is None:
            self.stopped_by = self._reason_to_stop()
            if self.stopped_by or self._is_spoken_for():
                return None
            trial = self._next_trial()
            if trial is None:
                return None
            trial = self._recorder.begin(trial)
            self._notify("on_trial_start", trial)
            job = self._job(trial)
            if job is not None:
                return job
        return None

    def _is_spoken_for(self) -> bool:
        """Tell whether the trials that run will use up the budget; one that dies is started again."""
        running = [each.trial for each in self._running.values()]
        return bool(running) and self._budget.used_up(self._history, running) is not None

    def _look_ahead(self, workers: int) -> None:
        """Make the next proposal while all of several workers are busy, if that takes long."""
        is_wanted = self._ahead is None and self._pace > _SLOW and len(self._running) == workers > 1
        if is_wanted and not (self.stopped_by or self._reason_to_stop() or self._is_spoken_for()):
            proposed = self._propose()
            self._ahead = proposed if isinstance(proposed, Trial) else None  # anything else will be met again

    def _propose(self) -> Trial | BaseException:
        """Return the next trial, or what the strategy raises."""
        start = time.monotonic()
        propose = partial(self._recorder.next, self._planner)
        proposed = self._attempt(f"the strategy {self._planner.strategy!r}", propose)
        self._pace = time.monotonic() - start
        return proposed

    def _next_trial(self) -> Trial | None:
        """Return the next trial, which is not on record yet; `None` if there is none now, or when the search ends."""
        strategy = self._planner.strategy
        ahead, self._ahead = self._ahead, None
        trial = self._propose() if ahead is None or self._recorder.interrupted else ahead
        if isinstance(trial, Exhausted):
            self.stopped_by = None if self._running else "exhausted"  # what runs may be gone on with
            return None
        if isinstance(trial, Overdue):
            self._problem(f"the strategy {strategy!r} did not return when the time was over, and was ended")
            self.stopped_by = "seconds"
            return None
        if isinstance(trial, BaseException):
            raise trial
        if self._left() < self._least_seconds(trial):  # even the fastest so far could not have finished it
            self.stopped_by = "seconds"
            return None
        return trial

    def _job(self, trial: Trial) -> Job | None:
        """Return the job of a trial; `None` where its outcome is known without one, and is put on record."""
        prechecks, same = self._planner.prechecks, self._same(trial)
        unchecked, checked = prechecks.failure(trial.architecture), prechecks.checked(trial.architecture)
        running = _Running(trial, checked, unchecked, noted=time.monotonic())
        left = min(self._left(), self._workers.trial_seconds or math.inf)
        try:
            job = self._dispatcher.job(trial, left if math.isfinite(left) else None)
            if unchecked is not None:
                raise CostError(f"the constraints cannot be checked: {unchecked}")
        except (CostError, SchedulerError) as error:  # of this one; of another there may be a smaller form
            self._end_trial(running, report_of(trial.number, error, curve=(), seconds=0.0), None)
            return None
        if same is not None:
            report = report_of(trial.number, same.metrics, curve=same.curve, seconds=0.0)
            self._end_trial(running, report, self._worker.candidate(job))
            return None
        self._running[trial.number] = running
        return job

    def _reason_to_stop(self) -> str | None:
        return self._budget.used_up(self._history) or ("seconds" if self._left() <= 0 else None)

    def _left(self) -> float:
        """Return the seconds that are left for the search; a first network that learns from data has some at least."""
        left = self.times.search_end - time.monotonic()
        return left if self._evaluator.task is None or self._history.finished else max(_LEAST_SECONDS, left)

    def _until_late(self) -> float:
        """Return when code is to have returned: by the end of the search, but a first network may begin late."""
        if self._history.finished:
            return self.times.search_end
        return max(self.times.search_end, time.monotonic() + _LATE_SHARE * self._budget.time)

    def _least_seconds(self, trial: Trial) -> float:
        """Return how long a trial takes at least, by those before it; one that goes on has the pace of its network."""
        before = self._history.before(trial)
        if before is None:
            return self._history.fastest(trial.share)
        start = self._history.before(before)
        pace = before.seconds / (before.share - (0.0 if start is None else start.share))
        return pace * (trial.share - before.share)

    def _listen(self, report: Report) -> Stopped | None:
        """Take in what a trial reports on the way; return why it is to end now, if it is."""
        if report.kind == "problem":
            self._problem(report.error, report.cause)
            return None
        if report.kind == "saved":
            self._dispatcher.saved(report.trial, report.cause)
            return None
        running = self._running[report.trial]
        trial = running.trial
        if time.monotonic() - running.noted > _NOTE_EVERY:
            running.noted = time.monotonic()
            with suppress(StoreError):  # the curve is put on record with the trial, or ends the search then
                self._recorder.note(replace(trial, curve=report.curve))
        self._notify("on_report", trial, report.curve[-1]["step"], report.metrics)
        return self._planner.scheduler.stop(self._history, trial, report.curve)

    def _end_trial(self, running: _Running, report: Report, candidate: Candidate | None) -> None:
        """Put on record what has become of a trial, and keep its network where it is one of the best."""
        history, trial = self._history, running.trial
        if report.kind == "died":
            if trial.attempts <= self._workers.retries:
                self._problem(f"{report.error}: trial {trial.number} is started again")
                self._recorder.again(trial.number)
                return
            report = replace(report, error=f"{report.error} (attempt {trial.attempts})")
        ended = conclude(trial, report, history, checked=running.checked, unchecked=running.unchecked)
        # Before it is on record: a process that dies in between runs it again, and none is missing.
        if candidate is not None and history.beaten_by(ended):
            self._keep(trial, candidate, ended.metrics, "search")
        if candidate is not None and self._is_beside(ended):
            self._keep(trial, candidate, ended.metrics, "search", place=self._beside)
        if candidate is not None and self._ensembler.keeps(ended, candidate):
            self._keep(trial, candidate, ended.metrics, "search", place="pool")
        self._recorder.end(ended)
        if ended.state == "complete" and self.times.note(history, ended):
            self._guard.until(self._until_late())
        self._failures.note(ended, report.cause)
        self._clear_beside()
        ahead = None if self._ahead is None else self._ahead.origin
        self._dispatcher.clear(trial.number, keep=[] if ahead is None else [ahead])
        scheduler = self._planner.scheduler
        if scheduler.needs_curve and ended.state == "complete" and not scores(ended.curve, history.objective):
            raise SchedulerError(
                f"the scheduler {scheduler!r} needs intermediate reports, and trial {trial.number} "
                f"ended without a report of {history.objective.metric!r}: call candidate.report(step, "
                f"{history.objective.metric}=...) in the evaluator, or use the scheduler 'full'"
            )
        self._notify("on_trial_end", ended)
        if self._failures.reason is not None:
            self._problem(self._failures.reason)
            self.stopped_by = "failures"

    def _is_beside(self, ended: Trial) -> bool:
        """Tell whether the network of a trial that has ended is kept beside the best: on the front, or in the top."""
        history = self._history
        if self._beside == "front" and history.joins_front(ended):
            return True
        return ended.state == "complete" and ended in history.top(self._top, also=ended)

    def _clear_beside(self) -> None:
        history = self._history
        front = history.front if self._beside == "front" else []
        if front or self._top:
            self._artifacts.clear(self._beside, {trial.number for trial in [*front, *history.top(self._top)]})
        self._ensembler.clear()

    def _same(self, trial: Trial) -> Trial | None:
        """Return a trial that has measured the same before, as may come in an infinite space."""
        if trial.origin is not None or self._planner.space.bound < math.inf:
            return None
        return self._history.measured(trial.architecture, trial.share)

    # ------------------------------------------------------------------ inside

    @property
    def _history(self) -> History:
        return self._recorder.history

    def _attempt_in_time(self, doing: str, call: Callable[[], T], seed: int | None = None) -> T | BaseException:
        """Return what an evaluation gives or raises; one that does not return in time is stopped."""
        outcome = self._attempt(doing, call, seed)
        if isinstance(outcome, Overdue):
            return Stopped("it did not return when the time was over, and was ended")
        return outcome

    def _give_up(self, message: str) -> bool:
        """Put on record, in another thread, that what runs never returns; tell whether the process is to be ended."""
        folder = self._recorder.folder
        end = "so the process is ended" if folder else "and the study is in memory alone: end the process by hand"
        told = f"{message}, {end}"
        say(told)
        if folder is None:
            return False
        try:
            for running in self._running.values():
                self._recorder.end(replace(running.trial, state="failed", error=message))
            for log in self._logs:
                log.on_problem(self._study, f"{told}; `archwright resume {folder}` goes on")
        except Exception as error:  # nobody is left to be told
            say(f"its end could not be put on record: {error!r}")
        return True

    def _keep(
        self,
        trial: Trial,
        candidate: Candidate,
        metrics: Mapping[str, float],
        stage: Literal["search", "final"],
        *,
        place: Literal["front", "top", "pool"] | None = None,
    ) -> bool:
        """Keep a network, and tell whether that was possible."""
        try:
            without = self._artifacts.keep(candidate, metrics, stage, trial.number, beside=place)
        except Exception:
            then = "its metrics are on record" if stage == "search" else "`resume` trains it again"
            self._problem(f"the network of trial {trial.number} could not be kept; {then}", traceback.format_exc())
            return False
        if without is not None:
            self._problem(f"the network of trial {trial.number} is kept without source: {without}")
        return True

    def _notify(self, event: str, *details: object) -> None:
        """Call a method of each callback; an optional one that fails is left out from then on."""
        for callback in list(self._callbacks):
            try:
                getattr(callback, event)(self._study, *details)
            except Exception as error:
                if not callback.optional or isinstance(error, Stopped):
                    raise
                self._callbacks = [each for each in self._callbacks if each is not callback]
                failed = f"the callback {type(callback).__name__} failed in {event} and is called no more"
                self._problem(failed, traceback.format_exc())

    def _problem(self, message: str, details: str = "") -> None:
        self._notify("on_problem", f"{message}\n{details}".rstrip())
        told = f"{message}: {last_line(details)}" if details else message
        # By `warn`, Python would show it once in a process, so that a second search would be silent.
        warnings.warn_explicit(told, UserWarning, "archwright", 0)
