"""What a trial's outcome makes of it."""

from __future__ import annotations

import math
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import replace

from archwright.errors import EvaluationError
from archwright.evaluate import Stopped, check_metrics
from archwright.trials import Objective, Trial

__all__ = ["Outcome", "judge"]

Outcome = float | Mapping[str, float] | BaseException
"""What an evaluation came to: the objective's value, metrics by name, or what went wrong."""

_LONGEST = 20_000  # characters of a traceback; deep recursion makes longer ones


def judge(
    trial: Trial,
    outcome: Outcome,
    objective: Objective,
    *,
    curve: Iterable[Mapping[str, float]],
    seconds: float,
) -> Trial:
    """Return a trial as it ends with an outcome.

    Args:
        trial: The trial while it runs.
        outcome: A value of the objective, or metrics by name: it is complete, or failed where the objective is
            missing, NaN or infinite. `Stopped`: it is pruned, and the last point of its curve is its
            metrics; where it says so, they are its outcome. Any other exception: it is failed, and the traceback is its
            error.
        objective: What the study optimises.
        curve: What was reported on the way, in order.
        seconds: How long it took.

    Raises:
        EvaluationError: The outcome is none of these.
    """
    rows = tuple(dict(row) for row in curve)
    trial = replace(trial, curve=rows, seconds=seconds)
    if isinstance(outcome, Stopped):
        last = {name: value for name, value in rows[-1].items() if name != "step"} if rows else {}
        if not outcome.complete or not last:
            return replace(trial, state="pruned", metrics=last, error=str(outcome) or None)
        outcome = last
    if isinstance(outcome, BaseException):
        text = "".join(traceback.format_exception(outcome))
        return replace(trial, state="failed", error=_shortened(text))
    metrics = check_metrics(outcome if isinstance(outcome, Mapping) else {objective.metric: outcome})
    try:
        score = objective.score(metrics)
    except EvaluationError as error:
        return replace(trial, state="failed", metrics=metrics, error=str(error))
    if not math.isfinite(score):
        error_text = f"the objective {objective.metric!r} is {metrics[objective.metric]}"
        return replace(trial, state="failed", metrics=metrics, error=error_text)
    return replace(trial, state="complete", metrics=metrics)


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]}\n  ... {len(text) - 2 * half:,} characters ...\n{text[-half:]}"
