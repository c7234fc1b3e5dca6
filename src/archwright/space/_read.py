"""Expressions from JSON. Every field is validated; nothing is executed."""

from __future__ import annotations

import keyword
import math
import reprlib
from collections.abc import Callable, Mapping
from enum import EnumType
from functools import partial
from typing import Any

from archwright.errors import SpaceError
from archwright.space._decisions import Choice, Decision, Integer, Real, Repeat, Subset
from archwright.space._fold import walk
from archwright.space._functions import tensor_function
from archwright.space._grammar import Grammar, Recursive, Symbol
from archwright.space._graph import Graph
from archwright.space._language import integer, real
from archwright.space._limits import MAX_DEPTH
from archwright.space._names import (
    OPERATORS,
    Unread,
    allowed_call,
    is_target,
    package_names,
    restore,
)
from archwright.space._nodes import MERGES, Apply, Blank, Call, Filled, Function, Input, Merge, Node, is_value
from archwright.space._rules import checked
from archwright.space._spec import TensorSpec

FIELDS: dict[type, tuple[str, ...]] = {
    Call: ("target", "args", "kwargs", "names"),
    Function: ("target", "args", "kwargs", "names"),
    Blank: ("name",),
    Filled: ("body", "blanks", "values"),
    Input: ("index",),
    Apply: ("module", "inputs", "name"),
    Merge: ("kind", "operands", "name", "axis"),
    Graph: ("inputs", "output", "name", "edges", "nodes", "keep_unused"),
    Choice: ("options", "labels", "ordered", "name"),
    Subset: ("options", "labels", "low", "high", "name"),
    Repeat: ("bodies", "low", "name"),
    Integer: ("low", "high", "log", "name", "step"),
    Real: ("low", "high", "log", "name"),
    Symbol: ("name",),
    Grammar: ("symbols", "bodies", "shared", "growth"),
    Recursive: ("grammar", "rule", "depth"),
    TensorSpec: ("shape", "dtype"),
}
"""What is written down of each kind of node."""

OPTIONAL: dict[type, dict[str, Any]] = {Merge: {"axis": 1}, Integer: {"step": 1}}
"""What is written down only where it is something else, so that files and fingerprints stay as they were."""

_KINDS = {kind.__name__: kind for kind in FIELDS}
_DEPTH = 100
"""How deep lists and dictionaries may be nested in each other."""
_UNKNOWN_FLOATS = ("inf", "-inf", "nan")


