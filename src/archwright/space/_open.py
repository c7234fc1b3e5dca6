"""The decisions of a recursive space, which are named as they become active."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from archwright.errors import SpaceError
from archwright.space._decisions import Decision
from archwright.space._grammar import Recursive

if TYPE_CHECKING:
    from archwright.space._program import Program


@dataclass(eq=False)
class Use:
    """A use of a rule at its place in a space.

    Attributes:
        use: The use.
        path: Its path, with which the names of its decisions begin.
        outer: The use that it stands in.
        exposed: The decisions and uses in it that are not inside of a decision; None until it is walked.
        own: Its decisions.
        uses: The uses of rules in it.
    """

    use: Recursive
    path: str
    outer: Use | None = None
    exposed: tuple[Any, ...] | None = None
    own: list[Decision] = field(default_factory=list)
    uses: list[Recursive] = field(default_factory=list)

    def is_within(self, other: Use) -> bool:
        """Tell whether it is another use, or stands in it."""
        return self is other or (self.outer is not None and self.outer.is_within(other))


class OpenDecisions(Mapping[str, Decision]):
    """Decisions by name, of which there may be too many to list: they can be looked up and counted."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def __getitem__(self, name: str) -> Decision:
        found = self._program.find(str(name))
        if found is None:
            raise KeyError(name)
        return found

    def __len__(self) -> int:
        return min(self._program.number, sys.maxsize)

    def __iter__(self) -> Iterator[str]:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise SpaceError(
            f"the decisions of a recursive space are named when they become active, and are not listed: there are up "
            f"to {self._program.number:,}. An architecture holds its own; Space.expand() returns the same space "
            f"without rules"
        )
