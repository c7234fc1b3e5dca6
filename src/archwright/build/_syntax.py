"""Python source as syntax trees: every name and every constant is checked where it enters a tree, and then laid out.

What a file or a record says reaches source through these functions alone, so it can become a name or a constant and
nothing else. A text is written only where it reads back as its tree.
"""

from __future__ import annotations

import ast
import keyword
import math
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple

import torch

from archwright.errors import BuildError

NO_TYPE_PARAMETERS: dict[str, Any] = {"type_params": []} if "type_params" in ast.ClassDef._fields else {}
"""What definitions have besides from Python 3.12 on."""
LINE = 88
"""The length of a line, as ruff and black have it."""


def identifier(text: str) -> str:
    """Return a name in the form in which Python keeps it."""
    if not text.isidentifier() or keyword.iskeyword(text):
        raise BuildError(f"{text!r} cannot be a name in Python source")
    return unicodedata.normalize("NFKC", text)


def dotted(path: str) -> ast.expr:
    """Return the expression of a path such as "nn.Linear"."""
    first, *rest = map(identifier, path.split("."))
    found: ast.expr = ast.Name(first, ast.Load())
    for part in rest:
        found = ast.Attribute(found, part, ast.Load())
    return found


def call(path: str, /, *args: ast.expr, **kwargs: ast.expr) -> ast.Call:
    """Return the call of what a path names."""
    return ast.Call(dotted(path), list(args), [ast.keyword(identifier(key), value) for key, value in kwargs.items()])


def method(name: str, parameters: Mapping[str, str], returns: str, body: list[ast.stmt]) -> ast.FunctionDef:
    """Return the definition of a function."""
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


def source_of(statement: ast.stmt) -> str:
    """Return the text of a statement, which reads back as that statement and nothing else."""
    text = layout(statement)
    check_reads_back(statement, text)
    return text


def layout(statement: ast.stmt) -> str:
    """Return the text of a statement, unchecked."""
    return "\n".join(_statement(statement, 0)) + "\n"


def check_reads_back(statement: ast.stmt, text: str) -> None:
    """Refuse a text that is not that of a statement."""
    try:
        is_same = ast.dump(ast.parse(text)) == ast.dump(ast.Module([statement], []))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # names that are none, brackets nested too deep
        is_same = False
    if not is_same:
        raise BuildError(f"{type(statement).__name__} {getattr(statement, 'name', '')!r} cannot be written as source")


def expression(tree: ast.expr) -> str:
    """Return the text of an expression in one line."""
    if isinstance(tree, ast.Constant):
        return _quoted(tree.value) if isinstance(tree.value, str) else repr(tree.value).replace("e+", "e")
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return f"-{expression(tree.operand)}"
    if isinstance(tree, ast.Name):
        return tree.id
    if isinstance(tree, ast.Attribute):
        return f"{expression(tree.value)}.{tree.attr}"
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add | ast.Div):
        left, right = expression(tree.left), expression(tree.right)
        if isinstance(tree.op, ast.Add):
            return f"{left} + {right}"
        return f"({left}) / {right}" if isinstance(tree.left, ast.BinOp) else f"{left} / {right}"
    if isinstance(tree, ast.Call | ast.List | ast.Tuple | ast.Dict):
        head, items, closing = _bracketed(tree)
        comma = "," if isinstance(tree, ast.Tuple) and len(items) == 1 else ""
        return head + ", ".join(key + expression(item) for key, item in items) + comma + closing
    return ast.unparse(tree)


def _lines(tree: ast.expr, indent: int, prefix: str = "", suffix: str = "") -> list[str]:
    """Return an expression in one line where it fits, else with one item to a line."""
    pad = " " * indent
    flat = f"{pad}{prefix}{expression(tree)}{suffix}"
    if len(flat) <= LINE:
        return [flat]
    if isinstance(tree, ast.BinOp):
        return _sum(tree, indent, prefix)
    head, items, closing = _bracketed(tree)
    if not items:
        return [flat]
    inner = [line for key, item in items for line in _lines(item, indent + 4, key, ",")]
    return [f"{pad}{prefix}{head}", *inner, f"{pad}{closing}{suffix}"]


