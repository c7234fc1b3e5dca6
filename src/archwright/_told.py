"""Results as a table: text, HTML, JSON, a data frame."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from archwright.errors import require

__all__ = ["Told"]


class Told(ABC):
    """Base class of results: rows, which are dataclasses, with a heading."""

    rows: Sequence[Any]

    @property
    @abstractmethod
    def heading(self) -> str:
        """What the rows are about, and which trials they come from."""

    @abstractmethod
    def _table(self) -> tuple[list[str], list[list[str]]]:
        """Return the names of the columns and the cells of each row, as text."""

    def frame(self) -> Any:
        """Return the rows as a `pandas.DataFrame`.

        Raises:
            MissingExtra: pandas is not installed.
        """
        pandas = require("pandas", extra="frames", purpose="a data frame of results")
        return pandas.DataFrame([asdict(row) for row in self.rows])

    def __str__(self) -> str:
        """Return the heading and the rows as a table of text."""
        names, rows = self._table()
        widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
        lines = [
            "  ".join(
                [cells[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(cells[1:], widths[1:], strict=True))]
            )
            for cells in (names, *rows)
        ]
        return "\n".join([self.heading, *(line.rstrip() for line in lines)])

    def _repr_html_(self) -> str:
        """Return the heading and the rows as a table of HTML, for notebooks."""
        names, rows = self._table()
        head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
        body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
        return f"<p>{html.escape(self.heading)}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
