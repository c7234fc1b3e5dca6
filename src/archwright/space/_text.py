"""Expressions as text in one line."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

from archwright.space._undecided import Undecided


def last_name(target: str) -> str:
    """Return the last part of a dotted target.

    Example:
        >>> from archwright.space import last_name
        >>> last_name("torch.nn.Conv2d")
        'Conv2d'
    """
    return target.replace(":", ".").rpartition(".")[2]


def written(item: Any) -> str:
    """Return the text of an item as in an expression, truncated; the same in every process.

    Example:
        >>> from archwright.space import written
        >>> written(nn.Conv2d(3, 8, kernel_size=3))
        'Conv2d(3, 8, kernel_size=3)'
    """
    room = _room.get()
    if room is None:
        token = _room.set(_Room())
        try:
            return written(item)
        finally:
            _room.reset(token)
    if room.letters <= 0 or room.depth <= 0:
        return "…"
    room.depth -= 1
    try:
        text = _written(item)
    finally:
        room.depth += 1
    room.letters -= len(text) if not isinstance(item, Undecided | list | tuple | Mapping) else 2
    return text


def _written(item: Any) -> str:
    if isinstance(item, tuple):
        return f"({', '.join(map(written, item))}{',' * (len(item) == 1)})"
    if isinstance(item, list):
        return f"[{', '.join(map(written, item))}]"
    if isinstance(item, Mapping):
        return f"{{{', '.join(f'{written(key)}: {written(value)}' for key, value in item.items())}}}"
    if isinstance(item, slice):
        ends = (item.start, item.stop) if item.step is None else (item.start, item.stop, item.step)
        return ":".join("" if end is None else written(end) for end in ends)
    if item is ...:
        return "..."
    if isinstance(item, partial):
        inside = [*map(written, (item.func, *item.args)), *(f"{k}={written(v)}" for k, v in item.keywords.items())]
        return f"partial({', '.join(inside)})"
    if isinstance(item, Undecided) or not callable(item):
        text = repr(item)
        return text if " at 0x" not in text else type(item).__name__
    return str(getattr(item, "__name__", type(item).__name__))


@dataclass
class _Room:
    """How much more of an expression may be written, whose parts are shared and may unfold without end."""

    letters: int = 10_000
    depth: int = 60


_room: ContextVar[_Room | None] = ContextVar("room", default=None)
