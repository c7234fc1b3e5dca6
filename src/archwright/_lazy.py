"""Lazy imports of a package's names."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["lazy"]


def lazy(
    package: str, names: Mapping[str, Iterable[str]] | None = None, *, moved: Mapping[str, str] | None = None
) -> Callable[[str], Any]:
    """Return a `__getattr__` for a package.

    Args:
        package: The package's name.
        names: Names that are imported on first use, by the module of the package that defines them.
        moved: Names that other packages define now, with that package: they are given with a `FutureWarning`.
    """
    homes = {name: f"{package}.{module}" for module, held in (names or {}).items() for name in held}
    moved = moved or {}

    def find(name: str) -> Any:
        home = homes.get(name) or moved.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if name in moved:
            warnings.warn(f"{package}.{name} is now {home}.{name}", FutureWarning, stacklevel=2)
            return getattr(importlib.import_module(home), name)
        value = getattr(importlib.import_module(home), name)
        setattr(sys.modules[package], name, value)  # this function is not called for it again
        return value

    return find
