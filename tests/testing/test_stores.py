"""The suite of stores, over every store."""

from __future__ import annotations

import time

import pytest

from archwright.store import MemoryStore, SQLStore, _lease
from archwright.testing import StoreSuite


class TestMemory(StoreSuite):
    @pytest.fixture
    def store(self):
        return MemoryStore()


class Database(StoreSuite):
    """What the stores in databases have in common."""

    @pytest.fixture
    def store(self, place):
        self.place = place
        self.opened = [SQLStore(self.place)]
        yield self.opened[0]
        for store in self.opened:
            store.close()

    def reopen(self, store):
        self.opened.append(SQLStore(self.place))
        return self.opened[-1]

    def take_over(self, store):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_lease, "_LEASE", 0.01)
            store._lease.give_up()  # as if its process were paused: the thread that renews stands still
            patch.setattr(_lease._Renewal, "run", lambda self: None)
            store.acquire()
            time.sleep(0.05)
            other = self.reopen(store)
            with pytest.warns(UserWarning, match="has ended"):
                other.acquire()
        return other


class TestFile(Database):
    @pytest.fixture
    def place(self, tmp_path):
        return tmp_path / "study.db"


class TestServer(Database):
    @pytest.fixture
    def place(self, postgresql):
        return postgresql


def test_the_suite_finds_a_store_that_forgets():
    class Forgetful(MemoryStore):
        def write(self, record):
            pass

    with pytest.raises(AssertionError):
        StoreSuite().test_trials_are_kept_by_number(Forgetful())


def test_the_suite_finds_a_store_that_lets_everybody_write():
    class Open(MemoryStore):
        pass

    class Careless(StoreSuite):
        def take_over(self, store):
            other = Open()
            other._document, other._records = store._document, store._records
            return other

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        Careless().test_who_lost_the_right_to_write_cannot_write(Open())
