"""The code of the user's own, as its text has it: modules, classes and functions."""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import linecache
import sys
import textwrap
from abc import ABCMeta
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

from archwright.build._syntax import Import
from archwright.errors import BuildError


class Module:
    """What is bound at the top of a module, and by which statements."""

    def __init__(self, name: str) -> None:
        module = sys.modules[name]
        self.scope: Mapping[str, Any] = vars(module)  # what its names stand for
        self.postpones = self.scope.get("annotations") is annotations  # whether its annotations are not evaluated
        self._package = str(self.scope.get("__package__") or "")
        try:
            cells = _cells(name)
            self._text = "\n".join(_in_force(cells)) if cells else inspect.getsource(module)
            self._statements = tuple(_at_the_top(ast.parse(self._text).body))
        except (OSError, TypeError, SyntaxError):  # typed at a prompt
            self._text, self._statements = "", ()

    def imported(self, name: str) -> Import | None:
        """Return the import that a name comes from; None where the module does not import it by that name."""
        for statement in reversed(self._statements):
            if not isinstance(statement, ast.ImportFrom):
                continue
            origin = self._resolved(statement)
            for alias in statement.names if origin is not None else ():
                is_bound = (alias.asname or alias.name) == name
                if origin and is_bound and getattr(sys.modules.get(origin), alias.name, self) is self.scope[name]:
                    return Import(origin, alias.name, name)
        return None

    def assignment(self, name: str, value: Any) -> str | None:
        """Return the text of the statement that gives a name its value; None where that is not told for certain.

        What is changed after it was made, or is bound twice, is not what its statement says.
        """
        binding = [statement for statement in self._statements if name in _bound(statement)]
        statement = binding[0] if len(binding) == 1 else None
        if not isinstance(statement, ast.Assign | ast.AnnAssign):
            return None
        made = statement.value
        if isinstance(made, ast.Constant) and made.value != value:  # a cell of a notebook was changed, and not run
            return None
        if isinstance(made, ast.Dict | ast.List | ast.Set | ast.Tuple):
            count = len(made.values if isinstance(made, ast.Dict) else made.elts)
            if count != len(value):
                return None
        elif not callable(value) and any(_may_change(other, name) for other in self._statements):
            return None
        return ast.get_source_segment(self._text, statement)

    def filled_later(self, name: str) -> str | None:
        """Return the text of the statement that makes an empty table; None where there is none, or others fill it."""
        binding = [each for each in self._statements if name in _bound(each)]
        statement = binding[0] if len(binding) == 1 else None
        made = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
        if statement is None or made is None or ast.unparse(made) not in ("{}", "dict()"):
            return None
        plain = [each for each in self._statements if not getattr(each, "decorator_list", [])]
        is_changed = any(_may_change(each, name) for each in plain)
        return None if is_changed else ast.get_source_segment(self._text, statement)

    def _resolved(self, statement: ast.ImportFrom) -> str | None:
        name = "." * statement.level + (statement.module or "")
        try:
            return importlib.util.resolve_name(name, self._package)
        except ImportError:
            return None


def module_of(name: str) -> Module:
    """Return a module by its name; its text is read once, that of a notebook after each cell."""
    return _module(name, len(_cells(name)))


@functools.lru_cache(maxsize=64)
def _module(name: str, cells: int) -> Module:
    return Module(name)


def _cells(name: str) -> tuple[str, ...]:
    """Return the cells that were run of a notebook, or of IPython's prompt, if a module is one."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if name != "__main__" or shell is None or shell.user_module is not sys.modules[name]:
        return ()
    return tuple(shell.history_manager.input_hist_parsed)


def _in_force(cells: tuple[str, ...]) -> list[str]:
    """Return the texts of statements of cells; of those that later cells bind again, the last."""
    texts: list[str] = []
    later: set[str] = set()
    for cell in reversed(cells):
        try:
            statements = ast.parse(cell).body
        except SyntaxError:  # it was not run
            continue
        kept = [each for each in statements if not _bound(each) or _bound(each) - later]
        texts += [ast.get_source_segment(cell, each) or "" for each in reversed(kept)]
        later |= {name for each in statements for name in _bound(each)}
    return texts[::-1]


def _at_the_top(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Iterate over statements that are executed with a module, those under conditions included."""
    for statement in statements:
        yield statement
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for field in ("body", "orelse", "finalbody"):
                yield from _at_the_top(getattr(statement, field, []))
            for handler in getattr(statement, "handlers", []):
                yield from _at_the_top(handler.body)


