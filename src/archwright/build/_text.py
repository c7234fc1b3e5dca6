"""Terms of Python source, laid out as formatters lay them out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from archwright.errors import BuildError

__all__ = ["LINE", "Import", "Term", "import_block", "literal"]

LINE = 88
"""The length of a line, as ruff and black have it."""


@dataclass(frozen=True)
class Term:
    """A term of the source: a head with items in brackets, or plain text."""

    head: str
    items: tuple[tuple[str, Term], ...] = ()
    closing: str = ""

    def flat(self) -> str:
        """Return the term in one line."""
        comma = "," if self.head == "(" and len(self.items) == 1 else ""  # a tuple of one
        return self.head + ", ".join(key + term.flat() for key, term in self.items) + comma + self.closing

    def lines(self, indent: int, prefix: str = "", suffix: str = "") -> list[str]:
        """Return the term in one line where it fits, else with one item to a line."""
        pad = " " * indent
        flat = f"{pad}{prefix}{self.flat()}{suffix}"
        if len(flat) <= LINE or not self.items:
            return [flat]
        inner = [line for key, term in self.items for line in term.lines(indent + 4, key, ",")]
        return [f"{pad}{prefix}{self.head}", *inner, f"{pad}{self.closing}{suffix}"]


def literal(value: Any) -> Term:
    """Return a constant as it is written.

    Raises:
        BuildError: It cannot be written.
    """
    if isinstance(value, list):
        return Term("[", tuple(("", literal(part)) for part in value), "]")
    if type(value) is tuple:
        return Term("(", tuple(("", literal(part)) for part in value), ")")
    if isinstance(value, Mapping):
        return Term("{", tuple((f"{literal(key).flat()}: ", literal(part)) for key, part in value.items()), "}")
    if isinstance(value, str):
        return Term(_quoted(value))
    if isinstance(value, float) and not math.isfinite(value):
        return Term(f'float("{value}")')
    if value is None or isinstance(value, torch.dtype) or type(value) in (bool, int, float):
        return Term(repr(value).replace("e+", "e"))
    raise BuildError(f"{value!r} cannot be written into source; use numbers, text, torch dtypes, classes and functions")


class Import(NamedTuple):
    """An import: of a name from a module, or of the module itself; the alias is what it is called then."""

    module: str
    name: str
    alias: str

    @property
    def text(self) -> str:
        """The line, in which names of one module are not joined yet."""
        original = self.name or self.module
        called = original if self.alias == original else f"{original} as {self.alias}"
        return f"from {self.module} import {called}" if self.name else f"import {called}"


def import_block(imports: Iterable[Import]) -> str:
    """Return imports in the order that isort gives them: the standard library, then torch."""
    sections: dict[bool, list[tuple[Any, str]]] = {False: [], True: []}
    joined: dict[str, list[Import]] = {}
    for each in set(imports):
        if each.name and each.alias == each.name:
            joined.setdefault(each.module, []).append(each)
        else:
            key = (bool(each.name), each.module, _rank(each.name), each.alias)
            sections[_is_torch(each.module)].append((key, each.text))
    for module, together in joined.items():
        names = sorted((each.name for each in together), key=_rank)
        line = f"from {module} import {', '.join(names)}"
        if len(line) > LINE:
            line = "\n".join([f"from {module} import (", *(f"    {name}," for name in names), ")"])
        sections[_is_torch(module)].append(((True, module, _rank(names[0]), ""), line))
    blocks = ["\n".join(line for _, line in sorted(lines)) for lines in sections.values() if lines]
    return "\n\n".join(blocks)


def _is_torch(module: str) -> bool:
    return module.split(".")[0] == "torch"


def _rank(name: str) -> tuple[int, str, str]:
    """Sort constants before classes before everything else."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name.lower(), name


def _quoted(text: str) -> str:
    """Return a text in double quotes, or in single ones where that needs fewer backslashes."""
    inside = repr(text + '"')[1:-2].replace("\\'", "'")  # with every escape but those of quotes
    quote = "'" if text.count('"') > text.count("'") else '"'
    return quote + inside.replace(quote, f"\\{quote}") + quote
