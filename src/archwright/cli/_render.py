"""Output of a search: what it is, its progress, results as tables, and JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright._disk import is_folder
from archwright._words import clock, counted, figure, figures
from archwright.cli._console import Output, document
from archwright.evaluate import standard_error
from archwright.study import Callback, Progress

if TYPE_CHECKING:
    from archwright._registry import Entry
    from archwright.study import Baseline, Ensemble, Study
    from archwright.tasks import Task
    from archwright.trials import Trial


class Display(Callback):
    """Shows a search: what it is and what it leaves on standard output, and its progress on standard error.

    So a pipe gets results alone.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.out = Output(quiet=quiet)
        self.err = Output(stderr=True, quiet=quiet)
        self._progress = Progress(framed=False)
        self.err.console = self._progress.console
        self.err.console.quiet = quiet

    @property
    def callbacks(self) -> list[Callback]:
        """What follows a search."""
        return [] if self.quiet else [self._progress, self]

    def loaded(self, task: Task | None) -> None:
        """Show the data, before what a search begins with takes its time."""
        if task is not None:
            self.out.line(task, label="data")
            for line in task.told:
                label, _, told = line.partition(": ")
                self.out.line(told, label=label)

    def continued(self, study: Study) -> None:
        """Show what is on record of a search that goes on."""
        name, states = study.space.name or "custom", Progress.states(study)
        self.out.line(f"{study.path}, space {name}, on record: {states}", label="continued")

    def on_start(self, study: Study) -> None:
        """Show what is searched and how."""
        from archwright.space import describe_size

        size = counted(describe_size(study.space.bound), "architecture")
        decisions = counted(len(study.space.decisions), "decision")
        self._line(f"{study.space.name or 'custom'}: {size}, {decisions}", "space")
        self._line(study.evaluator, "evaluator")
        where = f", in {study.path}" if study.path else ""
        aims = ", ".join(map(str, study.objectives))
        self._line(f"{aims} by {study.strategy}, {study.budget}, seed {study.seed}{where}", "search")
        if study.ladder.rungs:
            self._line(f"{study.scheduler} over {study.ladder}", "scheduler")
        if study.constraints:
            self._line(", ".join(map(str, study.constraints)), "constraints")
        for line in study.why:
            self._line(line, "auto")

    def on_baseline(self, study: Study, baseline: Baseline) -> None:
        """Show a baseline."""
        note = ", ".join(filter(None, [f"{baseline.seconds:.1f} s", baseline.note]))
        self._line(f"{baseline.name}: {figures(_figures(study, baseline, ''))} ({note})", "baseline")

    def _line(self, text: object, label: str) -> None:
        """Print a line; on the terminal of a live display above it."""
        is_above = self._progress.is_live and self.out.console.is_terminal
        (self.err if is_above else self.out).line(text, label=label)

    # ------------------------------------------------------------------ results

    def conclude(self, study: Study, *, as_json: bool) -> int:
        """Show how a search ended and what it leaves.

        Returns:
            The exit status: 130 after an interrupt, 1 without a network, else 0.
        """
        status = 130 if study.stopped_by == "interrupt" else int(study.best is None)
        if as_json:
            document(study.summary())
            return status
        self.out.line(Progress.ended(study), label="ended")
        self._result(study)
        return status

    def show(self, study: Study, *, top: int, as_json: bool) -> None:
        """Show a study on record: what it is, its best trials, its best network."""
        if as_json:
            document(study.summary())
            return
        summary = study.summary()
        how = f"{', '.join(map(str, study.objectives))} by {summary['strategy']} in {summary['space']}"
        self.out.line(f"{how}, {study.budget}, seed {study.seed}", label="search")
        cost = ""
        if any(trial.fidelity for trial in study.trials):
            cost = f", at the cost of {counted(f'{study.history.spent:.3g}', 'full evaluation')}"
        states = Progress.states(study)
        again = f"; `archwright resume {study.path}` runs these again" if "interrupted" in states else ""
        self.out.line(f"{states} in {clock(study.elapsed)}{cost}{again}", label="trials")
        ranked = study.history.best_first(study.history.complete, top)
        if ranked:
            self._table(study, ranked)
        if len(ranked) < len(study.history.complete):
            of = counted(len(study.history.complete), "complete trial")
            self.out.line(f"the best {len(ranked)} of {of}; --top lists more")
        self._result(study)

    def names(self, entries: Iterable[Entry[Any]], *, as_json: bool) -> None:
        """List what is registered."""
        listed = list(entries)
        if as_json:
            document([{"name": entry.name, "summary": entry.summary} for entry in listed])
            return
        self.out.listed((entry.name, entry.summary) for entry in listed)

    def _table(self, study: Study, trials: list[Trial]) -> None:
        names = list(_leading(study, trials[0].metrics))[:5]
        has_fidelity = any(trial.fidelity for trial in trials)
        rows = [
            [
                str(trial.number),
                *[" ".join(f"{name} {value:g}" for name, value in (trial.fidelity or {}).items())] * has_fidelity,
                *(figure(name, trial.metrics[name]) if name in trial.metrics else "" for name in names),
                f"{trial.seconds:.1f}",
            ]
            for trial in trials
        ]
        self.out.table(
            ["trial", *["fidelity"] * has_fidelity, *names, "seconds"], rows, [trial.architecture for trial in trials]
        )

    def _result(self, study: Study) -> None:
        best = study.best
        if best is None:
            self.out.line("none: no trial is complete", label="best")
            for trial in study.trials[-1:]:
                if trial.error:
                    self.out.line(f"trial {trial.number}: {trial.cause}", label="")
            return
        ended = "" if best.trial.state == "complete" else f" ({best.trial.state}: none is complete)"
        self.out.line(f"trial {best.trial.number}{ended}: {figures(_leading(study, best.metrics))}", label="best")
        for name, value in best.architecture.items():
            self.out.line(f"{name} = {value}", label="")
        samples = study.samples
        if samples is not None and "accuracy" in best.metrics:
            self.out.line(_uncertainty(study, samples["validation"]), label="uncertainty")
        if study.test is not None:
            told = figures(_leading(study, study.test))
            if samples is not None and "test_accuracy" in study.test:
                error = standard_error(study.test["test_accuracy"], samples["test"])
                told += f" (accuracy +- {error:.4f}: standard error over {counted(samples['test'], 'test sample')})"
            self.out.line(told, label=_tested(study.test))
        self._baselines(study)
        if study.ensemble is not None:
            self.out.line(_ensemble(study, study.ensemble), label="ensemble")
        if len(study.objectives) > 1:
            shown = f"; `archwright front {study.path}` lists them" if study.path is not None else ""
            self.out.line(f"{counted(len(study.front), 'network')}{shown}", label="Pareto front")
        for line in Progress.learned(study):
            self.out.line(line, label="supernet")
        if told := str(study.history.outside):
            self.out.line(told, label="replies")
        folder = None if study.path is None else Path(study.path) / "best"
        if folder is not None and is_folder(folder):
            files = ", ".join(sorted(file.name for file in folder.iterdir()))
            self.out.line(f"{folder}: {files}", label="files")

    def _baselines(self, study: Study) -> None:
        for baseline in study.baselines:
            shown = _figures(study, baseline, "" if study.test is None else "test_")
            note = f" ({baseline.note})" if baseline.note else ""
            self.out.line(f"{baseline.name}: {figures(shown)}{note}", label="baseline")
        if study.ahead is not None and study.best is not None:
            baseline, metric = study.ahead
            network = {**study.best.metrics, **(study.test or {})}
            theirs, ours = (figure(metric, found[metric]) for found in (baseline.metrics, network))
            told = f"{baseline.name} is ahead of the network: {metric} {theirs} against {ours}"
            self.out.line(f"{told}; use it, or give the search more time", label="")


