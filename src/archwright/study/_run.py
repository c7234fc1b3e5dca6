"""The loop of a search, and the final training."""

from __future__ import annotations

import math
import sys
import time
import traceback
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from archwright._scalars import scalar
from archwright.errors import BudgetError, Exhausted, SchedulerError, SpaceError, StudyError
from archwright.evaluate import Candidate, Evaluator, Preparation, check_metrics
from archwright.schedulers import Ladder, Scheduler, scores
from archwright.study._budget import Budget
from archwright.study._callback import Callback, Log
from archwright.study._outcome import Outcome, broken_by, judge
from archwright.study._propose import Planner, preparation_seed
from archwright.study._relay import Relay
from archwright.study._shrink import matches, shrunk
from archwright.trials import Trial, metrics_to_json

if TYPE_CHECKING:
    from archwright.space import Architecture, Space
    from archwright.study._best import Shelf
    from archwright.study._ledger import Ledger
    from archwright.study._study import Study

__all__ = ["Run", "check_run", "check_scheduler", "search_time"]

_ROUNDING = 1e-9  # of what trials have spent
_FINAL_SHARE = 0.3  # of a time budget, kept for the final training
_LONG_FINAL_SHARE = 0.6  # the same where trials are given little, so that nothing of it has been trained for long
_PREPARATION_SHARE = 0.6  # of what is left for the search, for an evaluator that gets ready first
_NOTE_EVERY = 2.0  # seconds between writings of a running trial's curve


def check_run(space: Space, evaluator: Evaluator, budget: object, final: object) -> None:
    """Refuse, before anything is written, a search that cannot work.

    Raises:
        BudgetError: No budget is given.
        StudyError: `final` is out of range.
        SpaceError: The space has parts that the evaluator does not understand.
        ShapeError: The space's networks do not fit the evaluator's data.
    """
    if not isinstance(budget, Budget):
        raise BudgetError(
            f"a search needs a budget, such as budget=Budget(trials=100) or budget=Budget(minutes=10); "
            f"{budget!r} was given"
        )
    final = scalar(final)
    if not isinstance(final, int) or final < 0:
        raise StudyError(f"final is True, False, or how many networks to train, not {final!r}")
    if evaluator.settings is not None:
        unknown = sorted(set(space.parts) - {"model"} - evaluator.settings)
        if unknown:
            known = ", ".join(sorted(evaluator.settings)) or "none"
            raise SpaceError(
                f"the space has parts that {type(evaluator).__name__} does not understand: "
                f"{', '.join(unknown)}. Besides the model it understands: {known}"
            )
    if evaluator.example_input is not None and "model" in space.parts:
        space.check(evaluator.example_input)


def search_time(budget: Budget, evaluator: Evaluator, scheduler: Scheduler, *, final: bool) -> float:
    """Return how many seconds of a budget are for the search: all but the share that the final training gets."""
    if not final or not evaluator.retrains:
        return budget.time
    return budget.time * (1 - (_LONG_FINAL_SHARE if scheduler.partial else _FINAL_SHARE))


def check_scheduler(space: Space, scheduler: Scheduler, ladder: Ladder, evaluator: Evaluator, budget: Budget) -> None:
    """Refuse a scheduler that cannot do its work with the evaluator or the budget.

    Raises:
        SchedulerError: The evaluator does not understand what trials are to be given less of, its networks do not run
            in a lower resolution, or the budget is too small for one round.
    """
    if not scheduler.partial:
        return
    for name in ladder.rungs[0]:
        if evaluator.fidelities and name not in evaluator.fidelities and not matches(space, name):
            raise SchedulerError(
                f"{type(evaluator).__name__} cannot be given less of {name!r}: it understands "
                f"{', '.join(evaluator.fidelities)}"
            )
    evaluator.check_fidelities(space, ladder.rungs)
    needed = scheduler.bracket(ladder)
    seconds = needed * ladder.rungs[-1].get("seconds", 0.0)
    if seconds > budget.time:
        raise SchedulerError(
            f"the first round of {scheduler!r} over {ladder} takes {seconds:.3g} seconds, and the budget is {budget}: "
            "give more time, fewer or lower rungs, or the scheduler 'asha', which has no rounds"
        )
    if budget.trials is not None and budget.trials < needed - _ROUNDING:
        raise SchedulerError(
            f"the first round of {scheduler!r} over {ladder} costs as much as {needed:.3g} full evaluations, and the "
            f"budget is {budget.trials}: give at least {math.ceil(needed)} trials, fewer rungs, or the scheduler "
            "'asha', which has no rounds"
        )


