"""Output of `archwright show --trial`: one trial, and what it printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archwright import _disk
from archwright._words import counted, last_lines
from archwright.cli._console import Output, document
from archwright.errors import StudyError

if TYPE_CHECKING:
    from archwright.study import Study

_LINES, _BYTES = 20, 65_536  # of the end of what a trial printed that are shown, and looked at for them


def show_trial(study: Study, number: int, *, as_json: bool) -> None:
    """Show a trial.

    Raises:
        StudyError: There is no such trial, or its log cannot be read.
    """
    if not 0 <= number < len(study.trials):
        raise StudyError(f"there is no trial {number}: the study has {counted(len(study.trials), 'trial')}")
    trial, log = study.trials[number], study.log_file(number)
    if as_json:
        document({**trial.to_json(), "log": None if log is None else str(log)})
        return
    out = Output()
    attempts = f", attempt {trial.attempts}" if trial.attempts > 1 else ""
    given = f", {told}" if (told := study.given(trial)) else ""
    origin = "" if trial.origin is None else f", from trial {trial.origin}"
    out.line(f"{number}: {trial.state} in {trial.seconds:.1f} s{given}{origin}{attempts}", label="trial")
    if trial.metrics:
        out.line(", ".join(f"{name} {value:.6g}" for name, value in trial.metrics.items()), label="metrics")
    out.line(trial.architecture.id, label="architecture")
    for name, value in trial.architecture.items():
        out.line(f"{name} = {value}", label="")
    for place, line in enumerate((trial.error or "").rstrip().splitlines()):
        out.line(line, label="" if place else "error")
    if log is not None:
        out.line(log, label="log")
        for line in last_lines(_disk.read(log, last=_BYTES), _LINES):
            out.line(line, label="")
