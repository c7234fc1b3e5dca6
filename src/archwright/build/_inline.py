"""Copy the classes and functions of the user's own into written source."""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
import sys
import textwrap
from collections import OrderedDict
from collections.abc import Iterable
from enum import Enum
from types import ModuleType
from typing import Any

import torch

from archwright._scalars import scalars
from archwright.build._definitions import Definition, used_names
from archwright.build._syntax import Import, dotted, identifier, literal, source_of
from archwright.build._user_code import Module, module_of, text_of
from archwright.errors import BuildError
from archwright.space import find, name_in_torch


class Inliner:
    """Collects the text of what a network calls, with what that text needs."""

    def __init__(self, packages: Iterable[str] = ()) -> None:
        self.definitions: list[Definition] = []  # texts that define a name
        self.imports: list[Import] = []  # what stands above them
        self.postpones = False  # whether annotations are not to be evaluated
        self.names: dict[str, Any] = {  # all that the source defines or imports, with what each stands for
            "nn": torch.nn,
            "torch": torch,
            "functools": functools,
            "OrderedDict": OrderedDict,
            "build": self,
        }
        self._roots = {"torch", *sys.stdlib_module_names, *packages}

    def name(self, target: str, callee: Any) -> str:
        """Return how source calls a target, after its text or import has been collected."""
        callee = getattr(callee, "source_class", callee)  # source has the layers, and loads the weights by itself
        if target.startswith("pretrained:"):
            raise BuildError(
                f"the weights of the pretrained {target.partition(':')[2]} cannot be written as source; load them by a "
                f"function of your own, aw.lazy(load)()"
            )
        return self.name_of(find(target, callee))

    def name_of(self, item: Any) -> str:
        """Return how source calls a class or function, after its text or import has been collected.

        Raises:
            BuildError: Its text cannot be found or copied, or two different things have the same name.
        """
        home = name_in_torch(item)
        if home is not None:
            return home.replace(":", ".").replace("torch.nn.", "nn.")
        name = str(getattr(item, "__name__", ""))
        origin = self._origin(item)
        if origin is not None:
            self._import(Import(*origin, name), item)
        elif getattr(builtins, name, None) is not item:
            self._copy(item)
        return name

    def claim(self, name: str, value: Any) -> bool:
        """Take a name for something; return whether it is new."""
        if name not in self.names:
            self.names[name] = value
            return True
        held = self.names[name]
        if held is not value and (callable(value) or type(held) is not type(value) or held != value):
            raise BuildError(f"two different things named {name!r} would meet in one source file; rename one")
        return False

    # ------------------------------------------------------------------ classes and functions

    def _copy(self, item: Any) -> None:
        is_plain = (inspect.isclass(item) or inspect.isfunction(item)) and item.__qualname__.isidentifier()
        if not is_plain or not _leads_back(item):
            name = getattr(item, "__qualname__", repr(item))
            raise BuildError(f"{name} cannot be copied; define it at the top of a module, by def or class")
        text = text_of(item)
        if self.claim(item.__name__, item):
            self._define(item.__name__, text, module_of(item.__module__))

    def _define(self, name: str, text: str, module: Module) -> None:
        """Collect a definition after what it needs."""
        self.postpones = self.postpones or module.postpones
        for used in sorted(used_names(text) - {name}):
            if used in module.scope:
                try:
                    self._need(used, module.scope[used], module)
                except BuildError as error:
                    raise BuildError(f"{name} uses {used}: {error}") from error
        self.definitions.append(Definition.of(name, text))

    # ------------------------------------------------------------------ what they need

    def _need(self, name: str, value: Any, module: Module) -> None:
        """Make a name of the user's module known in the source."""
        if self.names.get(name, self) is value:
            return
        imported = module.imported(name)
        if isinstance(value, ModuleType):
            self._import_module(name, value)
        elif imported is not None and self._may_import(imported.module):
            self._import(imported, value)  # as the module itself has it
        elif (origin := self._origin(value)) is not None:
            self._import(Import(*origin, name), value)
        else:
            self._need_own(name, value, module, imported)

    def _need_own(self, name: str, value: Any, module: Module, imported: Import | None) -> None:
        """Make a name known that stands for something of the user's own, or for a constant."""
        if isinstance(value, dict) and value and all(map(_is_decorated, value.values())):
            text = module.filled_later(name)
            if text is not None:  # by what decorates its values, which does it again where they are copied
                if self.claim(name, value):
                    self._define(name, text, module)
                    for each in value.values():
                        self.name_of(each)
                return
        try:
            if inspect.isclass(value) or inspect.isfunction(value):
                called = self.name_of(value)
                if called != name:
                    self._assign(name, value, dotted(called))
            else:
                self._assign(name, value, literal(scalars(value), self.expression))
        except BuildError:  # what has no name of its own is what its module says it is
            if imported is not None:
                module, original = module_of(imported.module), imported.name
            else:
                original = name
            text = module.assignment(original, value)
            if text is None:
                raise
            if self.claim(original, value):
                self._define(original, text, module)
            if original != name:
                self._assign(name, value, dotted(original))

    def _assign(self, name: str, value: Any, expression: ast.expr) -> None:
        text = source_of(ast.Assign([ast.Name(identifier(name), ast.Store())], expression))
        if self.claim(name, value):
            self.definitions.append(Definition.of(name, text))

    def expression(self, value: Any) -> ast.expr | None:
        """Return how source calls a class or function that a table holds, or the member of an enumeration."""
        if isinstance(value, Enum) and value.name in type(value).__members__:
            return ast.Attribute(dotted(self.name_of(type(value))), identifier(value.name), ast.Load())
        return dotted(self.name_of(value)) if inspect.isclass(value) or inspect.isroutine(value) else None

    # ------------------------------------------------------------------ imports

    def _import(self, wanted: Import, value: Any) -> None:
        self.claim(wanted.alias, value)
        self.imports.append(wanted)

    def _import_module(self, name: str, value: ModuleType) -> None:
        if not self._may_import(value.__name__):
            package = value.__name__.split(".")[0]
            raise BuildError(
                f"it is the module {value.__name__}, and the source imports torch and the standard library alone; "
                f"where more may be imported, say so: Space(imports=[{package!r}], ...)"
            )
        package, _, last = value.__name__.rpartition(".")
        self._import(Import(package, last, name) if package else Import(last, "", name), value)

    def _may_import(self, module: str) -> bool:
        return module.split(".")[0] in self._roots

    def _origin(self, item: Any) -> tuple[str, str] | None:
        """Return from where something can be imported by its own name, where source may import from there."""
        home = name_in_torch(item)
        if home is not None:
            module, _, name = home.partition(":")
            return None if "." in name else (module, name)
        module, name = str(getattr(item, "__module__", None) or ""), str(getattr(item, "__name__", ""))
        if module in ("", "builtins", "__main__") or not self._may_import(module):
            return None
        return (module, name) if getattr(importlib.import_module(module), name, None) is item else None


def _is_decorated(item: Any) -> bool:
    try:
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(item))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return False
    return bool(getattr(definition, "decorator_list", []))


def _leads_back(item: Any) -> bool:
    """Tell whether something is what its module has under its name."""
    return getattr(sys.modules.get(item.__module__), item.__name__, None) is item
