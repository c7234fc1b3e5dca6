"""Evaluation: what an architecture is worth.

`Candidate` and the evaluators of plain functions need no torch; it is loaded with `Training`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archwright._lazy import lazy
from archwright.evaluate._candidate import Candidate, Infeasible, Saved, Stopped
from archwright.evaluate._evaluator import (
    Evaluator,
    FunctionEvaluator,
    as_evaluator,
    check_metrics,
    decided_settings,
)
from archwright.evaluate._fidelity import Fidelity, Spent
from archwright.evaluate._learned import Learned, Preparation
from archwright.evaluate._wrapped import Wrapped

if TYPE_CHECKING:
    from archwright.evaluate._repeats import Repeats
    from archwright.evaluate._training import Training

__all__ = [
    "Candidate",
    "Evaluator",
    "Fidelity",
    "FunctionEvaluator",
    "Infeasible",
    "Learned",
    "Preparation",
    "Repeats",
    "Saved",
    "Spent",
    "Stopped",
    "Training",
    "Wrapped",
    "as_evaluator",
    "check_metrics",
    "decided_settings",
]

__getattr__ = lazy(
    __name__,
    {"_repeats": ["Repeats"], "_training": ["Training"]},
    moved={"ProxyEvaluator": "archwright.proxies", "proxies": "archwright"},
)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
