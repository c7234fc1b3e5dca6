"""The task of given data."""

from __future__ import annotations

from typing import Any

from archwright.datasets import Data, advice
from archwright.errors import EvaluationError
from archwright.tasks._classification import Classification
from archwright.tasks._regression import Regression
from archwright.tasks._task import Task


def as_task(given: Any) -> Task:
    """Return a task unchanged, or the task of data.

    Raises:
        EvaluationError: The argument is neither.

    Example:
        >>> from archwright.tasks import as_task
        >>> as_task(aw.data((torch.rand(40, 4), torch.arange(40) % 2))).objective
        'max accuracy'
    """
    if isinstance(given, Task):
        return given
    if isinstance(given, Data):
        return Classification(given) if given.classes else Regression(given)
    shown = " ".join(repr(given).split())
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    raise EvaluationError(
        f"networks are trained on data that aw.data(...) loaded or on an aw.Task(...), not {shown} "
        f"({type(given).__name__}). {advice(given)}".rstrip(" .")
    )
