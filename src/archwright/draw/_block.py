"""What is drawn, as a tree of blocks: layers, rows, graphs and options; repeats are folded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any, Literal

Kind = Literal["layer", "join", "row", "graph", "stack", "options", "again"]
Mark = Literal["", "old", "new", "changed"]

_PERIOD = 12  # blocks that are looked for as one repetition
_PLAIN = 40  # layers up to which a picture has each block in full
_MOST = 200  # layers of a picture


@dataclass(frozen=True)
class Block:
    """A layer, or several together.

    A row and a graph have an order of execution; a stack holds the modules that a layer was given, options are
    alternatives, and "again" stands for a block that is drawn above and differs in its sizes alone.
    """

    title: str
    detail: str = ""  # arguments
    shape: str = ""  # of the output, without the batch
    kind: Kind = "layer"
    parts: tuple[Block, ...] = ()
    name: str = ""  # in a graph
    takes: tuple[str, ...] = ()  # in a graph, of what it is made; "name?" if decided, "name-" as before, "name+" now
    inputs: int = 1  # of a graph, whose names are "<0", "<1", ...
    times: int = 1
    hidden: int = 0  # layers that are not drawn
    pattern: str = ""  # its arguments without sizes
    mark: Mark = ""
    is_open: bool = False

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """What two blocks have in common that are drawn alike."""
        own = self.title, self.detail, self.shape, self.kind, self.times, self.hidden, self.mark
        return (*own, *((part.key, part.name, part.takes) if self.kind == "graph" else part.key for part in self.parts))

    @cached_property
    def likeness(self) -> tuple[Any, ...]:
        """What two blocks have in common that differ in their sizes alone."""
        inner = tuple((part.likeness, part.times, part.takes) for part in self.parts)
        return self.title, self.detail if self.mark else self.pattern, self.kind, self.mark, self.inputs, inner

    @cached_property
    def layers(self) -> int:
        """The number of layers in it."""
        inner = self.hidden + sum(part.layers for part in self.parts)
        return self.times * (1 if self.kind == "layer" and not self.hidden else inner)

    @cached_property
    def drawn(self) -> int:
        """The number of layers and steps that are drawn; four edges of a graph are as much as one."""
        return sum(part.drawn + len(part.takes) // 4 for part in self.parts) or 1

    @property
    def caption(self) -> str:
        """Its title, or what it begins with."""
        titles = list(islice(self._titles(), 4))
        return ", ".join(titles[:3]) + ", …" * (len(titles) > 3)

    def _titles(self) -> Iterator[str]:
        if self.title or self.kind == "options":
            yield self.title or "options"
        else:
            for part in self.parts:
                yield from part._titles()


def folded(block: Block) -> Block:
    """Return a block with equal ones in a row drawn once; where there are many, those that are alike are drawn once."""
    block = _folded(block)
    if block.drawn > _PLAIN:
        block = _folded(_once(block, set()))
    if block.drawn > _MOST:
        block = _without_tangles(block)
    depth = 8
    while block.drawn > _MOST and depth:
        block, depth = _folded(_closed(block, depth)), depth - 1
    return block


def _folded(block: Block) -> Block:
    parts = tuple(map(_folded, block.parts))
    if block.kind == "row":
        parts = tuple(_row(parts))
    elif block.kind == "graph":
        parts = _graph(parts)
    if len(parts) == 1 and parts[0].kind == "join" and block.kind in ("row", "graph") and not block.detail:
        (only,) = parts
        title, detail = (block.title, only.title) if block.title else (only.title, only.detail)
        times, mark = block.times * only.times, block.mark or only.mark
        return replace(only, title=title, detail=detail, times=times, mark=mark, name=block.name, takes=block.takes)
    if len(parts) == 1 and parts[0].kind == "row" and block.kind == "row" and not (block.title and parts[0].title):
        (only,) = parts
        title, detail, times = block.title or only.title, block.detail or only.detail, block.times * only.times
        only = replace(only, title=title, detail=detail, times=times, mark=block.mark or only.mark)
        return replace(only, name=block.name, takes=block.takes, is_open=block.is_open or only.is_open)
    return replace(block, parts=parts)


def _row(parts: Sequence[Block]) -> Iterator[Block]:
    """Yield the blocks of a row, with repetitions of one or several drawn once."""
    keys, start = [part.key for part in parts], 0
    while start < len(parts):
        best, saved = (1, 1), 0
        for period in range(1, min(_PERIOD, (len(parts) - start) // 2) + 1):
            unit, count = keys[start : start + period], 1
            while keys[start + count * period : start + (count + 1) * period] == unit:
                count += 1
            if period * (count - 1) > saved:
                best, saved = (period, count), period * (count - 1)
        period, count = best
        unit_parts = parts[start : start + period]
        if period == 1:
            yield replace(parts[start], times=parts[start].times * count)
        else:
            yield Block("", kind="row", shape=unit_parts[-1].shape, parts=tuple(_row(unit_parts)), times=count)
        start += period * count


def _graph(parts: tuple[Block, ...]) -> tuple[Block, ...]:
    """Return the blocks of a graph, with those in a row drawn once that take what is as far before them."""
    place = {part.name: index for index, part in enumerate(parts)}
    kept: list[Block] = []
    renamed: dict[str, str] = {}
    before: tuple[Any, ...] = ()
    for index, part in enumerate(parts):
        steps = [index - place[name] if name in place else None for name in part.takes]
        this = part.key, steps
        if kept and this == before and 1 in steps and None not in steps:
            takes = tuple(renamed.get(name, name) for name in part.takes)
            outer = [name for name in takes if name != kept[-1].name]
            renamed[part.name] = kept[-1].name
            takes = tuple(dict.fromkeys((*kept[-1].takes, *outer)))
            kept[-1] = replace(kept[-1], times=kept[-1].times + part.times, takes=takes)
        else:
            kept.append(replace(part, takes=tuple(renamed.get(name, name) for name in part.takes)))
        before = this
    return tuple(kept)


def _once(block: Block, seen: set[Any]) -> Block:
    """Return a block in which of those that are alike the first is drawn, and the others refer to it."""
    if block.parts and block.drawn > 2:
        if block.likeness in seen:
            return _hidden(block, "again")
        seen.add(block.likeness)
    return replace(block, parts=tuple(_once(part, seen) for part in block.parts))


def _hidden(block: Block, kind: Kind) -> Block:
    inner = block.layers // block.times
    return replace(block, title=block.caption, kind=kind if inner else "join", parts=(), hidden=inner)


def _without_tangles(block: Block) -> Block:
    """Return a block without the inside of large graphs whose connections are decided: nearly all are possible."""
    if block.drawn > _MOST // 2 and any(name.endswith("?") for part in block.parts for name in part.takes):
        return _hidden(block, "layer")
    return replace(block, parts=tuple(map(_without_tangles, block.parts)))


def _closed(block: Block, depth: int) -> Block:
    """Return a block without what lies deeper in it, and with the middle of long rows left out."""
    if block.parts and not depth:
        return _hidden(block, "layer")
    parts = tuple(_closed(part, depth - 1) for part in block.parts)
    if len(parts) > _MOST // 2 and block.kind != "graph":
        start, end = parts[: _MOST // 4], parts[-_MOST // 8 :]
        middle = sum(part.layers for part in parts[len(start) : -len(end)])
        parts = (*start, Block(f"{middle:,} more layers", hidden=middle), *end)
    return replace(block, parts=parts)
