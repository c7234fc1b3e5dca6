"""Write the source of an architecture: a Python module that needs torch alone."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from archwright.build._build import closed_model
from archwright.build._infer import has_lazy
from archwright.build._inline import Inliner, used_names
from archwright.build._make import class_name
from archwright.build._text import LINE, Import, Term, import_block, literal
from archwright.build._wiring import modules, wiring
from archwright.errors import BuildError
from archwright.space import Call, Graph, Space, last_name

__all__ = ["source"]


def source(space: Space, architecture: Mapping[str, Any], example_input: Any = None) -> str:
    """Return a Python module whose `build()` returns the network of an architecture, with fresh weights.

    The module imports torch and nothing of archwright; classes of the user's own are copied into it. The network has
    the same modules under the same names as `build` gives, so that it loads the same weights.

    Args:
        space: The space.
        architecture: One of its architectures.
        example_input: What goes in; the space's own when not given.

    Raises:
        BuildError: Lazy layers have no input to take their sizes from, or something cannot be written down: a value
            that is no constant, a class without a text or in need of other packages, two things of one name.
    """
    closed, specs = closed_model(space, architecture, example_input)
    if specs is None and has_lazy(closed):
        raise BuildError("the network has lazy layers: give example_input, so that their sizes can be written down")
    identifier = getattr(architecture, "id", "")
    title = f"Network {identifier}, in plain PyTorch." if identifier else "A network in plain PyTorch."
    inputs = ", ".join(f"{spec.dtype} ({', '.join(['batch', *map(str, spec.shape)])})" for spec in specs or ())
    return _Writer(closed).text(f"{title}\n\nInput: {inputs}." if inputs else title)


class _Writer:
    def __init__(self, closed: Any) -> None:
        self.closed = closed
        self.inliner = Inliner()
        self.classes: dict[str, str] = {}  # name of each wiring by its text, less the name
        self.wirings: list[str] = []
        self.functions: list[str] = []
        self.names: dict[str, str] = {}
        self.repeated = self._repeated()

    def text(self, docstring: str) -> str:
        self._collect(self.closed, "model")  # what has a name of its own comes first, and our names make way for it
        body = self._term(self.closed, hoist=False).lines(4, "return ")
        main = ["def build() -> nn.Module:", '    """Return the network with fresh weights."""', *body]
        blocks = [*self.inliner.texts, *self.wirings, *self.functions, "\n".join(main)]
        code = _spaced([block.strip("\n") for block in blocks])
        used = used_names(code)
        imports = [Import("torch", "nn", "nn"), *self.inliner.imports]
        imports += [Import("torch", "", "torch")] if "torch" in used else []
        imports += [Import("collections", "OrderedDict", "OrderedDict")] if "OrderedDict" in used else []
        header = f'"""{docstring}\n"""' if "\n" in docstring else f'"""{docstring}"""'
        future = "from __future__ import annotations\n\n" if self.inliner.postpones else ""
        return f"{header}\n\n{future}{import_block(imports)}{code}\n"

    def _collect(self, item: Any, path: str) -> None:
        """Collect what has a name of its own, and refuse what cannot be written."""
        path = getattr(item, "path", "") or path
        parts = _parts(item)
        try:
            if isinstance(item, Call):
                self._callee(item)
            elif callable(item) and not isinstance(item, Graph):
                self.inliner.name_of(item)
            elif not parts and not isinstance(item, Graph):
                literal(item)
        except BuildError as error:
            raise BuildError(f"{path}: {error}") from error
        for part in parts:
            self._collect(part, path)

    def _term(self, item: Any, *, hoist: bool = True) -> Term:
        key = _key(item) if isinstance(item, Call | Graph) else ""
        if hoist and self.repeated.get(key, 0) > 1:
            if key not in self.names:
                name = self._name(item)
                lines = self._term(item, hoist=False).lines(4, "return ")
                self.names[key] = name
                self.functions.append("\n".join([f"def {name}() -> nn.Module:", *lines]))
            return Term(f"{self.names[key]}()")
        if isinstance(item, Call):
            items = [("", self._term(value)) for value in item.args]
            items += [(f"{key}=", self._term(value)) for key, value in item.kwargs.items()]
            if item.target == "torch.nn.Sequential" and len(items) == 1 and isinstance(item.args[0], Mapping):
                items = [("", Term("OrderedDict(", tuple(items), ")"))]
            return Term(f"{self._callee(item)}(", tuple(items), ")")
        if isinstance(item, Graph):
            parts = tuple((f"{label}=", self._term(module)) for label, module in modules(item).items())
            return Term(f"{self._wiring(item)}(", parts, ")")
        if isinstance(item, list):
            return Term("[", tuple(("", self._term(value)) for value in item), "]")
        if isinstance(item, tuple):
            return Term("(", tuple(("", self._term(value)) for value in item), ")")
        if isinstance(item, Mapping):
            return Term("{", tuple((f"{literal(k).flat()}: ", self._term(value)) for k, value in item.items()), "}")
        return Term(self.inliner.name_of(item)) if callable(item) else literal(item)

    def _callee(self, call: Call) -> str:
        if call.target.startswith("torch.nn.") and ":" not in call.target:
            return call.target.removeprefix("torch.")
        return self.inliner.name(call.target, call.callee)

    def _wiring(self, graph: Graph) -> str:
        anonymous = wiring(graph, "_")
        if anonymous not in self.classes:
            stem = class_name(graph)
            name = self._free(itertools.chain((stem,), (f"{stem}{number}" for number in itertools.count(2))))
            self.classes[anonymous] = name
            self.wirings.append(wiring(graph, name))
        return self.classes[anonymous]

    def _name(self, item: Call | Graph) -> str:
        stem = (class_name(item) if isinstance(item, Graph) else last_name(item.target)).lower()
        stem = "block" if stem == "sequential" else stem
        return self._free(f"{stem}_{number}" for number in itertools.count(1))

    def _free(self, names: Iterator[str]) -> str:
        name = next(name for name in names if name not in self.inliner.names)
        self.inliner.claim(name, object())
        return name

    def _repeated(self) -> dict[str, int]:
        """Count how often each long term occurs, below each distinct parent once: those get a function of their own."""
        counts: Counter[str] = Counter()
        visited: set[str] = set()

        def visit(item: Any) -> None:
            if isinstance(item, Call | Graph):
                key = _key(item)
                if len(key) > LINE:
                    counts[key] += 1
                if key in visited:
                    return
                visited.add(key)
            for part in _parts(item):
                visit(part)

        visit(self.closed)
        return dict(counts)


def _spaced(blocks: list[str]) -> str:
    """Return blocks of code after imports, with two empty lines around definitions and none between constants."""
    text, before = "", "import"
    for block in blocks:
        kind = "definition" if block.startswith(("@", "class ", "def ", "async def ")) else "constant"
        between = {("constant", "constant"): "\n", ("import", "constant"): "\n\n"}.get((before, kind), "\n\n\n")
        text, before = f"{text}{between}{block}", kind
    return text


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
        return f"{type(item).__name__}[{', '.join(map(_key, item))}]"
    if isinstance(item, Mapping):
        return f"{{{', '.join(f'{key}: {_key(value)}' for key, value in item.items())}}}"
    return repr(item)
