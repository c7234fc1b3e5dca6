"""Output of all commands: lines, lists, tables of networks, and JSON."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from archwright._words import differing, printable

_LABEL = 13  # columns of a label, the space behind it included
_LONGEST = 2_000  # characters of a message
_ENDLESS = 1_000_000  # columns, where there is no terminal
_LEAST_ROOM = 20  # columns for the decisions of an architecture


class Output:
    """Prints to a terminal, with lines wrapped at words, or to a pipe or a file, with lines kept whole.

    Names and paths are the user's, or a stranger's: nothing is read as markup, and control characters are escaped.
    """

    def __init__(self, *, stderr: bool = False, quiet: bool = False) -> None:
        self.console = Console(stderr=stderr, quiet=quiet, highlight=False, markup=False, emoji=False)
        if not self.console.is_terminal:
            self.console.width = _ENDLESS

    def line(self, text: object = "", *, style: str = "", label: str | None = None) -> None:
        """Print a line; behind a label, further lines are indented as far as the first."""
        if label is None:
            self.console.print(_plain(text, style))
            return
        grid = Table.grid()
        grid.add_column(width=_LABEL, style="bold")
        grid.add_column(overflow="fold")
        grid.add_row(label, _plain(text, style))
        self._print(grid)

    def listed(self, items: Iterable[tuple[str, str]]) -> None:
        """Print names with what is said of each."""
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for name, told in items:
            grid.add_row(_plain(name), _plain(told))
        self._print(grid)

    def table(
        self, names: Sequence[str], rows: Iterable[Sequence[str]], architectures: Iterable[Mapping[str, Any]]
    ) -> None:
        """Print a table of networks: numbers, and the decisions in which they differ, as far as there is room."""
        cells = [list(names), *map(list, rows)]
        used = sum(max(map(len, column)) + 2 for column in zip(*cells, strict=True))
        room = max(_LEAST_ROOM, self.console.width - used)
        made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
        for name in names:
            made.add_column(_plain(name), justify="right", no_wrap=True)
        made.add_column("architecture")
        for row, architecture in zip(cells[1:], differing(list(architectures)), strict=True):
            made.add_row(*map(_plain, row), _plain(_fitting(architecture, room)))
        self._print(made)

    def _print(self, table: Table) -> None:
        """Print a table without the blanks that fill its last column."""
        for line in self.console.render_lines(table, pad=False):
            text = Text.assemble(*((part.text, part.style or "") for part in line))
            text.rstrip()
            self.console.print(text, soft_wrap=True)


@contextmanager
def warnings_as_lines(output: Output | None = None) -> Iterator[None]:
    """Print warnings on standard error as a line each, without the place in the code that they come from."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        (output or Output(stderr=True)).line(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def document(content: Any) -> None:
    """Print a JSON document on standard output."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    # What is no text, such as bytes of a file's name and controls of a terminal, is escaped as JSON has it.
    shown = (each if each.isprintable() or each == "\n" else _escaped(each) for each in text)
    sys.stdout.write("".join(shown) + "\n")


def refuse(told: str, *, as_json: bool) -> None:
    """Print the message of an error on standard error, and as a JSON document on standard output."""
    if len(told) > _LONGEST:  # a record or a file may hold a name of any length
        told = f"{told[: _LONGEST // 2]} ... {told[-_LONGEST // 2 :]}"
    Output(stderr=True).line(f"archwright: {told}")
    if as_json:
        document({"error": told})


def _escaped(character: str) -> str:
    code = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{code[start : start + 4]}" for start in range(0, len(code), 4))


def _plain(text: object, style: str = "") -> Text:
    return Text(printable(text), style)


def _fitting(architecture: Mapping[str, Any], room: int) -> str:
    """Return as many whole decisions as there is room for."""
    told = [f"{name}={value}" for name, value in architecture.items()]
    kept = len(told)
    while kept > 1 and len(" ".join(told[:kept])) + 2 * (kept < len(told)) > room:
        kept -= 1
    return " ".join([*told[:kept], *["…"] * (kept < len(told))])
