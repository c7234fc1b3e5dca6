"""What reaches a search from outside, such as the replies of a server, and is put on record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from archwright._words import counted
from archwright.trials._trial import Trial

_COUNTS = "counts"


class Outside:
    """Events that do not follow from the trials, by the number of the proposal that met them first.

    A strategy is a function of the seed and the history. If it also learns something from outside, such as the reply of
    a server, that is part of the history: it is put on record with the trial whose proposal met it, and a replay takes
    it from there. All views of a history have the same events.

    Args:
        trials: All trials of the study.

    Attributes:
        is_replay: Whether only what is on record is met.

    Example:
        >>> history = aw.History(aw.Objective("value"))
        >>> history.outside.meet(lambda: {"reply": "a"})
        {'reply': 'a'}
        >>> history.outside.meet(lambda: {"reply": "b"})  # of the same proposal
        {'reply': 'a'}
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        self.is_replay = False
        self._trials = trials
        self._events: dict[int, Mapping[str, Any] | None] = {}

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """Iterate over the events in the order of the proposals, up to that of the next trial."""
        return (self._events[number] for number in sorted(self._events) if self._events[number] is not None)  # type: ignore[misc]  # mypy does not narrow it

    @property
    def count_running(self) -> int:
        """The number of trials that run, also of those that a view does not have."""
        return sum(not trial.ended for trial in self._trials)

    def meet(self, arrived: Callable[[], Mapping[str, Any] | None]) -> Mapping[str, Any] | None:
        """Return the event of the next trial's proposal, or `None`: from the record, else what has arrived.

        Args:
            arrived: Returns a JSON object, or `None` if nothing has arrived. It is called once for each proposal,
                however often a strategy is asked for it, and not in a replay. The object may have "error", a text,
                and "counts", numbers by name.
        """
        number = len(self._trials)
        if number not in self._events:
            self._events[number] = None if self.is_replay else arrived()
        return self._events[number]

    def of(self, number: int) -> Mapping[str, Any] | None:
        """Return the event of a trial's proposal, or `None`."""
        return self._events.get(number)

    def put(self, number: int, event: object) -> None:
        """Take in the event of a trial's proposal from a record.

        Raises:
            ValueError: It is no JSON object, or its counts are no numbers.
        """
        if event is None:
            return
        counts = event.get(_COUNTS, {}) if isinstance(event, Mapping) else None
        if not isinstance(event, Mapping) or not isinstance(counts, Mapping):
            raise ValueError(f"what came from outside for trial {number} is no JSON object")
        if not all(type(count) is int for count in counts.values()):
            raise ValueError(f"the counts of what came from outside for trial {number} are no whole numbers")
        self._events[number] = event

    def __str__(self) -> str:
        """Return the totals in one line; empty without events."""
        totals = self.totals()
        calls, failed = (totals.pop(name, 0) for name in ("calls", "failed"))
        told = ", ".join(f"{count} {name}" for name, count in totals.items())
        return f"{counted(calls, 'call')}, {failed} failed; proposals: {told or 'none'}" if calls else ""

    def totals(self) -> dict[str, int]:
        """Return the number of calls, of those that failed, and the sums of their counts; empty without events."""
        found: dict[str, int] = {}
        for event in self:
            found["calls"] = found.get("calls", 0) + 1
            found["failed"] = found.get("failed", 0) + ("error" in event)
            for name, count in event.get(_COUNTS, {}).items():
                found[str(name)] = found.get(str(name), 0) + count
        return found
