"""The logs of a run folder: lines for people, and JSON for programs."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright._disk import regular
from archwright._words import counted
from archwright.study._callback import Callback
from archwright.trials import Trial, metrics_to_json

if TYPE_CHECKING:
    from archwright.evaluate import Learned
    from archwright.study._baseline import Baseline
    from archwright.study._ensemble import Ensemble
    from archwright.study._study import Study


class LogFile:
    """A file that is added to; what cannot be written is lost, with one warning."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_told = False

    def add(self, text: str) -> None:
        """Add a text at the end."""
        # Opened each time: a file that is kept open would lose its last lines in a killed process.
        try:
            with open(self._path, "a", encoding="utf-8", errors="backslashreplace", opener=regular) as file:
                file.write(text)
        except OSError as error:  # a full disk, say, is no reason to lose a trial
            if not self._is_told:
                warnings.warn(f"{self._path} cannot be written to, and will lack lines: {error}", stacklevel=2)
            self._is_told = True


class Log(Callback):
    """Writes a file of plain lines, one for each event, and the tracebacks of failures."""

    def __init__(self, path: Path) -> None:
        self._file = LogFile(path)

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
        if told := str(study.history.outside):
            self._note(f"replies: {told}")
        self._note(f"search ends ({study.stopped_by}) after {study.elapsed:.1f} s")

    def _note(self, text: str) -> None:
        first, *further = text.rstrip().splitlines() or [""]
        self._file.add("".join([f"{_now()} {first}\n", *(f"    {line}\n" for line in further)]))


class EventLog(Callback):
    """Writes a file of JSON objects, one in a line for each event, each with its "time" and the name of the "event"."""

    def __init__(self, path: Path) -> None:
        self._file = LogFile(path)

    def on_start(self, study: Study) -> None:
        budget = None if study.budget is None else study.budget.to_json()
        ended = len(study.history.finished)
        aims = list(map(str, study.objectives))
        self._note("start", objectives=aims, budget=budget, seed=study.seed, ended=ended, why=list(study.why))

    def on_baseline(self, study: Study, baseline: Baseline) -> None:
        metrics = metrics_to_json(baseline.metrics)
        self._note("baseline", name=baseline.name, seconds=baseline.seconds, metrics=metrics)

    def on_prepare(self, study: Study, step: int, metrics: Mapping[str, float]) -> None:
        self._note("prepare", step=step, metrics=metrics_to_json(metrics))

    def on_prepared(self, study: Study, learned: Learned) -> None:
        self._note("prepared", diagnosis=dict(learned.diagnosis))

    def on_trial_start(self, study: Study, trial: Trial) -> None:
        given = None if trial.fidelity is None else dict(trial.fidelity)
        self._note(
            "trial_start",
            trial=trial.number,
            attempt=trial.attempts,
            architecture=trial.architecture.to_json(),
            seed=trial.seed,
            fidelity=given,
            origin=trial.origin,
        )

    def on_report(self, study: Study, trial: Trial, step: float, metrics: Mapping[str, float]) -> None:
        event = "final_report" if trial.ended else "report"
        self._note(event, trial=trial.number, step=step, metrics=metrics_to_json(metrics))

    def on_trial_end(self, study: Study, trial: Trial) -> None:
        self._note(
            "trial_end",
            trial=trial.number,
            state=trial.state,
            seconds=trial.seconds,
            metrics=metrics_to_json(trial.metrics),
            error=trial.cause or None,
            best=study.history.best is trial,
        )

    def on_ensemble(self, study: Study, ensemble: Ensemble) -> None:
        members = [trial.number for trial in ensemble.members]
        self._note("ensemble", members=members, counts=list(ensemble.counts), metrics=metrics_to_json(ensemble.metrics))

    def on_final_start(self, study: Study, trial: Trial) -> None:
        self._note("final_start", trial=trial.number)

    def on_final_end(self, study: Study, trial: Trial, metrics: Mapping[str, float]) -> None:
        self._note("final_end", trial=trial.number, metrics=metrics_to_json(metrics))

    def on_problem(self, study: Study, message: str) -> None:
        self._note("problem", message=message)

    def on_end(self, study: Study) -> None:
        replies = study.history.outside.totals()
        self._note(
            "end", stopped_by=study.stopped_by, seconds=study.elapsed, **({"replies": replies} if replies else {})
        )

    def _note(self, event: str, **figures: Any) -> None:
        self._file.add(json.dumps({"time": _now("milliseconds"), "event": event, **figures}) + "\n")


def _now(precision: str = "seconds") -> str:
    return datetime.now().astimezone().isoformat(timespec=precision)


def describe_metrics(metrics: Mapping[str, float]) -> str:
    """Return metrics in one line."""
    return ", ".join(f"{name} {value:.5g}" for name, value in metrics.items())
