"""Diagnosis of the preparation before the first trial."""

from __future__ import annotations

from typing import Any

from archwright.trials import History

__all__ = ["diagnose"]


def diagnose(history: History) -> dict[str, Any] | None:
    """Return the diagnosis of a study, as `Study.diagnosis` describes it.

    Args:
        history: All trials.
    """
    learned = history.learned
    if learned is None:
        return None
    seconds = sum(row.get("seconds", 0.0) for row in learned.curve)
    found: dict[str, Any] = {"epochs": len(learned.curve), "seconds": seconds, **learned.diagnosis}
    pairs = [
        (trial.metrics["shared_accuracy"], trial.metrics["accuracy"])
        for trial in history.complete
        if {"shared_accuracy", "accuracy"} <= trial.metrics.keys()
    ]
    found["compared"] = len(pairs)
    if len(pairs) > 2:
        from scipy import stats

        shared, alone = zip(*pairs, strict=True)
        if len(set(shared)) > 1 and len(set(alone)) > 1:  # where all are equal there is no order to compare
            found["spearman"] = float(stats.spearmanr(shared, alone).statistic)
            found["kendall"] = float(stats.kendalltau(shared, alone).statistic)
    return found
