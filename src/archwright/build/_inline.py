"""Copy the classes and functions of the user's own into written source."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import textwrap
from types import ModuleType
from typing import Any

from archwright.errors import BuildError
from archwright.space import find

__all__ = ["Inliner"]


class Inliner:
    """Collects the text of what a network calls, with what that text needs.

    `texts` holds definitions in an order in which they can be executed, `imports` the lines above them.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.imports: list[str] = []
        self._known: dict[str, Any] = {}

    def name(self, target: str, callee: Any) -> str:
        """Return how source calls a target, after its text or import has been collected."""
        return self.name_of(find(target, callee))

    def name_of(self, item: Any) -> str:
        """Return how source calls a class or function, after its text or import has been collected.

        Raises:
            BuildError: Its text cannot be found, or two different things have the same name.
        """
        module, name = item.__module__ or "", item.__qualname__
        if module.startswith("torch.nn.modules"):
            return f"nn.{name}"
        if module == "builtins":
            return str(name)
        if module.split(".")[0] in sys.stdlib_module_names or module.split(".")[0] == "torch":
            self._import(f"from {module} import {name}")
            return str(name)
        if self._known.setdefault(name, item) is not item:
            raise BuildError(f"two different things named {name!r} would meet in one source file; rename one")
        self._copy(item)
        return str(name)

    def _copy(self, item: Any) -> None:
        try:
            text = textwrap.dedent(inspect.getsource(item))
        except (OSError, TypeError) as error:
            raise BuildError(
                f"the text of {item.__qualname__} cannot be found ({error}); define it in a file, outside of functions"
            ) from error
        if text in self.texts:
            return
        scope = vars(importlib.import_module(item.__module__))
        for name in sorted({node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}):
            if name in scope and name != item.__name__:
                self._need(name, scope[name])
        self.texts.append(text)

    def _need(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType):
            package, _, last = value.__name__.rpartition(".")
            if not package:
                self._import(f"import {last}" if last == name else f"import {last} as {name}")
            else:
                self._import(f"from {package} import {last}" + ("" if last == name else f" as {name}"))
        elif hasattr(value, "__qualname__") and hasattr(value, "__module__"):
            called = self.name_of(value)
            if called.startswith("nn."):
                self._import(f"from torch.nn import {called[3:]}" + ("" if called[3:] == name else f" as {name}"))
        elif value is None or isinstance(value, bool | int | float | str | tuple):
            line = f"{name} = {value!r}"
            if line not in self.texts:
                self.texts.append(line)
        elif getattr(value, "__module__", "") in ("typing", "__future__"):
            if name != "annotations":
                self._import(f"from typing import {name}")
        else:
            raise BuildError(f"the source would need {name} = {value!r}, which cannot be written down")

    def _import(self, line: str) -> None:
        if line not in self.imports:
            self.imports.append(line)