def _uncertainty(study: Study, samples: int) -> str:
    """Return how far the accuracy of the best trial can be trusted, and whether the first one is behind it."""
    trials = study.trials[0], study.top(1)[0].trial
    counts = [samples * int((trial.fidelity or {}).get("splits", 1)) for trial in trials]
    error = standard_error(trials[1].metrics["accuracy"], counts[1])
    first, best = trials
    value = f"{best.metrics['accuracy']:.4f} +- {error:.4f}"
    told = f"accuracy {value} (standard error over {counted(counts[1], 'validation sample')})"
    is_known = first.architecture in study.starts  # else it is one of many, with nothing to be compared for
    if best is first or not is_known or "accuracy" not in first.metrics or first.share != best.share:
        return told
    ahead = best.metrics["accuracy"] - first.metrics["accuracy"]
    both = math.hypot(error, standard_error(first.metrics["accuracy"], counts[0]))
    beyond = "better than" if ahead > 2 * both else "not distinguishable from"
    return f"{told}; {beyond} trial 0 ({ahead:+.4f} +- {both:.4f})"


def _figures(study: Study, baseline: Baseline, prefix: str) -> dict[str, float]:
    """Return the objectives, accuracy and loss of a baseline on the test part if it has them, or else on the other."""
    told = {name.removeprefix(prefix): name for name in baseline.metrics if name.startswith(prefix)} or {
        name: name for name in baseline.metrics
    }
    wanted = dict.fromkeys([*(objective.metric for objective in study.objectives), "accuracy", "loss"])
    return {told[name]: baseline.metrics[told[name]] for name in wanted if name in told}


def _ensemble(study: Study, ensemble: Ensemble) -> str:
    """Return the members of an ensemble, and its value of the objective beside that of the single networks."""
    pairs = zip(ensemble.members, ensemble.counts, strict=True)
    members = [f"{trial.number} x{count}" if count > 1 else str(trial.number) for trial, count in pairs]
    trials = f"trial{'s' if len(members) > 1 else ''} {', '.join(members)}"
    name = study.objective.metric
    tested, final = f"test_{name}", study.test or {}

    def told(name: str, single: str) -> str:
        both = (figure(name, metrics[name]) for metrics in (ensemble.metrics, ensemble.single))
        return f"{name} {next(both)} ({single} {next(both)}"

    line = f"{counted(len(members), 'network')} ({trials}): validation {told(name, 'best single')})"
    if tested in ensemble.metrics:
        line += f", {told(tested, 'single')}"
        line += f", {_tested(final)} {figure(tested, final[tested])})" if tested in final else ")"
    return line


def _tested(metrics: Mapping[str, float]) -> str:
    """Return what was tested: what a final training gave, which has epochs of its own, or the search's best network."""
    return "final" if "epochs" in metrics else "best network"


def _leading(study: Study, metrics: Mapping[str, float]) -> dict[str, float]:
    """Return metrics with the one that is optimised first, and those of the training part last."""
    wanted = study.objective.metric

    def place(name: str) -> int:
        return 0 if name.removeprefix("test_") == wanted else 2 if name.startswith("train_") else 1

    return {name: metrics[name] for name in sorted(metrics, key=place)}
