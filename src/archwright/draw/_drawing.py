"""What is called to draw: a space, an architecture, or two architectures as their difference."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright._disk import write_own
from archwright._words import counted
from archwright.draw._block import Block, folded
from archwright.draw._difference import compared
from archwright.draw._svg import write_svg
from archwright.errors import SpaceError, StudyError
from archwright.space import Architecture, Space, describe_size

if TYPE_CHECKING:
    from rich.tree import Tree

_MARK = '<svg xmlns="http://www.w3.org/2000/svg" class="aw'
"""What drawings begin with."""


class Drawing(str):
    """The text of an SVG document, which a notebook shows as a picture.

    Example:
        >>> from archwright.draw import svg
        >>> drawing = svg(aw.Space(model=nn.Linear(4, 3)))
        >>> drawing.startswith("<svg"), repr(drawing)[:8]
        (True, '<Drawing')
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<Drawing, {len(self):,} characters>"

    def _repr_html_(self) -> str:
        return str(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the drawing into a new file, or over an earlier drawing.

        Args:
            path: The file; its name ends with ".svg".

        Raises:
            StudyError: The name ends otherwise, there is something else in its place, or the folder does not exist.
        """
        if Path(path).suffix.lower() != ".svg":
            raise StudyError(f"a drawing is SVG: {str(path)!r} is to end with .svg")
        write_own(Path(path), str(self), _MARK)


def svg(
    space: Space,
    architecture: Mapping[str, Any] | None = None,
    *,
    other: Mapping[str, Any] | None = None,
    example_input: Any = None,
) -> Drawing:
    """Return a space, an architecture or the difference of two as an SVG document.

    Equal blocks in a row are drawn once, with their number. In a large network also blocks that differ in their sizes
    alone: the others refer to the first one.

    Args:
        space: The space.
        architecture: One of its architectures; without one the space is drawn, with its options in their places.
        other: Another architecture of the space, with which the first is compared: what it has instead is marked.
        example_input: The input, as for `Space`; by default that of the space. Without one there are no shapes.

    Raises:
        ArchitectureError: An architecture does not belong to the space.
        BuildError: A layer refuses its arguments or its input; the message names the path.
        SpaceError: `other` is given without an architecture.

    Example:
        >>> space = aw.spaces.create("nasbench201")
        >>> drawing = aw.draw.svg(space, space.sample(np.random.default_rng(0)))
        >>> "nor_conv_3x3" in drawing
        True
    """
    return Drawing(write_svg(folded(_blocks(space, architecture, other, example_input)), _title(space, architecture)))


def tree(
    space: Space,
    architecture: Mapping[str, Any] | None = None,
    *,
    other: Mapping[str, Any] | None = None,
    example_input: Any = None,
) -> Tree:
    """Return a space, an architecture or the difference of two as a tree, for `rich.print`.

    Args:
        space: The space.
        architecture: One of its architectures; without one the tree is that of the space.
        other: Another architecture of the space, with which the first is compared: what it has instead is marked.
        example_input: The input, as for `Space`; by default that of the space. Without one there are no shapes.

    Raises:
        ArchitectureError: An architecture does not belong to the space.
        BuildError: A layer refuses its arguments or its input; the message names the path.
        SpaceError: `other` is given without an architecture.

    Example:
        >>> import rich
        >>> rich.print(aw.draw.tree(aw.Space(model=nn.Linear(4, 3), example_input=(4,))))
        space: 1 architecture, 0 decisions
        ├── input  4
        └── Linear  4 → 3
    """
    from archwright.draw._tree import write_tree

    return write_tree(folded(_blocks(space, architecture, other, example_input)), _title(space, architecture))


def _blocks(
    space: Space, architecture: Mapping[str, Any] | None, other: Mapping[str, Any] | None, example_input: Any
) -> Block:
    from archwright.draw._read import read_architecture, read_space

    if architecture is None:
        if other is not None:
            raise SpaceError("other is an architecture that another one is compared with; give that one too")
        return read_space(space)
    first = read_architecture(space, architecture, example_input)
    return first if other is None else compared(first, read_architecture(space, other, example_input))


def _title(space: Space, architecture: Mapping[str, Any] | None) -> str:
    if architecture is None:
        sizes = counted(describe_size(space.bound), "architecture"), counted(len(space.decisions), "decision")
        return f"space{f' {space.name}' if space.name else ''}: {', '.join(sizes)}"
    of = f" of the space {space.name}" if space.name else ""
    return f"architecture {Architecture(dict(architecture)).id}{of}"
