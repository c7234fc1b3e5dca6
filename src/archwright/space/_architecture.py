"""Architectures: values of the decisions of a space."""

from __future__ import annotations

import hashlib
import json
from collections.abc import ItemsView, Iterator, Mapping
from html import escape
from itertools import islice
from typing import Any

from archwright.errors import ArchitectureError
from archwright.space._decisions import Value

_SHOWN = 20  # decisions in one line


class Architecture(Mapping[str, Value]):
    """The active decisions of one architecture, by name.

    Immutable and hashable; architectures with the same decisions are equal, in any order. Values are numbers, option
    labels, and tuples of labels for subsets.

    Args:
        decisions: Values by decision name. `Space.canonical` returns one that is valid in a space.

    Example:
        >>> import archwright as aw
        >>> architecture = aw.Architecture({"width": 16, "activation": "relu"})
        >>> architecture["width"], len(architecture.id)
        (16, 12)
    """

    __slots__ = ("_decisions", "_hash", "_id")

    def __init__(self, decisions: Mapping[str, Value]) -> None:
        self._decisions = dict(decisions)
        self._id: str | None = None
        self._hash: int | None = None

    @property
    def id(self) -> str:
        """A hash of the decisions, twelve hexadecimal digits."""
        if self._id is None:
            text = json.dumps(self._decisions, sort_keys=True, separators=(",", ":"))
            self._id = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
        return self._id

    def to_json(self) -> dict[str, Any]:
        """Return the decisions as a JSON object."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in self._decisions.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Architecture:
        """Return the architecture written by `to_json`.

        Raises:
            ArchitectureError: The data are not an object of numbers, strings, booleans, null, or arrays of these.
        """
        if not isinstance(data, Mapping):
            raise ArchitectureError(f"decisions are an object, by name, not {type(data).__name__}")
        for name, value in data.items():
            for each in value if isinstance(value, list) else [value]:
                if not isinstance(each, bool | int | float | str | None):
                    raise ArchitectureError(
                        f"the decision {name!r} is a number, a text, true, false, null or an array of these, and holds "
                        f"{type(each).__name__}"
                    )
        return cls({name: tuple(value) if isinstance(value, list) else value for name, value in data.items()})

    def items(self) -> ItemsView[str, Value]:
        """Return the names and values, as those of a dictionary: the one that `Mapping` has looks each value up."""
        return self._decisions.items()

    def __getitem__(self, name: str) -> Value:
        return self._decisions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._decisions)

    def __len__(self) -> int:
        return len(self._decisions)

    def __hash__(self) -> int:
        """Hash the decisions; unlike `id`, the hash differs from process to process."""
        if self._hash is None:
            self._hash = hash(frozenset(self._decisions.items()))
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle the decisions alone: a hash means nothing in another process."""
        return Architecture, (self._decisions,)

    def __eq__(self, other: object) -> bool:
        return self._decisions == other._decisions if isinstance(other, Architecture) else NotImplemented

    def __repr__(self) -> str:
        told = [f"{name}={value!r}" for name, value in islice(self._decisions.items(), _SHOWN)]
        more = [f"and {len(self) - _SHOWN} more"] if len(self) > _SHOWN else []
        return f"Architecture({self.id}: {', '.join(told + more)})"

    def _repr_html_(self) -> str:
        """Return the table that a notebook shows."""
        rows = (f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>" for name, value in self.items())
        return f"<table><tr><th>decision</th><th>{self.id}</th></tr>{''.join(rows)}</table>"
