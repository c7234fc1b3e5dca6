"""Checks of settings."""

from __future__ import annotations

import math

from archwright.errors import SchedulerError

__all__ = ["check_count", "check_eta", "check_share"]


def check_eta(name: str, eta: object) -> None:
    """Refuse a ratio of rungs that is not above 1.

    Raises:
        SchedulerError: It is not.
    """
    if not isinstance(eta, int | float) or not 1 < eta < math.inf:
        raise SchedulerError(f"{name}: eta, how much dearer each rung is than the one before, is above 1, not {eta!r}")


def check_count(name: str, setting: str, value: object, *, least: int = 1) -> None:
    """Refuse a setting that is not an integer of at least `least`; errors are those of `check_eta`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise SchedulerError(f"{name}: {setting} is an integer of {least} or more, not {value!r}")


def check_share(name: str, setting: str, value: object) -> None:
    """Refuse a setting that is not a number from 0 to 1; errors are those of `check_eta`."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise SchedulerError(f"{name}: {setting} is a number from 0 to 1, not {value!r}")
