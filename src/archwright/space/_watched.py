"""What a constraint looks at."""

from __future__ import annotations

from collections.abc import Mapping

from archwright.space._architecture import Architecture
from archwright.space._decisions import Value

__all__ = ["Watched"]


class Watched(Architecture):
    """An architecture that notes which of its decisions are looked at.

    Attributes:
        read: Their names; all of them where it is looked at as a whole, or for a decision that is not active.
    """

    __slots__ = ("_held", "read")

    def __init__(self, decisions: Mapping[str, Value]) -> None:
        self._held = dict(decisions)
        self._id = self._hash = None
        self.read: set[str] = set()

    @property
    def _decisions(self) -> dict[str, Value]:  # type: ignore[override]  # nothing writes it but what this replaces
        self.read.update(self._held)
        return self._held

    def __getitem__(self, name: str) -> Value:
        """Return one decision."""
        if name not in self._held:
            return self._decisions[name]
        self.read.add(name)
        return self._held[name]
