"""The loop of a search, and the final training."""

from __future__ import annotations

import math
import time
import traceback
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from archwright._words import counted
from archwright.errors import CostError, Exhausted, SchedulerError, StoreError, StudyError, StudyLocked
from archwright.evaluate import Candidate, Evaluator, Preparation, Stopped, check_metrics
from archwright.execute import Checkpoints, InProcess, Job, Report, Worker, conclude, drive, report_of
from archwright.schedulers import scores
from archwright.study._baseline import fit_baselines
from archwright.study._budget import Budget, search_time
from archwright.study._callback import Callback, Log
from archwright.study._dispatcher import Dispatcher
from archwright.study._ensemble import Ensembler
from archwright.study._failures import Failures
from archwright.study._guard import Guard, Overdue, say
from archwright.study._propose import Planner, preparation_seed
from archwright.trials import History, Trial, last_line, metrics_to_json

if TYPE_CHECKING:
    import torch

    from archwright.study._best import Artifacts
    from archwright.study._recorder import Recorder
    from archwright.study._study import Study

T = TypeVar("T")

_PREPARATION_SHARE = 0.6  # of what is left for the search, for an evaluator that gets ready first
_TRIED = 29  # networks that are tried out before the first trial, as long as none of them can be evaluated
_LEAST_SECONDS = 1.0  # of the training of a first network, however late it is
_LATE_SHARE = 0.5  # of a time budget, that a first network which begins late has for its first steps, however slow
_NOTE_EVERY = 2.0  # seconds between writings of a running trial's curve


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
    ) -> None:
        # Why the search ended, as in `Study.stopped_by`; it ends after the present trial once this is set.
        self.stopped_by: str | None = None
        self._study = study
        self._planner = planner
        self._recorder = recorder
        self._artifacts = artifacts
        self._evaluator = evaluator
        self._dispatcher = Dispatcher(planner, recorder, checkpoints, evaluator, self._problem)
        self._worker = Worker(
            planner.space,
            evaluator,
            constraints=recorder.history.constraints,
            states=self._dispatcher,
            attempt=self._attempt_in_time,
        )
        self._budget = budget
        self._finals = finals if evaluator.retrains else 0
        self._ensembler = Ensembler(ensemble, planner.space, recorder, artifacts, evaluator)
        self._top = finals if finals > 1 else 0  # networks that are kept beside the best, which one is anyway
        self._beside: Literal["front", "top"] = "front" if len(recorder.history.objectives) > 1 else "top"
        log = [] if recorder.folder is None else [Log(recorder.folder / "log.txt")]
        self._callbacks = [*log, *callbacks]
        self._end = self._search_end = math.inf  # on the clock of time.monotonic()
        self._guard = Guard(budget.time, self._give_up)
        self._failures = Failures(recorder.history)
        self._running: dict[int, _Running] = {}

    def go(self) -> None:
        """Search, then train the best again; an interrupt ends it cleanly."""
        with self._guard:
            self._go()

    def _go(self) -> None:
        clock = self._recorder.clock
        outside = self._recorder.under_way()
        clock.start()
        self._end = time.monotonic() + self._budget.time - clock.elapsed
        if math.isfinite(self._end):
            final, ensemble = bool(self._finals), self._ensembler.kept > 0
            plan, complete = self._study.forecast, self._planner.trains_completely
            whole = search_time(self._budget, self._evaluator, complete=complete, final=final, ensemble=ensemble)
            share = 1 - (whole if plan is None else plan.seconds) / self._budget.time
            # Where a final training is part of what was spent, what is left is shared out.
            shared = self._end - time.monotonic() if self._recorder.finals else self._budget.time
            self._search_end = self._end - share * max(0.0, shared)
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
            self._guard.until(now + (self._end - now) / (2 if self._finals else 1))
            if self._ensembler.make(self._attempt, self._problem):
                self._notify("on_ensemble", self._study.ensemble)
            self._train_finals()
        except KeyboardInterrupt:
            self.stopped_by = "interrupt"
            self._recorder.recover(keep=outside)
        except BaseException:
            self._recorder.hand_back(keep=outside)
            raise
        finally:
            clock.stop()
            with suppress(StoreError, StudyLocked):  # whose disk is full, say: it is the time alone that is lost
                self._recorder.update(elapsed=clock.elapsed)
            self._notify("on_end")

    # ------------------------------------------------------------------ before the first trial

    def _try_out(self) -> None:
        """Learn whether any network can be evaluated at all, where nothing has been yet; the first that can will do."""
        space, evaluator, rng = self._planner.space, self._evaluator, np.random.default_rng(0)
        for number in range(0 if self._history.complete else _TRIED):

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
        if math.isfinite(self._search_end):
            left = self._search_end - time.monotonic()
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
        for report, candidate in drive(InProcess(self._worker), self._next_job, self._listen):
            self._end_trial(self._running.pop(report.trial), report, candidate)
        finished = self._history.finished
        if self.stopped_by == "seconds" and not self._history.trials:
            elapsed = counted(f"{self._recorder.clock.elapsed:.3g}", "second")
            self._problem(f"the time budget ended before the first trial: {elapsed}. Give more time")
        if finished and self._history.best is None and self.stopped_by != "failures":
            told = finished[-1].cause or "no error is on record"
            self._problem(f"no trial of {len(finished)} is complete; last error: {told}")

    def _next_job(self) -> Job | None:
        """Return the job of the next trial; `None` when the search ends, for a reason that is then on record."""
        while self.stopped_by is None:
            self.stopped_by = self._reason_to_stop()
            trial = None if self.stopped_by else self._next_trial()
            if trial is not None:
                trial = self._recorder.begin(trial)
                self._notify("on_trial_start", trial)
                job = self._job(trial)
                if job is not None:
                    return job
        return None

    def _next_trial(self) -> Trial | None:
        """Return the next trial, which is not on record yet; `None` when the search ends."""
        strategy = self._planner.strategy
        trial = self._attempt(f"the strategy {strategy!r}", partial(self._recorder.next, self._planner))
        if isinstance(trial, Exhausted):
            self.stopped_by = "exhausted"
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
        left = self._left()
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
        left = self._search_end - time.monotonic()
        return left if self._evaluator.task is None or self._history.finished else max(_LEAST_SECONDS, left)

    def _until_late(self) -> float:
        """Return when code is to have returned: by the end of the search, but a first network may begin late."""
        if self._history.finished:
            return self._search_end
        return max(self._search_end, time.monotonic() + _LATE_SHARE * self._budget.time)

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
            self._problem(report.error)
            return None
        running = self._running[report.trial]
        trial = running.trial
        if time.monotonic() - running.noted > _NOTE_EVERY:
            running.noted = time.monotonic()
            with suppress(StoreError):  # the curve is put on record with the trial, or ends the search then
                self._recorder.note(replace(trial, curve=report.curve))
        self._notify_report(trial, report)
        return self._planner.scheduler.stop(self._history, trial, report.curve)

    def _notify_report(self, trial: Trial, report: Report) -> None:
        self._notify("on_report", trial, report.curve[-1]["step"], report.metrics)

    def _end_trial(self, running: _Running, report: Report, candidate: Candidate | None) -> None:
        """Put on record what has become of a trial, and keep its network where it is one of the best."""
        history, trial = self._history, running.trial
        ended = conclude(trial, report, history, checked=running.checked, unchecked=running.unchecked)
        # Before it is on record: a process that dies in between runs it again, and none is missing.
        if candidate is not None and history.beaten_by(ended):
            self._keep(trial, candidate, ended.metrics, "search")
        if candidate is not None and self._is_beside(ended):
            self._keep(trial, candidate, ended.metrics, "search", place=self._beside)
        if candidate is not None and self._ensembler.keeps(ended, candidate):
            self._keep(trial, candidate, ended.metrics, "search", place="pool")
        self._recorder.end(ended)
        self._failures.note(ended, report.cause)
        self._clear_beside()
        self._dispatcher.clear()
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

    # ------------------------------------------------------------------ the final training

    def _train_finals(self) -> None:
        done = self._recorder.finals
        chosen = self._history.top(self._finals)
        for position, trial in enumerate(chosen):
            if trial.number in done and self._artifacts.holds(trial, is_best=position == 0):
                continue
            left = self._end - time.monotonic()
            if left <= 0:
                self._problem(f"no time is left for the final training of trial {trial.number}")
                return
            deadline = time.monotonic() + left / (len(chosen) - position)
            self._train_final(trial, deadline, is_best=position == 0)

    def _train_final(self, trial: Trial, deadline: float, *, is_best: bool) -> None:
        self._notify("on_final_start", trial)
        left = deadline - time.monotonic()
        job = self._dispatcher.final_job(trial, left if math.isfinite(left) else None)
        candidate = self._worker.candidate(job, lambda report: self._notify_report(trial, report))
        problems: list[str] = []
        candidate.searched, candidate.problem = partial(self._searched, trial), problems.append
        start = time.monotonic()
        is_new = True

        def train() -> dict[str, float] | None:
            nonlocal is_new
            tested = self._tested_as_it_is(trial, candidate, deadline - start)
            is_new = tested is None
            retrained = self._evaluator.retrain(candidate) if tested is None else tested
            return None if retrained is None else check_metrics(retrained)

        self._guard.until(deadline)
        metrics = self._attempt(f"the final training of trial {trial.number}", train, trial.seed)
        for problem in problems:
            self._problem(problem)
        if metrics is None:
            return
        if isinstance(metrics, BaseException):
            late = isinstance(metrics, Overdue)
            failed = "did not return when its time was over, and was ended" if late else "failed"
            self._problem(
                f"the final training of trial {trial.number} {failed}; `resume` tries it again",
                "" if late else "".join(traceback.format_exception(metrics)),
            )
            return
        beside = self._beside == "front" or self._top > 0
        if is_new and not all(
            self._keep(trial, candidate, metrics, "final", place=place)
            for place in ([self._beside] if beside else []) + ([None] if is_best else [])
        ):
            return  # figures of a network that is lost are of no use
        result = {
            "metrics": metrics_to_json(metrics),
            "seconds": time.monotonic() - start,
            "elapsed": self._recorder.clock.elapsed,
        }
        results = {**self._recorder.document["results"], str(trial.number): result}
        self._recorder.update(results=results)
        self._notify("on_final_end", trial, metrics)

    def _tested_as_it_is(self, trial: Trial, candidate: Candidate, left: float) -> Mapping[str, float] | None:
        """Return the metrics of the network of the search, where that was trained for longer than there is time now."""
        part: Trial | None = trial
        trained = 0.0
        while part is not None:
            trained, part = trained + part.seconds, self._history.before(part)
        if "splits" in (trial.fidelity or {}):
            trained /= max(1, len(trial.curve))  # the network is that of the first one
        if left >= trained:
            return None
        model = self._searched(trial)
        tested = None if model is None else self._evaluator.held_out(candidate, model)
        if tested is None:
            return None  # some training is better than none
        self._problem(
            f"{left:.3g} seconds are left for a final training of trial {trial.number}, which the search trained for "
            f"{trained:.3g}: its network is kept as it is and tested. A longer budget would train it again"
        )
        return tested

    def _searched(self, trial: Trial) -> torch.nn.Module | None:
        """Return the network that the search has trained in a trial, or `None` if it is not kept."""
        try:
            return self._artifacts.load(self._planner.space, trial.architecture, trial.fidelity, trial.number)[0]
        except StudyError:
            return None

    # ------------------------------------------------------------------ inside

    @property
    def _history(self) -> History:
        return self._recorder.history

    def _attempt(self, doing: str, call: Callable[[], T], seed: int | None = None) -> T | BaseException:
        """Return what code of others gives or raises; what the handler of a signal raises in it is raised."""
        try:
            with self._guard.inside(doing, seed):
                return call()
        except BaseException as error:
            if self._guard.is_left:
                raise
            return error

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
            self._callbacks[0].on_problem(self._study, f"{told}; `archwright resume {folder}` goes on")
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
        """Call a method of each callback."""
        for callback in self._callbacks:
            getattr(callback, event)(self._study, *details)

    def _problem(self, message: str, details: str = "") -> None:
        self._notify("on_problem", f"{message}\n{details}".rstrip())
        told = f"{message}: {last_line(details)}" if details else message
        warnings.warn(told, stacklevel=2)
