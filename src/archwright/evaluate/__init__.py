"""Evaluation of architectures: candidates, evaluators, training.

`Candidate` and the evaluators of plain functions need no torch; it is loaded with `Training`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archwright._lazy import lazy
from archwright.evaluate._candidate import Candidate, Infeasible, Saved, Stopped
from archwright.evaluate._evaluator import Evaluator, FunctionEvaluator, as_evaluator, check_metrics, decided_settings
from archwright.evaluate._fidelity import ENOUGH, LONGER, Fidelity, Spent, standard_error
from archwright.evaluate._learned import Learned, Preparation
from archwright.evaluate._wrapped import Wrapped

if TYPE_CHECKING:
    from archwright.evaluate._device import Setup, lay_out, seeded
    from archwright.evaluate._ensemble import Library, select_members
    from archwright.evaluate._feed import Batch, Feed, compute_metrics
    from archwright.evaluate._loop import TrainingLoop, TrainingProgress
    from archwright.evaluate._modes import is_frozen_norm, set_training
    from archwright.evaluate._optimizers import SCHEDULES, make_optimizer
    from archwright.evaluate._recipe import Recipe, positive_integer
    from archwright.evaluate._repeats import Repeats
    from archwright.evaluate._training import Training

__all__ = [
    "ENOUGH",
    "LONGER",
    "SCHEDULES",
    "Batch",
    "Candidate",
    "Evaluator",
    "Feed",
    "Fidelity",
    "FunctionEvaluator",
    "Infeasible",
    "Learned",
    "Library",
    "Preparation",
    "Recipe",
    "Repeats",
    "Saved",
    "Setup",
    "Spent",
    "Stopped",
    "Training",
    "TrainingLoop",
    "TrainingProgress",
    "Wrapped",
    "as_evaluator",
    "check_metrics",
    "compute_metrics",
    "decided_settings",
    "is_frozen_norm",
    "lay_out",
    "make_optimizer",
    "positive_integer",
    "seeded",
    "select_members",
    "set_training",
    "standard_error",
]

__getattr__ = lazy(
    __name__,
    {
        "_device": ["Setup", "lay_out", "seeded"],
        "_ensemble": ["Library", "select_members"],
        "_feed": ["Batch", "Feed", "compute_metrics"],
        "_loop": ["TrainingLoop", "TrainingProgress"],
        "_modes": ["is_frozen_norm", "set_training"],
        "_optimizers": ["SCHEDULES", "make_optimizer"],
        "_recipe": ["Recipe", "positive_integer"],
        "_repeats": ["Repeats"],
        "_training": ["Training"],
    },
    moved={"ProxyEvaluator": "archwright.proxies", "proxies": "archwright"},
)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
