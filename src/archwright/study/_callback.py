"""Callbacks of a search."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from archwright._disk import no_follow
from archwright._words import counted
from archwright.trials import Trial

if TYPE_CHECKING:
    from archwright.evaluate import Learned
    from archwright.study._baseline import Baseline
    from archwright.study._ensemble import Ensemble
    from archwright.study._study import Study


class Callback:
    """Base class of callbacks, whose methods are called during a search; by default they do nothing.

    The methods are called in the process and thread of the search. `study.stop()` ends the search after the current
    trial; an exception ends it at once, except in `on_report`, where it ends the trial: `archwright.evaluate.Stopped`
    prunes it, any other exception fails it.

    Example:
        >>> import archwright as aw
        >>> class Show(aw.Callback):
        ...     def on_trial_end(self, study, trial):
        ...         print(trial.number, trial.state)
        >>> found = aw.search(aw.Space(x=aw.choice(1)), lambda c: 1.0, budget=aw.Budget(trials=1), callbacks=[Show()])
        0 complete
    """

    def on_start(self, study: Study) -> None:
        """Called when the search starts or is resumed."""

    def on_baseline(self, study: Study, baseline: Baseline) -> None:
        """Called when a classical baseline has been fitted, before the first trial, and is recorded."""

    def on_prepare(self, study: Study, step: int, metrics: Mapping[str, float]) -> None:
        """Called for each report of the evaluator's preparation before the first trial."""

    def on_prepared(self, study: Study, learned: Learned) -> None:
        """Called after the evaluator's preparation, when its result is recorded."""

    def on_trial_start(self, study: Study, trial: Trial) -> None:
        """Called when a trial starts."""

    def on_report(self, study: Study, trial: Trial, step: float, metrics: Mapping[str, float]) -> None:
        """Called for each report of a trial."""

    def on_trial_end(self, study: Study, trial: Trial) -> None:
        """Called when a trial has ended and is recorded."""

    def on_ensemble(self, study: Study, ensemble: Ensemble) -> None:
        """Called when the ensemble has been selected, tested and recorded."""

    def on_final_start(self, study: Study, trial: Trial) -> None:
        """Called when the final training of a trial's architecture starts."""

    def on_final_end(self, study: Study, trial: Trial, metrics: Mapping[str, float]) -> None:
        """Called when the final training of a trial's architecture has ended and is recorded."""

    def on_problem(self, study: Study, message: str) -> None:
        """Called for a problem that does not end the search, which is also a warning."""

    def on_end(self, study: Study) -> None:
        """Called at the end of the search, for whatever reason."""


class Log(Callback):
    """Writes a file of plain lines, one for each event, and the tracebacks of failures."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_told = False

    def on_start(self, study: Study) -> None:
        done = len(study.history.finished)
        goes = f"goes on after {counted(done, 'trial')}" if done else "begins"
        self._note(f"search {goes}: {', '.join(map(str, study.objectives))}, budget {study.budget}, seed {study.seed}")
        if study.ladder.rungs:
            self._note(f"{study.scheduler} over {study.ladder}")
        for line in study.why:
            self._note(line)

    def on_baseline(self, study: Study, baseline: Baseline) -> None:
        note = f" ({baseline.note})" if baseline.note else ""
        self._note(f"baseline {baseline.name} in {baseline.seconds:.1f} s{note}: {describe_metrics(baseline.metrics)}")

    def on_prepare(self, study: Study, step: int, metrics: Mapping[str, float]) -> None:
        self._note(f"preparation step {step}: {describe_metrics(metrics)}")

    def on_prepared(self, study: Study, learned: Learned) -> None:
        preferred = f": prefers {learned.architectures[0].id}" if learned.architectures else ""
        told = ", ".join(f"{name} {value}" for name, value in learned.diagnosis.items())
        self._note(f"prepared{preferred}{f' ({told})' if told else ''}")

    def on_trial_start(self, study: Study, trial: Trial) -> None:
        again = f", attempt {trial.attempts}" if trial.attempts > 1 else ""
        given = f", {told}" if (told := study.given(trial)) else ""
        origin = "" if trial.origin is None else f", from trial {trial.origin}"
        decided = ", ".join(f"{name}={value}" for name, value in trial.architecture.items())
        self._note(f"trial {trial.number} begins{again}{given}{origin}: {trial.architecture.id} ({decided})")

    def on_report(self, study: Study, trial: Trial, step: float, metrics: Mapping[str, float]) -> None:
        self._note(f"trial {trial.number} step {step:g}: {describe_metrics(metrics)}")

    def on_trial_end(self, study: Study, trial: Trial) -> None:
        best = " (best so far)" if study.history.best is trial else ""
        told = f": {describe_metrics(trial.metrics)}" if trial.metrics else ""
        self._note(f"trial {trial.number} {trial.state} in {trial.seconds:.1f} s{told}{best}")
        if trial.error:
            self._note(trial.error)

    def on_ensemble(self, study: Study, ensemble: Ensemble) -> None:
        weights = zip(ensemble.members, ensemble.weights, strict=True)
        told = ", ".join(f"trial {trial.number} {weight:.3g}" for trial, weight in weights)
        self._note(f"ensemble of {told}: {describe_metrics(ensemble.metrics)}")

    def on_final_start(self, study: Study, trial: Trial) -> None:
        self._note(f"final training of trial {trial.number} begins: {trial.architecture.id}")

    def on_final_end(self, study: Study, trial: Trial, metrics: Mapping[str, float]) -> None:
        self._note(f"final training of trial {trial.number} ended: {describe_metrics(metrics)}")

    def on_problem(self, study: Study, message: str) -> None:
        self._note(f"problem: {message}")

    def on_end(self, study: Study) -> None:
        if study.ahead is not None:
            baseline, metric = study.ahead
            self._note(f"{baseline.name} is ahead of the network: {metric} {baseline.metrics[metric]:.4f}")
        self._note(f"search ends ({study.stopped_by}) after {study.elapsed:.1f} s")

    def _note(self, text: str) -> None:
        # Opened for each line: a file that is kept open would lose its last lines in a killed process.
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        lines = text.rstrip().splitlines() or [""]
        try:
            with open(self._path, "a", encoding="utf-8", errors="backslashreplace", opener=no_follow) as file:
                file.write("".join([f"{now} {lines[0]}\n", *(f"    {line}\n" for line in lines[1:])]))
        except OSError as error:  # a full disk, say, is no reason to lose a trial
            if not self._is_told:
                warnings.warn(f"{self._path} cannot be written to, and will lack lines: {error}", stacklevel=2)
            self._is_told = True


def describe_metrics(metrics: Mapping[str, float]) -> str:
    """Return metrics in one line."""
    return ", ".join(f"{name} {value:.5g}" for name, value in metrics.items())
