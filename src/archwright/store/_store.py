"""What a store keeps of a study, and the store in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from archwright.errors import StoreError
from archwright.trials import Trial

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
    "digests",
    "why",
    "elapsed",
    "settings",
    "baselines",
    "ensemble",
    "workers",
    "samples",
    "data",
    "background",
)
"""The documents of a study, each a JSON value."""


@dataclass(frozen=True, slots=True)
class Record:
    """A trial as it is stored.

    Args:
        trial: The trial.
        elapsed: Seconds on the study's clock when it was written.
        ended: Its position in the order in which trials ended, from 0; `None` while it runs.
        seen: How many trials had ended when it was proposed; `None` where an earlier version stored it. Those, and the
            trials that were running then, are all that a proposal depends on besides the seed: it can be replayed.
        saw: What else the proposal depends on, as a JSON object: training times that were measured for a constraint,
            `{"seconds_per_epoch": {ID: SECONDS}}`, by the ids of the architectures; what reached the search from
            outside, such as the reply of a server, under "outside". `None` where nothing does: the
            trials that were running are those with a lower number that are not among the first `seen` that ended.

    Example:
        >>> from archwright.space import Architecture
        >>> from archwright.trials import Trial
        >>> Record(Trial(0, Architecture({"x": 1}), seed=7), elapsed=0.5).ended is None
        True
    """

    trial: Trial
    elapsed: float
    ended: int | None = None
    seen: int | None = None
    saw: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Snapshot:
    """The content of a store.

    Args:
        document: The study's documents, by the names in `DOCUMENTS`.
        records: The trials, by number.

    Example:
        >>> Snapshot(dict.fromkeys(DOCUMENTS), []).has_never_run
        True
    """

    document: dict[str, Any]
    records: list[Record]

    @property
    def has_never_run(self) -> bool:
        """Whether only the study's settings are stored."""
        return not self.records and not any(self.document[name] for name in ("budget", "learned", "results"))


class Store(ABC):
    """Storage of one study: its documents and its trials. Each call is one transaction.

    Anyone may read. One process at a time may write: the one that created the study, or that called `acquire` last.

    Example:
        >>> store = MemoryStore()
        >>> store.create({**dict.fromkeys(DOCUMENTS), "seed": 3})
        >>> store.read().document["seed"]
        3
    """

    @abstractmethod
    def is_empty(self) -> bool:
        """Return whether the study does not exist yet."""

    @abstractmethod
    def create(self, document: Mapping[str, Any]) -> None:
        """Create the study, and acquire the right to write.

        Raises:
            StoreError: The study exists.
        """

    def acquire(self) -> None:  # noqa: B027 - nobody else can write to a store in memory
        """Acquire the right to write; the process that had it before can no longer write.

        Raises:
            StudyLocked: Another process holds it.
        """

    @abstractmethod
    def read(self) -> Snapshot:
        """Return the content.

        Raises:
            StoreError: The content is damaged, or there is no study.
        """

    @abstractmethod
    def update(self, **documents: Any) -> None:
        """Replace documents, by the names in `DOCUMENTS`."""

    @abstractmethod
    def add(self, record: Record) -> None:
        """Store a new trial."""

    @abstractmethod
    def write(self, record: Record) -> None:
        """Replace a stored trial; what it had seen stays as it was stored first."""

    @abstractmethod
    def close(self) -> None:
        """Give up the right to write, and close files and connections."""


class MemoryStore(Store):
    """Storage of a study in the memory of this process.

    Example:
        >>> MemoryStore().is_empty()
        True
    """

    def __init__(self) -> None:
        self._document: dict[str, Any] = {}
        self._records: list[Record] = []

    def is_empty(self) -> bool:
        """Return whether the study does not exist yet."""
        return not self._document

    def create(self, document: Mapping[str, Any]) -> None:
        """Create the study.

        Raises:
            StoreError: The study exists.
        """
        if self._document:
            raise StoreError("this store holds a study already; make a store for each study")
        self._document = dict(document)

    def read(self) -> Snapshot:
        """Return the content."""
        return Snapshot(dict(self._document), list(self._records))

    def update(self, **documents: Any) -> None:
        """Replace documents."""
        self._document.update(documents)

    def add(self, record: Record) -> None:
        """Store a new trial."""
        self._records.append(record)

    def write(self, record: Record) -> None:
        """Replace a stored trial."""
        number = record.trial.number
        first = self._records[number]
        self._records[number] = replace(record, seen=first.seen, saw=first.saw)

    def close(self) -> None:
        """Do nothing: there are no files."""
