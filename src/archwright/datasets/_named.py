"""Data sets by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from archwright._registry import Registry

REGRESSIONS = frozenset({"diabetes"})  # the others are classifications

registry: Registry[Callable[[], tuple[Any, Any]]] = Registry("data set")
"""Makers by name, without arguments; each returns a pair (inputs, targets) as `data` takes it."""


@registry.register("digits")
def digits() -> tuple[Any, Any]:
    """1,797 grey images of handwritten digits, 1x8x8."""
    from sklearn.datasets import load_digits

    images, targets = load_digits(return_X_y=True)
    # grey levels 0..16 spread over the whole range of a byte
    return np.rint(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8), targets


@registry.register("iris")
def iris() -> tuple[Any, Any]:
    """150 iris flowers of three species, four measurements each."""
    from sklearn.datasets import load_iris

    return _table(load_iris())


@registry.register("wine")
def wine() -> tuple[Any, Any]:
    """178 wines of three growers, 13 chemical measurements each."""
    from sklearn.datasets import load_wine

    return _table(load_wine())


@registry.register("breast-cancer")
def breast_cancer() -> tuple[Any, Any]:
    """569 tumours, benign or malignant, 30 measurements each."""
    from sklearn.datasets import load_breast_cancer

    return _table(load_breast_cancer())


@registry.register("diabetes")
def diabetes() -> tuple[Any, Any]:
    """442 patients, ten measurements each; the target is a measure of the disease after a year (regression)."""
    from sklearn.datasets import load_diabetes

    inputs, targets = load_diabetes(return_X_y=True)
    return inputs, targets


def _table(bunch: Any) -> tuple[Any, Any]:
    """Return scikit-learn's measurements, and names of classes in place of their numbers."""
    return bunch.data, np.asarray(bunch.target_names, dtype=np.str_)[bunch.target]
