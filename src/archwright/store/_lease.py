"""The right of one process to write to a study: a lease by the clock of the database, with fencing."""

from __future__ import annotations

import atexit
import os
import socket
import threading
import time
import warnings
import weakref
from collections.abc import Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import sqlalchemy as sql

from archwright.errors import StoreError, StudyLocked
from archwright.store import _tables as tables
from archwright.store._database import UNUSABLE, Database

_LEASE = 60.0  # seconds after which the right to write of a process that does not renew it can be taken over
_RENEWALS = 4  # in that time
_WATCHED = 1.25  # renewals that are waited for before a lease that has ended is taken over
_SLACK = 1.0  # seconds by which a clock may be corrected without notice
_NONE = -1  # an epoch that no study ever has


class Lease:
    """The right to write to one study.

    Its holder renews it in the background. It ends by the clock of the database, not by those of the processes. That
    one may be set, too: before a lease that seems to have ended is taken over, it is watched for longer than its holder
    takes to renew it. Each change of hands raises the study's epoch, and each write names the epoch of its writer:
    whoever lost the lease, while it was paused say, cannot write.

    Args:
        database: The database.
        title: The study, for messages.

    Attributes:
        epoch: The number of this holding.
    """

    def __init__(self, database: Database, title: str) -> None:
        self.epoch = _NONE
        self._database = database
        self._title = title
        self._renewal: _Renewal | None = None  # which has no reference to the lease: that can be collected

    def seize(self, study: int) -> None:
        """Take the right to write, whoever has it: a lock file keeps others out."""

        def change(connection: sql.Connection, is_again: bool) -> int:
            row = tables.studies.c.id == study
            taken = {"epoch": tables.studies.c.epoch + 1, "holder": None, "expires": None}
            connection.execute(sql.update(tables.studies).where(row).values(taken))
            return int(connection.execute(sql.select(tables.studies.c.epoch).where(row)).scalar_one())

        self.epoch = self._database.run(change)

    def acquire(self, study: int) -> None:
        """Take the right to write, if nobody has it.

        Raises:
            StudyLocked: Another process holds it.
        """
        holder, epoch, expires, left = self._read(study)
        if expires is not None:
            if 0 <= left <= _LEASE + _SLACK:
                raise self._locked(holder, f"; if it has died, its lease ends in {left:.0f} seconds")
            self._watch(study, holder, epoch, expires)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        mine = f"process {os.getpid()} on {socket.gethostname()} (since {since})"
        of = tables.studies.c
        as_seen = [
            of.id == study,
            of.epoch == epoch,
            of.expires.is_(None) if expires is None else of.expires == expires,
        ]
        taken = {"epoch": epoch + 1, "holder": mine, "expires": self._database.now + _LEASE}

        def change(connection: sql.Connection, is_again: bool) -> bool:
            if connection.execute(sql.update(tables.studies).where(*as_seen).values(taken)).rowcount == 1:
                return True
            held = sql.select(of.id).where(of.id == study, of.epoch == epoch + 1, of.holder == mine)
            return is_again and connection.execute(held).first() is not None  # it was done, and not heard of

        if not self._database.run(change):
            raise self._locked(self._read(study)[0], "")
        self.epoch = epoch + 1
        self._renewal = _Renewal(self._database, study, self.epoch)
        weakref.finalize(self, self._renewal.ends.put, None).atexit = False

    @property
    def held(self) -> sql.ColumnElement[bool]:
        """Whether a study is held: its lease has not ended, and does not end later than one can."""
        expires, now = tables.studies.c.expires, self._database.now
        return (expires > now) & (expires <= now + _LEASE + _SLACK)

    def row(self, study: int) -> dict[str, Any]:
        """Return what each write of a row names."""
        return {"of_study": study, "mine": self.epoch}

    def lost(self) -> StudyLocked:
        """Return the error for a write that was refused."""
        if self.epoch == _NONE:
            return StudyLocked(f"{self._title} cannot be written to: the right to write was not acquired")
        return StudyLocked(
            f"{self._title} cannot be written to: another process has taken it over, and goes on with it. This one was "
            f"paused, or cut off from the database, for more than {_LEASE:.0f} seconds; end it"
        )

    def give_up(self) -> None:
        """Give up the right to write."""
        self.epoch = _NONE
        renewal, self._renewal = self._renewal, None
        if renewal is not None:
            renewal.stop()

    def _read(self, study: int) -> tuple[str | None, int, float | None, float]:
        """Return who holds the lease, its epoch, when it ends, and in how many seconds that is."""
        of = tables.studies.c
        wanted = sql.select(of.holder, of.epoch, of.expires, of.expires - self._database.now).where(of.id == study)
        found = self._database.run(lambda connection, is_again: connection.execute(wanted).one())
        return found[0], found[1], found[2], found[3] or 0.0

    def _watch(self, study: int, holder: str | None, epoch: int, expires: float) -> None:
        """Wait for a sign of life of the holder of a lease that has ended, or that ends later than it can.

        Raises:
            StudyLocked: There is one.
        """
        seconds = _WATCHED * _LEASE / _RENEWALS
        warnings.warn(
            f"the lease of {holder} on {self._title} has ended; it is taken over in {seconds:.0f} seconds, unless that "
            "process turns out to be alive",
            stacklevel=2,
        )
        time.sleep(seconds)
        now_holder, now_epoch, now_expires, _ = self._read(study)
        if now_expires is not None and (now_epoch, now_expires) != (epoch, expires):
            raise self._locked(now_holder, "")

    def _locked(self, holder: str | None, hint: str) -> StudyLocked:
        return StudyLocked(
            f"{self._title} is being written to by {holder or 'another process'}. Wait until it ends, or stop it{hint}"
            ". `archwright show` and `archwright.load` can read it meanwhile."
        )


class _Renewal(threading.Thread):
    """Renews a lease until it is stopped or lost, then gives it up.

    It is stopped by the closing of the store, by its garbage collection, or by the end of the process.
    """

    def __init__(self, database: Database, study: int, epoch: int) -> None:
        super().__init__(name="archwright-lease", daemon=True)
        self.ends: SimpleQueue[None] = SimpleQueue()  # unlike an event, safe in a garbage collection
        self._engine = database.engine  # and not the database, which is to be collected
        self._now = database.now
        self._is_held = (tables.studies.c.id == study) & (tables.studies.c.epoch == epoch)
        self._every = _LEASE / _RENEWALS
        atexit.register(self.stop)
        self.start()

    def run(self) -> None:
        """Renew, and give up."""
        while not self._is_over():
            with suppress(*UNUSABLE, StoreError):  # the database may be back the next time
                if not self.write({"expires": self._now + _LEASE}):
                    break
        with suppress(*UNUSABLE, StoreError):  # the lease ends by itself
            self.write({"holder": None, "expires": None})
        atexit.unregister(self.stop)

    def write(self, change: Mapping[str, Any]) -> bool:
        """Change the lease, over a connection of its own; return whether it was still held."""
        with self._engine.begin() as connection:
            return connection.execute(sql.update(tables.studies).where(self._is_held).values(change)).rowcount == 1

    def stop(self) -> None:
        """Give the lease up, and wait until that is done."""
        self.ends.put(None)
        self.join()

    def _is_over(self) -> bool:
        try:
            self.ends.get(timeout=self._every)
        except Empty:
            return False
        return True
