"""Output of `archwright list` and `archwright studies`."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archwright._registry import Entry


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


def show_studies(store: str, *, as_json: bool) -> None:
    """List the studies of a database."""
    from archwright._words import counted
    from archwright.cli._console import Output, document
    from archwright.store import list_studies

    found = list_studies(store)
    if as_json:
        document([asdict(study) for study in found])
        return
    out = Output()
    if not found:
        out.line("no studies")
    out.listed(
        (
            study.name,
            f"{counted(study.trials, 'trial')}, created {study.created}"
            + (f", being written to by {study.writer}" if study.writer else ""),
        )
        for study in found
    )
