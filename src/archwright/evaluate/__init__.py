"""Evaluation: what an architecture is worth.

`Candidate` and the evaluators of plain functions need no torch; it is loaded with `Training` and with `proxies`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from archwright.evaluate._candidate import Candidate, Infeasible, Saved, Stopped
from archwright.evaluate._costed import Costed
from archwright.evaluate._evaluator import (
    Evaluator,
    FunctionEvaluator,
    as_evaluator,
    check_metrics,
    decided_settings,
)
from archwright.evaluate._fidelity import Fidelity, Spent
from archwright.evaluate._learned import Learned, Preparation
from archwright.evaluate._pace import TrainingPace
from archwright.evaluate._wrapped import Wrapped

if TYPE_CHECKING:
    from archwright.evaluate import proxies
    from archwright.evaluate._repeats import Repeats
    from archwright.evaluate._training import Training
    from archwright.evaluate.proxies import ProxyEvaluator

__all__ = [
    "Candidate",
    "Costed",
    "Evaluator",
    "Fidelity",
    "FunctionEvaluator",
    "Infeasible",
    "Learned",
    "Preparation",
    "ProxyEvaluator",
    "Repeats",
    "Saved",
    "Spent",
    "Stopped",
    "Training",
    "TrainingPace",
    "Wrapped",
    "as_evaluator",
    "check_metrics",
    "decided_settings",
    "proxies",
]


def __getattr__(name: str) -> object:
    """Import what needs torch when it is asked for."""
    if name == "Training":
        from archwright.evaluate._training import Training

        return Training
    if name == "Repeats":
        from archwright.evaluate._repeats import Repeats

        return Repeats
    if name in ("ProxyEvaluator", "proxies"):
        proxies = importlib.import_module("archwright.evaluate.proxies")
        return proxies if name == "proxies" else proxies.ProxyEvaluator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
