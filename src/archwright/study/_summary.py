"""A study at a glance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, get_args

from archwright.study._diagnosis import diagnose
from archwright.study._ledger import Ledger
from archwright.trials import State, metrics_to_json

__all__ = ["summarise"]


def summarise(ledger: Ledger, *, test: Mapping[str, float] | None) -> dict[str, Any]:
    """Return what there is to know of a study, as a JSON object.

    Args:
        ledger: The study's record.
        test: The metrics of the final training.
    """
    document, history = ledger.document, ledger.history
    states = Counter(trial.state for trial in history.trials)
    best, strategy = history.best, document["strategy"]
    return {
        "path": None if ledger.folder is None else str(ledger.folder),
        "space": document["space"]["name"] or "custom",
        "fingerprint": document["fingerprint"],
        "strategy": strategy["name"] or strategy["class"],
        "options": strategy["options"],
        "seed": document["seed"],
        "objectives": [str(history.objective)],
        "budget": document["budget"],
        "evaluator": document["evaluator"],
        "created": document["created"],
        "versions": document["versions"],
        "trials": {state: states[state] for state in get_args(State)},
        "seconds": ledger.clock.elapsed,
        "best": None
        if best is None
        else {
            "trial": best.number,
            "id": best.architecture.id,
            "architecture": best.architecture.to_json(),
            "metrics": metrics_to_json(best.metrics),
        },
        "learned": diagnose(history),
        "test": None if test is None else metrics_to_json(test),
    }
