"""The summary of a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, get_args

from archwright.study._diagnosis import diagnose
from archwright.study._recorder import Recorder
from archwright.trials import State, Trial, metrics_to_json

__all__ = ["summarise"]


def summarise(recorder: Recorder, *, test: Mapping[str, float] | None) -> dict[str, Any]:
    """Return what there is to know of a study, as a JSON object.

    Args:
        recorder: The study's record.
        test: The metrics of the final training.
    """
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


def _told(trial: Trial) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "id": trial.architecture.id,
        "architecture": trial.architecture.to_json(),
        "metrics": metrics_to_json(trial.metrics),
    }
