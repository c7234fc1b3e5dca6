"""Data sets by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from archwright._registry import Registry

REGRESSIONS = frozenset({"diabetes"})  # the others are classifications

registry: Registry[Callable[[], tuple[Any, Any]]] = Registry("data set")
"""Makers by name, without arguments; each returns a pair (inputs, targets) as `data` takes it."""


@registry.register("digits")
def digits() -> tuple[Any, Any]:
    """1,797 grey images of handwritten digits, 1x8x8."""
    rows = np.loadtxt(_file("digits.csv.gz"), delimiter=",")
    images, targets = rows[:, :-1], rows[:, -1].astype(int)
    # grey levels 0..16 spread over the whole range of a byte
    return np.rint(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8), targets


@registry.register("iris")
def iris() -> tuple[Any, Any]:
    """150 iris flowers of three species, four measurements each."""
    return _table("iris.csv")


@registry.register("wine")
def wine() -> tuple[Any, Any]:
    """178 wines of three growers, 13 chemical measurements each."""
    return _table("wine_data.csv")


@registry.register("breast-cancer")
def breast_cancer() -> tuple[Any, Any]:
    """569 tumours, benign or malignant, 30 measurements each."""
    return _table("breast_cancer.csv")


@registry.register("diabetes")
def diabetes() -> tuple[Any, Any]:
    """442 patients, ten measurements each; the target is a measure of the disease after a year (regression)."""
    from sklearn.datasets import load_diabetes

    inputs, targets = load_diabetes(return_X_y=True)
    return inputs, targets


def _table(name: str) -> tuple[Any, Any]:
    """Return measurements, and names of classes in place of their numbers; the names are in the first line."""
    file = _file(name)
    with file.open(encoding="utf-8") as lines:
        names = np.asarray(next(lines).strip().split(",")[2:])
    rows = np.loadtxt(file, delimiter=",", skiprows=1)
    return rows[:, :-1], names[rows[:, -1].astype(int)]


def _file(name: str) -> Path:
    """Return a data file of scikit-learn, which is not loaded: that takes seconds."""
    package = find_spec("sklearn")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "datasets" / "data" / name
