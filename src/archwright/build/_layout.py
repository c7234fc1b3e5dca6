"""Python source from syntax trees, laid out as formatters lay it out."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from archwright.errors import BuildError

__all__ = ["LINE", "check_reads_back", "expression", "layout", "source_of"]

LINE = 88
"""The length of a line, as ruff and black have it."""


def source_of(statement: ast.stmt) -> str:
    """Return the text of a statement, which reads back as that statement and nothing else.

    Raises:
        BuildError: It does not.
    """
    text = layout(statement)
    check_reads_back(statement, text)
    return text


def layout(statement: ast.stmt) -> str:
    """Return the text of a statement, unchecked."""
    return "\n".join(_statement(statement, 0)) + "\n"


def check_reads_back(statement: ast.stmt, text: str) -> None:
    """Refuse a text that is not that of a statement.

    Raises:
        BuildError: It reads back as something else.
    """
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
