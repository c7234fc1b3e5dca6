"""The class of a closed graph, as text: one text serves the network that is built and the source that is written."""

from __future__ import annotations

import functools
import hashlib
import linecache
from collections import Counter
from typing import Any

import torch

from archwright.build._text import LINE, Term
from archwright.space import Apply, Graph, Input, Merge

__all__ = ["attribute", "modules", "wiring", "wiring_class"]

_TAKEN = frozenset((*dir(torch.nn.Module()), "nn", "self", "super", "torch"))


def modules(graph: Graph) -> dict[str, Any]:
    """Return the closed modules of a graph by attribute, in the order of execution."""
    values = graph.labels.items() if graph.keep_unused else _ordered(graph)
    return {attribute(label): value.module for value, label in values if isinstance(value, Apply)}


def attribute(label: str) -> str:
    """Return the attribute for a label; names that a module or its text uses itself get an underscore."""
    return f"{label}_" if label in _TAKEN else label


def wiring(graph: Graph, name: str) -> str:
    """Return the text of the class whose forward pass is a graph, and whose modules come in as arguments.

    Args:
        graph: A closed graph.
        name: The name of the class.
    """
    inputs = {value: f"x{index}" if len(graph.inputs) > 1 else "x" for index, value in enumerate(graph.inputs)}
    ordered = _ordered(graph)
    uses = Counter(part for value, _ in ordered for part in _operands(value))
    merged = {part for value, _ in ordered if isinstance(value, Merge) for part in value.operands}
    terms: dict[Any, str] = dict(inputs)
    body: list[str] = []
    for value, label in ordered:
        variable = attribute(label) if label not in inputs.values() else f"{label}_"
        if value is graph.output:
            body += _statement("return ", value, label, terms)
        elif isinstance(value, Apply) and uses[value] == 1 and value in merged:
            terms[value] = _term(value, label, terms).flat()
        else:
            body += _statement(f"{variable} = ", value, label, terms)
            terms[value] = variable
    if graph.output in inputs:
        body.append(f"        return {terms[graph.output]}")
    names = list(modules(graph))
    parameters = [f"{each}: nn.Module" for each in names]
    arguments = [f"{inputs[value]}: torch.Tensor" for value in graph.inputs]
    lines = [
        f"class {name}(nn.Module):",
        *_def("__init__", parameters, "None"),
        "        super().__init__()",
        *(f"        self.{each} = {each}" for each in names),
        "",
        *_def("forward", arguments, "torch.Tensor"),
        *body,
    ]
    return "\n".join(lines) + "\n"


@functools.lru_cache(maxsize=1024)
def wiring_class(text: str, name: str) -> type[torch.nn.Module]:
    """Return the class that a wiring's text defines; tracebacks show the text."""
    filename = f"<graph {name} {hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {"torch": torch, "nn": torch.nn, "__name__": "network"}
    exec(compile(text, filename, "exec", dont_inherit=True), namespace)  # the text is written by this module alone
    found: type[torch.nn.Module] = namespace[name]
    return found


def _ordered(graph: Graph) -> list[tuple[Any, str]]:
    """Return the values of a closed graph that its output needs, in the order of execution."""
    needed: set[Any] = set()
    stack = [graph.output]
    while stack:
        value = stack.pop()
        if value not in needed and not isinstance(value, Input):
            needed.add(value)
            stack.extend(_operands(value))
    return [(value, label) for value, label in graph.labels.items() if value in needed]


def _operands(value: Apply | Merge) -> tuple[Any, ...]:
    return value.inputs if isinstance(value, Apply) else value.operands


def _term(value: Apply | Merge, label: str, terms: dict[Any, str]) -> Term:
    parts = tuple(("", Term(terms[part])) for part in _operands(value))
    if isinstance(value, Apply):
        return Term(f"self.{attribute(label)}(", parts, ")")
    if value.kind == "zeros":
        return Term("torch.zeros_like(", parts, ")")
    return Term("torch.cat(", (("", Term("[", parts, "]")), ("dim=", Term("1"))), ")")


def _statement(prefix: str, value: Apply | Merge, label: str, terms: dict[Any, str]) -> list[str]:
    """Return the lines of a statement, with long sums broken in the way formatters do."""
    if isinstance(value, Apply) or value.kind not in ("sum", "mean"):
        return _term(value, label, terms).lines(8, prefix)
    parts = [terms[part] for part in value.operands]
    total, mean = " + ".join(parts), f" / {len(parts)}" if value.kind == "mean" else ""
    flat = f"        {prefix}({total}){mean}" if mean else f"        {prefix}{total}"
    if len(flat) <= LINE:
        return [flat]
    inner = [total] if 12 + len(total) <= LINE else [parts[0], *(f"+ {part}" for part in parts[1:])]
    return [f"        {prefix}(", *(f"            {line}" for line in inner), f"        ){mean}"]


def _def(name: str, parameters: list[str], result: str) -> list[str]:
    items = tuple(("", Term(parameter)) for parameter in ["self", *parameters])
    return Term(f"def {name}(", items, f") -> {result}:").lines(4)
