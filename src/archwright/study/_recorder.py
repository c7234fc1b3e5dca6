"""What is on record about a study, and the right to add to it."""

from __future__ import annotations

import gc
import os
import socket
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.errors import ArchwrightError, Exhausted, StoreError
from archwright.evaluate import Learned
from archwright.store import MemoryStore, Record, Snapshot, Store
from archwright.study._clock import Clock
from archwright.study._document import check_document
from archwright.study._folder import DATABASE, check_database, check_links, claim
from archwright.study._place import Place
from archwright.study._workers import DEATHS
from archwright.transfer import Background
from archwright.trials import Constraint, History, Trial, metrics_from_json, parse_objectives

if TYPE_CHECKING:
    from archwright.study._lock import Lock
    from archwright.study._propose import Planner


TIMED = "seconds_per_epoch"
OUTSIDE = "outside"
"""What a proposal may depend on besides the trials before it: fields of `Record.saw`."""


class Recorder:
    """Keeps a study's store and its history in step.

    The right to write is held from the first writing until `close`; when it is acquired anew, all is read anew, since
    another process may have gone on with the study.

    Args:
        place: Where the study is stored.

    Attributes:
        document: What is kept about the study itself, by the names in `DOCUMENTS`.
        history: All trials.
        interrupted: The numbers of the trials that run no more but have not ended, in order.
        clock: The time the study has taken.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.document: dict[str, Any] = {}
        self.interrupted: deque[int] = deque()
        self.clock = Clock()
        self.history: History
        self._store: Store | None = None if self.on_disk else MemoryStore()
        self._lock: Lock | None = None
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self._begun: dict[int, tuple[Trial, float]] = {}  # what this process runs, and since when
        self._seen = 0  # trials that had ended when the last one was proposed
        self._timed: dict[str, float] = {}  # training times that were measured since the last one was put on record

    @property
    def folder(self) -> Path | None:
        """The run folder."""
        return self.place.folder

    @property
    def on_disk(self) -> bool:
        """Whether it outlives the process."""
        return self.place != Place(None)

    # ------------------------------------------------------------------ opening and closing

    def create(self, document: Mapping[str, Any]) -> bool:
        """Begin a study, and tell whether that was possible: not where there is one, which is read instead.

        One that has neither a trial nor a budget is begun anew.

        Raises:
            StudyError: The folder is not empty and holds no study, or symbolic links.
            StudyLocked: Another process writes to the folder.
            StoreError: The folder cannot be used.
        """
        if self.folder is not None:
            claim(self.folder)
        if self.on_disk:
            self._store = self._lock_and_open(new=True)
        store = self._store
        assert store is not None
        is_new = store.is_empty()
        if is_new:
            store.create(document)
        else:
            store.acquire()
        self.place.point()
        snapshot = store.read()
        if not is_new and snapshot.has_never_run:  # a process was killed in the first moment
            store.update(**document)
            snapshot, is_new = store.read(), True
        self._take(snapshot)
        return is_new

    def read(self) -> None:
        """Read what is on record, without the right to add to it.

        Raises:
            StoreError: There is no study, or it is damaged.
        """
        with self._reading() as store, _uncollected():
            self._take(store.read())

    def refresh(self) -> list[Record]:
        """Read what another process has put on record since, and return the trials that run or have ended since.

        Raises:
            StoreError: There is no study any more, or it is damaged.
        """
        if self._store is not None:  # nobody else writes
            return []
        ended, count = len(self.history.finished), len(self.history.trials)
        store = self.place.open(readonly=True)
        with closing(store):
            snapshot = store.changes(ended)
            new = sorted((record for record in snapshot.records if record.ended is not None), key=_order)
            known = {record.trial.number for record in snapshot.records} | set(range(count))
            follows = [record.ended for record in new] == list(range(ended, ended + len(new)))
            gone = len(self.history.running) != sum(record.trial.number < count for record in snapshot.records)
            if (
                gone
                or not follows
                or len(known) != max(known, default=-1) + 1
                or any(snapshot.document[name] != self.document[name] for name in ("created", "fingerprint"))
            ):  # it is another study by now
                snapshot = store.read()
                self._take(snapshot)
                return snapshot.records
        self._check(snapshot.document)
        for record in snapshot.records:
            if record.trial.number >= count or record.ended is None:
                self.history.add(record.trial if record.ended is None else replace(record.trial, state="running"))
                self.history.outside.put(record.trial.number, outside_of(record))
        for record in new:
            self.history.add(record.trial)
        self._note(snapshot)
        return snapshot.records

    def records(self) -> list[Record]:
        """Return the trials as they are stored, with what their proposals had seen.

        Raises:
            StoreError: There is no study, or it is damaged.
        """
        with self._reading() as store:
            return store.read().records

    def hold(self) -> Store:
        """Take the right to add, if it is not held yet, and return the store.

        Raises:
            StudyLocked: Another process holds it.
        """
        if self._store is None:
            self._store = self._lock_and_open()
            try:
                self._store.acquire()
                with _uncollected():
                    self._take(self._store.read())
            except BaseException:
                self.close()
                raise
        return self._store

    @property
    def holder(self) -> dict[str, Any] | None:
        """What is written down about this process in the lock of the run folder, if it holds one."""
        return None if self._lock is None else self._lock.mine

    @property
    def is_held(self) -> bool:
        """Whether a process has the right to add: in a database by its lease, else by the lock of the run folder."""
        from archwright.study._lock import Lock

        if self._store is not None:
            return True
        if self.folder is not None and self.place.store is None:
            return Lock(self.folder).is_held()
        with closing(self.place.open(readonly=True)) as store:
            return store.is_held()

    def close(self) -> None:
        """Give the right to add back. What is in memory stays."""
        if not self.on_disk:
            return
        store, lock = self._store, self._lock
        self._store = self._lock = None
        try:
            if store is not None:
                store.close()
        finally:
            if lock is not None:
                lock.release()

    def hand_back(self, *, keep: Collection[int] = ()) -> list[Trial]:
        """Take note that this process no longer runs its trials, and return them: they are to run again.

        Args:
            keep: The numbers of trials that still run all the same.
        """
        mine = [trial for number, (trial, _) in sorted(self._begun.items()) if number not in keep]
        for trial in mine:
            self.drop(trial.number)
            if trial.number < len(self.history.trials):
                self.interrupted.append(trial.number)
        return mine

    def recover(self, *, keep: Collection[int] = ()) -> None:
        """Bring memory and store in step after an interrupt at a place that is not known.

        Trials that this process runs are handed back. That was not their fault, and does not count as an attempt.

        Args:
            keep: The numbers of trials that still run all the same.
        """
        mine = self.hand_back(keep=keep)
        if self.on_disk and self._store is not None:
            self._store.close()  # its transaction may be half done
            self._store = self.place.open()
            self._store.acquire()
        self._take(self.hold().read())
        for trial in mine:
            if trial.number in self.interrupted:
                self.note(replace(self.history.trials[trial.number], attempts=trial.attempts - 1))

    # ------------------------------------------------------------------ writing

    def next(self, planner: Planner) -> Trial:
        """Return the next trial, which is not on record yet: one that was interrupted, or a new one."""
        self.hold()
        trial = self._next_interrupted()
        if trial is None:
            self._seen = len(self.history.finished)
            trial = self._proposed(planner)
            self._timed |= planner.prechecks.take_timed()
        return trial

    def _proposed(self, planner: Planner) -> Trial:
        """Return a new trial; where that fails because of a record that was changed, say of which trial."""
        try:
            return planner.next(self.history)
        except Exhausted:
            raise
        except Exception as error:  # of a strategy, which may fail in any way at what it does not know
            for trial in self.history.trials:  # not looked at before: it takes seconds where there are many
                if trial.architecture not in planner.space:
                    told = f"the architecture of trial {trial.number} is not in the space"
                    raise StoreError(f"{self._where} is damaged: {told}") from error
            raise

    def begin(self, trial: Trial) -> Trial:
        """Put on record that a trial runs in this process, for the first time or again, and return it."""
        store, trial = self.hold(), replace(trial, worker=self._worker)
        self._begun[trial.number] = (trial, time.monotonic())
        self.clock.start()
        record = Record(trial, self.clock.elapsed)
        try:
            if trial.number < len(self.history.trials):
                store.write(record)
            else:
                event = self.history.outside.of(trial.number)
                saw: dict[str, Any] = {TIMED: self._timed} if self._timed else {}
                saw |= {OUTSIDE: event} if event is not None else {}
                store.add(replace(record, seen=self._seen, saw=saw or None))
                self._timed = {}
        except Exception:  # after an interrupt it may be on record or not: `recover` finds out
            self.drop(trial.number)
            raise
        self.history.add(trial)
        self._settle(trial.number)
        return trial

    def _next_interrupted(self) -> Trial | None:
        """Return the first interrupted trial as it is to begin again, or `None` if there is none.

        One in which too many processes have died is ended, as failed.
        """
        while self.interrupted:
            trial = self.history.trials[self.interrupted[0]]
            if trial.attempts < DEATHS:
                return replace(trial, attempts=trial.attempts + 1)
            error = f"the process died {trial.attempts} times in this trial; it is not tried again"
            self.end(replace(trial, state="failed", error=error))
        return None

    def again(self, number: int) -> None:
        """Take note that the process of a trial has died, and that it is to run again next."""
        self.drop(number)
        self.interrupted.append(number)

    def note(self, trial: Trial) -> None:
        """Put on record what is known of a trial that still runs."""
        self.hold().write(Record(trial, self.clock.elapsed))
        self.history.add(trial)

    def end(self, trial: Trial) -> None:
        """Put on record what has become of a trial."""
        order = len(self.history.finished)
        self.hold().write(Record(trial, self.clock.elapsed, order))
        self.history.add(trial)
        self.drop(trial.number)
        self._settle(trial.number)

    def drop(self, number: int) -> None:
        """Take note that this process no longer runs a trial."""
        if self._begun.pop(number, None) is not None:
            self.clock.stop()

    def update(self, **documents: Any) -> None:
        """Replace parts of what is kept about the study itself."""
        self.hold().update(**documents)
        self.document |= documents

    def learn(self, learned: Learned | None) -> None:
        """Put on record what the evaluator has learned before the first trial; None while it is at it."""
        outcome = None if learned is None else learned.to_json()
        self.update(learned={"elapsed": self.clock.elapsed, "outcome": outcome})
        self.history.learned = learned

    @property
    def finals(self) -> dict[int, dict[str, float]]:
        """The metrics of the final trainings, by the number of the trial that found the architecture."""
        results = self.document["results"].items()
        return {int(number): metrics_from_json(result["metrics"]) for number, result in results}

    @property
    def progress(self) -> tuple[object, ...]:
        """How many trials have ended, how many final trainings, whether the evaluator has learned, and the ensemble."""
        return (
            len(self.history.finished),
            len(self.document["results"]),
            self.history.learned is not None,
            self.ensemble,
        )

    @property
    def ensemble(self) -> dict[str, Any] | None:
        """What is on record about the ensemble that was made last, or `None`."""
        stored: dict[str, Any] | None = (self.document["ensemble"] or {}).get("result")
        return stored

    def under_way(self) -> frozenset[int]:
        """Return the numbers of the trials that this process runs."""
        return frozenset(self._begun)

    def seconds(self, number: int) -> float:
        """Return how long this process has been running a trial; 0 where it does not."""
        begun = self._begun.get(number)
        return 0.0 if begun is None else time.monotonic() - begun[1]

    # ------------------------------------------------------------------ inside

    @contextmanager
    def _reading(self) -> Iterator[Store]:
        """Give the store that is open, or open it to read."""
        if self._store is not None:
            yield self._store
            return
        store = self.place.open(readonly=True)
        try:
            yield store
        finally:
            store.close()

    def _settle(self, number: int) -> None:
        if number in self.interrupted:
            self.interrupted.remove(number)

    def _lock_and_open(self, *, new: bool = False) -> Store:
        from archwright.study._lock import Lock

        try:
            if self.folder is not None:
                check_links(self.folder)
                if not new and self.place.store is None:
                    check_database(self.folder)
                lock = Lock(self.folder)
                lock.acquire()
                self._lock = lock
            return self.place.open(new=new)
        except BaseException:
            self.close()
            raise

    def _take(self, snapshot: Snapshot) -> None:
        self._check(snapshot.document)
        try:
            self.history = _history(snapshot)
        except (ValueError, ArchwrightError) as error:
            raise StoreError(f"{self._where} is damaged: {error}") from error
        self._note(snapshot)

    def _check(self, document: Mapping[str, Any]) -> None:
        try:
            check_document(document)
        except (ValueError, ArchwrightError) as error:
            raise StoreError(f"{self._where} is damaged: {error}") from error

    @property
    def _where(self) -> object:
        return self.folder / DATABASE if self.folder and not self.place.store else self.place

    def _note(self, snapshot: Snapshot) -> None:
        """Take in what is on record besides the trials, which the history has already."""
        document = snapshot.document
        learned = document["learned"] or {"elapsed": 0.0, "outcome": None}
        if learned["outcome"] is not None:
            self.history.learned = Learned.from_json(learned["outcome"])
        self.document = document
        self.interrupted = deque(trial.number for trial in self.history.running if trial.number not in self._begun)
        results = document["results"].values()
        elapsed = [
            self.clock.elapsed,
            document["elapsed"] or 0.0,
            learned["elapsed"],
            *(record.elapsed for record in snapshot.records),
        ]
        self.clock.set(max([*elapsed, *(result["elapsed"] for result in results)]))


def _order(record: Record) -> int:
    return -1 if record.ended is None else record.ended


def _history(snapshot: Snapshot) -> History:
    """Return the history of what is on record, in the order in which trials ended."""
    document = snapshot.document
    bounds = (document["scheduler"] or {}).get("constraints", ())
    history = History(
        parse_objectives(document["objective"]),
        constraints=map(Constraint.parse, bounds),
        reference=document["reference"],
    )
    if document["background"] is not None:
        history.background = Background.from_json(document["background"])
    over = [record for record in snapshot.records if record.ended is not None]
    over.sort(key=_order)
    history.restore([record.trial for record in snapshot.records], [record.trial for record in over])
    for record in snapshot.records:
        history.outside.put(record.trial.number, outside_of(record))
    return history


def outside_of(record: Record) -> object:
    """Return what reached the search from outside for a proposal, as it is on record."""
    return None if record.saw is None else record.saw.get(OUTSIDE)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Read a record without the garbage collector, which would go through all trials again and again meanwhile."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
