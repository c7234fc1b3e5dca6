"""The errors that archwright raises. Each message names what was given, what is allowed and what to do."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from typing import Any

__all__ = [
    "ArchitectureError",
    "ArchwrightError",
    "BudgetError",
    "BuildError",
    "CostError",
    "DataError",
    "EvaluationError",
    "Exhausted",
    "MissingExtra",
    "RelaxationError",
    "SchedulerError",
    "ShapeError",
    "SpaceError",
    "StoreError",
    "StrategyError",
    "StudyError",
    "StudyLocked",
    "TableError",
    "UnknownName",
    "Unsteady",
    "require",
    "unknown",
]


class ArchwrightError(Exception):
    """Base of every error below, so that one `except` can catch them all."""


class SpaceError(ArchwrightError):
    """A search space is defined wrongly."""


class ShapeError(SpaceError):
    """Options of one choice, or layers in a row, do not fit in shape."""


class ArchitectureError(ArchwrightError):
    """Decisions do not belong to the space they are used with."""


class Exhausted(ArchwrightError):
    """Every architecture of a finite space has been proposed."""


class BuildError(ArchwrightError):
    """An architecture cannot be turned into a network or into source."""


class RelaxationError(ArchwrightError):
    """A space cannot be made one network with shared weights, or a relaxation cannot serve it; the path is named."""


class DataError(ArchwrightError):
    """Data cannot be read, or cannot be learnt from."""


class CostError(ArchwrightError):
    """What a network costs cannot be told: on this machine, on this target, or at all."""


class Unsteady(CostError):
    """Times waver too much to be believed: something else keeps the machine busy. Later it may be idle."""


class EvaluationError(ArchwrightError):
    """An evaluation gave no usable result."""


class StrategyError(ArchwrightError):
    """A strategy cannot serve the space or the settings it was given."""


class SchedulerError(ArchwrightError):
    """A scheduler cannot work with the evaluator, the fidelities, the budget or the settings it was given."""


class BudgetError(ArchwrightError):
    """A budget is missing, empty or negative."""


class StudyError(ArchwrightError):
    """A study is used in a way that its state does not allow."""


class StudyLocked(StudyError):
    """Another process holds the study."""


class StoreError(ArchwrightError):
    """A store cannot be opened, read or written."""


class TableError(ArchwrightError):
    """A table of measured networks is missing, damaged, or lacks what was asked of it."""


class MissingExtra(ArchwrightError, ImportError):
    """An optional dependency is not installed."""


class UnknownName(ArchwrightError, KeyError):
    """A name that is not in a registry."""

    def __str__(self) -> str:
        """Return the message; `KeyError` would show its repr."""
        return str(self.args[0])


def unknown(kind: str, given: str, allowed: Iterable[str]) -> UnknownName:
    """Return the error for a name that is not known, with the nearest one and all that there are.

    Args:
        kind: What is named, in the singular, such as "strategy".
        given: The name that was given.
        allowed: The names that there are.

    Example:
        >>> str(unknown("strategy", "evolutoin", ["evolution", "random"]))
        "unknown strategy 'evolutoin'. Did you mean 'evolution'? There are: evolution, random."
    """
    names = sorted(allowed)
    near = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UnknownName(f"unknown {kind} {given!r}.{hint} There are: {', '.join(names) or 'none'}.")


def require(module: str, *, extra: str, purpose: str) -> Any:
    """Import a module of an optional dependency.

    Args:
        module: The module, as it is imported.
        extra: The extra of archwright that brings it.
        purpose: What needs it, as the start of a sentence, such as "the strategy 'optuna'".

    Raises:
        MissingExtra: It is not installed; the message names the extra.

    Example:
        >>> require("math", extra="rl", purpose="the example").pi > 3
        True
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingExtra(
            f"{purpose} needs {package}, which is not installed: pip install 'archwright[{extra}]'"
        ) from error
