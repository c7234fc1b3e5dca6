"""The text of a class or function of the user's own, where it says what that does."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from abc import ABCMeta
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

from archwright.errors import BuildError

__all__ = ["text_of"]


def text_of(item: Any) -> str:
    """Return the text of a class or function.

    Raises:
        BuildError: It cannot be found; or it is not what runs, since a function or a method was replaced later, or a
            class was defined twice.
    """
    try:
        lines, first = inspect.getsourcelines(item)
    except (OSError, TypeError) as error:
        raise BuildError(f"the text of {item.__name__} cannot be found ({error}); define it in a file") from error
    text = textwrap.dedent("".join(lines))
    (definition,) = ast.parse(text).body
    if isinstance(definition, ast.ClassDef):
        name = next(_replaced(item, definition, first), None)
        if name is not None:
            raise BuildError(
                f"{item.__name__}.{name} is not what the text of {item.__name__} says; write the method in the class, "
                "and define the class once"
            )
    elif not getattr(definition, "decorator_list", []) and item.__code__.co_firstlineno != first:
        raise BuildError(f"{item.__name__} was replaced after its definition; decorate it there, with @")
    return text


def _replaced(item: type, definition: ast.ClassDef, first: int) -> Iterator[str]:
    """Iterate over the methods of a class that are not those of its text, which begins at a line of its file."""
    if definition.decorator_list or type(item) not in (type, ABCMeta) or hasattr(item.__init_subclass__, "__func__"):
        return  # what these change they change again where the class is copied
    bound = Counter(_bound(definition))
    lines = {
        each.name: first + each.lineno - 1
        for each in definition.body
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        and bound[each.name] == 1
        and not each.decorator_list
    }
    for name, value in vars(item).items():
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if not isinstance(function, FunctionType):
            differs = name in lines
        elif name in lines:
            differs = function.__code__.co_firstlineno != lines[name]
        else:
            differs = name not in bound and _is_own(function)
        if differs:
            yield name


def _is_own(function: FunctionType) -> bool:
    """Tell whether a function is in a file of the user's, rather than added by the standard library."""
    root = function.__module__.split(".")[0]
    return root not in sys.stdlib_module_names and Path(function.__code__.co_filename).is_file()


def _bound(definition: ast.ClassDef) -> Iterator[str]:
    """Iterate over the names that the text of a class binds anywhere, once for each time."""
    for each in ast.walk(definition):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield each.name
        elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            yield each.id
        elif isinstance(each, ast.alias):
            yield (each.asname or each.name).split(".")[0]