class Run:
    """One session of a search in this process.

    Args:
        study: What is told.
        planner: What says what comes next.
        ledger: The study's record.
        shelf: Where the best network is kept.
        evaluator: What measures.
        budget: What may be spent, counting what was spent before.
        finals: How many of the best are trained again in the end.
        callbacks: Are told what happens.
    """

    def __init__(
        self,
        study: Study,
        planner: Planner,
        ledger: Ledger,
        shelf: Shelf,
        evaluator: Evaluator,
        budget: Budget,
        finals: int,
        callbacks: Iterable[Callback],
    ) -> None:
        self._study = study
        self._planner = planner
        self._ledger = ledger
        self._shelf = shelf
        self._evaluator = evaluator
        self._relay = Relay(planner, ledger, study._checkpoints, evaluator.example_input, self._problem)
        self._budget = budget
        self._finals = finals if evaluator.retrains else 0
        log = [] if ledger.folder is None else [Log(ledger.folder / "log.txt")]
        self._callbacks = [*log, *callbacks]
        self._end = self._search_end = math.inf  # on the clock of time.monotonic()

    def go(self) -> None:
        """Search, then train the best again; an interrupt ends it cleanly."""
        study, clock = self._study, self._ledger.clock
        outside = self._ledger.under_way()
        clock.start()
        self._end = time.monotonic() + self._budget.time - clock.elapsed
        if math.isfinite(self._end):
            scheduler, final = self._planner.scheduler, bool(self._finals)
            whole = search_time(self._budget, self._evaluator, scheduler, final=final)
            self._search_end = self._end - (self._budget.time - whole)
        study.stopped_by = None
        try:
            for callback in self._callbacks:
                callback.on_start(study)
            self._prepare()
            self._search()
            self._train_finals()
        except KeyboardInterrupt:
            study.stopped_by = "interrupt"
            self._ledger.recover(keep=outside)
        except BaseException:
            self._ledger.hand_back(keep=outside)
            raise
        finally:
            clock.stop()
            for callback in self._callbacks:
                callback.on_end(study)

    # ------------------------------------------------------------------ before the first trial

    def _prepare(self) -> None:
        """Let the evaluator get ready, and put on record what it learned."""
        if not self._evaluator.prepares:
            return
        study, ledger = self._study, self._ledger
        deadline = None
        if math.isfinite(self._search_end):
            left = self._search_end - time.monotonic()
            spent = ledger.clock.elapsed
            deadline = time.monotonic() + max(0.0, _PREPARATION_SHARE * (spent + left) - spent)

        def report(step: int, metrics: Mapping[str, float]) -> None:
            if ledger.history.learned is None:
                ledger.learn(None)  # the time that was spent, for a process that goes on
            for callback in self._callbacks:
                callback.on_prepare(study, step, metrics)

        learned = self._evaluator.prepare(
            Preparation(study.space, preparation_seed(study.seed), ledger.folder, deadline, report)
        )
        if learned is not None:
            ledger.learn(learned)
            for callback in self._callbacks:
                callback.on_prepared(study, learned)

    # ------------------------------------------------------------------ the search

    def _search(self) -> None:
        study = self._study
        self._relay.clear()  # of what a killed process had no time to remove
        while study.stopped_by is None:
            study.stopped_by = self._reason_to_stop()
            if study.stopped_by is None:
                try:
                    trial = study._next()
                except Exhausted:
                    study.stopped_by = "exhausted"
                else:
                    # A trial that even the fastest so far could not have finished is not worth its beginning.
                    if self._search_end - time.monotonic() < self._least_seconds(trial):
                        study.stopped_by = "seconds"
                    else:
                        self._evaluate(study._begin(trial))
        finished = study.history.finished
        if finished and study.history.best is None:
            last = (finished[-1].error or "").strip().splitlines() or ["no error is on record"]
            self._problem(f"no trial of {len(finished)} gave a result; the last one: {last[-1]}")

    def _reason_to_stop(self) -> str | None:
        budget, history = self._budget, self._study.history
        best = history.best
        if (
            budget.target is not None
            and best is not None
            and best.state == "complete"
            and history.objective.reached(best.metrics, budget.target)
        ):
            return "target"
        if budget.trials is not None and history.spent + _ROUNDING >= budget.trials:
            return "trials"
        return "seconds" if self._search_end <= time.monotonic() else None

    def _least_seconds(self, trial: Trial) -> float:
        """Return how long a trial takes at least, as far as that can be told from those before it."""
        history = self._study.history
        before = history.before(trial)
        if before is None:
            return min((each.seconds for each in history.complete if each.share == trial.share), default=0.0)
        start = history.before(before)
        # It goes on with the same network, so its pace is known.
        pace = before.seconds / (before.share - (0.0 if start is None else start.share))
        return pace * (trial.share - before.share)

    def _evaluate(self, trial: Trial) -> None:
        for callback in self._callbacks:
            callback.on_trial_start(self._study, trial)
        ended = self._measure(trial)
        if ended.state == "failed":
            _empty_cache()
        for callback in self._callbacks:
            callback.on_trial_end(self._study, ended)

    def _measure(self, trial: Trial) -> Trial:
        history, space = self._study.history, self._study.space
        refused, architecture, same = None, trial.architecture, self._same(trial)
        try:
            architecture = shrunk(space, architecture, trial.fidelity)
        except SchedulerError as error:  # of this one; of another there may be a smaller form
            refused = error
        candidate = self._candidate(trial, architecture, self._search_end)
        start = time.monotonic()
        outcome = same.metrics if same else refused or self._outcome(trial, candidate)
        curve = same.curve if same else candidate.curve
        seconds = time.monotonic() - start
        judged = self._planner.bounds.judged
        ended = judge(trial, outcome, history, curve=curve, seconds=seconds, judged=judged)
        # Before it is on record: a process that dies in between runs it again, and none is missing.
        if history.beaten_by(ended):
            self._keep(trial, candidate, ended.metrics, "search")
        several = len(history.objectives) > 1
        if several and history.joins_front(ended):
            self._keep(trial, candidate, ended.metrics, "search", on_front=True)
        self._ledger.end(ended)
        if several:
            self._shelf.clear(history.front)
        self._relay.clear()
        scheduler = self._planner.scheduler
        if scheduler.needs_curve and ended.state == "complete" and not scores(ended.curve, history.objective):
            raise SchedulerError(
                f"the scheduler {scheduler!r} goes by what evaluations report on the way, and trial {trial.number} "
                f"ended without a report of {history.objective.metric!r}: call candidate.report(step, "
                f"{history.objective.metric}=...) in the evaluator, or take the scheduler 'full'"
            )
        return ended

    def _same(self, trial: Trial) -> Trial | None:
        """Return a trial that has measured the same before, as may come in an infinite space."""
        if trial.origin is not None or self._study.space.bound < math.inf:
            return None
        return self._study.history.measured(trial.architecture, trial.share)

    def _outcome(self, trial: Trial, candidate: Candidate) -> Outcome:
        try:
            self._relay.inherit(trial, candidate)
            return check_metrics(self._evaluator.evaluate(candidate))
        except Exception as error:  # whatever a candidate does, the search goes on
            return error

    def _candidate(self, trial: Trial, architecture: Architecture, deadline: float) -> Candidate:
        noted = time.monotonic()

        def listen(step: float, metrics: Mapping[str, float]) -> None:
            nonlocal noted
            if not trial.ended and time.monotonic() - noted > _NOTE_EVERY:
                noted = time.monotonic()
                self._ledger.note(replace(trial, curve=tuple(candidate.curve)))
            for callback in self._callbacks:
                callback.on_report(self._study, trial, step, metrics)

        candidate = Candidate(
            self._study.space,
            architecture,
            seed=trial.seed,
            fidelity=trial.fidelity,
            stages=self._relay.stages(trial),
            device=self._evaluator.device,
            deadline=deadline if math.isfinite(deadline) else None,
            listener=listen,
            example_input=self._evaluator.example_input,
            stop=lambda curve: self._planner.scheduler.stop(self._study.history, trial, tuple(curve)),
            restore=lambda: self._relay.restore(trial, candidate),
            save=(lambda state: self._relay.save(trial, state)) if self._planner.checkpoints else None,
            judge=lambda metrics: broken_by(metrics, self._study.history.constraints),
        )
        return candidate

    # ------------------------------------------------------------------ the final training

    def _train_finals(self) -> None:
        history, done = self._study.history, self._study.finals
        ranked = history.best_first(history.complete)
        if history.best is not None:
            ranked.insert(0, history.best)  # with several objectives that in the first of them
        best: dict[Architecture, Trial] = {}
        for trial in ranked:
            best.setdefault(trial.architecture, trial)  # and not what it went on from
        chosen = list(best.values())[: self._finals]
        for position, trial in enumerate(chosen):
            if trial.number in done:
                continue
            left = self._end - time.monotonic()
            if left <= 0:
                self._problem(f"no time is left for the final training of trial {trial.number}")
                return
            deadline = time.monotonic() + left / (len(chosen) - position)
            self._train_final(trial, deadline, is_best=position == 0)

    def _train_final(self, trial: Trial, deadline: float, *, is_best: bool) -> None:
        for callback in self._callbacks:
            callback.on_final_start(self._study, trial)
        candidate = self._candidate(trial, trial.architecture, deadline)
        start = time.monotonic()
        try:
            tested = self._tested_as_it_is(trial, candidate, deadline - start)
            retrained = self._evaluator.retrain(candidate) if tested is None else tested
            if retrained is None:
                return
            metrics = check_metrics(retrained)
        except Exception:
            self._problem(
                f"the final training of trial {trial.number} failed; `resume` tries it again",
                traceback.format_exc(),
            )
            return
        if is_best and tested is None:
            self._keep(trial, candidate, metrics, "final")
        if len(self._study.history.objectives) > 1 and tested is None:
            self._keep(trial, candidate, metrics, "final", on_front=True)
        result = {
            "metrics": metrics_to_json(metrics),
            "seconds": time.monotonic() - start,
            "elapsed": self._ledger.clock.elapsed,
        }
        results = {**self._ledger.document["results"], str(trial.number): result}
        self._ledger.update(results=results)
        for callback in self._callbacks:
            callback.on_final_end(self._study, trial, metrics)

    def _tested_as_it_is(self, trial: Trial, candidate: Candidate, left: float) -> Mapping[str, float] | None:
        """Return the metrics of the network of the search, where that was trained for longer than there is time now."""
        part: Trial | None = trial
        trained = 0.0
        while part is not None:
            trained, part = trained + part.seconds, self._study.history.before(part)
        if left >= trained:
            return None
        try:
            model = self._shelf.load(self._study.space, trial.architecture, trial.fidelity, trial.number)
        except StudyError:
            return None  # there is none, and some training is better than none
        tested = self._evaluator.held_out(candidate, model)
        if tested is None:
            return None
        self._problem(
            f"{left:.3g} seconds are left for a final training of trial {trial.number}, which the search trained for "
            f"{trained:.3g}: its network is kept as it is and tested. A longer budget would train it again"
        )
        return {**trial.metrics, **tested}

    # ------------------------------------------------------------------ inside

    def _keep(
        self,
        trial: Trial,
        candidate: Candidate,
        metrics: Mapping[str, float],
        stage: Literal["search", "final"],
        *,
        on_front: bool = False,
    ) -> None:
        try:
            without = self._shelf.keep(candidate, metrics, stage, trial.number, on_front=on_front)
        except Exception:
            message = f"the network of trial {trial.number} could not be kept; its metrics are on record"
            self._problem(message, traceback.format_exc())
        else:
            if without is not None:
                self._problem(f"the network of trial {trial.number} is kept without source: {without}")

    def _problem(self, message: str, details: str = "") -> None:
        for callback in self._callbacks:
            callback.on_problem(self._study, f"{message}\n{details}".rstrip())
        last = details.strip().splitlines()[-1:]
        warnings.warn(": ".join([message, *last]), stacklevel=2)


def _empty_cache() -> None:
    # Only torch itself can have filled its cache: it is not loaded for this.
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
