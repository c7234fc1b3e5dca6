"""Write the source of an architecture: a Python module that needs torch alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from archwright.build._build import closed_model
from archwright.build._infer import has_lazy
from archwright.build._inline import Inliner
from archwright.build._make import class_name
from archwright.build._wiring import modules, wiring
from archwright.errors import BuildError
from archwright.space import Call, Graph, Space

__all__ = ["source"]

_LINE = 88


def source(space: Space, architecture: Mapping[str, Any], example_input: Any = None) -> str:
    """Return a Python module whose `build()` returns the network of an architecture, with fresh weights.

    The module imports torch and nothing of archwright; classes of the user's own are copied into it. The network has the same
    modules under the same names as `build` gives, so that it loads the same weights.

    Args:
        space: The space.
        architecture: One of its architectures.
        example_input: What goes in; the space's own when not given.

    Raises:
        BuildError: Lazy layers have no input to take their sizes from, or a value cannot be written down.
    """
    closed, specs = closed_model(space, architecture, example_input)
    if specs is None and has_lazy(closed):
        raise BuildError("the network has lazy layers: give example_input, so that their sizes can be written down")
    identifier = getattr(architecture, "id", "")
    takes = "" if specs is None else f"\n\nInput: {', '.join(f'{s.dtype} (batch, {_sizes(s.shape)})' for s in specs)}."
    return _Writer(closed).text(f"Network {identifier}, in plain PyTorch.{takes}".replace(" ,", ","))


@dataclass(frozen=True)
class _Doc:
    """A term of the source: a head with items in brackets, or plain text."""

    head: str
    items: tuple[tuple[str, _Doc], ...] = ()
    closing: str = ""

    def flat(self) -> str:
        return self.head + ", ".join(key + doc.flat() for key, doc in self.items) + self.closing

    def lines(self, indent: int, prefix: str, suffix: str) -> list[str]:
        pad = " " * indent
        flat = f"{pad}{prefix}{self.flat()}{suffix}"
        if len(flat) <= _LINE or not self.items:
            return [flat]
        inner = [line for key, doc in self.items for line in doc.lines(indent + 4, key, ",")]
        return [f"{pad}{prefix}{self.head}", *inner, f"{pad}{self.closing}{suffix}"]


class _Writer:
    def __init__(self, closed: Any) -> None:
        self.closed = closed
        self.inliner = Inliner()
        self.classes: dict[str, str] = {}  # name of each wiring by its text, less the name
        self.wirings: list[str] = []
        self.functions: list[str] = []
        self.names: dict[str, str] = {}
        self.taken: Counter[str] = Counter()
        self.repeated = self._repeated()

    def text(self, docstring: str) -> str:
        body = self._doc(self.closed, hoist=False).lines(4, "return ", "")
        imports = ["import torch", "from torch import nn"]
        if "OrderedDict(" in "\n".join(body + self.functions):
            imports.insert(0, "from collections import OrderedDict")
        imports += [line for line in self.inliner.imports if line not in imports]
        main = ["def build() -> nn.Module:", '    """Return the network with fresh weights."""', *body]
        blocks = [*self.inliner.texts, *self.wirings, *self.functions, "\n".join(main)]
        code = "\n\n\n".join(block.strip("\n") for block in blocks)
        if not any(word in code for word in ("torch.", "torch)")):
            imports.remove("import torch")
        header = f'"""{docstring}\n"""' if "\n" in docstring else f'"""{docstring}"""'
        future = "from __future__ import annotations\n\n" if self.inliner.texts else ""
        standard = sorted(line for line in imports if "torch" not in line)
        ours = sorted((line for line in imports if "torch" in line), key=lambda line: line.startswith("from"))
        joined = "\n\n".join("\n".join(group) for group in (standard, ours) if group)
        return f"{header}\n\n{future}{joined}\n\n\n{code}\n"

    def _doc(self, item: Any, *, hoist: bool = True) -> _Doc:
        key = _key(item) if isinstance(item, Call | Graph) else ""
        if hoist and self.repeated.get(key, 0) > 1:
            if key not in self.names:
                name = self._name(item)
                lines = self._doc(item, hoist=False).lines(4, "return ", "")
                self.names[key] = name
                self.functions.append("\n".join([f"def {name}() -> nn.Module:", *lines]))
            return _Doc(f"{self.names[key]}()")
        if isinstance(item, Call):
            items = [("", self._doc(value)) for value in item.args]
            items += [(f"{key}=", self._doc(value)) for key, value in item.kwargs.items()]
            head = self._callee(item)
            if item.target == "torch.nn.Sequential" and len(items) == 1 and isinstance(item.args[0], Mapping):
                items = [("", _Doc("OrderedDict(", tuple(items), ")"))]
            return _Doc(f"{head}(", tuple(items), ")")
        if isinstance(item, Graph):
            parts = tuple((f"{label}=", self._doc(module)) for label, module in modules(item).items())
            return _Doc(f"{self._wiring(item)}(", parts, ")")
        if isinstance(item, list):
            return _Doc("[", tuple(("", self._doc(value)) for value in item), "]")
        if isinstance(item, tuple):
            closing = ",)" if len(item) == 1 else ")"
            return _Doc("(", tuple(("", self._doc(value)) for value in item), closing)
        if isinstance(item, Mapping):
            return _Doc("{", tuple((f"{_constant(key)}: ", self._doc(value)) for key, value in item.items()), "}")
        if callable(item) and hasattr(item, "__qualname__"):
            return _Doc(self.inliner.name_of(item))
        return _Doc(_constant(item))

    def _callee(self, call: Call) -> str:
        if call.target.startswith("torch.nn."):
            return call.target.removeprefix("torch.")
        return self.inliner.name(call.target, call.callee)

    def _wiring(self, graph: Graph) -> str:
        anonymous = wiring(graph, "_")
        if anonymous not in self.classes:
            stem = class_name(graph)
            self.taken[stem] += 1
            name = stem if self.taken[stem] == 1 else f"{stem}{self.taken[stem]}"
            self.classes[anonymous] = name
            self.wirings.append(wiring(graph, name))
        return self.classes[anonymous]

    def _name(self, item: Call | Graph) -> str:
        if isinstance(item, Graph):
            stem = class_name(item).lower()
        else:
            stem = item.target.replace(":", ".").rpartition(".")[2].lower()
        stem = "block" if stem == "sequential" else stem
        self.taken[f"{stem}_"] += 1
        return f"{stem}_{self.taken[f'{stem}_']}"

    def _repeated(self) -> dict[str, int]:
        """Count how often each long term occurs, below each distinct parent once: those get a function of their own."""
        counts: Counter[str] = Counter()
        visited: set[str] = set()

        def visit(item: Any) -> None:
            if isinstance(item, Call | Graph):
                key = _key(item)
                if len(key) > _LINE:
                    counts[key] += 1
                if key in visited:
                    return
                visited.add(key)
            for part in _parts(item):
                visit(part)

        visit(self.closed)
        return dict(counts)


def _parts(item: Any) -> list[Any]:
    if isinstance(item, Call):
        return [*item.args, *item.kwargs.values()]
    if isinstance(item, Graph):
        return list(modules(item).values())
    if isinstance(item, list | tuple):
        return list(item)
    return list(item.values()) if isinstance(item, Mapping) else []


def _key(item: Any) -> str:
    """Return a text that two terms share exactly if their source is the same."""
    if isinstance(item, Graph):
        inside = ", ".join(f"{label}={_key(module)}" for label, module in modules(item).items())
        return f"{wiring(item, '_')}({inside})"
    if isinstance(item, Call):
        inside = ", ".join(map(_key, item.args))
        keywords = ", ".join(f"{key}={_key(value)}" for key, value in item.kwargs.items())
        return f"{item.target}({inside}; {keywords})"
    if isinstance(item, list | tuple):
        return f"[{', '.join(map(_key, item))}]"
    if isinstance(item, Mapping):
        return f"{{{', '.join(f'{key}: {_key(value)}' for key, value in item.items())}}}"
    return repr(item)


def _constant(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"' if repr(value) == f"'{value}'" and '"' not in value else repr(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if value is None or isinstance(value, bool | int | float | torch.dtype):
        return repr(value)
    raise BuildError(f"{value!r} cannot be written into source; use numbers, text, torch dtypes, classes and functions")


def _sizes(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
