"""Checks of settings: the fields of strategies, schedulers, predictors and relaxations, which are frozen dataclasses.

A check puts Python's own scalars into the fields that it names, and refuses a value that is not allowed. The message
begins with the name under which the class is registered; the error is that of its base class (`settings_error`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from archwright._scalars import is_number, is_whole, keep_scalars

__all__ = ["check_counts", "check_numbers", "check_options", "check_positive", "check_shares", "check_switches"]


def check_counts(settings: Any, *names: str, least: int = 1) -> None:
    """Refuse fields that are not integers of at least `least`."""
    _check(settings, names, f"an integer of {least} or more", lambda value: is_whole(value) and value >= least)


def check_numbers(settings: Any, *names: str, allowed: str, holds: Callable[[float], bool]) -> None:
    """Refuse fields that are not finite numbers of which something holds.

    Args:
        settings: What has the fields.
        *names: Their names.
        allowed: Which numbers are allowed, such as "between 0 and 1".
        holds: Whether a number is.
    """
    _check(
        settings,
        names,
        f"a number {allowed}",
        lambda value: is_number(value) and abs(value) < math.inf and holds(value),
    )


def check_shares(settings: Any, *names: str) -> None:
    """Refuse fields that are not numbers from 0 to 1."""
    check_numbers(settings, *names, allowed="from 0 to 1", holds=lambda value: 0 <= value <= 1)


def check_positive(settings: Any, *names: str, most: float = math.inf) -> None:
    """Refuse fields that are not finite numbers above 0 and at most `most`."""
    end = f" and at most {most:g}" if most < math.inf else ""
    check_numbers(settings, *names, allowed=f"above 0{end}", holds=lambda value: 0 < value <= most)


def check_switches(settings: Any, *names: str) -> None:
    """Refuse fields that are neither True nor False."""
    _check(settings, names, "True or False", lambda value: isinstance(value, bool))


def check_options(settings: Any, **options: Iterable[Any]) -> None:
    """Refuse fields that are none of the values allowed, by the name of the field."""
    for name, allowed in options.items():
        values = tuple(allowed)
        _check(settings, [name], f"one of {', '.join(map(repr, values))}", values.__contains__)


def _check(settings: Any, names: Iterable[str], allowed: str, holds: Callable[[Any], bool]) -> None:
    for name in names:
        keep_scalars(settings, name)
        value = getattr(settings, name)
        if not holds(value):
            told = getattr(settings, "registered_as", type(settings).__name__)
            raise settings.settings_error(f"{told}: {name} must be {allowed}, not {value!r}")
