"""From a space, or an architecture of it, to the blocks that are drawn."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from archwright.build import ShapesAlone, closed_model, headline, instantiate, is_layer, is_row
from archwright.draw._block import Block
from archwright.errors import ArchwrightError, BuildError
from archwright.space import (
    STRUCTURE,
    Apply,
    Blank,
    Call,
    Choice,
    Decision,
    Filled,
    Function,
    Graph,
    Integer,
    Merge,
    Real,
    Recursive,
    Repeat,
    Resolver,
    Space,
    Subset,
    TensorSpec,
    children,
    find,
    last_name,
    mapped,
    walk,
    written,
)

_ARROWS = ("in_channels", "out_channels"), ("in_features", "out_features"), ("input_size", "hidden_size")
_SIZES = {
    *("in_channels", "out_channels", "in_features", "out_features", "input_size", "hidden_size", "num_features"),
    *("normalized_shape", "num_channels", "groups", "channels", "width", "hidden", "inputs", "outputs", "embed_dim"),
}
"""Arguments in which blocks may differ that are drawn once."""
_SYMBOLS = {"sum": "+", "mul": "×", "zeros": "0"}
_ARITHMETIC = {"add": "+", "sub": "−", "mul": "×", "floordiv": "//"}
_NONE = object()
_BATCH = 7919  # a batch whose multiples are no other sizes; one that is computed has two samples
_OPEN = 20_000  # blocks of a space, whose options may hold the same parts again and again
_SHOWN = 8  # values of a decision


def read_space(space: Space) -> Block:
    """Return the blocks of a space, with what is open in them."""
    reader = _Reader()
    parts = [reader.read(space.parts["model"], None)] if "model" in space.parts else []
    return _whole(reader, parts, space.parts, space.example_input)


def read_architecture(space: Space, architecture: Mapping[str, Any], example_input: Any = None) -> Block:
    """Return the blocks of an architecture, with the shapes of what comes out if the input is known.

    Raises:
        ArchitectureError: The architecture does not belong to the space.
        BuildError: A layer refuses its arguments or its input; the message names the path.
    """
    settings = space.resolve(architecture)
    if "model" not in space.parts:
        return _whole(_Reader(), [], settings, None)
    closed, specs = closed_model(space, architecture, example_input)
    labels: dict[str, str] = {}
    _Labels(space, architecture, labels).close(space.parts["model"], "model")
    try:
        reader = _Reader(labels, "meta", _BATCH)
        model = reader.read(closed, specs)
    except BuildError:  # perhaps because the meta device does not know a layer
        reader = _Reader(labels, "cpu", 2)
        model = reader.read(closed, specs)
    return _whole(reader, [model], settings, specs)


def _whole(
    reader: _Reader, parts: list[Block], expressions: Mapping[str, Any], specs: tuple[TensorSpec, ...] | None
) -> Block:
    settings = [reader.setting(name, part) for name, part in expressions.items() if name != "model"]
    shapes = ", ".join(_joined(spec.shape) for spec in specs or ())
    inputs = [Block("input" if len(specs) == 1 else "inputs", shape=shapes, kind="join")] if specs else []
    model = Block("", kind="row", parts=(*inputs, *parts))
    if len(parts) == 1 and parts[0].kind == "row" and not parts[0].title:
        model = replace(model, parts=(*inputs, *parts[0].parts))
    return Block("", kind="stack", parts=(model, *settings) if parts else tuple(settings))


class _Labels(Resolver):
    """Finds the labels of what was chosen, by its path."""

    def __init__(self, space: Space, architecture: Mapping[str, Any], labels: dict[str, str]) -> None:
        super().__init__(space.program, space.canonical(architecture), {})
        self._labels = labels

    def decided(self, decision: Decision, path: str) -> Any:
        """Return the replacement of a decision, and note the label of a module."""
        closed = super().decided(decision, path)
        if isinstance(decision, Choice) and isinstance(closed, Call | Graph):
            label = self.value(decision)
            if isinstance(label, str) and label.isidentifier():
                self._labels[closed.path] = label
        if isinstance(decision, Repeat):
            self._labels[path] = ""
        return closed


class _Reader:
    """Reads expressions, resolved or open, and runs resolved ones for their shapes."""

    def __init__(self, labels: Mapping[str, str] | None = None, device: str = "meta", batch: int = 0) -> None:
        self._labels = labels or {}
        self._device = device
        self._batch = batch
        self._filled: dict[Blank, Any] = {}
        self._left = math.inf if batch else _OPEN

    def read(self, item: Any, specs: tuple[TensorSpec, ...] | None) -> Block:
        """Return the blocks of a model; with the shapes of outputs where it is resolved and its inputs are known."""
        import torch

        if specs is None:
            return self.block(item, None)[0]
        with torch.random.fork_rng(devices=[]), torch.device(self._device), ShapesAlone(), torch.no_grad():
            dtypes = [getattr(torch, spec.dtype) for spec in specs]
            zeros = [torch.zeros(self._batch, *s.shape, dtype=d) for s, d in zip(specs, dtypes, strict=True)]
            return self.block(item, zeros)[0]

    def setting(self, name: str, item: Any) -> Block:
        """Return the block of a part that is no model."""
        text, _, is_open = self._arguments(item) if isinstance(item, Call) else (self._text(item), "", _opens(item))
        is_call = isinstance(item, Call) and not item.is_setting
        return Block(name, f"{last_name(item.target)}: {text}" if is_call else text, kind="join", is_open=is_open)

    def block(self, item: Any, values: list[Any] | None) -> tuple[Block, Any]:
        """Return the block of an item, and what comes out of it for some values, if they are known."""
        self._left -= 1
        if self._left < 0:
            return Block("…", kind="join"), None
        if isinstance(item, Filled):
            self._filled |= {blank: self._value(v) for blank, v in zip(item.blanks, item.values, strict=True)}
            return self.block(item.body, values)
        if isinstance(item, Choice | Subset | Repeat):
            return self._options(item), None
        if isinstance(item, Recursive):
            rules = [(name, self.block(body, None)[0]) for name, body in children(item.grammar)]
            drawn = tuple(Block(name, kind="row", parts=(body,)) if len(rules) > 1 else body for name, body in rules)
            return Block(item.rule, f"up to {item.depth} deep", kind="stack", parts=drawn, is_open=True), None
        if isinstance(item, Graph):
            return self._graph(item, values)
        if isinstance(item, Call) and item.target == "torch.nn.Sequential":
            parts: list[Block] = []
            for part in item.args if is_row(item) else item.args[0].values():
                made, out = self.block(part, values)
                values = None if values is None else [out]
                is_inner = made.kind == "row" and (not made.title) and self._labels.get(getattr(part, "path", "")) == ""
                parts += made.parts if is_inner else [made]
            title = self._labels.get(item.path, "")
            if len(parts) == 1 and not title:
                return parts[0], values and values[0]
            shape = parts[-1].shape if parts else ""
            row = Block(title, shape=shape, kind="row", parts=tuple(parts))
            return row, values and values[0]
        if isinstance(item, Call):
            return self._call(item, values)
        return Block(written(item), kind="join"), None

    # ------------------------------------------------------------------ layers

    def _call(self, call: Call, values: list[Any] | None) -> tuple[Block, Any]:
        """Return the block of a layer, with the modules that it was given; they are watched while it runs."""
        held: list[tuple[Any, list[Any]]] = []
        modules: list[Any] = []

        def watched(part: Any) -> Any:
            if not isinstance(part, Call | Graph | Choice | Repeat | Filled) or not is_layer(part):
                return mapped(part, watched)
            held.append((part, []))
            if values is None:
                return part
            module, taken = instantiate(part), held[-1][1]
            modules.append(module)
            module.register_forward_pre_hook(lambda _, given: None if taken else taken.extend(given))
            return Call("", callee=lambda: module)

        changed = mapped(call, watched)
        module, out, shapes = None, None, dict[Any, str]()
        if values is not None:
            module = instantiate(changed)
            for inner in module.eval().modules():
                inner.register_forward_hook(lambda made, _, given: shapes.update({made: self._shape(given)}))
            out = _ran(call, module, values)
        parts = tuple(self.block(part, taken or None)[0] for part, taken in held)
        if modules and module is modules[0]:
            return parts[0], out  # of a function that gives back what it took, such as one that initialises it
        shape = "" if out is None else self._shape(out)
        title = last_name(call.target).removeprefix("Lazy")
        detail, pattern, is_open = self._arguments(call)
        title, detail = _named(self._labels.get(call.path, ""), title, detail)
        callee = find(call.target, call.callee)
        if module is not None and not parts and not isinstance(getattr(callee, "source_class", callee), type):
            made = self._live(module, shapes)
            if made.parts:
                return replace(made, title=title), out  # of a function that makes layers of its own
        kind: Any = "stack" if parts else "layer"
        return Block(title, detail, shape, kind, parts, pattern=pattern, is_open=is_open), out

    def _arguments(self, call: Call) -> tuple[str, str, bool]:
        """Return the arguments of a call as text, the same without sizes, and whether some are open."""
        given = {name: part for name, part in children(call) if not _holds_layer(part)}
        default = _defaults(call)
        given = {name: part for name, part in given.items() if not _is_plain(part) or part != default.get(name, _NONE)}
        is_open, texts, sizes = any(_opens(self._value(part)) for part in given.values()), [], []
        for source, target in _ARROWS:
            if source in given and target in given:
                texts.append(f"{self._text(given.pop(source))} → {self._text(given.pop(target))}")
        for place, (name, part) in enumerate(given.items()):
            shown = "kernel" if name == "kernel_size" else name
            text = self._text(part, shown)
            if name not in _SIZES:
                sizes.append(f"{name}={text}")
            is_bare = name.isdigit() or (place == 0 and not texts and name in call.names)
            named = {False: f"no {name}", True: shown}.get(part) if isinstance(part, bool) else f"{shown} {text}"
            texts.append(text if is_bare and not isinstance(part, bool) else str(named))
        return ", ".join(texts), ", ".join(sizes), is_open

    def _shape(self, out: Any) -> str:
        """Return the shape of a tensor, or of the first of several, without the batch."""
        while isinstance(out, list | tuple | Mapping) and out:
            out = next(iter(out.values())) if isinstance(out, Mapping) else out[0]
        sizes = list(getattr(out, "shape", ()))
        return _joined(sizes[1:] if sizes[:1] == [self._batch] else [self._size(size) for size in sizes])

    def _size(self, size: int) -> str:
        if self._batch == _BATCH and size and size % _BATCH == 0:
            return "N" if size == _BATCH else f"{size // _BATCH}N"
        return str(size)

    def _live(self, module: Any, shapes: Mapping[Any, str]) -> Block:
        """Return the block of a module that a function has made."""
        from torch.fx import GraphModule
        from torch.nn import Sequential

        shape = shapes.get(module, "")
        if isinstance(module, Sequential):
            return Block("", shape=shape, kind="row", parts=tuple(self._live(part, shapes) for part in module))
        if isinstance(module, GraphModule):
            return Block("", shape=shape, kind="graph", parts=tuple(self._traced(module, shapes)))
        names = inspect.signature(type(module)).parameters
        found = {name: _single(getattr(module, name)) for name in names if hasattr(module, name)}
        given = {name: value for name, value in found.items() if _is_plain(value) and value is not None}
        target = f"{type(module).__module__}:{type(module).__name__}"
        call = Call(target, tuple(given.values()), names=tuple(given), callee=type(module))
        detail, pattern, _ = self._arguments(call)
        return Block(type(module).__name__, detail, shape, pattern=pattern)

    def _traced(self, module: Any, shapes: Mapping[Any, str]) -> Iterator[Block]:
        """Yield the blocks of a module of torch.fx: its layers, sums and concatenations."""
        names: dict[Any, str] = {}
        for node in module.graph.nodes:
            takes = tuple(dict.fromkeys(names[each] for each in node.all_input_nodes))
            names[node] = f"<{len(names)}" if node.op == "placeholder" else node.name
            if node.op == "call_module":
                made = self._live(module.get_submodule(str(node.target)), shapes)
                yield replace(made, name=node.name, takes=takes)
            elif node.op not in ("placeholder", "output"):
                target = getattr(node.target, "__name__", str(node.target))
                title = {"add": "+", "cat": "concat", "__getitem__": "slice"}.get(target, target)
                yield Block(title, kind="join", name=node.name, takes=takes)

    # ------------------------------------------------------------------ graphs

    def _graph(self, graph: Graph, values: list[Any] | None) -> tuple[Block, Any]:
        names: dict[Any, str] = {value: f"<{index}" for index, value in enumerate(graph.inputs)}
        found: dict[Any, Any] = dict(zip(graph.inputs, values or [], strict=False))
        parts: list[Block] = []
        for value, label in graph.labels.items():
            taken = tuple(dict.fromkeys(name for part in value.sources for name in _sources(part, names)))
            given = [found[part] for part in value.sources] if values is not None else None
            made, out = self._applied(value, given) if isinstance(value, Apply) else self._merged(value, given)
            names[value], found[value] = label, out
            parts.append(replace(made, name=label, takes=taken))
        ends = [name.rstrip("?") for name in _sources(graph.output, names)]
        parts = [part for part in parts if part.name not in ends] + [part for part in parts if part.name in ends]
        title = self._labels.get(graph.path, "") or graph.name or ""
        out = found.get(graph.output)
        shape = "" if out is None else self._shape(out)
        if not parts:
            return Block(title or "identity", shape=shape, kind="join"), out
        chain = ["<0", *(part.name for part in parts)]
        if len(graph.inputs) == 1 and all(p.takes == (before,) for p, before in zip(parts, chain, strict=False)):
            return Block(title, shape=shape, kind="row", parts=tuple(parts)), out
        return Block(title, shape=shape, kind="graph", parts=tuple(parts), inputs=len(graph.inputs)), out

    def _applied(self, value: Apply, given: list[Any] | None) -> tuple[Block, Any]:
        if not isinstance(value.module, Function):
            return self.block(value.module, given)
        function = value.module
        out = None if given is None else _ran(function, instantiate(function), given)
        text = "outputs" if function.target == STRUCTURE else repr(function)
        text = text.replace("x0", "x") if len(value.inputs) == 1 else text
        if len(text) > 40:
            text = f"{last_name(function.target)}(…)"
        return Block(text, shape="" if out is None else self._shape(out), kind="join"), out

    def _merged(self, merge: Merge, given: list[Any] | None) -> tuple[Block, Any]:
        kind = merge.kind if isinstance(merge.kind, str) else self._text(merge.kind)
        title = _SYMBOLS.get(kind, kind) + (f" axis {self._text(merge.axis)}" if merge.axis not in (1, None) else "")
        out = None
        if given is not None:
            import torch

            out = (
                torch.cat(given, merge.axis) if kind == "concat" else sum(given[1:], given[0])
            )  # of which the shape counts
        return Block(title, shape="" if out is None else self._shape(out), kind="join", is_open=_opens(merge.kind)), out

    # ------------------------------------------------------------------ decisions

    def _options(self, decision: Choice | Subset | Repeat) -> Block:
        name = decision.name or ""
        if isinstance(decision, Repeat):
            bodies = [self.block(body, None)[0] for body in decision.bodies]
            count = _range(decision.low, len(bodies))
            if len({body.key for body in bodies}) == 1:
                bodies, count = bodies[:1], f"× {count}"
            else:
                count = f"the first {count} of these"
            return Block(name or "repeat", count, kind="row", parts=tuple(bodies), is_open=True)
        parts = []
        for label, option in zip(decision.labels, decision.options, strict=True):
            part = Block("none", kind="join") if option is None else self.block(option, None)[0]
            is_named = isinstance(label, str) and label.isidentifier() and option is not None
            if is_named and part.kind == "layer":
                title, detail = _named(str(label), part.title, part.detail)
                part = replace(part, title=title, detail=detail)
            elif part.kind != "layer" and option is not None:
                part = replace(part, title=str(label) if is_named or not part.title else part.title)
            parts.append(part)
        count = "one of" if isinstance(decision, Choice) else f"{_range(decision.low, decision.high)} of"
        if all(part.kind in ("layer", "join") and not part.detail for part in parts):
            return Block(" | ".join(part.title for part in parts), name and f"{name}: {count}", is_open=True)
        return Block(name, count, kind="options", parts=tuple(parts), is_open=True)

    def _value(self, item: Any) -> Any:
        return self._filled.get(item, item) if isinstance(item, Blank) else item

    def _text(self, item: Any, place: str = "") -> str:
        """Return a number, a text or a list, with the values of decisions."""
        item = self._value(item)
        if isinstance(item, Decision):
            name = _short(item)
            return f"{name}: {_values(item)}" if name and name != place else _values(item)
        if isinstance(item, Call) and item.is_setting:
            symbol = _ARITHMETIC.get(item.target.removeprefix("operator."), "?")
            terms = [term for term in map(self._value, item.args) if symbol != "×" or not _is_plain(term) or term != 1]
            return f" {symbol} ".join(_short(term) or self._bracketed(term) for term in terms)
        if isinstance(item, list | tuple) and any(map(_opens, item)):
            inner = [part for part in walk(item) if isinstance(part, Decision)]
            texts = {_values(part) for part in inner}
            return f"{len(inner)} × {texts.pop()}" if len(texts) == 1 else f"[{', '.join(map(self._text, item))}]"
        return item if isinstance(item, str) else written(item)

    def _bracketed(self, item: Any) -> str:
        return f"({self._text(item)})" if isinstance(item, Call) else self._text(item)


def _values(decision: Decision) -> str:
    if isinstance(decision, Integer | Real):
        return f"{decision.low:g}–{decision.high:g}"
    if isinstance(decision, Repeat):
        return _range(decision.low, len(decision.bodies))
    labels = [str(label) for label in getattr(decision, "labels", ())]
    if len(labels) > _SHOWN:
        labels = [*labels[: _SHOWN - 2], "…", labels[-1]]
    return "|".join(labels)


def _short(item: Any) -> str:
    """Return the last part of the name of a decision that has one."""
    return (item.name or "").rpartition(".")[2] if isinstance(item, Decision) else ""


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}–{high}"


def _joined(sizes: Any) -> str:
    return " × ".join(map(str, sizes))


def _opens(item: Any) -> bool:
    """Tell whether an item stands for something that is decided."""
    if isinstance(item, Decision | Blank):
        return True
    return isinstance(item, Call | list | tuple | Mapping) and any(_opens(part) for _, part in children(item))


def _named(label: str, title: str, detail: str) -> tuple[str, str]:
    """Return the title and the detail of a layer with the label of the option, unless that says no more."""
    if label.replace("_", "").lower() in title.lower():
        return title, detail
    return label, f"{title} {detail}".strip()


def _is_plain(item: Any) -> bool:
    return item is None or isinstance(item, bool | int | float | str)


def _ran(call: Call, module: Any, values: list[Any]) -> Any:
    """Return what a layer or a function gives."""
    try:
        return module(*values)
    except ArchwrightError:
        raise
    except Exception as error:  # whatever a layer raises, the path must be known
        raise BuildError(f"{call.path}: {headline(call)}: {error}") from error


def _single(item: Any) -> Any:
    """Return the one number of a tuple that repeats it."""
    return item[0] if isinstance(item, tuple) and len(set(item)) == 1 else item


def _defaults(call: Call) -> dict[str, Any]:
    try:
        parameters = inspect.signature(find(call.target, call.callee)).parameters
    except ValueError:  # a function written in C
        return {}
    return {name: parameter.default for name, parameter in parameters.items()}


def _holds_layer(item: Any) -> bool:
    if isinstance(item, Call | Graph | Choice | Repeat | Filled) and is_layer(item):
        return True
    return isinstance(item, list | tuple | Mapping) and any(_holds_layer(part) for _, part in children(item))


def _sources(item: Any, names: Mapping[Any, str]) -> Iterator[str]:
    """Iterate over the names of the values that an operand stands for."""
    if isinstance(item, Choice | Subset):
        for option in item.options:
            yield from (name if name.endswith("?") else f"{name}?" for name in _sources(option, names))
    elif item is not None:
        yield names[item]
