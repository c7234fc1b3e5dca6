"""Validation of fields read from a file: each function returns a value of the right type, or names the field."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["fields", "items", "number", "text", "whole"]


def number(value: Any, what: str, *, least: float = -math.inf) -> float:
    """Return a number that is not below `least`; NaN and infinity only where there is no least.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(value, what, "a number")
    try:
        found = float(value)
    except OverflowError:
        raise _wrong(value, what, "a number that a float can hold") from None
    if least > -math.inf and not (math.isfinite(found) and found >= least):
        raise _wrong(value, what, f"a number of {least:g} or more")
    return found


def whole(value: Any, what: str, *, least: int = 0, below: int = 2**63) -> int:
    """Return a whole number in [least, below).

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < below:
        allowed = f"from {least} to {below - 1}" if below <= 2**63 else f"of {least} or more"
        raise _wrong(value, what, f"a whole number {allowed}" if least < below else "null")
    return value


def text(value: Any, what: str) -> str:
    """Return a text.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(value, str):
        raise _wrong(value, what, "text")
    return value


def fields(value: Any, what: str, *needed: str) -> dict[str, Any]:
    """Return a JSON object, which has the fields that are needed.

    Raises:
        ValueError: It is none, or a field is missing.
    """
    if not isinstance(value, dict):
        raise _wrong(value, what, "an object")
    for name in needed:
        if name not in value:
            raise ValueError(f"{what} has no field {name!r}")
    return value


def items(value: Any, what: str) -> list[Any]:
    """Return a JSON array.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(value, list):
        raise _wrong(value, what, "an array")
    return value


def _wrong(value: Any, what: str, wanted: str) -> ValueError:
    if isinstance(value, dict | list):
        told = "an object" if isinstance(value, dict) else "an array"
    elif isinstance(value, int) and abs(value) >= 2**63:
        told = "a number of more than 18 digits"
    else:
        told = "null" if value is None else repr(value)
    return ValueError(f"{what} is {told if len(told) < 50 else told[:50] + '...'}, not {wanted}")
