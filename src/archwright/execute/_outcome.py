"""From the outcome of an evaluation to the state of a trial."""

from __future__ import annotations

import math
import re
import sys
import traceback
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial

from archwright.errors import EvaluationError
from archwright.evaluate import Infeasible, Stopped, check_metrics
from archwright.execute._job import Report
from archwright.trials import Constraint, History, Objective, Trial

Outcome = float | Mapping[str, float] | BaseException
"""What an evaluation came to: the objective's value, metrics by name, or what went wrong."""

_LONGEST = 20_000  # characters of a traceback; deep recursion makes longer ones


def report_of(
    trial: int, outcome: Outcome, *, metric: str = "value", curve: Iterable[Mapping[str, float]], seconds: float
) -> Report:
    """Return the final report of an evaluation.

    Args:
        trial: The number of the trial.
        outcome: Metrics, or an exception: `Stopped` and `Infeasible` for an early end; any other is a failure.
        metric: The name of the metric if the outcome is a number.
        curve: Intermediate reports in order.
        seconds: The duration.

    Raises:
        EvaluationError: The outcome or the curve has another type.

    Example:
        >>> from archwright.execute import report_of
        >>> report_of(0, ValueError("no such layer"), curve=(), seconds=1.5).kind
        'failed'
    """
    told = partial(Report, trial, curve=tuple(check_metrics(row) for row in curve), seconds=float(seconds))
    if isinstance(outcome, Stopped):
        return told("stopped", error=_said(outcome), converged=outcome.complete)
    if isinstance(outcome, Infeasible):
        return told("infeasible", metrics=outcome.metrics, error=_said(outcome))
    if isinstance(outcome, BaseException):
        _advise(outcome)
        error, cause = traceback.format_exception(outcome), traceback.format_exception_only(outcome)
        return told("failed", error=_written("".join(error)), cause=_written("".join(cause)))
    return told("complete", metrics=check_metrics(outcome if isinstance(outcome, Mapping) else {metric: outcome}))


def conclude(
    trial: Trial, report: Report, history: History, *, checked: Collection[str] = (), unchecked: str | None = None
) -> Trial:
    """Return the final state of a trial, given its final report.

    A complete trial is infeasible if its metrics violate a constraint (at a lower fidelity, one on a cost), and failed
    if an objective is missing, NaN or infinite. A stopped trial is pruned, with the last point of its curve as metrics;
    if it has converged, it is complete.

    Args:
        trial: The running trial.
        report: The final report.
        history: The history of the trial, with objectives and constraints.
        checked: Metrics whose constraints were checked before the trial.
        unchecked: The reason why some could not be checked.

    Example:
        >>> from archwright.execute import conclude, report_of
        >>> history = aw.History(aw.Objective("value"))
        >>> trial = aw.Trial(0, aw.Architecture({"x": 1}))
        >>> conclude(trial, report_of(0, float("nan"), curve=(), seconds=1.0), history).state
        'failed'
    """
    trial = replace(trial, curve=report.curve, seconds=report.seconds)
    metrics = dict(report.metrics)
    if report.kind in ("failed", "died"):
        return replace(trial, state="failed", error=report.error)
    if report.kind == "infeasible":
        return replace(trial, state="infeasible", metrics=metrics, error=report.error)
    if report.kind == "stopped":
        metrics = {name: value for name, value in report.curve[-1].items() if name != "step"} if report.curve else {}
        if not report.converged or not metrics:
            return replace(trial, state="pruned", metrics=metrics, error=report.error or None)
    broken = broken_by(metrics, history.constraints) if trial.share >= 1 else None
    if broken is not None:
        return replace(trial, state="infeasible", metrics=metrics, error=broken)
    for objective in history.objectives:
        try:
            score = objective.score(metrics)
        except EvaluationError as error:
            return replace(trial, state="failed", metrics=metrics, error=str(error))
        if not math.isfinite(score):
            error_text = f"the objective {str(objective)!r} is {score}"
            if type(objective) is Objective:
                error_text = f"the objective {objective.metric!r} is {metrics[objective.metric]}"
            return replace(trial, state="failed", metrics=metrics, error=error_text)
    missing = [each for each in history.constraints if each.metric not in {*metrics, *checked}]
    if missing and trial.share >= 1:
        why = unchecked or f"the metrics that came are {', '.join(metrics)}"
        error_text = f"the constraint {str(missing[0])!r} cannot be checked: {why}"
        return replace(trial, state="failed", metrics=metrics, error=error_text)
    return replace(trial, state="complete", metrics=metrics)


def broken_by(metrics: Mapping[str, float], constraints: Iterable[Constraint]) -> str | None:
    """Return the constraint that metrics violate, with the value, as text, or `None`.

    Example:
        >>> from archwright.execute import broken_by
        >>> from archwright.trials import Constraint
        >>> broken_by({"latency_ms": 7.0}, [Constraint("latency_ms", 5.0)])
        'latency_ms is 7, and the constraint is latency_ms <= 5'
    """
    for each in constraints:
        if each.metric in metrics and not each.keeps(metrics):
            return f"{each.metric} is {metrics[each.metric]:g}, and the constraint is {each}"
    return None


def _advise(error: BaseException) -> None:
    """Note what to do where a GPU has no memory left; torch is not loaded for it."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        asked = re.search(r"allocate ([\d.]+ \w+)", _said(error))
        wanted = f", which want {asked[1]} more" if asked else ""
        if torch.cuda.is_initialized():
            wanted += f" than the {torch.cuda.max_memory_allocated() / 2**30:.3g} GiB that the trial had at its peak"
        error.add_note(
            f"the GPU has too little memory for the network and its batch{wanted}: take a smaller "
            "batch_size, precision='bf16', or fewer workers where several share a GPU"
        )


def _said(error: BaseException) -> str:
    """Return what an exception says, if it is able to."""
    try:
        return _written(str(error))
    except Exception:
        return f"{type(error).__name__}, whose text cannot be told"


def _written(text: str) -> str:
    """Return a text as it can be put on record: of a bounded length, with what UTF-8 does not have escaped."""
    if len(text) > _LONGEST:
        half = _LONGEST // 2
        text = f"{text[:half]}\n  ... {len(text) - 2 * half:,} characters ...\n{text[-half:]}"
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")  # PostgreSQL has no null characters
