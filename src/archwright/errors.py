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
    "Inconclusive",
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
    """Base class of all errors of archwright."""


class SpaceError(ArchwrightError):
    """The definition of a search space is invalid."""


class ShapeError(SpaceError):
    """The shapes of successive layers, or of options of a choice, do not match."""


class ArchitectureError(ArchwrightError):
    """Decisions do not belong to the space with which they are used."""


class Exhausted(ArchwrightError):
    """All architectures of a finite space have been proposed."""


class BuildError(ArchwrightError):
    """The network of an architecture cannot be built or written as source."""


class RelaxationError(ArchwrightError):
    """A supernet cannot be made of a space, or does not support a relaxation; the message names the path."""


class DataError(ArchwrightError):
    """Data cannot be read, or are not suitable for training."""


class CostError(ArchwrightError):
    """The cost of a network cannot be determined on this machine, for this target, or at all."""


class Unsteady(CostError):
    """Measured times vary too much, since other processes use the machine; a later measurement may succeed."""


class EvaluationError(ArchwrightError):
    """An evaluation has no valid result."""


class StrategyError(ArchwrightError):
    """A strategy does not support the space or its settings."""


class SchedulerError(ArchwrightError):
    """A scheduler does not support the evaluator, the fidelities, the budget or its settings."""


class BudgetError(ArchwrightError):
    """A budget is missing, empty or negative."""


class StudyError(ArchwrightError):
    """An operation is not possible in the state of a study."""


class Inconclusive(StudyError):
    """The trials of a study are too few, or too alike, to tell anything from."""


class StudyLocked(StudyError):
    """Another process writes to the study."""


class StoreError(ArchwrightError):
    """A store cannot be opened, read or written."""


class TableError(ArchwrightError):
    """A tabular benchmark is missing, damaged, or lacks a value."""


class MissingExtra(ArchwrightError, ImportError):
    """An optional dependency is not installed."""


class UnknownName(ArchwrightError, KeyError):
    """A name is not in a registry."""

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
