"""Archwright: neural architecture search for PyTorch.

A search space is an ordinary expression that builds a network, with some choices left open; everything else is an
interpretation of that expression. Names are imported on first use: `import archwright` loads neither torch nor numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archwright import (
        adapt,
        bench,
        callbacks,
        cost,
        draw,
        envs,
        errors,
        explain,
        morphism,
        nn,
        optim,
        proxies,
        report,
        schedulers,
        spaces,
        strategies,
        supernet,
        surrogates,
        tasks,
        testing,
        transfer,
    )
    from archwright.adapt import elastic, pretrained, shrink
    from archwright.datasets import Data, data
    from archwright.estimators import (
        Forecaster,
        ImageClassifier,
        ImageRegressor,
        TabularClassifier,
        TabularRegressor,
        TextClassifier,
    )
    from archwright.evaluate import Candidate, Evaluator, Repeats, Stopped, Training
    from archwright.execute import Ray, Slurm
    from archwright.proxies import ProxyEvaluator
    from archwright.space import (
        Architecture,
        Space,
        TensorSpec,
        cell,
        choice,
        graph,
        integer,
        lazy,
        merge,
        ordinal,
        real,
        recursive,
        repeat,
        rules,
        subset,
        template,
    )
    from archwright.strategies import LLM
    from archwright.study import Budget, Callback, Nested, Study, compare, load, optuna_storage, search
    from archwright.supernet import Supernet, SupernetEvaluator
    from archwright.tasks import Task, task
    from archwright.trials import History, Objective, Trial

_HOME = {
    **dict.fromkeys(
        (
            "adapt",
            "bench",
            "callbacks",
            "cost",
            "draw",
            "envs",
            "errors",
            "explain",
            "nn",
            "optim",
            "schedulers",
            "spaces",
        ),
        "",
    ),
    **dict.fromkeys(("morphism", "proxies", "report", "strategies", "supernet"), ""),
    **dict.fromkeys(("surrogates", "tasks", "testing"), ""),
    **dict.fromkeys(("elastic", "pretrained", "shrink"), "adapt"),
    **dict.fromkeys(("Data", "data"), "datasets"),
    **dict.fromkeys(("Forecaster", "ImageClassifier", "ImageRegressor", "TabularClassifier"), "estimators"),
    **dict.fromkeys(("TabularRegressor", "TextClassifier"), "estimators"),
    **dict.fromkeys(("Candidate", "Evaluator", "Repeats", "Stopped", "Training"), "evaluate"),
    **dict.fromkeys(("Ray", "Slurm"), "execute"),
    "ProxyEvaluator": "proxies",
    **dict.fromkeys(
        (
            "Architecture",
            "Space",
            "TensorSpec",
            "cell",
            "choice",
            "graph",
            "integer",
            "lazy",
            "merge",
            "ordinal",
            "real",
            "recursive",
            "repeat",
            "rules",
            "rules",
            "subset",
            "template",
        ),
        "space",
    ),
    **dict.fromkeys(("Budget", "Callback", "Nested", "Study", "compare", "load", "optuna_storage", "search"), "study"),
    "LLM": "strategies",
    **dict.fromkeys(("Supernet", "SupernetEvaluator"), "supernet"),
    **dict.fromkeys(("Task", "task"), "tasks"),
    **dict.fromkeys(("History", "Objective", "Trial"), "trials"),
    "transfer": "",
}

__all__ = [
    "LLM",
    "Architecture",
    "Budget",
    "Callback",
    "Candidate",
    "Data",
    "Evaluator",
    "Forecaster",
    "History",
    "ImageClassifier",
    "ImageRegressor",
    "Nested",
    "Objective",
    "ProxyEvaluator",
    "Ray",
    "Repeats",
    "Slurm",
    "Space",
    "Stopped",
    "Study",
    "Supernet",
    "SupernetEvaluator",
    "TabularClassifier",
    "TabularRegressor",
    "Task",
    "TensorSpec",
    "TextClassifier",
    "Training",
    "Trial",
    "adapt",
    "bench",
    "callbacks",
    "cell",
    "choice",
    "compare",
    "cost",
    "data",
    "draw",
    "elastic",
    "envs",
    "errors",
    "explain",
    "graph",
    "integer",
    "lazy",
    "load",
    "merge",
    "morphism",
    "nn",
    "optim",
    "optuna_storage",
    "ordinal",
    "pretrained",
    "proxies",
    "real",
    "recursive",
    "repeat",
    "report",
    "rules",
    "schedulers",
    "search",
    "shrink",
    "spaces",
    "strategies",
    "subset",
    "supernet",
    "surrogates",
    "task",
    "tasks",
    "template",
    "testing",
    "transfer",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its room."""
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("archwright")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not _HOME[name]:
        return importlib.import_module(f"{__name__}.{name}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
