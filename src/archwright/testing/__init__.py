"""Conformance suites for spaces, strategies, schedulers, stores, evaluators and supernets of your own.

Subclass a suite in your tests and give it one fixture::

    import pytest
    from archwright.testing import StrategySuite

    class TestMine(StrategySuite):
        @pytest.fixture
        def strategy(self):
            return MyStrategy()

`random_spaces` and `expressions` draw spaces for property-based tests; they need Hypothesis. All else needs pytest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archwright.testing._evaluators import EvaluatorSuite
    from archwright.testing._random import expressions, random_spaces
    from archwright.testing._schedulers import SchedulerSuite
    from archwright.testing._spaces import SpaceSuite
    from archwright.testing._stores import StoreSuite
    from archwright.testing._strategies import StrategySuite
    from archwright.testing._supernets import SupernetSuite

__all__ = [
    "EvaluatorSuite",
    "SchedulerSuite",
    "SpaceSuite",
    "StoreSuite",
    "StrategySuite",
    "SupernetSuite",
    "expressions",
    "random_spaces",
]

_HOME = {
    "EvaluatorSuite": ("_evaluators", "pytest"),
    "SchedulerSuite": ("_schedulers", "pytest"),
    "SpaceSuite": ("_spaces", "pytest"),
    "StoreSuite": ("_stores", "pytest"),
    "StrategySuite": ("_strategies", "pytest"),
    "SupernetSuite": ("_supernets", "pytest"),
    "expressions": ("_random", "hypothesis"),
    "random_spaces": ("_random", "hypothesis"),
}


def __getattr__(name: str) -> Any:
    """Import a suite when it is asked for, and say what it needs where that is not installed."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home, needed = _HOME[name]
    try:
        module = importlib.import_module(needed)
        if needed == "pytest":
            module.register_assert_rewrite(f"{__name__}.{home}")  # failures show values
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"archwright.testing.{name} needs {needed}, which is not installed: pip install {needed}", name=needed
        ) from error
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
