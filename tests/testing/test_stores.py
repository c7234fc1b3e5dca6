"""The suite of stores, over every store."""

from __future__ import annotations

import pytest

from archwright.store import MemoryStore, SQLStore
from archwright.testing import StoreSuite


class TestMemory(StoreSuite):
    @pytest.fixture
    def store(self):
        return MemoryStore()


class TestFile(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path):
        self.path = tmp_path / "study.db"
        self.opened = [SQLStore(self.path)]
        yield self.opened[0]
        for store in self.opened:
            store.close()

    def reopen(self, store):
        self.opened.append(SQLStore(self.path))
        return self.opened[-1]


def test_the_suite_finds_a_store_that_forgets():
    class Forgetful(MemoryStore):
        def write(self, record):
            pass

    with pytest.raises(AssertionError):
        StoreSuite().test_trials_are_kept_by_number(Forgetful())
