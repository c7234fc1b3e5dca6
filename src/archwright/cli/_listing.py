"""What `archwright list` can list."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archwright._registry import Entry

__all__ = ["Kind", "entries"]


class Kind(StrEnum):
    """What `list` can list."""

    spaces = "spaces"
    strategies = "strategies"
    schedulers = "schedulers"
    proxies = "proxies"
    data = "data"
    evaluators = "evaluators"
    relaxations = "relaxations"
    tables = "tables"


def entries(kind: Kind) -> Iterable[Entry[Any]]:
    """Return what is registered of a kind."""
    if kind is Kind.spaces:
        from archwright import spaces

        return spaces.entries()
    if kind is Kind.strategies:
        from archwright import strategies

        return strategies.entries()
    if kind is Kind.schedulers:
        from archwright import schedulers

        return schedulers.entries()
    if kind is Kind.proxies:
        from archwright import proxies

        return proxies.entries()
    if kind is Kind.relaxations:
        from archwright import supernet

        return supernet.entries()
    if kind is Kind.evaluators:
        from archwright._registry import Entry
        from archwright.cli._named import EVALUATORS

        return [Entry(name, str, summary) for name, summary in EVALUATORS.items()]
    if kind is Kind.tables:
        from archwright import bench

        return bench.entries()
    from archwright.datasets import registry

    return registry
