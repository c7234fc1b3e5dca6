"""What a trial's outcome makes of it."""

from __future__ import annotations

import math
import traceback
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial

from archwright.errors import EvaluationError
from archwright.evaluate import Infeasible, Stopped, check_metrics
from archwright.execute._job import Report
from archwright.trials import Constraint, History, Objective, Trial

__all__ = ["Outcome", "broken_by", "judge", "report_of"]

Outcome = float | Mapping[str, float] | BaseException
"""What an evaluation came to: the objective's value, metrics by name, or what went wrong."""

_LONGEST = 20_000  # characters of a traceback; deep recursion makes longer ones


def report_of(
    trial: int, outcome: Outcome, *, metric: str = "value", curve: Iterable[Mapping[str, float]], seconds: float
) -> Report:
    """Return the report of an evaluation that has ended.

    Args:
        trial: The number of the trial.
        outcome: What it came to. `Stopped` and `Infeasible` say why it ended early; any other exception is a failure.
        metric: The name of an outcome that is a number.
        curve: What was reported on the way, in order.
        seconds: How long it took.

    Raises:
        EvaluationError: The outcome or the curve is none of these.
    """
    told = partial(Report, trial, curve=tuple(check_metrics(row) for row in curve), seconds=float(seconds))
    if isinstance(outcome, Stopped):
        return told("stopped", error=_said(outcome), converged=outcome.complete)
    if isinstance(outcome, Infeasible):
        return told("infeasible", metrics=outcome.metrics, error=_said(outcome))
    if isinstance(outcome, BaseException):
        error, cause = traceback.format_exception(outcome), traceback.format_exception_only(outcome)
        return told("failed", error=_written("".join(error)), cause=_written("".join(cause)))
    return told("complete", metrics=check_metrics(outcome if isinstance(outcome, Mapping) else {metric: outcome}))


def judge(
    trial: Trial, report: Report, history: History, *, judged: Collection[str] = (), unjudged: str | None = None
) -> Trial:
    """Return a trial as it ends with a report.

    One that is complete is infeasible where its metrics break a constraint, which of a trial that was given less than
    all only what its network costs can; and failed where an objective is missing, NaN or infinite. One that was stopped
    is pruned, and the last point of its curve is its metrics; where it has converged, they are its outcome.

    Args:
        trial: The trial while it runs.
        report: What its evaluation came to.
        history: The history that it belongs to, with the objectives and the constraints.
        judged: Metrics whose constraints were judged before it began.
        unjudged: Why not all of them could be.
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
    missing = [each for each in history.constraints if each.metric not in {*metrics, *judged}]
    if missing and trial.share >= 1:
        why = unjudged or f"the metrics that came are {', '.join(metrics)}"
        error_text = f"the constraint {str(missing[0])!r} cannot be judged: {why}"
        return replace(trial, state="failed", metrics=metrics, error=error_text)
    return replace(trial, state="complete", metrics=metrics)


def broken_by(metrics: Mapping[str, float], constraints: Iterable[Constraint]) -> str | None:
    """Return which constraint metrics break, and with what value; `None` where they keep to all that they can."""
    for each in constraints:
        if each.metric in metrics and not each.keeps(metrics):
            return f"{each.metric} is {metrics[each.metric]:g}, and the constraint is {each}"
    return None


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
