"""Two architectures: the decisions in which they differ, and one tree of blocks with what differs marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from html import escape
from typing import TYPE_CHECKING, Any

from archwright._words import plain
from archwright.draw._block import Block, Mark
from archwright.space import written

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Difference:
    """The decisions in which two architectures differ; a table in a terminal (`rich.print`) and in a notebook.

    Attributes:
        rows: The name, the value before and the value now of each; "" where the decision is not active.

    Example:
        >>> from archwright.draw import difference
        >>> difference({"width": 16, "depth": 2}, {"width": 32, "depth": 2}).rows
        (('width', '16', '32'),)
    """

    rows: tuple[tuple[str, str, str], ...]

    def __rich__(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False)
        for heading in ("decision", "before", "now"):
            table.add_column(heading, overflow="fold")
        for name, before, now in self.rows:
            table.add_row(Text(plain(name)), Text(plain(before), "red"), Text(plain(now), "green"))
        return table

    def _repr_html_(self) -> str:
        told = [
            f"<tr><td>{escape(name)}</td><td><del>{escape(before)}</del></td><td><ins>{escape(now)}</ins></td></tr>"
            for name, before, now in self.rows
        ]
        return f"<table><tr><th>decision</th><th>before</th><th>now</th></tr>{''.join(told)}</table>"


def difference(architecture: Mapping[str, Any], other: Mapping[str, Any]) -> Difference:
    """Return the active decisions in which two architectures differ.

    Args:
        architecture: An architecture.
        other: The one that it is compared with.

    Example:
        >>> from archwright.draw import difference
        >>> difference({"cell": "gru"}, {"cell": "none", "width": 8}).rows
        (('cell', "'gru'", "'none'"), ('width', '', '8'))
    """
    rows = []
    for name in dict.fromkeys((*architecture, *other)):
        before, now = (written(each[name]) if name in each else "" for each in (architecture, other))
        if before != now:
            rows.append((name, before, now))
    return Difference(tuple(rows))


def compared(old: Block, new: Block) -> Block:
    """Return two networks as one, with what differs marked as old, new or changed."""
    both = _both(old, new)
    return both[0] if len(both) == 1 else Block("", kind="stack", parts=tuple(both))


def _both(old: Block, new: Block) -> list[Block]:
    if old.key == new.key:
        return [new]
    if (old.title, old.kind, old.inputs, not old.parts) == (new.title, new.kind, new.inputs, not new.parts):
        parts: Sequence[Block] | None = ()
        if new.parts:
            parts = _united(old, new) if new.kind == "graph" else _aligned(old.parts, new.parts)
        if parts is not None:
            mark: Mark = "changed" if old.detail != new.detail else ""
            detail, shape = _changed(old.detail, new.detail, ", "), _changed(old.shape, new.shape, " × ")
            return [replace(new, parts=tuple(parts), detail=detail, shape=shape, mark=mark)]
    return [replace(old, mark="old"), replace(new, mark="new")]


def _changed(old: str, new: str, comma: str) -> str:
    """Return two lists of arguments as one: those that differ as "3 ⇒ 5"."""
    if old == new:
        return new
    pairs = list(zip(old.split(comma), new.split(comma), strict=False))
    if len(pairs) != len(old.split(comma)) or len(pairs) != len(new.split(comma)):
        return f"{old or 'nothing'} ⇒ {new or 'nothing'}"
    told = []
    for before, now in pairs:
        words, others = before.split(" "), now.split(" ")
        while len(others) > 1 and words[:1] == others[:1]:
            words, others = words[1:], others[1:]
        told.append(now if before == now else f"{before} ⇒ {' '.join(others)}")
    return comma.join(told)


def _aligned(old: Sequence[Block], new: Sequence[Block]) -> list[Block]:
    """Return two rows as one."""
    before, now = ([(part.kind, part.caption) for part in parts] for parts in (old, new))
    found: list[Block] = []
    for kind, i, j, k, m in SequenceMatcher(None, before, now, autojunk=False).get_opcodes():
        if kind == "equal" or j - i == m - k:
            found += [part for pair in zip(old[i:j], new[k:m], strict=True) for part in _both(*pair)]
        else:
            found += [replace(part, mark="old") for part in old[i:j]]
            found += [replace(part, mark="new") for part in new[k:m]]
    return found


def _united(old: Block, new: Block) -> list[Block] | None:
    """Return two graphs as one whose values have the same names, or `None` where these stand in another order."""
    before, now = ({part.name: part for part in graph.parts} for graph in (old, new))
    found: list[Block] = []
    was: dict[str, str] = {}  # what values of before are called now
    for name in dict.fromkeys((*now, *before)):
        if name in before and name in now:
            *gone, kept = _both(before[name], now[name])
            found.append(replace(kept, name=name, takes=now[name].takes))
            if gone:
                was[name] = f"{name}'"
                found.append(replace(gone[0], name=was[name], takes=before[name].takes))
        else:
            part = now.get(name) or before[name]
            found.append(replace(part, mark="new" if name in now else "old"))
    for place, part in enumerate(found):
        name = part.name.rstrip("'")
        olds = [was.get(each, each) for each in (before[name].takes if name in before else ())]
        news = list(now[name].takes) if name in now and part.mark != "old" else []
        if part.mark == "old" or not olds:
            takes = olds or news
        elif name in was:
            takes = news
        else:
            takes = [f"{each}+" * (each not in olds) or each for each in news]
            takes += [f"{each}-" for each in olds if each not in news]
        found[place] = replace(part, takes=tuple(takes))
    return _in_order(found)


def _in_order(parts: list[Block]) -> list[Block] | None:
    """Return the parts of a graph in an order of execution, if there is one; the last one stays the last."""
    names, done, placed = {part.name for part in parts}, set[str](), list[Block]()
    left = parts
    while left:
        ready = [p for p in left if not {name.rstrip("?-+") for name in p.takes} & names - done]
        if not ready:
            return None
        placed, done = placed + ready[:1], done | {ready[0].name}
        left = [part for part in left if part is not ready[0]]
    return placed
