"""Constraints on architectures, and the search for feasible ones if rejection sampling fails."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import TypeAlias

import numpy as np

from archwright.errors import SpaceError
from archwright.space._architecture import Architecture
from archwright.space._decisions import Decision, Value
from archwright.space._moves import Moves
from archwright.space._print import called
from archwright.space._program import Program

Predicate: TypeAlias = Callable[[Architecture], bool]
_TRIES = 2_000  # draws
_FEW = 8  # of them that hold, below which as many draws may meet none
_ENOUGH = 32  # architectures that are known, from as many searches
_IN_VAIN = 4  # searches that find nothing, after which there are no more
_EACH = 2_000  # architectures that a search looks at
_DRAWN = 100_000  # at random, where no search finds any
_SECONDS = 60.0  # after which it ends while nothing is found
_SHOWN = 16  # values of a decision in a long range that are tried at one place


class Constraints:
    """The predicates of a space."""

    def __init__(self, where: tuple[Predicate, ...], program: Program) -> None:
        self._where, self._program = where, program

    def hold(self, architecture: Architecture) -> bool:
        """Tell whether all hold of an architecture."""
        return self._refusing(architecture) is None

    def refused(self, values: Mapping[str, Value]) -> Collection[str] | None:
        """Return the decisions that the first that refuses an architecture has looked at; None where all hold."""
        for predicate in self._where:
            watched = _Watched(values)
            if not _ask(predicate, watched):
                return watched.read
        return None

    def walk(self, values: Callable[[Decision], Iterator[Value]] | None = None) -> Iterator[dict[str, Value] | None]:
        """Iterate over all architectures of which they hold, each once, with None for each that is refused on the way.

        A predicate refuses whatever is alike in what it has looked at, and none of that is looked at again. So the way
        is short where it stops at the first thing that is wrong, as `all` and `and` do.

        Args:
            values: Returns the values of a decision in the order in which they are tried; that of the decision when not
                given.
        """
        steps = self._program.enumerate(values)
        found = next(steps, None)
        while found is not None:
            because = self.refused(found)
            yield found if because is None else None
            try:
                found = steps.send(because)
            except StopIteration:
                return

    def count(self, drawn: Iterable[Architecture]) -> str:
        """Return how many of some architectures each of them refused, in words."""
        refusing = map(self._refusing, drawn)
        refused = Counter(called(predicate) for predicate in refusing if predicate is not None)
        return ", ".join(f"{name} refused {count:,}" for name, count in refused.items())

    def _refusing(self, architecture: Architecture) -> Predicate | None:
        return next((predicate for predicate in self._where if not _ask(predicate, architecture)), None)


class Feasible:
    """Finds architectures that hold; what it finds follows from the space and a generator alone."""

    def __init__(self, program: Program, moves: Moves, constraints: Constraints) -> None:
        self._program, self._moves, self._constraints = program, moves, constraints

    @cached_property
    def are_rare(self) -> bool:
        """Whether it is of no use to draw them."""
        rng = np.random.default_rng(0)
        holding = (True for _ in range(_TRIES) if self._constraints.hold(self._moves.complete({}, rng)))
        return sum(islice(holding, _FEW)) < _FEW

    @cached_property
    def known(self) -> tuple[Architecture, ...]:
        """Some of them: those at the ends of all ranges, what searches find, or else what many draws meet."""
        rng, until = np.random.default_rng(0), time.monotonic() + _SECONDS
        found = dict.fromkeys(end for end in map(self._end, (0.0, 1.0)) if self._constraints.hold(end))
        in_vain = 0
        while len(found) < _ENOUGH and in_vain < _IN_VAIN:
            before = len(found)
            found |= dict.fromkeys(self._search(rng))
            in_vain += len(found) == before
        for _ in range(_DRAWN):
            if found or time.monotonic() > until:  # with nothing found, no result hangs on the clock
                break
            drawn = self._moves.complete({}, rng)
            if self._constraints.hold(drawn):
                found[drawn] = None
        return tuple(found)

    def draw(self, rng: np.random.Generator) -> Architecture | None:
        """Return one of them, at the end of a walk from one that is known; None where none is known."""
        if not self.known:
            return None
        architecture = self.known[int(rng.integers(len(self.known)))]
        steps = len(architecture) if self._program.is_recursive else len(self._program.decisions)
        for _ in range(4 * steps):
            changed = architecture
            for _ in range(1 + int(rng.integers(3))):
                names = self._moves.open(changed)
                changed = self._moves.mutated(changed, names[int(rng.integers(len(names)))], rng) if names else changed
            if self._constraints.hold(changed):
                architecture = changed
        return architecture

    def near(self, wanted: Mapping[str, Value], rng: np.random.Generator) -> Architecture | None:
        """Return one of them that is like an architecture which need not hold, and not the same.

        From one that holds, decision after decision is changed to the wanted value where constraints allow it.
        """
        found = self.draw(rng)
        if found is None:
            return None
        names = list(wanted)
        for place in rng.permutation(len(names)):
            name = names[int(place)]
            if name in found and found[name] != wanted[name]:
                changed = self._moves.changed(found, name, wanted[name], rng)
                if changed != wanted and self._constraints.hold(changed):
                    found = changed
        return None if found == wanted else found

    def refusal(self, after: str) -> str:
        """Return what to say where none is found, with how many draws each constraint refused."""
        rng = np.random.default_rng(0)
        counts = self._constraints.count(self._moves.complete({}, rng) for _ in range(_TRIES))
        return f"no architecture was found that satisfies the constraints: of {_TRIES:,} drawn, {counts}; {after}"

    def _end(self, end: float) -> Architecture:
        return Architecture(self._program.decide(lambda _, decision: decision.decode([end] * decision.width)))

    def _search(self, rng: np.random.Generator) -> list[Architecture]:
        """Decide at random, and go back to what a constraint had looked at where it refuses, until one holds."""

        def values(decision: Decision) -> Iterator[Value]:
            if decision.size > _SHOWN:
                return (decision.sample(rng) for _ in range(_SHOWN))
            listed = list(decision.values())
            return (listed[place] for place in rng.permutation(len(listed)))

        for count, found in enumerate(self._constraints.walk(values)):
            if found is not None:
                return [Architecture(found)]
            if count == _EACH:
                break
        return []


class _Watched(Architecture):
    """An architecture that notes which of its decisions are looked at."""

    __slots__ = ("_held", "read")

    def __init__(self, decisions: Mapping[str, Value]) -> None:
        self._held = dict(decisions)
        self._id = self._hash = None
        # Their names; all of them where it is looked at as a whole, or for a decision that is not active.
        self.read: set[str] = set()

    @property
    def _decisions(self) -> dict[str, Value]:  # type: ignore[override]  # nothing writes it but what this replaces
        self.read.update(self._held)
        return self._held

    def __getitem__(self, name: str) -> Value:
        if name not in self._held:
            return self._decisions[name]
        self.read.add(name)
        return self._held[name]


def _ask(predicate: Predicate, architecture: Architecture) -> bool:
    try:
        return bool(predicate(architecture))
    except KeyError as error:
        raise SpaceError(
            f"the constraint {called(predicate)} asks for {error}, which is not active in {architecture!r}; "
            f"use .get(name) for decisions that may be inactive"
        ) from error
