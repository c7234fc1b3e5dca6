"""Output of a search: progress, results as tables, and JSON."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

from archwright._disk import is_folder
from archwright._words import counted
from archwright.cli._console import Output, document
from archwright.evaluate import standard_error
from archwright.study import Callback

if TYPE_CHECKING:
    from archwright._registry import Entry
    from archwright.evaluate import Learned
    from archwright.study import Baseline, Ensemble, Study
    from archwright.tasks import Task
    from archwright.trials import Trial


class Display(Callback):
    """Shows a search: a live line where there is a terminal, else a line for each trial.

    Results go to standard output; progress goes to standard error, so that a pipe gets results alone.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.out = Output(quiet=quiet)
        self.err = Output(stderr=True, quiet=quiet)
        self.live: Progress | None = None
        self.task: Any = None
        self.began = time.monotonic()
        self.spent = 0.0

    # ------------------------------------------------------------------ a search as it goes

    def loaded(self, task: Task | None) -> None:
        """Show the data, before what a search begins with takes its time."""
        if task is not None:
            self.out.line(task, label="data")
            for line in task.told:
                label, _, told = line.partition(": ")
                self.out.line(told, label=label)

    def continued(self, study: Study) -> None:
        """Show what is on record of a search that goes on."""
        self.out.line(
            f"{study.path}, space {study.space.name or 'custom'}, on record: {_states(study)}", label="continued"
        )

    def on_start(self, study: Study) -> None:
        """Show what is searched and how, and begin the live line."""
        from archwright.space import describe_size

        size = counted(describe_size(study.space.bound), "architecture")
        decisions = counted(len(study.space.decisions), "decision")
        self.out.line(f"{study.space.name or 'custom'}: {size}, {decisions}", label="space")
        self.out.line(study.evaluator, label="evaluator")
        where = f", in {study.path}" if study.path else ""
        aims = ", ".join(map(str, study.objectives))
        self.out.line(f"{aims} by {study.strategy}, {study.budget}, seed {study.seed}{where}", label="search")
        if study.ladder.rungs:
            self.out.line(f"{study.scheduler} over {study.ladder}", label="scheduler")
        if study.constraints:
            self.out.line(", ".join(map(str, study.constraints)), label="constraints")
        for line in study.why:
            self.out.line(line, label="auto")
        self.spent, self.began = study.elapsed, time.monotonic()
        if self.err.console.is_terminal and not self.quiet:
            self.live = Progress(
                BarColumn(bar_width=12),
                TextColumn("{task.percentage:>3.0f} %"),
                TimeElapsedColumn(),
                TextColumn("{task.description}", markup=False, table_column=Column(ratio=1)),  # wraps at words
                console=self.err.console,
                expand=True,
                transient=True,
            )
            self.task = self.live.add_task("starting", total=1.0)
            self.live.start()

    def on_baseline(self, study: Study, baseline: Baseline) -> None:
        note = ", ".join(filter(None, [f"{baseline.seconds:.1f} s", baseline.note]))
        self.out.line(f"{baseline.name}: {_metrics(_figures(study, baseline, ''))} ({note})", label="baseline")

    def on_prepare(self, study: Study, step: int, metrics: Mapping[str, float]) -> None:
        self._update(study, f"supernet epoch {step}  loss {metrics.get('loss', float('nan')):.3f}")
        if self.live is None:
            told = "  ".join(f"{name} {value:.3f}" for name, value in metrics.items() if name != "seconds")
            self.err.line(f"supernet epoch {step:>3}  {metrics.get('seconds', 0.0):6.1f} s  {told}")

    def on_prepared(self, study: Study, learned: Learned) -> None:
        for line in _diagnosis(study):
            self.err.line(line)

    def on_trial_start(self, study: Study, trial: Trial) -> None:
        self._update(study, f"trial {trial.number}")

    def on_report(self, study: Study, trial: Trial, step: float, metrics: Mapping[str, float]) -> None:
        self._update(study, f"trial {trial.number} epoch {step:g}")

    def on_trial_end(self, study: Study, trial: Trial) -> None:
        """Move on; without a terminal, print a line."""
        self._update(study, f"trial {trial.number} {trial.state}")
        if self.live is None:
            names = list(dict.fromkeys([*(objective.metric for objective in study.objectives), "accuracy"]))
            metrics = "".join(
                f"  {name} {_number(name, trial.metrics[name])}" for name in names if name in trial.metrics
            )
            why = f"  {trial.cause}" if trial.cause else ""
            origin = "" if trial.origin is None else f", from trial {trial.origin}"
            given = f"  {told}{origin}" if (told := study.given(trial)) else ""
            self.err.line(
                f"trial {trial.number:>3}  {trial.state:<8} {trial.seconds:6.1f} s{given}{metrics}{why}  {_best(study)}"
            )

        self._correct(study)

    def _correct(self, study: Study) -> None:
        """Say how many networks there will be, where that is not what was said before."""
        if study.forecast is None:
            return
        networks = study.history.count_seen - len({each.architecture for each in study.history.running})
        found = study.forecast.correct(networks, study.elapsed)
        if found is not None:
            self.err.line(f"about {counted(f'{found:.0f}', 'network')} in all, at the pace so far", label="plan")

    def on_final_start(self, study: Study, trial: Trial) -> None:
        self._update(study, f"final training of trial {trial.number}")
        if self.live is None:
            self.err.line(f"final training of trial {trial.number}: from scratch, on training and validation data")

    def on_end(self, study: Study) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None

    def _update(self, study: Study, doing: str) -> None:
        if self.live is None:
            return
        spent = self.spent + time.monotonic() - self.began
        share, left = _progress(study, spent)
        self.live.update(
            self.task,
            completed=share,
            description="  ".join(filter(None, [f"about {_clock(left)} left" if left else "", doing, _best(study)])),
        )

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
        trials = None if study.budget is None else study.budget.trials
        reasons = {
            "trials": f"the budget of {counted(trials or 0, 'full evaluation')} is used up",
            "seconds": "the time budget is used up",
            "target": "the target is reached",
            "exhausted": "the search space is exhausted",
            "interrupt": "interrupted; continue with `archwright resume`",
            "callback": "stopped by a callback",
            "failures": "trials kept failing with the same error",
        }
        reason = reasons.get(study.stopped_by or "", study.stopped_by)
        self.out.line(f"{_states(study, is_ended=True)} in {_clock(study.elapsed)}: {reason}", label="ended")
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
        states = _states(study)
        again = f"; `archwright resume {study.path}` runs these again" if "interrupted" in states else ""
        self.out.line(f"{states} in {_clock(study.elapsed)}{cost}{again}", label="trials")
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
                *(_number(name, trial.metrics[name]) if name in trial.metrics else "" for name in names),
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
        self.out.line(f"trial {best.trial.number}{ended}: {_metrics(_leading(study, best.metrics))}", label="best")
        for name, value in best.architecture.items():
            self.out.line(f"{name} = {value}", label="")
        samples = study.samples
        if samples is not None and "accuracy" in best.metrics:
            self.out.line(_uncertainty(study, samples["validation"]), label="uncertainty")
        if study.test is not None:
            told = _metrics(_leading(study, study.test))
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
        for line in _diagnosis(study):
            self.out.line(line, label="supernet")
        folder = None if study.path is None else Path(study.path) / "best"
        if folder is not None and is_folder(folder):
            files = ", ".join(sorted(file.name for file in folder.iterdir()))
            self.out.line(f"{folder}: {files}", label="files")

    def _baselines(self, study: Study) -> None:
        for baseline in study.baselines:
            figures = _figures(study, baseline, "" if study.test is None else "test_")
            note = f" ({baseline.note})" if baseline.note else ""
            self.out.line(f"{baseline.name}: {_metrics(figures)}{note}", label="baseline")
        if study.ahead is not None and study.best is not None:
            baseline, metric = study.ahead
            network = {**study.best.metrics, **(study.test or {})}
            theirs, ours = (_number(metric, found[metric]) for found in (baseline.metrics, network))
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
        both = (_number(name, metrics[name]) for metrics in (ensemble.metrics, ensemble.single))
        return f"{name} {next(both)} ({single} {next(both)}"

    line = f"{counted(len(members), 'network')} ({trials}): validation {told(name, 'best single')})"
    if tested in ensemble.metrics:
        line += f", {told(tested, 'single')}"
        line += f", {_tested(final)} {_number(tested, final[tested])})" if tested in final else ")"
    return line


