"""Copy the classes and functions of the user's own into written source."""

from __future__ import annotations

import ast
import importlib
import inspect
import symtable
import sys
import textwrap
from collections import OrderedDict
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch

from archwright.build._layout import source_of
from archwright.build._syntax import Import, identifier, literal
from archwright.errors import BuildError
from archwright.space import find

__all__ = ["Inliner", "used_names"]

_HOMES = {"torch.nn": "nn", "torch": "torch", "torch.nn.functional": "nn.functional", "torch.nn.init": "nn.init"}
"""What source can reach without further imports."""


class Inliner:
    """Collects the text of what a network calls, with what that text needs.

    Attributes:
        texts: Definitions, in an order in which they can be executed.
        imports: What stands above them.
        names: All names that the source defines or imports, with what each stands for.
        postpones: Whether annotations are not to be evaluated.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.imports: list[Import] = []
        self.postpones = False
        self.names: dict[str, Any] = {"nn": torch.nn, "torch": torch, "OrderedDict": OrderedDict, "build": self}

    def name(self, target: str, callee: Any) -> str:
        """Return how source calls a target, after its text or import has been collected."""
        return self.name_of(find(target, callee))

    def name_of(self, item: Any) -> str:
        """Return how source calls a class or function, after its text or import has been collected.

        Raises:
            BuildError: Its text cannot be found or copied, or two different things have the same name.
        """
        name = str(getattr(item, "__name__", ""))
        if _home(item) in _HOMES:
            return f"{_HOMES[_home(item)]}.{name}"
        if _is_importable(item):
            self._import(name, item)
        elif item.__module__ != "builtins":
            self._copy(item)
        return name

    def claim(self, name: str, value: Any) -> bool:
        """Take a name for something; return whether it is new.

        Raises:
            BuildError: The name stands for something else.
        """
        if name not in self.names:
            self.names[name] = value
            return True
        held = self.names[name]
        if held is not value and (callable(value) or type(held) is not type(value) or held != value):
            raise BuildError(f"two different things named {name!r} would meet in one source file; rename one")
        return False

    def _copy(self, item: Any) -> None:
        is_plain = (inspect.isclass(item) or inspect.isfunction(item)) and item.__qualname__.isidentifier()
        if not is_plain:
            raise BuildError(f"{item.__qualname__} cannot be copied; define it at the top of a module, by def or class")
        try:
            text = textwrap.dedent(inspect.getsource(item))
        except (OSError, TypeError) as error:
            raise BuildError(f"the text of {item.__name__} cannot be found ({error}); define it in a file") from error
        if not self.claim(item.__name__, item):
            return
        scope = vars(sys.modules[item.__module__])
        self.postpones = self.postpones or scope.get("annotations") is annotations
        for name in sorted(used_names(text) - {item.__name__}):
            if name in scope:
                try:
                    self._need(name, scope[name])
                except BuildError as error:
                    raise BuildError(f"{item.__qualname__} uses {name}: {error}") from error
        self.texts.append(text)

    def _need(self, name: str, value: Any) -> None:
        """Make a name of the user's module known in the source."""
        if isinstance(value, ModuleType) or _is_importable(value):
            self._import(name, value)
        elif inspect.isclass(value) or inspect.isfunction(value):
            if self.name_of(value) != name and self.claim(name, value):
                self.texts.append(f"{name} = {value.__name__}")
        else:
            text = source_of(ast.Assign([ast.Name(identifier(name), ast.Store())], literal(value)))
            if self.claim(name, value):
                self.texts.append(text)

    def _import(self, name: str, value: Any) -> None:
        """Import a module, class or function of torch or of the standard library under a name."""
        if not isinstance(value, ModuleType):
            wanted = Import(_home(value), value.__name__, name)
        elif not _is_everywhere(value.__name__):
            raise BuildError(
                f"it is the module {value.__name__}, and the source imports torch and the standard library alone"
            )
        else:
            package, _, last = value.__name__.rpartition(".")
            wanted = Import(package, last, name) if package else Import(last, "", name)
        self.claim(name, value)
        self.imports.append(wanted)


def used_names(text: str) -> set[str]:
    """Return the names that a text takes from its module."""
    names = {
        symbol.get_name()
        for table in _tables(symtable.symtable(text, "<source>", "exec"))
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module")
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


def _is_everywhere(module: str) -> bool:
    root = module.split(".")[0]
    return root == "torch" or root in sys.stdlib_module_names


def _is_importable(item: Any) -> bool:
    """Tell whether something can be imported by its own name from torch or the standard library."""
    module, name = _home(item), getattr(item, "__name__", "")
    if module in ("", "builtins", "__main__") or not _is_everywhere(module):
        return False
    return getattr(importlib.import_module(module), name, None) is item


def _home(item: Any) -> str:
    """Return the module to import something from: for what is torch's, the one where people look for it."""
    module, name = str(getattr(item, "__module__", None) or ""), getattr(item, "__name__", "")
    if module.split(".")[0] != "torch":
        return module
    return next((home for home in _HOMES if getattr(sys.modules[home], name, None) is item), module)
