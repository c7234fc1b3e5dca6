"""The class of a closed graph, as text: one text serves the network that is built and the source that is written."""

from __future__ import annotations

import functools
import hashlib
import linecache
from collections import Counter
from typing import Any

import torch

from archwright.space import Apply, Graph, Input, Merge

__all__ = ["attribute", "modules", "wiring", "wiring_class"]


def modules(graph: Graph) -> dict[str, Any]:
    """Return the closed modules of a graph by attribute, in the order of execution."""
    return {attribute(label): value.module for value, label in _ordered(graph) if isinstance(value, Apply)}


def attribute(label: str) -> str:
    """Return the attribute for a label; names that torch.nn.Module uses itself get an underscore."""
    return f"{label}_" if hasattr(torch.nn.Module, label) else label


def wiring(graph: Graph, name: str) -> str:
    """Return the text of the class whose forward pass is a graph, and whose modules come in as arguments.

    Args:
        graph: A closed graph.
        name: The name of the class.
    """
    inputs = {value: f"x{index}" if len(graph.inputs) > 1 else "x" for index, value in enumerate(graph.inputs)}
    uses = Counter(part for value, _ in _ordered(graph) for part in _operands(value))
    terms: dict[Any, str] = dict(inputs)
    body: list[str] = []
    for value, label in _ordered(graph):
        term = _term(value, label, terms)
        inline = isinstance(value, Apply) and uses[value] == 1 and value is not graph.output
        if value is graph.output:
            body.append(f"return {term}")
        elif inline and any(isinstance(user, Merge) and value in user.operands for user, _ in _ordered(graph)):
            terms[value] = term
        else:
            variable = attribute(label) if label not in inputs.values() else f"{label}_"
            terms[value] = variable
            body.append(f"{variable} = {term}")
    if graph.output in inputs:
        body.append(f"return {terms[graph.output]}")
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
        *(line for statement in body for line in _wrapped(statement)),
    ]
    return "\n".join(lines) + "\n"


@functools.lru_cache(maxsize=1024)
def wiring_class(text: str, name: str) -> type[torch.nn.Module]:
    """Return the class that a wiring's text defines; tracebacks show the text."""
    filename = f"<graph {name} {hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {"torch": torch, "nn": torch.nn, "__name__": "network"}
    exec(compile(text, filename, "exec"), namespace)  # the text is written by this module alone
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


def _term(value: Apply | Merge, label: str, terms: dict[Any, str]) -> str:
    parts = [terms[part] for part in _operands(value)]
    if isinstance(value, Apply):
        return f"self.{attribute(label)}({', '.join(parts)})"
    if value.kind == "zeros":
        return f"torch.zeros_like({parts[0]})"
    if value.kind == "concat":
        return f"torch.cat([{', '.join(parts)}], dim=1)"
    return " + ".join(parts) if value.kind == "sum" else f"({' + '.join(parts)}) / {len(parts)}"


def _def(name: str, parameters: list[str], result: str) -> list[str]:
    flat = f"    def {name}({', '.join(['self', *parameters])}) -> {result}:"
    if len(flat) <= 88:
        return [flat]
    return [
        f"    def {name}(",
        *(f"        {parameter}," for parameter in ["self", *parameters]),
        f"    ) -> {result}:",
    ]


def _wrapped(statement: str) -> list[str]:
    """Break a long sum or concatenation over lines, in the way formatters do."""
    flat = f"        {statement}"
    if len(flat) <= 88:
        return [flat]
    head, opening, rest = statement.partition("torch.cat([")
    if opening:
        terms = rest.removesuffix("], dim=1)").split(", self.")
        parts = [terms[0], *(f"self.{term}" for term in terms[1:])]
        return [
            f"        {head}torch.cat(",
            "            [",
            *(f"                {part}," for part in parts),
            "            ],",
            "            dim=1,",
            "        )",
        ]
    head, _, rest = statement.partition(" ") if statement.startswith("return") else statement.partition(" = ")
    joint = f"{head} " if statement.startswith("return") else f"{head} = "
    tail = ""
    if rest.startswith("("):
        rest, _, divisor = rest[1:].rpartition(") / ")
        tail = f" / {divisor}"
    first, *others = rest.split(" + ")
    return [
        f"        {joint}(",
        f"            {first}",
        *(f"            + {other}" for other in others),
        f"        ){tail}",
    ]
