"""Checks of settings."""

from __future__ import annotations

import math
from typing import Any

from archwright._scalars import is_number, is_whole, keep_scalars, scalar
from archwright.errors import SchedulerError

__all__ = ["check_count", "check_eta", "check_share", "to_eta"]


def to_eta(name: str, eta: object) -> float:
    """Return a ratio of rungs as a plain number.

    Raises:
        SchedulerError: It is not above 1.
    """
    eta = scalar(eta)
    if not is_number(eta) or not 1 < eta < math.inf:
        raise SchedulerError(f"{name}: eta, how much dearer each rung is than the one before, is above 1, not {eta!r}")
    return eta


def check_eta(name: str, settings: Any) -> None:
    """Refuse a setting `eta` that `to_eta` refuses."""
    keep_scalars(settings, "eta")
    to_eta(name, settings.eta)


def check_count(name: str, settings: Any, setting: str, *, least: int = 1) -> None:
    """Refuse a setting that is not an integer of at least `least`.

    Raises:
        SchedulerError: It is not.
    """
    keep_scalars(settings, setting)
    value = getattr(settings, setting)
    if not is_whole(value) or value < least:
        raise SchedulerError(f"{name}: {setting} must be an integer of {least} or more, not {value!r}")


def check_share(name: str, settings: Any, setting: str) -> None:
    """Refuse a setting that is not a number from 0 to 1; errors are those of `check_count`."""
    keep_scalars(settings, setting)
    value = getattr(settings, setting)
    if not is_number(value) or not 0 <= value <= 1:
        raise SchedulerError(f"{name}: {setting} must be a number from 0 to 1, not {value!r}")
