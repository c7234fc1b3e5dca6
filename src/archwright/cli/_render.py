"""What the command shows: live progress, results as tables, and JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from archwright.study import Callback

if TYPE_CHECKING:
    from archwright._registry import Entry
    from archwright.datasets import Data
    from archwright.evaluate import Learned
    from archwright.study import Study
    from archwright.trials import Trial

__all__ = ["Screen"]


class Screen(Callback):
    """Shows a search: a live line where there is a terminal, else a line for each trial.

    Results go to standard output; progress goes to standard error, so that a pipe gets results alone.

    Args:
        quiet: Whether to show nothing but the JSON document in the end.
        data: What is learnt from, to be described first.
    """

    def __init__(self, *, quiet: bool, data: Data | None = None) -> None:
        self.quiet = quiet
        self.data = data
        self.out = Console(highlight=False, soft_wrap=True, quiet=quiet)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True, quiet=quiet)
        self.live: Progress | None = None
        self.task: Any = None
        self.began = time.monotonic()
        self.spent = 0.0

    # ------------------------------------------------------------------ a search as it goes

    def on_start(self, study: Study) -> None:
        """Show what is searched and how, and begin the live line."""
        from archwright.space import describe_size

        size = f"{describe_size(study.space.bound)} architectures, {len(study.space.decisions)} decisions"
        if self.data is not None:
            self.out.print(f"[bold]data[/]      {self.data}")
        self.out.print(f"[bold]space[/]     {study.space.name or 'custom'}: {size}")
        self.out.print(f"[bold]measure[/]   {study.evaluator}")
        where = f", in {study.path}" if study.path else ""
        aims = ", ".join(map(str, study.objectives))
        self.out.print(f"[bold]search[/]    {aims} by {study.strategy}, {study.budget}, seed {study.seed}{where}")
        if study.ladder.rungs:
            self.out.print(f"[bold]schedule[/]  {study.scheduler} over {study.ladder}")
        if study.constraints:
            self.out.print(f"[bold]only[/]      {', '.join(map(str, study.constraints))}", markup=True)
        for line in study.why:
            self.out.print(f"[bold]auto[/]      {line}")
        self.spent, self.began = study.elapsed, time.monotonic()
        if self.err.is_terminal and not self.quiet:
            self.live = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.percentage:>3.0f} %"),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}"),
                console=self.err,
                transient=True,
            )
            self.task = self.live.add_task("starting", total=1.0, left="")
            self.live.start()

    def on_prepare(self, study: Study, step: int, metrics: Mapping[str, float]) -> None:
        """Name the epoch of what is trained before the first trial."""
        self._update(study, f"supernet epoch {step}  loss {metrics.get('loss', float('nan')):.3f}")
        if self.live is None:
            told = "  ".join(f"{name} {value:.3f}" for name, value in metrics.items() if name != "seconds")
            self.err.print(f"supernet epoch {step:>3}  {metrics.get('seconds', 0.0):6.1f} s  {told}", markup=False)

    def on_prepared(self, study: Study, learned: Learned) -> None:
        """Say what has been learned."""
        console = self.live.console if self.live else self.err
        for line in _diagnosis(study):
            console.print(line, markup=False)

    def on_trial_start(self, study: Study, trial: Trial) -> None:
        """Name the trial."""
        self._update(study, f"trial {trial.number}")

    def on_report(self, study: Study, trial: Trial, step: float, metrics: Mapping[str, float]) -> None:
        """Name the epoch."""
        self._update(study, f"trial {trial.number} epoch {step:g}")

    def on_trial_end(self, study: Study, trial: Trial) -> None:
        """Move on; without a terminal, print a line."""
        self._update(study, f"trial {trial.number} {trial.state}")
        if self.live is None:
            names = [objective.metric for objective in study.objectives]
            told = "".join(f"  {name} {trial.metrics[name]:.4f}" for name in names if name in trial.metrics)
            why = "" if not trial.error else f"  {trial.error.strip().splitlines()[-1]}"
            given = "" if trial.fidelity is None else f"  {_given(trial)}"
            self.err.print(
                f"trial {trial.number:>3}  {trial.state:<8} {trial.seconds:6.1f} s{given}{told}{why}  {_best(study)}",
                markup=False,
            )

    def on_final_start(self, study: Study, trial: Trial) -> None:
        """Say that the final training begins."""
        self._update(study, f"final training of trial {trial.number}")
        if self.live is None:
            self.err.print(f"final training of trial {trial.number}, from scratch on all but the test part")

    def on_problem(self, study: Study, message: str) -> None:
        """Say at once what went wrong."""
        (self.live.console if self.live else self.err).print(f"problem: {message}", markup=False)

    def on_end(self, study: Study) -> None:
        """End the live line."""
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
            description=f"{doing}  {_best(study)}",
            left=f"about {_clock(left)} left" if left else "",
        )

    # ------------------------------------------------------------------ results

    def conclude(self, study: Study, *, as_json: bool) -> None:
        """Show how a search ended and what it leaves."""
        if as_json:
            _print_json(study.summary())
            return
        reasons = {
            "trials": "the trials are spent",
            "seconds": "the time is spent",
            "target": "the target is reached",
            "exhausted": "everything in the space has been tried",
            "interrupt": "interrupted; go on with `archwright resume`",
            "callback": "stopped by a callback",
        }
        reason = reasons.get(study.stopped_by or "", study.stopped_by)
        self.out.print(f"[bold]ended[/]     {_states(study)} in {_clock(study.elapsed)}: {reason}")
        self._result(study)

    def show(self, study: Study, *, top: int, as_json: bool) -> None:
        """Show a study on record: what it is, its best trials, its best network."""
        if as_json:
            _print_json(study.summary())
            return
        summary = study.summary()
        how = f"{', '.join(map(str, study.objectives))} by {summary['strategy']} in {summary['space']}"
        self.out.print(f"[bold]search[/]    {how}, {study.budget}, seed {study.seed}")
        self.out.print(f"[bold]trials[/]    {_states(study)} in {_clock(study.elapsed)}")
        ranked = study.history.best_first(study.history.complete)[:top]
        if ranked:
            self._table(study, ranked)
        self._result(study)

    def exported(self, files: Iterable[Path], *, as_json: bool) -> None:
        """Show what was exported, and how it is used."""
        listed = list(files)
        if as_json:
            _print_json({"files": [str(file) for file in listed]})
            return
        for file in listed:
            self.out.print(str(file), markup=False)
        folder = listed[0].parent
        self.out.print(
            f"\nIn Python, in {folder}: model = build() from model.py, then\n"
            f'model.load_state_dict(safetensors.torch.load_file("weights.safetensors")); model.eval()',
            markup=False,
        )

    def names(self, entries: Iterable[Entry[Any]], *, as_json: bool) -> None:
        """List what is registered."""
        listed = list(entries)
        if as_json:
            _print_json([{"name": entry.name, "summary": entry.summary} for entry in listed])
            return
        width = max(len(entry.name) for entry in listed)
        for entry in listed:
            self.out.print(f"{entry.name:<{width}}  {entry.summary}", markup=False)

    def _table(self, study: Study, trials: list[Trial]) -> None:
        names = list(_leading(study, trials[0].metrics))[:5]
        headings = ["trial", *names, "seconds"]
        rows = [
            [str(trial.number)]
            + [_number(trial.metrics[name]) if name in trial.metrics else "" for name in names]
            + [f"{trial.seconds:.1f}"]
            for trial in trials
        ]
        widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
        room = max(20, self.out.width - sum(widths) - 2 * len(widths))
        for row, last in zip([headings, *rows], ["architecture", *map(_decisions, trials)], strict=True):
            cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
            last = last if len(last) <= room else f"{last[: room - 1]}…"
            self.out.print("  ".join([*cells, last]), markup=False)

    def _result(self, study: Study) -> None:
        best = study.best
        if best is None:
            self.out.print("[bold]best[/]      none: no trial has given a result")
            for trial in study.trials[-1:]:
                if trial.error:
                    self.out.print(
                        f"          trial {trial.number}: {trial.error.strip().splitlines()[-1]}", markup=False
                    )
            return
        self.out.print(f"[bold]best[/]      trial {best.trial.number}: {_metrics(_leading(study, best.metrics))}")
        for name, value in best.architecture.items():
            self.out.print(f"          {name} = {value}", markup=False)
        if study.test is not None:
            self.out.print(f"[bold]final[/]     {_metrics(_leading(study, study.test))}")
        if len(study.objectives) > 1:
            shown = f"; `archwright front {study.path}` shows them" if study.path is not None else ""
            self.out.print(f"[bold]front[/]     {len(study.front)} networks that nothing beats in all{shown}")
        for line in _diagnosis(study):
            self.out.print(f"[bold]supernet[/]  {line}")
        if study.path is not None and (Path(study.path) / "best").exists():
            files = ", ".join(sorted(file.name for file in (Path(study.path) / "best").iterdir()))
            self.out.print(f"[bold]files[/]     {Path(study.path) / 'best'}: {files}")


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
        shares.append(ended / budget.trials)
        if ended:
            lefts.append(spent / ended * (budget.trials - ended))
    return min(1.0, max(shares)), min(lefts, default=None)


def _given(trial: Trial) -> str:
    """Return what a trial was given, and which it went on from."""
    told = ", ".join(f"{name} {value:g}" for name, value in (trial.fidelity or {}).items())
    return told if trial.origin is None else f"{told}, from trial {trial.origin}"


def _best(study: Study) -> str:
    best = study.history.best
    if best is None:
        return ""
    return f"best {study.objective.metric} {best.metrics[study.objective.metric]:.4f} (trial {best.number})"


def _diagnosis(study: Study) -> list[str]:
    """Return what there is to say about what was learned before the first trial, as lines."""
    found = study.diagnosis()
    if found is None:
        return []
    lines = [f"{found['epochs']} epochs in {_clock(found['seconds'])}"]
    if "derived" in found:
        undecided = f", entropy {found['entropy']:.2f}" if "entropy" in found else ""
        shares = f"{found['skips']:.0%} skips, {found['nothing']:.0%} nothing{undecided}"
        lines.append(f"derived {found['derived']}: {shares}")
    if found.get("degenerate"):
        lines.append(f"the derived architecture is degenerate: {found['degenerate']}")
    if "spearman" in found:
        lines.append(
            f"shared against stand-alone accuracy over {found['compared']} architectures: Spearman "
            f"{found['spearman']:.2f}, Kendall {found['kendall']:.2f}"
        )
    return lines


def _states(study: Study) -> str:
    counts = {state: n for state, n in study.summary()["trials"].items() if n}
    return ", ".join(f"{n} {state}" for state, n in counts.items()) or "no trials"


def _leading(study: Study, metrics: Mapping[str, float]) -> dict[str, float]:
    """Return metrics with the one that is optimised first, and those of the training part last."""
    wanted = study.objective.metric

    def place(name: str) -> int:
        return 0 if name.removeprefix("test_") == wanted else 2 if name.startswith("train_") else 1

    return {name: metrics[name] for name in sorted(metrics, key=place)}


def _decisions(trial: Trial) -> str:
    return " ".join(f"{name}={value}" for name, value in trial.architecture.items())


def _metrics(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in metrics.items())


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) > 1 else f"{value:.4f}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _print_json(document: Any) -> None:
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