def _tested(metrics: Mapping[str, float]) -> str:
    """Return what was tested: what a final training gave, which has epochs of its own, or the search's best network."""
    return "final" if "epochs" in metrics else "best network"


def _progress(study: Study, spent: float) -> tuple[float, float | None]:
    """Return the share of the budget that is spent, and the seconds left where they can be told."""
    budget = study.budget
    if budget is None:
        return 0.0, None
    shares, lefts = [0.0], []
    if budget.time < float("inf"):
        shares.append(spent / budget.time)
        lefts.append(max(0.0, budget.time - spent))
    ended = study.history.spent
    if budget.trials is not None:
        trials = float(min(budget.trials, 10**300))  # there are whole numbers that are too large for a float
        shares.append(ended / trials)
        if ended:
            lefts.append(spent / ended * (trials - ended))
    return min(1.0, max(shares)), min(lefts, default=None)


def _best(study: Study) -> str:
    best = study.history.best
    if best is None:
        return ""
    name = study.objective.metric
    return f"best {name} {_number(name, best.metrics[name])} (trial {best.number})"


def _diagnosis(study: Study) -> list[str]:
    """Return what there is to say about what was learned before the first trial, as lines."""
    found = study.diagnosis()
    if found is None:
        return []
    lines = [f"{counted(found['epochs'], 'epoch')} in {_clock(found['seconds'])}"]
    if "derived" in found:
        undecided = f", entropy {found['entropy']:.2f}" if "entropy" in found else ""
        shares = f"{found['skips']:.0%} skip connections, {found['nothing']:.0%} none{undecided}"
        lines.append(f"derived {found['derived']}: {shares}")
    if found.get("degenerate"):
        lines.append(f"the derived architecture is degenerate: {found['degenerate']}")
    if "spearman" in found:
        lines.append(
            f"rank correlation of shared and stand-alone accuracy, {found['compared']} architectures: Spearman "
            f"{found['spearman']:.2f}, Kendall {found['kendall']:.2f}"
        )
    return lines


def _states(study: Study, *, is_ended: bool = False) -> str:
    """Return how many trials there are in each state; those that have not ended and do not run are interrupted."""
    counts = {state: n for state, n in study.summary()["trials"].items() if n}
    if "running" in counts and (is_ended or not study.is_held):
        counts = {"interrupted": counts.pop("running"), **counts}
    return ", ".join(f"{n} {state}" for state, n in counts.items()) or "no trials"


def _leading(study: Study, metrics: Mapping[str, float]) -> dict[str, float]:
    """Return metrics with the one that is optimised first, and those of the training part last."""
    wanted = study.objective.metric

    def place(name: str) -> int:
        return 0 if name.removeprefix("test_") == wanted else 2 if name.startswith("train_") else 1

    return {name: metrics[name] for name in sorted(metrics, key=place)}


def _metrics(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {_number(name, value)}" for name, value in metrics.items())


def _number(name: str, value: float) -> str:
    is_count = float(value).is_integer() and (abs(value) > 1 or name in ("epochs", "parameters", "flops"))
    return f"{value:,.0f}" if is_count else f"{value:.4f}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
