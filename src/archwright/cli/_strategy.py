"""Strategies as they are written on the command line."""

from __future__ import annotations

import json
from typing import Any

from archwright import strategies
from archwright.errors import StrategyError
from archwright.strategies import Strategy

__all__ = ["parse", "parse_all"]


def parse(text: str) -> Strategy:
    """Return the strategy of a text such as "evolution:population=20;sample=5".

    Raises:
        UnknownName: There is no such strategy.
        StrategyError: A setting is not allowed.
    """
    name, _, settings = text.partition(":")
    options: dict[str, Any] = {}
    for setting in filter(None, settings.split(";")):
        key, given, value = setting.partition("=")
        if not given:
            raise StrategyError(f"{text!r}: a setting reads name=value, not {setting!r}")
        options[key.strip()] = _value(value.strip())
    return strategies.create(name.strip(), **options)


def parse_all(text: str) -> dict[str, Strategy]:
    """Return the strategies of a text such as "random,evolution:population=20;sample=5", by their labels.

    Raises:
        UnknownName: There is no such strategy.
        StrategyError: There is none, one stands there twice, or a setting is not allowed.
    """
    found: dict[str, Strategy] = {}
    for label in filter(None, (part.strip() for part in text.split(","))):
        if label in found:
            raise StrategyError(f"the strategy {label!r} is named twice")
        found[label] = parse(label)
    if not found:
        raise StrategyError("--strategy names no strategy: give names separated by commas")
    return found


def _value(text: str) -> Any:
    """Return a number, true, false or null as what it is, and anything else as text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
