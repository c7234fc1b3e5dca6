"""Syntax trees of the source that is written: every name and every constant is checked where it enters a tree.

What a file or a record says reaches source through these functions alone, so it can become a name or a constant and
nothing else.
"""

from __future__ import annotations

import ast
import keyword
import math
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple

import torch

from archwright.errors import BuildError

__all__ = ["NO_TYPE_PARAMETERS", "Import", "call", "dotted", "identifier", "import_statements", "literal", "method"]

NO_TYPE_PARAMETERS: dict[str, Any] = {"type_params": []} if "type_params" in ast.ClassDef._fields else {}
"""What definitions have besides from Python 3.12 on."""


def identifier(text: str) -> str:
    """Return a name in the form in which Python keeps it.

    Raises:
        BuildError: It is no name.
    """
    if not text.isidentifier() or keyword.iskeyword(text):
        raise BuildError(f"{text!r} cannot be a name in Python source")
    return unicodedata.normalize("NFKC", text)


def dotted(path: str) -> ast.expr:
    """Return the expression of a path such as "nn.Linear".

    Raises:
        BuildError: A part of it is no name.
    """
    first, *rest = map(identifier, path.split("."))
    found: ast.expr = ast.Name(first, ast.Load())
    for part in rest:
        found = ast.Attribute(found, part, ast.Load())
    return found


def call(path: str, /, *args: ast.expr, **kwargs: ast.expr) -> ast.Call:
    """Return the call of what a path names.

    Raises:
        BuildError: The path or an argument's name is no name.
    """
    return ast.Call(dotted(path), list(args), [ast.keyword(identifier(key), value) for key, value in kwargs.items()])


def method(name: str, parameters: Mapping[str, str], returns: str, body: list[ast.stmt]) -> ast.FunctionDef:
    """Return the definition of a function.

    Args:
        name: Its name.
        parameters: The annotation of each parameter by its name; "" for none.
        returns: The annotation of what it returns.
        body: What it does.
    """
    arguments = [
        ast.arg(identifier(parameter), dotted(kind) if kind else None) for parameter, kind in parameters.items()
    ]
    signature = ast.arguments(posonlyargs=[], args=arguments, kwonlyargs=[], kw_defaults=[], defaults=[])
    result = ast.Constant(None) if returns == "None" else dotted(returns)
    return ast.FunctionDef(
        name=identifier(name), args=signature, body=body, decorator_list=[], returns=result, **NO_TYPE_PARAMETERS
    )


def literal(value: Any, other: Callable[[Any], ast.expr | None] = lambda value: None) -> ast.expr:
    """Return a constant.

    Args:
        value: The constant.
        other: Returns the expression of what is no constant; None where there is none.

    Raises:
        BuildError: It cannot be written.
    """
    if isinstance(value, Enum):  # before numbers and texts, which it may be too
        return _known(value, other)
    if type(value) in (list, tuple):
        items = [literal(part, other) for part in value]
        return ast.List(items, ast.Load()) if type(value) is list else ast.Tuple(items, ast.Load())
    if isinstance(value, Mapping):
        keys: list[ast.expr | None] = [literal(key, other) for key in value]
        return ast.Dict(keys, [literal(part, other) for part in value.values()])
    if isinstance(value, str):
        return ast.Constant(str(value))
    if type(value) in (int, float):
        return _number(value)
    if value is None or type(value) is bool:
        return ast.Constant(value)
    if isinstance(value, torch.dtype):
        return dotted(str(value))
    return _known(value, other)


def _known(value: Any, other: Callable[[Any], ast.expr | None]) -> ast.expr:
    found = other(value)
    if found is None:
        raise BuildError(
            f"{value!r} cannot be written into source; use numbers, text, torch dtypes, classes and functions"
        )
    return found


def _number(value: int | float) -> ast.expr:
    if isinstance(value, float) and not math.isfinite(value):
        return call("float", ast.Constant(str(value)))
    if isinstance(value, int) and value.bit_length() > 1024:
        raise BuildError(f"a whole number of {value.bit_length():,} bits cannot be written into source")
    if math.copysign(1, value) < 0:
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)


class Import(NamedTuple):
    """An import: of a name from a module, or of the module itself; the alias is what it is called then."""

    module: str
    name: str
    alias: str

    @property
    def statement(self) -> ast.stmt:
        """The statement, in which names of one module are not joined yet."""
        original = self.name or self.module
        alias = ast.alias(original, None if self.alias == original else self.alias)
        return _import_from(self.module, [alias]) if self.name else ast.Import([_checked(alias)])


def import_statements(imports: Iterable[Import]) -> list[list[ast.stmt]]:
    """Return imports in the order that isort gives them: sections of the standard library, then of other packages."""
    sections: dict[bool, list[tuple[Any, ast.stmt]]] = {False: [], True: []}
    joined: dict[str, list[Import]] = {}
    for each in set(imports):
        if each.name and each.alias == each.name:
            joined.setdefault(each.module, []).append(each)
        else:
            key = (bool(each.name), each.module, _rank(each.name), each.alias)
            sections[_is_installed(each.module)].append((key, each.statement))
    for module, together in joined.items():
        names = sorted((each.name for each in together), key=_rank)
        key = (True, module, _rank(names[0]), "")
        sections[_is_installed(module)].append((key, _import_from(module, [ast.alias(name) for name in names])))
    return [[line for _, line in sorted(lines, key=lambda each: each[0])] for lines in sections.values() if lines]


def _import_from(module: str, names: list[ast.alias]) -> ast.ImportFrom:
    dotted(module)
    return ast.ImportFrom(module, [_checked(alias) for alias in names], 0)


def _checked(alias: ast.alias) -> ast.alias:
    dotted(alias.name)
    if alias.asname is not None:
        identifier(alias.asname)
    return alias


def _is_installed(module: str) -> bool:
    return module.split(".")[0] not in sys.stdlib_module_names


def _rank(name: str) -> tuple[int, str, str]:
    """Sort constants before classes before everything else."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name.lower(), name
