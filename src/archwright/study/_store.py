"""Where a study is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archwright.errors import StoreError
from archwright.trials import Trial

__all__ = ["DOCUMENTS", "FORMAT", "MemoryStore", "Record", "Snapshot", "Store"]

FORMAT = 1
"""Version of what is written; a store of a later version is refused."""

DOCUMENTS = (
    "created",
    "versions",
    "space",
    "fingerprint",
    "strategy",
    "scheduler",
    "objective",
    "reference",
    "seed",
    "evaluator",
    "budget",
    "final",
    "results",
    "learned",
    "checkpoints",
    "why",
    "elapsed",
)
"""What is kept about a study itself, each a JSON value."""


@dataclass(frozen=True, slots=True)
class Record:
    """A trial as it is kept.

    Args:
        trial: The trial.
        elapsed: Seconds on the study's clock when it was written.
        ended: Its place in the order in which trials ended, from 0; `None` while it runs.
    """

    trial: Trial
    elapsed: float
    ended: int | None = None


@dataclass(frozen=True)
class Snapshot:
    """All that a store holds.

    Args:
        document: What is kept about the study, by the names in `DOCUMENTS`.
        records: The trials, by number.
    """

    document: dict[str, Any]
    records: list[Record]

    @property
    def has_never_run(self) -> bool:
        """Whether nothing is on record but what the study is to be."""
        return not self.records and not any(self.document[name] for name in ("budget", "learned", "results"))


class Store(ABC):
    """Keeps one study: its description and its trials. Each call is one transaction."""

    @abstractmethod
    def is_empty(self) -> bool:
        """Tell whether nothing is kept yet."""

    @abstractmethod
    def create(self, document: Mapping[str, Any]) -> None:
        """Begin a study in an empty store.

        Raises:
            StoreError: The store is not empty.
        """

    @abstractmethod
    def read(self) -> Snapshot:
        """Return all that is kept.

        Raises:
            StoreError: It cannot be read, or is not a study.
        """

    @abstractmethod
    def update(self, **documents: Any) -> None:
        """Replace parts of the study's description, by the names in `DOCUMENTS`."""

    @abstractmethod
    def add(self, record: Record) -> None:
        """Keep a new trial."""

    @abstractmethod
    def write(self, record: Record) -> None:
        """Keep what has become of a trial."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections; the store is not used afterwards."""


class MemoryStore(Store):
    """Keeps a study as long as the process lives."""

    def __init__(self) -> None:
        self._document: dict[str, Any] = {}
        self._records: list[Record] = []

    def is_empty(self) -> bool:
        """Tell whether nothing is kept yet."""
        return not self._document

    def create(self, document: Mapping[str, Any]) -> None:
        """Begin a study.

        Raises:
            StoreError: There is one.
        """
        if self._document:
            raise StoreError("this store holds a study already; make a store for each study")
        self._document = dict(document)

    def read(self) -> Snapshot:
        """Return all that is kept."""
        return Snapshot(dict(self._document), list(self._records))

    def update(self, **documents: Any) -> None:
        """Replace parts of the study's description."""
        self._document.update(documents)

    def add(self, record: Record) -> None:
        """Keep a new trial."""
        self._records.append(record)

    def write(self, record: Record) -> None:
        """Keep what has become of a trial."""
        self._records[record.trial.number] = record

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""
