"""The loop of a search, and the final training."""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from archwright.errors import Exhausted, SpaceError
from archwright.evaluate import Candidate, Evaluator, check_metrics
from archwright.study._budget import Budget
from archwright.study._callback import Callback, Log
from archwright.study._outcome import Outcome, judge
from archwright.trials import Trial, metrics_to_json

if TYPE_CHECKING:
    from archwright.study._best import Shelf
    from archwright.study._ledger import Ledger
    from archwright.study._study import Study

__all__ = ["Run", "check_parts"]

_FINAL_SHARE = 0.3  # of a time budget, kept for the final training
_NOTE_EVERY = 2.0  # seconds between writings of a running trial's curve


def check_parts(study: Study, evaluator: Evaluator) -> None:
    """Refuse a space that the evaluator cannot make use of.

    Raises:
        SpaceError: It has parts that the evaluator does not understand, or layers that do not fit its data.
    """
    space = study.space
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


class Run:
    """One session of a search in this process.

    Args:
        study: What proposes and is told.
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
        ledger: Ledger,
        shelf: Shelf,
        evaluator: Evaluator,
        budget: Budget,
        *,
        finals: int,
        callbacks: Iterable[Callback],
    ) -> None:
        self._study = study
        self._ledger = ledger
        self._shelf = shelf
        self._evaluator = evaluator
        self._budget = budget
        retrains = type(evaluator).retrain is not Evaluator.retrain
        self._finals = finals if retrains else 0
        log = [] if ledger.folder is None else [Log(ledger.folder / "log.txt")]
        self._callbacks = [*log, *callbacks]
        self._fastest = min((trial.seconds for trial in study.history.complete), default=0.0)

    def go(self) -> None:
        """Search, then train the best again; an interrupt ends it cleanly."""
        study, clock = self._study, self._ledger.clock
        clock.start()
        self._end = time.monotonic() + self._budget.time - clock.elapsed
        kept = _FINAL_SHARE * self._budget.time if self._finals else 0.0
        self._search_end = self._end - kept if math.isfinite(self._end) else math.inf
        study.stopped_by = None
        try:
            for callback in self._callbacks:
                callback.on_start(study)
            self._search()
            self._train_finals()
        except KeyboardInterrupt:
            study.stopped_by = "interrupt"
            self._hand_back()
        finally:
            clock.stop()
            for callback in self._callbacks:
                callback.on_end(study)

    # ------------------------------------------------------------------ the search

    def _search(self) -> None:
        study = self._study
        while study.stopped_by is None:
            study.stopped_by = self._reason_to_stop()
            if study.stopped_by is None:
                try:
                    trial = study.ask()
                except Exhausted:
                    study.stopped_by = "exhausted"
                else:
                    self._evaluate(trial)
        finished = study.history.finished
        if finished and study.history.best is None:
            last = (finished[-1].error or "").strip().splitlines() or ["no error is on record"]
            self._problem(f"no trial of {len(finished)} gave a result; the last one: {last[-1]}")

    def _reason_to_stop(self) -> str | None:
        budget, history = self._budget, self._study.history
        best = history.best
        if budget.target is not None and best is not None and best.state == "complete":
            if history.objective.reached(best.metrics, budget.target):
                return "target"
        if budget.trials is not None and len(history.finished) >= budget.trials:
            return "trials"
        # A trial that even the fastest so far could not have finished is not worth its beginning.
        left = self._search_end - time.monotonic()
        return "seconds" if left <= self._fastest else None

    def _evaluate(self, trial: Trial) -> None:
        study, ledger, history = self._study, self._ledger, self._study.history
        for callback in self._callbacks:
            callback.on_trial_start(study, trial)
        candidate = self._candidate(trial, self._search_end, watch=True)
        start = time.monotonic()
        outcome: Outcome
        try:
            outcome = check_metrics(self._evaluator.evaluate(candidate))
        except Exception as error:
            outcome = error
        ended = judge(
            trial,
            outcome,
            history.objective,
            curve=candidate.curve,
            seconds=time.monotonic() - start,
        )
        if history.beaten_by(ended):
            # Before it is on record: a process that dies in between finds the same network again.
            self._keep(candidate, ended.metrics, "search")
        ledger.end(ended)
        if ended.state == "complete":
            self._fastest = min(self._fastest or math.inf, ended.seconds)
        if ended.state == "failed":
            _empty_cache()
        for callback in self._callbacks:
            callback.on_trial_end(study, ended)

    def _candidate(self, trial: Trial, deadline: float, *, watch: bool) -> Candidate:
        noted = time.monotonic()

        def listen(step: int, metrics: Mapping[str, float]) -> None:
            nonlocal noted
            if time.monotonic() - noted > _NOTE_EVERY:
                noted = time.monotonic()
                self._ledger.note(replace(trial, curve=tuple(candidate.curve)))
            for callback in self._callbacks:
                callback.on_report(self._study, trial, step, metrics)

        candidate = Candidate(
            self._study.space,
            trial.architecture,
            seed=trial.seed,
            fidelity=trial.fidelity,
            device=self._evaluator.device,
            deadline=deadline if math.isfinite(deadline) else None,
            listener=listen if watch else None,
            example_input=self._evaluator.example_input,
        )
        return candidate
