"""What must hold of an architecture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TypeAlias

from archwright.errors import SpaceError
from archwright.space._architecture import Architecture
from archwright.space._decisions import Decision, Value
from archwright.space._print import called
from archwright.space._program import Program
from archwright.space._watched import Watched

__all__ = ["Constraints", "Predicate"]

Predicate: TypeAlias = Callable[[Architecture], bool]


class Constraints:
    """The predicates of a space.

    Args:
        where: The predicates.
        program: The decisions of the space.
    """

    def __init__(self, where: tuple[Predicate, ...], program: Program) -> None:
        self._where, self._program = where, program

    def hold(self, architecture: Architecture) -> bool:
        """Tell whether all hold of an architecture."""
        return self._refusing(architecture) is None

    def refused(self, values: Mapping[str, Value]) -> Collection[str] | None:
        """Return the decisions that the first that refuses an architecture has looked at; None where all hold."""
        for predicate in self._where:
            watched = Watched(values)
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


def _ask(predicate: Predicate, architecture: Architecture) -> bool:
    try:
        return bool(predicate(architecture))
    except KeyError as error:
        raise SpaceError(
            f"the constraint {called(predicate)} asks for {error}, which is not active in {architecture!r}; "
            f"use .get(name) for decisions that may be inactive"
        ) from error