def _bracketed(tree: ast.expr) -> tuple[str, list[tuple[str, ast.expr]], str]:
    """Return what opens a pair of brackets, the items between them, each with what stands before it, and what closes.

    There are no items where an expression has no brackets.
    """
    if isinstance(tree, ast.Call):
        named = [(f"{each.arg}=", each.value) for each in tree.keywords]
        return f"{expression(tree.func)}(", [*(("", item) for item in tree.args), *named], ")"
    if isinstance(tree, ast.List):
        return "[", [("", item) for item in tree.elts], "]"
    if isinstance(tree, ast.Tuple):
        return "(", [("", item) for item in tree.elts], ")"
    if isinstance(tree, ast.Dict):
        pairs = zip(tree.keys, tree.values, strict=True)
        return "{", [(f"{expression(key)}: ", value) for key, value in pairs if key is not None], "}"
    return "", [], ""


def _sum(tree: ast.BinOp, indent: int, prefix: str) -> list[str]:
    """Return a sum, or the mean that is made from one, which does not fit into a line."""
    total, divided = (tree.left, f" / {expression(tree.right)}") if isinstance(tree.op, ast.Div) else (tree, "")
    whole = expression(total)
    first, *rest = list(_summands(total))
    inner = [whole] if indent + 4 + len(whole) <= LINE else [first, *(f"+ {part}" for part in rest)]
    pad = " " * indent
    return [f"{pad}{prefix}(", *(f"{pad}    {line}" for line in inner), f"{pad}){divided}"]


def _summands(tree: ast.expr) -> Iterator[str]:
    parts = []
    while isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add):
        parts.append(tree.right)
        tree = tree.left
    return map(expression, [tree, *reversed(parts)])


def _statement(tree: ast.stmt, indent: int) -> list[str]:
    pad = " " * indent
    if isinstance(tree, ast.ClassDef):
        bases = ", ".join(map(expression, tree.bases))
        head = f"{pad}class {tree.name}({bases}):" if bases else f"{pad}class {tree.name}:"
        return [head, *_body(tree.body, indent + 4)]
    if isinstance(tree, ast.FunctionDef):
        return [*_signature(tree, indent), *_body(tree.body, indent + 4)]
    if isinstance(tree, ast.Assign) and len(tree.targets) == 1:
        return _lines(tree.value, indent, f"{expression(tree.targets[0])} = ")
    if isinstance(tree, ast.Return) and tree.value is not None:
        return _lines(tree.value, indent, "return ")
    if isinstance(tree, ast.Expr):
        return _docstring(tree.value, pad) or _lines(tree.value, indent)
    if isinstance(tree, ast.ImportFrom):
        flat = ast.unparse(tree)
        if len(flat) <= LINE:
            return [flat]
        return [f"from {tree.module} import (", *(f"    {ast.unparse(alias)}," for alias in tree.names), ")"]
    return [pad + line for line in ast.unparse(tree).splitlines()]


def _body(statements: list[ast.stmt], indent: int) -> list[str]:
    """Return statements one below the other, with an empty line before definitions that follow another statement."""
    lines: list[str] = []
    for each in statements:
        if lines and isinstance(each, ast.FunctionDef):
            lines.append("")
        lines += _statement(each, indent)
    return lines


def _signature(tree: ast.FunctionDef, indent: int) -> list[str]:
    pad = " " * indent
    parameters = [
        each.arg if each.annotation is None else f"{each.arg}: {expression(each.annotation)}" for each in tree.args.args
    ]
    end = f"){'' if tree.returns is None else f' -> {expression(tree.returns)}'}:"
    flat = f"{pad}def {tree.name}({', '.join(parameters)}{end}"
    if len(flat) <= LINE:
        return [flat]
    return [f"{pad}def {tree.name}(", *(f"{pad}    {parameter}," for parameter in parameters), f"{pad}{end}"]


def _docstring(tree: ast.expr, pad: str) -> list[str]:
    """Return a plain text as a docstring; nothing where it is none, or needs escapes."""
    text = tree.value if isinstance(tree, ast.Constant) else None
    if not isinstance(text, str) or '"' in text or "\\" in text or not text.replace("\n", "").isprintable():
        return []
    return f'{pad}"""{text}"""'.split("\n")


def _quoted(text: str) -> str:
    """Return a text in double quotes, or in single ones where that needs fewer backslashes."""
    inside = repr(text + '"')[1:-2].replace("\\'", "'")  # with every escape but those of quotes
    quote = "'" if text.count('"') > text.count("'") else '"'
    return quote + inside.replace(quote, f"\\{quote}") + quote
