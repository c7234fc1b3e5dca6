"""Conformance tests of stores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from archwright.errors import StoreError, StudyLocked
from archwright.space import Architecture, Value
from archwright.store import DOCUMENTS, Record, Store
from archwright.trials import State, Trial

_DOCUMENT: dict[str, Any] = {
    **dict.fromkeys(DOCUMENTS),
    "space": {"parts": [1, None, "é\n", 1e-300]},
    "strategy": {"name": "random", "class": "m:C", "options": {}},
    "objective": "max value",
    "seed": 3,
    "results": {},
}


class StoreSuite:
    """Conformance tests of a store: it returns what was written, in order and exactly.

    Example:
        >>> class TestMine(aw.testing.StoreSuite):
        ...     @pytest.fixture
        ...     def store(self):
        ...         return MemoryStore()
    """

    @pytest.fixture
    def store(self) -> Store:
        """The store under test, empty; a subclass gives it, and closes it afterwards."""
        raise NotImplementedError(f"{type(self).__name__} gives no fixture named 'store'")

    def reopen(self, store: Store) -> Store:
        """Return another store over the same data; the same where there can be no other."""
        return store

    def take_over(self, store: Store) -> Store | None:
        """Return another store that has the right to write now, as after a long pause of the first; `None` by default.

        A subclass whose stores can lose that right gives it; the law is not checked otherwise.
        """
        return None

    def test_an_empty_store_is_empty(self, store: Store) -> None:
        """It is empty until a study is created in it."""
        assert store.is_empty()
        store.create(_DOCUMENT)
        assert not store.is_empty()
        assert not self.reopen(store).is_empty()

    def test_a_study_is_created_once(self, store: Store) -> None:
        """What is there is not written over."""
        store.create(_DOCUMENT)
        with pytest.raises(StoreError):
            store.create({**_DOCUMENT, "seed": 4})
        assert self._read(store)["seed"] == 3

    def test_the_description_is_kept(self, store: Store) -> None:
        """What is said about the study comes back as it was."""
        store.create(_DOCUMENT)
        assert self._read(store) == _DOCUMENT

    def test_the_description_is_changed_in_parts(self, store: Store) -> None:
        """An update changes what it names and leaves the rest."""
        store.create(_DOCUMENT)
        store.update(budget={"trials": 3}, results={"0": {"metrics": {"a": 0.1}}})
        store.update(budget={"trials": 5})
        changed = {"budget": {"trials": 5}, "results": {"0": {"metrics": {"a": 0.1}}}}
        assert self._read(store) == _DOCUMENT | changed

    def test_trials_are_kept_by_number(self, store: Store) -> None:
        """Trials come back by number, whatever the order in which they ended."""
        store.create(_DOCUMENT)
        records = [Record(self.trial(number), float(number)) for number in range(4)]
        for record in records:
            store.add(record)
        for place, number in enumerate((2, 0, 3)):
            ended = replace(records[number].trial, state="complete", metrics={"value": float(number)})
            records[number] = Record(ended, 10.0 + place, place)
            store.write(records[number])
        assert self.reopen(store).read().records == records

    @pytest.mark.parametrize("state", ["complete", "pruned", "failed", "infeasible"])
    def test_trials_are_kept_to_the_last_bit(self, store: Store, state: State) -> None:
        """Numbers, texts and what is not finite come back as they were."""
        store.create(_DOCUMENT)
        store.add(Record(self.trial(0), 0.1))
        ended = replace(
            self.trial(0),
            state=state,
            metrics={"value": 0.1 + 0.2, "tiny": 5e-324, "endless": -math.inf},
            curve=({"step": 1.0, "value": 1 / 3}, {"step": 2.0, "value": 1e308}),
            seconds=2 / 3,
            worker="host:1",
            error="a\n'b' \"c\" é 語 \\",
            attempts=3,
        )
        store.write(Record(ended, 1e6 / 7, 0))
        kept = self.reopen(store).read().records[0]
        assert kept.trial == ended
        assert (kept.elapsed, kept.ended) == (1e6 / 7, 0)

    def test_what_is_not_a_number_is_kept(self, store: Store) -> None:
        """NaN comes back as NaN."""
        store.create(_DOCUMENT)
        store.add(Record(self.trial(0), 0.0))
        store.write(Record(replace(self.trial(0), state="pruned", metrics={"value": math.nan}), 1.0, 0))
        assert math.isnan(self.reopen(store).read().records[0].trial.metrics["value"])

    def test_what_was_read_does_not_change(self, store: Store) -> None:
        """A snapshot stays what it was when it was taken."""
        store.create(_DOCUMENT)
        store.add(Record(self.trial(0), 0.0))
        before = store.read()
        store.update(seed=9)
        store.add(Record(self.trial(1), 1.0))
        assert before.document == _DOCUMENT
        assert len(before.records) == 1

    def test_what_a_proposal_has_seen_is_kept(self, store: Store) -> None:
        """It stays what it was when the trial was added."""
        store.create(_DOCUMENT)
        store.add(Record(self.trial(0), 0.0, seen=0))
        store.add(Record(self.trial(1), 0.0, seen=0))
        store.write(Record(replace(self.trial(0), state="failed", error="e"), 1.0, 0))
        store.add(Record(self.trial(2), 2.0, seen=1))
        assert [record.seen for record in self.reopen(store).read().records] == [0, 0, 1]

    def test_one_may_write_and_all_may_read(self, store: Store) -> None:
        """A second one over the same data reads, and writes only once the first has given up the right to."""
        store.create(_DOCUMENT)
        store.add(Record(self.trial(0), 0.0))
        other = self.reopen(store)
        if other is store:
            pytest.skip("there is one store over these data")
        before = other.read()
        with pytest.raises(StudyLocked):
            other.add(Record(self.trial(1), 0.0))
        with pytest.raises(StudyLocked):
            other.write(Record(replace(self.trial(0), state="failed", error="e"), 1.0, 0))
        with pytest.raises(StudyLocked):
            other.update(seed=9)
        assert other.read() == store.read() == before
        store.close()
        other.acquire()
        other.update(seed=9)
        other.add(Record(self.trial(1), 0.0))
        assert (other.read().document["seed"], len(other.read().records)) == (9, 2)

    def test_what_else_a_proposal_has_seen_is_kept(self, store: Store) -> None:
        """So is what it saw besides, whatever becomes of the trial."""
        store.create(_DOCUMENT)
        saw = {"running": [3, 1], "rungs": {"é": 0.1}}
        store.add(Record(self.trial(0), 0.0, seen=0, saw=saw))
        store.write(Record(replace(self.trial(0), state="failed", error="e"), 1.0, 0))
        assert self.reopen(store).read().records[0].saw == saw

    def test_many_trials_are_kept(self, store: Store) -> None:
        """Their number changes nothing, nor do documents that change between them."""
        store.create(_DOCUMENT)
        for number in range(200):
            store.add(Record(self.trial(number), float(number), seen=number))
            trial = replace(self.trial(number), state="complete", metrics={"value": float(number)}, fidelity=None)
            store.write(Record(trial, float(number), number))
            store.update(elapsed=float(number), learned=None if number % 2 else {"deep": [[number]]})
        kept = self.reopen(store).read()
        assert [record.trial.metrics["value"] for record in kept.records] == list(range(200))
        assert kept.document == _DOCUMENT | {"elapsed": 199.0, "learned": None}

    def test_threads_take_turns(self, store: Store) -> None:
        """What several threads write and read at once comes out as if they had waited for each other."""
        store.create(_DOCUMENT)
        for number in range(12):
            store.add(Record(self.trial(number), 0.0))

        def work(number: int) -> int:
            store.write(Record(replace(self.trial(number), state="failed", error=str(number)), 1.0, number))
            store.update(**{DOCUMENTS[number]: number})
            return len(store.read().records)

        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(work, range(12))) == [12] * 12
        kept = self.reopen(store).read()
        assert [record.trial.error for record in kept.records] == [str(number) for number in range(12)]
        assert [kept.document[name] for name in DOCUMENTS[:12]] == list(range(12))

    def test_who_lost_the_right_to_write_cannot_write(self, store: Store) -> None:
        """A write after a takeover is refused, and changes nothing."""
        store.create(_DOCUMENT)
        store.add(Record(self.trial(0), 0.0))
        other = self.take_over(store)
        if other is None:
            pytest.skip("nobody can take the right to write from this store")
        other.write(Record(replace(self.trial(0), state="failed", error="theirs"), 1.0, 0))
        other.update(seed=9)
        before = other.read()
        with pytest.raises(StudyLocked):
            store.write(Record(replace(self.trial(0), state="failed", error="mine"), 1.0, 0))
        with pytest.raises(StudyLocked):
            store.add(Record(self.trial(1), 1.0))
        with pytest.raises(StudyLocked):
            store.update(seed=4)
        assert store.read() == other.read() == before

    def trial(self, number: int) -> Trial:
        """Return a trial that has begun."""
        decisions: dict[str, Value] = {"a": "é", "b": 0.1, "c": None, "d": True, "e": ("x", 3), "n": number}
        return Trial(
            number, Architecture(decisions), seed=2**31 - 1 - number, fidelity={"epochs": number} if number else None
        )

    def _read(self, store: Store) -> Mapping[str, Any]:
        return self.reopen(store).read().document
