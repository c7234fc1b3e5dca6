"""Renamed arguments."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

__all__ = ["renamed"]

P = ParamSpec("P")
R = TypeVar("R")


def renamed(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that still takes arguments by their old names, with a `FutureWarning`.

    Args:
        **names: The new name by the old one.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            given: dict[str, Any] = dict(kwargs)
            for old, new in names.items():
                if old not in given:
                    continue
                if new in given:
                    raise TypeError(
                        f"{function.__name__}() takes {new!r}, and {old!r} is its old name: give one of them"
                    )
                message = f"the argument {old!r} of {function.__name__}() is now {new!r}"
                warnings.warn(message, FutureWarning, stacklevel=2)
                given[new] = given.pop(old)
            return function(*args, **given)

        return call

    return decorate
