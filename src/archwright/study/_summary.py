"""The summary of a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, get_args

from archwright.study._recorder import Recorder
from archwright.trials import History, State, Trial, metrics_to_json


def summarise(recorder: Recorder, *, test: Mapping[str, float] | None) -> dict[str, Any]:
    """Return what there is to know of a study, as a JSON object."""
    document, history = recorder.document, recorder.history
    states = Counter(trial.state for trial in history.trials)
    best, strategy = history.best, document["strategy"]
    return {
        "path": None if recorder.folder is None else str(recorder.folder),
        "space": document["space"]["name"] or "custom",
        "fingerprint": document["fingerprint"],
        "strategy": strategy["name"] or strategy["class"],
        "options": strategy["options"],
        "seed": document["seed"],
        "objectives": list(map(str, history.objectives)),
        "constraints": list(map(str, history.constraints)),
        "budget": document["budget"],
        "evaluator": document["evaluator"],
        "created": document["created"],
        "versions": document["versions"],
        "trials": {state: states[state] for state in get_args(State)},
        "seconds": recorder.clock.elapsed,
        "best": None if best is None else _told(best),
        "front": [_told(trial) for trial in history.front] if len(history.objectives) > 1 else None,
        "hypervolume": history.hypervolume() if len(history.objectives) > 1 else None,
        "learned": diagnose(history),
        "test": None if test is None else metrics_to_json(test),
    }


def diagnose(history: History) -> dict[str, Any] | None:
    """Return the diagnosis of a study, as `Study.diagnosis` describes it."""
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


def _told(trial: Trial) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "id": trial.architecture.id,
        "architecture": trial.architecture.to_json(),
        "metrics": metrics_to_json(trial.metrics),
    }
