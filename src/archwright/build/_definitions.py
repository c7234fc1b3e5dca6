"""Definitions in an order in which they can be executed."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from archwright.errors import BuildError


@dataclass(frozen=True)
class Definition:
    """A text that defines a name."""

    name: str
    text: str
    uses: frozenset[str]  # all names of its module that it uses at some time
    first: frozenset[str]  # those that it needs when it is executed
    called: frozenset[str]  # those of them that it calls then, which need what they use themselves
    runs: bool  # whether it is a class whose code runs where another is derived from it

    @classmethod
    def of(cls, name: str, text: str) -> Definition:
        """Return the definition that a text makes of a name."""
        uses = frozenset(used_names(text) - {name})
        at_once = list(_at_once(ast.parse(text)))
        first = frozenset(part.id for part in at_once if isinstance(part, ast.Name))
        calling = [part.func for part in at_once if isinstance(part, ast.Call)]
        calling += [each for part in at_once for each in getattr(part, "decorator_list", [])]
        called = frozenset(part.id for each in calling for part in ast.walk(each) if isinstance(part, ast.Name))
        runs = any(word in text for word in ("__init_subclass__", "metaclass"))
        return cls(name, text, uses, first & uses, called & uses, runs)


def in_order(definitions: Iterable[Definition]) -> list[str]:
    """Return the texts of definitions in an order in which they can be executed.

    What a definition uses stands before it. Of definitions that use each other, those come first that others need when
    they are executed.
    """
    known = {definition.name: definition for definition in definitions}
    left = dict(known)
    ordered = []
    while left:
        free = [each for each in left.values() if not each.uses & left.keys()]
        free = free or [each for each in left.values() if not _needed(each, known) & left.keys()]
        if not free:
            names = ", ".join(sorted(left))
            raise BuildError(f"{names} need each other when their module is imported, and cannot be copied")
        ordered.append(left.pop(free[0].name).text)
    return ordered


def _needed(definition: Definition, known: Mapping[str, Definition]) -> set[str]:
    """Return what a definition needs when it is executed: what it takes, and what that uses where it is called."""
    needed = set(definition.first & known.keys())
    stack = [name for name in needed if name in definition.called or known[name].runs]
    visited: set[str] = set()
    while stack:
        name = stack.pop()
        if name not in visited:
            visited.add(name)
            below = known[name].uses & known.keys()
            needed |= below
            stack += below
    return needed - {definition.name}


def used_names(text: str) -> set[str]:
    """Return the names that a text takes from its module."""
    names = {
        symbol.get_name()
        for table in _tables(symtable.symtable(text, "<source>", "exec"))
        for symbol in table.get_symbols()
        if (symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module"))
        or symbol.is_declared_global()
    }
    for node in ast.walk(ast.parse(text)):
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
                quoted = ast.walk(ast.parse(annotation.value, mode="eval"))
                names |= {part.id for part in quoted if isinstance(part, ast.Name)}
    return names


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


def _at_once(tree: ast.AST) -> Iterator[ast.AST]:
    """Iterate over what is evaluated when a text is executed: not the bodies of functions."""
    yield tree
    if isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        below: list[ast.AST] = [*getattr(tree, "decorator_list", []), tree.args]
        below += [tree.returns] if isinstance(tree, ast.FunctionDef) and tree.returns is not None else []
    else:
        below = list(ast.iter_child_nodes(tree))
    for each in below:
        yield from _at_once(each)