class Reader:
    """Reads the nodes of a file one after the other; each may refer to those before it.

    Raises:
        SpaceError: A field holds what may not stand there; the message names the node and the field.
    """

    def __init__(self, code: Callable[[Mapping[str, Any]], Any] = restore) -> None:
        self._code = code
        self._nodes: list[Any] = []
        self._at = ""
        self._make: Mapping[type, Callable[[dict[str, Any], Mapping[str, Any]], Any]] = {
            Call: self._call,
            Function: self._function,
            Blank: self._blank,
            Filled: self._filled,
            Input: self._input,
            Apply: self._apply,
            Merge: self._merge,
            Graph: self._graph,
            Choice: self._choice,
            Subset: self._subset,
            Repeat: self._repeat,
            Integer: self._integer,
            Real: self._real,
            Symbol: self._symbol,
            Grammar: self._grammar,
            Recursive: self._recursive,
            TensorSpec: self._spec,
        }

    def space(self, data: Any) -> dict[str, Any]:
        """Return what `Space.to_json` wrote, by the names of what a space is made of."""
        self._at = "the space"
        for field in ("nodes", "parts", "where", "example_input", "name"):
            if field not in self._need(data, Mapping, "what was read"):
                raise SpaceError(f"this is no space as Space.to_json writes it: it lacks {field!r}")
        return {
            "parts": self._parts(data["nodes"], data["parts"]),
            "where": tuple(map(self._predicate, self._need(data["where"], list, "where"))),
            "example_input": read_specs(data["example_input"]),
            "name": self._name_or_none(data["name"]),
            "imports": package_names(self._need(data.get("imports", []), list, "imports")),
        }

    def _predicate(self, written: Any) -> Any:
        self._at = "where"
        is_described = isinstance(written, Mapping) and set(written) in ({"import"}, {"import", "code"}, {"opaque"})
        if not is_described or not all(isinstance(each, str) for each in written.values()):
            raise self._wrong("a constraint", written, "a function by its name, or a description")
        return self._code(written)

    def _parts(self, nodes: Any, parts: Any) -> dict[str, Any]:
        for number, entry in enumerate(self._need(nodes, list, "nodes")):
            self._at = f"node {number}"
            self._nodes.append(self._node(self._need(entry, Mapping, "a node")))
        self._at = "parts"
        found = {}
        for name, part in self._need(parts, Mapping, "parts").items():
            found[self._need(name, str, "a part's name")] = self._value(part)
        if not found:
            raise self._wrong("parts", parts, "one expression or more by name")
        return found

    # ------------------------------------------------------------------ values

    def _value(self, item: Any, depth: int = 0) -> Any:
        """Return what a value stands for: a constant, a container, a node, or a class or function."""
        if item is None or isinstance(item, bool | str | int | float):
            return item
        if depth > _DEPTH:
            raise SpaceError(f"{self._at}: lists are nested more than {_DEPTH} deep")
        if isinstance(item, list):
            return [self._value(part, depth + 1) for part in item]
        if not isinstance(item, Mapping) or len(item) != 1:
            raise self._wrong("a value", item, "a constant, a list, or an object whose one entry says what it is")
        ((key, value),) = item.items()
        if key == "node":
            if type(value) is not int or not 0 <= value < len(self._nodes):
                raise self._wrong("node", value, f"the number of one of the {len(self._nodes)} nodes before it")
            return self._nodes[value]
        if key == "tuple":
            return tuple(self._value(part, depth + 1) for part in self._need(value, list, "tuple"))
        if key == "dict":
            return self._dict(value, depth)
        if key == "ellipsis" and value is True:
            return ...
        if key == "slice":
            return self._slice(value, depth)
        if key == "float" and value in _UNKNOWN_FLOATS:
            return float(value)
        if key in ("import", "opaque") and isinstance(value, str):
            return self._code(item)
        if key == "partial":
            return self._partial(value, depth)
        if key == "member":
            return self._member(value, depth)
        raise self._wrong("a value", item, "anything that a space can hold")

    def _slice(self, value: Any, depth: int) -> slice:
        if not isinstance(value, list) or len(value) != 3:
            raise self._wrong("slice", value, "where it begins, where it ends, and its step")
        return slice(*(self._value(part, depth + 1) for part in value))

    def _member(self, value: Any, depth: int) -> Any:
        if not isinstance(value, list) or len(value) != 2 or not isinstance(value[1], str):
            raise self._wrong("member", value, "an enumeration and the name of a member")
        kind = self._value(value[0], depth + 1)
        if isinstance(kind, Unread):
            return Unread({"opaque": f"{kind.__name__}.{value[1]}"})
        if not isinstance(kind, EnumType) or value[1] not in kind.__members__:
            raise self._wrong("member", value, "an enumeration and the name of a member")
        return kind[value[1]]

    def _partial(self, value: Any, depth: int) -> Any:
        if not isinstance(value, list) or len(value) != 3:
            raise self._wrong("partial", value, "a class or function, its arguments, and those by name")
        function, args, kwargs = (self._value(part, depth + 1) for part in value)
        if not callable(function) or isinstance(function, Node):
            raise self._wrong("partial", function, "a class or function")
        for key in self._need(kwargs, Mapping, "partial"):
            self._name(key, "partial")
        return partial(function, *self._need(args, list, "partial"), **kwargs)

    def _dict(self, value: Any, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for pair in self._need(value, list, "dict"):
            if not isinstance(pair, list) or len(pair) != 2:
                raise self._wrong("dict", pair, "pairs of a key and a value")
            key = self._value(pair[0], depth + 1)
            try:
                found[key] = self._value(pair[1], depth + 1)
            except TypeError:
                raise self._wrong("a key", key, "text, a number or a tuple of them") from None
        return found

    # ------------------------------------------------------------------ nodes

    def _node(self, entry: Mapping[str, Any]) -> Any:
        name = entry.get("is")
        kind = _KINDS.get(name) if isinstance(name, str) else None
        if kind is None:
            raise self._wrong("is", name, f"one of {', '.join(_KINDS)}")
        self._at = f"{self._at}, {name}"
        allowed = {"is", *FIELDS[kind], *(["callee"] if kind is Call else [])}
        defaults = OPTIONAL.get(kind, {})
        missing, strange = set(FIELDS[kind]) - entry.keys() - defaults.keys(), entry.keys() - allowed
        if missing or strange:
            told = f"lacks {sorted(missing)}" if missing else f"has {reprlib.repr(sorted(map(str, strange)))}"
            raise SpaceError(f"{self._at} {told}; its fields are {', '.join(FIELDS[kind])}")
        given = {**defaults, **entry}
        fields = {} if kind is Graph else {field: self._value(given[field]) for field in FIELDS[kind]}
        return self._make[kind](fields, entry)

    def _call(self, fields: dict[str, Any], entry: Mapping[str, Any]) -> Call:
        target, args, kwargs, names = (fields[name] for name in FIELDS[Call])
        if not isinstance(target, str) or not is_target(target):
            raise self._wrong("target", target, "a name such as 'torch.nn.ReLU' or 'package.module:Class'")
        self._need(args, tuple, "args")
        for key in self._need(kwargs, Mapping, "kwargs"):
            self._name(key, "kwargs")
        for each in self._need(names, tuple, "names"):
            self._name(each, "names")
        if target.startswith("operator."):
            is_binary = len(args) == 2 and not kwargs and all(isinstance(each, Node | int | float) for each in args)
            if not is_binary or target.removeprefix("operator.") not in OPERATORS:
                raise self._wrong("args", args, f"two numbers or decisions, joined by one of {', '.join(OPERATORS)}")
        if "callee" in entry:
            written = self._need(entry["callee"], Mapping, "callee")
            if set(written) != {"opaque"}:  # what has a name is found by its target alone
                raise self._wrong("callee", written, "the description of what has no name")
            callee = self._code(written)
        else:
            callee = allowed_call(target) if self._code is restore else None
        return Call(target, args, kwargs, names, callee)

    def _function(self, fields: dict[str, Any], _: Mapping[str, Any]) -> Function:
        target, args, kwargs, names = (fields[name] for name in FIELDS[Function])
        self._need(target, str, "target")
        for key in self._need(kwargs, Mapping, "kwargs"):
            self._name(key, "kwargs")
        for each in self._need(names, tuple, "names"):
            self._name(each, "names")
        made = Function(target, self._need(args, tuple, "args"), kwargs, names)
        for part in walk([*args, *kwargs.values()]):
            if isinstance(part, Node) and not (isinstance(part, Input) or part.is_setting):
                raise self._wrong("args", part, "an input, a number or a decision about one")
        if self._code is restore:
            tensor_function(target)
        return made

    def _blank(self, fields: dict[str, Any], _: Mapping[str, Any]) -> Blank:
        return Blank(self._name(fields["name"], "name"))

    def _filled(self, fields: dict[str, Any], _: Mapping[str, Any]) -> Filled:
        blanks, values = self._need(fields["blanks"], tuple, "blanks"), self._need(fields["values"], tuple, "values")
        are_blanks = blanks and all(isinstance(each, Blank) for each in blanks)
        if not are_blanks or not len(set(blanks)) == len(blanks) == len(values):
            raise self._wrong("blanks", blanks, "a blank for each of the values")
        return Filled(fields["body"], blanks, values)

    def _input(self, fields: dict[str, Any], _: Mapping[str, Any]) -> Input:
        return Input(self._whole(fields["index"], "index", 0, 1_000))

    def _apply(self, fields: dict[str, Any], _: Mapping[str, Any]) -> Apply:
        module, inputs, name = fields["module"], fields["inputs"], fields["name"]
        if module is not None and (not isinstance(module, Node) or is_value(module)):
            raise self._wrong("module", module, "a layer, or None for no operation")
        if not all(map(is_value, self._need(inputs, tuple, "inputs"))) or not inputs:
            raise self._wrong("inputs", inputs, "values of a graph")
        if isinstance(module, Function):
            taken = {part.index for part in walk([*module.args, *module.kwargs.values()]) if isinstance(part, Input)}
            if taken != set(range(len(inputs))):
                raise self._wrong("inputs", inputs, "a value for each input of the function")
        return Apply(module, inputs, self._name(name, "name") if name not in (None, "") else None)

    def _merge(self, fields: dict[str, Any], _: Mapping[str, Any]) -> Merge:
        kind, operands, name = fields["kind"], fields["operands"], fields["name"]
        if not all(isinstance(each, str) and each in MERGES for each in getattr(kind, "options", (kind,))):
            raise self._wrong("kind", kind, f"one of {', '.join(MERGES)}, or a choice of them")
        if not operands or not all(each is None or is_value(each) for each in self._need(operands, tuple, "operands")):
            raise self._wrong("operands", operands, "values of a graph")
        try:
            return Merge(kind, operands, self._name(name, "name") if name not in (None, "") else None, fields["axis"])
        except SpaceError as error:
            raise SpaceError(f"{self._at}: {error}") from None

    def _graph(self, _: dict[str, Any], entry: Mapping[str, Any]) -> Graph:
        inputs = self._value(self._need(entry["inputs"], list, "inputs"))
        if not inputs or not all(isinstance(each, Input) and each.index == i for i, each in enumerate(inputs)):
            raise self._wrong("inputs", inputs, "the values that come in, in their order")
        nodes = tuple(self._value(self._need(entry["nodes"], list, "nodes")))
        if not all(each is None or is_value(each) for each in nodes):
            raise self._wrong("nodes", nodes, "values of a graph")
        edges: dict[tuple[int, int], Apply] = {}
        for edge in self._need(entry["edges"], list, "edges"):
            i, j, apply = edge if isinstance(edge, list) and len(edge) == 3 else (None, None, None)
            made = self._value(apply)
            if not (type(i) is type(j) is int and 0 <= i < j < len(nodes) and isinstance(made, Apply)):
                raise self._wrong("edges", edge, "two numbers of nodes in ascending order, and what leads between them")
            edges[i, j] = made
        made = Graph(
            tuple(inputs),
            self._value(entry["output"]),
            self._name_or_none(entry["name"]),
            edges,
            nodes,
            keep_unused=self._need(entry["keep_unused"], bool, "keep_unused"),
        )
        if any(apply not in made.labels for apply in edges.values()):
            raise self._wrong("edges", list(edges), "operations that the graph uses")
        return made

    def _choice(self, fields: dict[str, Any], _: Mapping[str, Any]) -> Choice:
        options, labels = self._options(fields)
        return Choice(
            options, labels, self._need(fields["ordered"], bool, "ordered"), self._name_or_none(fields["name"])
        )

    def _subset(self, fields: dict[str, Any], _: Mapping[str, Any]) -> Subset:
        options, labels = self._options(fields)
        high = self._whole(fields["high"], "high", 1, len(options))
        low = self._whole(fields["low"], "low", 0, high)
        return Subset(options, labels, low, high, self._name_or_none(fields["name"]))

    def _repeat(self, fields: dict[str, Any], _: Mapping[str, Any]) -> Repeat:
        bodies = self._need(fields["bodies"], tuple, "bodies")
        if not bodies:
            raise self._wrong("bodies", bodies, "one part or more")
        low = self._whole(fields["low"], "low", 0, len(bodies))
        return Repeat(bodies, low, self._name_or_none(fields["name"]))

    def _integer(self, fields: dict[str, Any], _: Mapping[str, Any]) -> Integer:
        log, name = self._need(fields["log"], bool, "log"), self._name_or_none(fields["name"])
        return integer(fields["low"], fields["high"], step=fields["step"], log=log, name=name)

    def _real(self, fields: dict[str, Any], _: Mapping[str, Any]) -> Real:
        log, name = self._need(fields["log"], bool, "log"), self._name_or_none(fields["name"])
        return real(fields["low"], fields["high"], log=log, name=name)

    def _symbol(self, fields: dict[str, Any], _: Mapping[str, Any]) -> Symbol:
        return Symbol(self._name(fields["name"], "name"))

    def _grammar(self, fields: dict[str, Any], _: Mapping[str, Any]) -> Grammar:
        symbols, bodies, shared, growth = (fields[name] for name in FIELDS[Grammar])
        are_symbols = bool(symbols) and all(isinstance(each, Symbol) for each in self._need(symbols, tuple, "symbols"))
        if not are_symbols or len({each.name for each in symbols}) != len(symbols):
            raise self._wrong("symbols", symbols, "a symbol for each of the rules, all different")
        if len(self._need(bodies, tuple, "bodies")) != len(symbols):
            raise self._wrong("bodies", bodies, "an expression for each of the rules")
        if not all(isinstance(each, Decision) for each in self._need(shared, tuple, "shared")):
            raise self._wrong("shared", shared, "decisions")
        if isinstance(growth, bool) or not isinstance(growth, int | float) or not 0 < growth < math.inf:
            raise self._wrong("growth", growth, "a number above 0")
        return Grammar(symbols, bodies, shared, float(growth))

    def _recursive(self, fields: dict[str, Any], _: Mapping[str, Any]) -> Recursive:
        grammar, rule = self._need(fields["grammar"], Grammar, "grammar"), fields["rule"]
        if rule not in [symbol.name for symbol in grammar.symbols]:
            raise self._wrong("rule", rule, "the name of one of the rules")
        try:
            return checked(Recursive(grammar, rule, self._whole(fields["depth"], "depth", 1, MAX_DEPTH)))
        except SpaceError as error:
            raise SpaceError(f"{self._at}: {error}") from None

    def _spec(self, fields: dict[str, Any], _: Mapping[str, Any]) -> TensorSpec:
        return TensorSpec(self._need(fields["shape"], tuple, "shape"), self._need(fields["dtype"], str, "dtype"))

    # ------------------------------------------------------------------ fields

    def _options(self, fields: Mapping[str, Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        options, labels = self._need(fields["options"], tuple, "options"), self._need(fields["labels"], tuple, "labels")
        are_plain = all(each is None or isinstance(each, bool | int | float | str) for each in labels)
        if not options or not are_plain or len(set(labels)) != len(labels) or len(labels) != len(options):
            raise self._wrong("labels", labels, "text or numbers, one for each of the options, all different")
        return options, labels

    def _need(self, value: Any, kind: Any, field: str) -> Any:
        if not isinstance(value, kind):
            raise self._wrong(field, value, f"a {_NAMED[kind]}")
        return value

    def _whole(self, value: Any, field: str, low: int, high: int) -> int:
        if type(value) is not int or not low <= value <= high:
            raise self._wrong(field, value, f"a whole number from {low} to {high}")
        return value

    def _name(self, value: Any, field: str) -> str:
        """Return what becomes a name in Python."""
        if not isinstance(value, str) or not value.isidentifier() or keyword.iskeyword(value):
            raise self._wrong(field, value, "a name as Python has it")
        return value

    def _name_or_none(self, value: Any) -> str | None:
        """Return the name of a decision or a graph, which may be any text."""
        if value is not None and not isinstance(value, str):
            raise self._wrong("name", value, "text, or null")
        return value

    def _wrong(self, field: str, value: Any, allowed: str) -> SpaceError:
        return SpaceError(f"{self._at}: {field} is {reprlib.repr(value)}, not {allowed}")


_NAMED = {Mapping: "JSON object", list: "list", tuple: "tuple", str: "text", bool: "truth value", Grammar: "grammar"}


def read_specs(written: Any) -> tuple[TensorSpec, ...] | None:
    """Return what goes into a network, as a file describes it."""
    if written is None:
        return None
    is_list = isinstance(written, list) and bool(written)
    if not is_list or not all(isinstance(each, Mapping) and set(each) == {"shape", "dtype"} for each in written):
        raise SpaceError(f"inputs are described by a list of shapes and dtypes, not {reprlib.repr(written)}")
    for each in written:
        if not isinstance(each["shape"], list | tuple) or not isinstance(each["dtype"], str):
            raise SpaceError(f"an input has a list of sizes and the name of a dtype, not {reprlib.repr(dict(each))}")
    return tuple(TensorSpec(tuple(each["shape"]), each["dtype"]) for each in written)
