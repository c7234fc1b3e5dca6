"""Blocks as a tree in a terminal."""

from __future__ import annotations

from rich.text import Text
from rich.tree import Tree

from archwright._words import plain
from archwright.draw._block import Block

_COLOURS = {"old": "red", "new": "green", "changed": "yellow"}
_LONG = 200  # letters of arguments
_SIGNS = {"old": "- ", "new": "+ ", "changed": "~ "}


def write_tree(block: Block, title: str) -> Tree:
    """Return a tree of a block under a title."""
    tree = Tree(Text(plain(title), "bold"), guide_style="dim")
    for part in block.parts:
        if part.kind == "row" and not part.title and part.times == 1:
            _add_all(tree, part)
        else:
            _add(tree, part, "")
    return tree


def _add_all(tree: Tree, block: Block) -> None:
    before = "<0"
    for part in block.parts:
        # Where a value of a graph is made from others than the one before, they are named.
        is_named = block.kind == "graph" and part.takes != (before,)
        takes = ", ".join(_name(name, block.inputs) for name in part.takes) if is_named else ""
        _add(tree, part, takes, part.name * (block.kind == "graph"))
        before = part.name


def _add(tree: Tree, block: Block, takes: str, name: str = "") -> None:
    style = _COLOURS.get(block.mark, "magenta" if block.is_open else "")
    line = Text(_SIGNS.get(block.mark, ""), style)
    if name:
        line.append(f"{plain(name)}: ", "dim")
    times = f" × {block.times}" if block.times > 1 else ""
    kind = "graph" if block.kind == "graph" else "options" if block.kind == "options" else "row"
    line.append(plain(block.title or ("" if not block.parts else kind)) + times, f"bold {style}")
    told = "as above" if block.kind == "again" else block.detail
    if block.hidden and block.kind == "layer":
        told = f"{block.hidden:,} layers"
    for text, look in ((told, style), (block.shape, "cyan"), (takes and f"← {takes}", "dim")):
        if text:
            line.append(f"  {plain(text if len(text) <= _LONG else text[:_LONG] + '…')}", look)
    _add_all(tree.add(line), block)


def _name(name: str, inputs: int) -> str:
    bare, told = name.rstrip("?-+"), {"?": "?", "-": " before", "+": " now"}.get(name[-1], "")
    source = f"input {int(bare[1:]) + 1}" if inputs > 1 else "input"
    return (source if bare.startswith("<") else bare) + told
