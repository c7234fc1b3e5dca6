"""The final training of the best networks of a search."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from archwright.errors import StudyError
from archwright.evaluate import Candidate, Evaluator, check_metrics
from archwright.execute import Worker
from archwright.study._deadlines import trained_seconds
from archwright.study._dispatcher import Dispatcher
from archwright.study._guard import Guard, Overdue
from archwright.trials import Trial, metrics_to_json

if TYPE_CHECKING:
    import torch

    from archwright.study._best import Artifacts
    from archwright.study._recorder import Recorder


@dataclass(eq=False)
class Finals:
    """Trains the best networks of a search from scratch, and tests them once."""

    count: int  # of networks
    _place: Literal["front", "top"] | None  # where they are kept beside the best one; `None` if that is the only one
    _recorder: Recorder
    _artifacts: Artifacts
    _evaluator: Evaluator
    _dispatcher: Dispatcher
    _worker: Worker
    _guard: Guard
    _keep: Callable[..., bool]
    _notify: Callable[..., None]
    _problem: Callable[..., None]

    def train(self, end: float) -> None:
        """Train those that have not been trained, until a moment in seconds of `time.monotonic()`."""
        done = self._recorder.finals
        chosen = self._recorder.history.top(self.count)
        for position, trial in enumerate(chosen):
            if trial.number in done and self._artifacts.holds(trial, is_best=position == 0):
                continue
            left = end - time.monotonic()
            if left <= 0:
                self._problem(f"no time is left for the final training of trial {trial.number}")
                return
            deadline = time.monotonic() + left / (len(chosen) - position)
            self._train(trial, deadline, is_best=position == 0)

    def _train(self, trial: Trial, deadline: float, *, is_best: bool) -> None:
        self._notify("on_final_start", trial)
        left = deadline - time.monotonic()
        job = self._dispatcher.final_job(trial, left if math.isfinite(left) else None)
        candidate = self._worker.candidate(
            job, lambda report: self._notify("on_report", trial, report.curve[-1]["step"], report.metrics)
        )
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
        metrics = self._guard.attempt(f"the final training of trial {trial.number}", train, trial.seed)
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
        if is_new and not all(
            self._keep(trial, candidate, metrics, "final", place=place)
            for place in ([] if self._place is None else [self._place]) + ([None] if is_best else [])
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
        trained = trained_seconds(self._recorder.history, trial)
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
            return self._artifacts.load(self._worker.space, trial.architecture, trial.fidelity, trial.number)[0]
        except StudyError:
            return None
