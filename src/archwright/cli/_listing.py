"""Output of `archwright list` and `archwright store list`."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archwright._registry import Entry


_WIDEST = 60  # characters of a name


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
    tasks = "tasks"


def entries(kind: Kind) -> Iterable[Entry[Any]]:
    """Return what is registered of a kind."""
    if kind is Kind.evaluators:
        from archwright._registry import Entry
        from archwright.cli._named import EVALUATORS

        return [Entry(name, str, summary) for name, summary in EVALUATORS.items()]
    if kind is Kind.data:
        from archwright.datasets import registry

        return registry
    package = {Kind.relaxations: "supernet", Kind.tables: "bench"}.get(kind, kind.value)
    found: Iterable[Entry[Any]] = import_module(f"archwright.{package}").entries()
    return found


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
            (study.name if study.name.isprintable() else repr(study.name))[:_WIDEST],
            counted(study.trials, "trial")
            + (f", {study.unfinished} {'running' if study.writer else 'interrupted'}" if study.unfinished else "")
            + f", created {study.created}"
            + (f", being written to by {study.writer}" if study.writer else ""),
        )
        for study in found
    )