def _bound(statement: ast.stmt) -> set[str]:
    """Return the names that a statement binds itself."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    targets: list[ast.expr] = list(getattr(statement, "targets", []))
    targets += [statement.target] if isinstance(statement, ast.AnnAssign | ast.AugAssign | ast.For) else []
    parts = [part for target in targets for part in ast.walk(target)]
    return {part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store | ast.Del)}


def _may_change(statement: ast.stmt, name: str) -> bool:
    """Tell whether a statement may change what a name stands for: a call for its effect, a decorator, an item set."""
    looked_at: list[ast.AST] = list(getattr(statement, "decorator_list", []))
    if isinstance(statement, ast.Expr):
        looked_at.append(statement.value)
    looked_at += [each for each in getattr(statement, "targets", []) if not isinstance(each, ast.Name)]
    return any(isinstance(part, ast.Name) and part.id == name for each in looked_at for part in ast.walk(each))


def text_of(item: Any) -> str:
    """Return the text of a class or function."""
    try:
        lines, first = _lines_of(item)
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


def _lines_of(item: Any) -> tuple[list[str], int]:
    """Return the lines of a class or function, and the number of the first one in its file, or in its cell."""
    cells = _cells(item.__module__) if isinstance(item, type) else ()
    if not cells:
        return inspect.getsourcelines(item)
    codes = [each.__code__ for each in map(inspect.unwrap, vars(item).values()) if isinstance(each, FunctionType)]
    files = [code.co_filename for code in codes if code.co_qualname.startswith(f"{item.__qualname__}.")]
    texts = ["".join(linecache.getlines(file)) for file in files] or reversed(cells)  # it has no methods: the last one
    for text in texts:
        lines = text.splitlines(keepends=True)
        for found in ast.walk(ast.parse(text)):
            if isinstance(found, ast.ClassDef) and found.name == item.__name__:
                first = min([found.lineno, *(each.lineno for each in found.decorator_list)])
                if not files or any(first <= code.co_firstlineno <= (found.end_lineno or 0) for code in codes):
                    return lines[first - 1 : found.end_lineno], first
    raise OSError("no cell that was run defines it")


def _replaced(item: type, definition: ast.ClassDef, first: int) -> Iterator[str]:
    """Iterate over the methods of a class that are not those of its text, which begins at a line of its file."""
    if definition.decorator_list or type(item) not in (type, ABCMeta) or hasattr(item.__init_subclass__, "__func__"):
        return  # what these change they change again where the class is copied
    bound = Counter(_bound_in_class(definition))
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
            code = function.__code__
            differs = code.co_firstlineno != lines[name] or code.co_qualname != f"{item.__qualname__}.{name}"
        else:
            differs = name not in bound and _is_own(function)
        if differs:
            yield name


def _is_own(function: FunctionType) -> bool:
    """Tell whether a function is in a file of the user's, rather than added by the standard library."""
    root = function.__module__.split(".")[0]
    return root not in sys.stdlib_module_names and Path(function.__code__.co_filename).is_file()


def _bound_in_class(definition: ast.ClassDef) -> Iterator[str]:
    """Iterate over the names that the text of a class binds anywhere, once for each time."""
    for each in ast.walk(definition):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield each.name
        elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            yield each.id
        elif isinstance(each, ast.alias):
            yield (each.asname or each.name).split(".")[0]
