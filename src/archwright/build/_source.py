"""Write the source of an architecture: a Python module that needs torch alone."""

from __future__ import annotations

import ast
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from archwright.build._build import closed_model, has_lazy_layers
from archwright.build._definitions import in_order, used_names
from archwright.build._inline import Inliner
from archwright.build._make import class_name, class_tree, modules, parts_of
from archwright.build._syntax import LINE, Import, call, dotted, import_statements, layout, literal, method, source_of
from archwright.errors import BuildError
from archwright.space import Architecture, Call, Graph, Space, TensorSpec, last_name, package_names


def source(
    space: Space, architecture: Mapping[str, Any], example_input: Any = None, *, imports: Sequence[str] | None = None
) -> str:
    """Return the source of a Python module whose function `build()` returns the network of an architecture.

    The module imports torch and nothing of archwright; user-defined classes are copied into it. The network has the
    same modules with the same names as that of `build`, so it loads the same weights.

    Args:
        space: The space.
        architecture: One of its architectures.
        example_input: The input; by default that of the space.
        imports: Packages that the module may import besides torch and the standard library; by default those of the
            space.

    Raises:
        BuildError: The input of lazy layers is unknown, or something cannot be written as source: a value that is not a
            constant, a class without source or with other dependencies, or two objects with the same name.

    Example:
        >>> from archwright.build import source
        >>> print(source(aw.Space(model=nn.Linear(4, 3)), {}).splitlines()[-1])
            return nn.Linear(4, 3)
    """
    closed, specs = closed_model(space, architecture, example_input)
    named = f"Network {architecture.id}," if isinstance(architecture, Architecture) else "A network"
    return closed_source(closed, specs, f"{named} in plain PyTorch.", space.imports if imports is None else imports)


def closed_source(closed: Any, specs: Sequence[TensorSpec] | None, title: str, imports: Sequence[str] = ()) -> str:
    """Return the source of a module whose function `build()` returns the network of a resolved expression.

    Args:
        closed: The expression.
        specs: The inputs, for the module's docstring.
        title: The first line of the docstring.
        imports: Packages that the module may import besides torch and the standard library.

    Raises:
        BuildError: There are lazy layers and no inputs, or something cannot be written as source, see `source`.

    Example:
        >>> from archwright.build import closed_source
        >>> print(closed_source(nn.ReLU(), None, "A network.").splitlines()[-1])
            return nn.ReLU()
    """
    if specs is None and has_lazy_layers(closed):
        raise BuildError("the network has lazy layers: give example_input, so that their sizes can be written down")
    inputs = ", ".join(f"{spec.dtype} ({', '.join(['batch', *map(str, spec.shape)])})" for spec in specs or ())
    return _Writer(closed, package_names(imports)).text(f"{title}\n\nInput: {inputs}.\n" if inputs else title)


class _Writer:
    def __init__(self, closed: Any, packages: Sequence[str]) -> None:
        self.closed = closed
        self.inliner = Inliner(packages)
        self.classes: dict[str, str] = {}  # name of each class of a graph by its text, less the name
        self.graph_classes: list[str] = []
        self.functions: list[str] = []
        self.names: dict[str, str] = {}
        self.repeated = self._repeated()

    def text(self, docstring: str) -> str:
        self._collect(self.closed, "model")  # what has a name of its own comes first, and our names make way for it
        main = self._function("build", self.closed, "Return the network with fresh weights.")
        blocks = [*in_order(self.inliner.definitions), *self.graph_classes, *self.functions, main]
        code = _spaced([block.strip("\n") for block in blocks])
        used = used_names(code)
        imports = [Import("torch", "nn", "nn"), *self.inliner.imports]
        imports += [Import("torch", "", "torch")] if "torch" in used else []
        imports += [Import("functools", "", "functools")] if "functools" in used else []
        imports += [Import("collections", "OrderedDict", "OrderedDict")] if "OrderedDict" in used else []
        sections = import_statements(imports)
        if self.inliner.postpones:
            sections.insert(0, [Import("__future__", "annotations", "annotations").statement])
        header = [source_of(ast.Expr(ast.Constant(docstring)))]
        header += ["".join(map(source_of, section)) for section in sections]
        return "\n".join(header).rstrip("\n") + f"{code}\n"

    def _function(self, name: str, item: Any, docstring: str = "") -> str:
        """Return the text of a function that returns what an item makes."""
        body: list[ast.stmt] = [ast.Expr(ast.Constant(docstring))] if docstring else []
        return source_of(method(name, {}, "nn.Module", [*body, ast.Return(self._term(item, hoist=False))]))

    def _collect(self, item: Any, path: str) -> None:
        """Collect what has a name of its own, and refuse what cannot be written."""
        path = getattr(item, "path", "") or path
        parts = parts_of(item)
        try:
            if isinstance(item, Call):
                self._callee(item)
            elif callable(item) and not isinstance(item, Graph | partial):
                self.inliner.name_of(item)
            elif not parts and not isinstance(item, Graph):
                literal(item, self.inliner.expression)
        except BuildError as error:
            raise BuildError(f"{path}: {error}") from error
        for part in parts:
            self._collect(part, path)

    def _term(self, item: Any, *, hoist: bool = True) -> ast.expr:
        key = _key(item) if isinstance(item, Call | Graph) else ""
        if hoist and self.repeated.get(key, 0) > 1:
            if key not in self.names:
                name = self._name(item)
                function = self._function(name, item)
                self.names[key] = name
                self.functions.append(function)
            return call(self.names[key])
        if isinstance(item, Call):
            args = [self._term(value) for value in item.args]
            if item.target == "torch.nn.Sequential" and len(args) == 1 and isinstance(item.args[0], Mapping):
                args = [call("OrderedDict", *args)]
            return call(self._callee(item), *args, **{key: self._term(value) for key, value in item.kwargs.items()})
        if isinstance(item, Graph):
            return call(self._graph_class(item), **{label: self._term(part) for label, part in modules(item).items()})
        if isinstance(item, list):
            return ast.List([self._term(value) for value in item], ast.Load())
        if isinstance(item, tuple):
            return ast.Tuple([self._term(value) for value in item], ast.Load())
        if isinstance(item, Mapping):
            keys: list[ast.expr | None] = [literal(key, self.inliner.expression) for key in item]
            return ast.Dict(keys, [self._term(value) for value in item.values()])
        if isinstance(item, partial):
            args = [self._term(value) for value in (item.func, *item.args)]
            return call("functools.partial", *args, **{key: self._term(part) for key, part in item.keywords.items()})
        return dotted(self.inliner.name_of(item)) if callable(item) else literal(item, self.inliner.expression)

    def _callee(self, call: Call) -> str:
        return self.inliner.name(call.target, call.callee)

    def _graph_class(self, graph: Graph) -> str:
        anonymous = layout(class_tree(graph, "_"))
        if anonymous not in self.classes:
            stem = class_name(graph)
            name = self._free(itertools.chain((stem,), (f"{stem}{number}" for number in itertools.count(2))))
            self.classes[anonymous] = name
            self.graph_classes.append(source_of(class_tree(graph, name)))
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
            for part in parts_of(item):
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


def _key(item: Any) -> str:
    """Return a text that two terms share exactly if their source is the same."""
    if isinstance(item, Graph):
        inside = ", ".join(f"{label}={_key(module)}" for label, module in modules(item).items())
        return f"{layout(class_tree(item, '_'))}({inside})"
    if isinstance(item, Call):
        inside = ", ".join(map(_key, item.args))
        keywords = ", ".join(f"{key}={_key(value)}" for key, value in item.kwargs.items())
        return f"{item.target}({inside}; {keywords})"
    if isinstance(item, list | tuple):
        return f"{type(item).__name__}[{', '.join(map(_key, item))}]"
    if isinstance(item, Mapping):
        return f"{{{', '.join(f'{key}: {_key(value)}' for key, value in item.items())}}}"
    return repr(item)
