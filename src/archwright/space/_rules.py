"""Recursive parts of expressions: rules, whose uses are expanded when they become active."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from archwright._scalars import is_number, is_whole, scalar
from archwright.errors import SpaceError
from archwright.space._decisions import Choice, Decision, Repeat, Subset, Value
from archwright.space._fold import children, has_parts, rebuilt, walk
from archwright.space._grammar import Grammar, Recursive, Symbol
from archwright.space._graph import Graph
from archwright.space._nodes import Apply, Filled, GraphValue, Merge, Node, is_value, with_options
from archwright.space._text import written

if TYPE_CHECKING:
    from archwright.space._program import Program

_EXPANDED = 10_000  # decisions that rules are written out into
_HALVINGS = 40  # of the interval in which the weight of recursive options is looked for


@dataclass(frozen=True, eq=False, repr=False)
class Branching(Choice):
    """The choice of a rule in one use of it: options that cannot end within the depth limit are left out.

    Args:
        weights: The probability of each option in a sample; () for equal ones.
        least: The option that ends soonest, which is taken where nothing else is said.
    """

    weights: tuple[float, ...] = ()
    least: Value = None

    def sample(self, rng: np.random.Generator) -> Value:
        """Return an option, drawn with the weights."""
        if not self.weights:
            return super().sample(rng)
        return self.labels[int(rng.choice(len(self.labels), p=self.weights))]

    def decode(self, slots: Sequence[float]) -> Value:
        """Return the nearest option; without any that is told, the one that ends soonest."""
        return super().decode(slots) if any(slots) else self.least


class Rules:
    """What follows from the bodies of a grammar: when each rule ends, and how often recursive options are drawn.

    Raises:
        SpaceError: A rule never ends.
    """

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._bodies = {symbol.name: body for symbol, body in zip(grammar.symbols, grammar.bodies, strict=True)}
        self._names = {symbol: symbol.name for symbol in grammar.symbols}
        self._shared = set(map(id, grammar.shared))
        self._open: dict[int, bool] = {}
        self._holds: dict[int, bool] = {}
        self.needs: dict[str, float] = dict.fromkeys(self._bodies, math.inf)
        for _ in self._bodies:
            self.needs = {name: 1 + self._least(body) for name, body in self._bodies.items()}
        endless = [name for name, need in self.needs.items() if need == math.inf]
        if endless:
            raise SpaceError(
                f"the rule {endless[0]!r} never ends: each of its options holds a rule that does not end either; give "
                f"it an option without a rule, such as a layer"
            )
        self._weight = self._solved()

    def instance(self, rule: str, depth: int) -> Any:
        """Return the body of a rule with decisions of its own, in which each symbol is a use of its rule.

        Args:
            rule: The name of the rule.
            depth: How many uses may be nested, this one included.
        """
        memo: dict[int, Any] = {}

        def fresh(item: Any) -> Any:
            if isinstance(item, Symbol):
                return Recursive(self._grammar, item.name, depth - 1) if item in self._names else item
            if not self._is_open(item):
                return item
            if id(item) not in memo:
                memo[id(item)] = self._fresh(item, fresh, depth - 1)
            return memo[id(item)]

        return fresh(self._bodies[rule])

    def _fresh(self, item: Any, fresh: Callable[[Any], Any], left: int) -> Any:
        if isinstance(item, Recursive):  # of another grammar
            return Recursive(item.grammar, item.rule, item.depth)
        if isinstance(item, Choice):
            kept = [index for index, option in enumerate(item.options) if self._least(option) <= left]
            options = tuple(fresh(item.options[index]) for index in kept)
            labels = tuple(item.labels[index] for index in kept)
            weights = self._weights([item.options[index] for index in kept])
            if not weights and len(kept) == len(item.options):
                return replace(item, options=options)
            least = min(kept, key=lambda index: self._least(item.options[index]), default=None)
            named = None if least is None else item.labels[least]
            return Branching(options, labels, item.ordered, item.name, weights, named)
        if isinstance(item, Subset):
            kept = [index for index, option in enumerate(item.options) if self._least(option) <= left]
            options, labels = (tuple(each[index] for index in kept) for each in (item.options, item.labels))
            return replace(item, options=tuple(map(fresh, options)), labels=labels, high=min(item.high, len(kept)))
        if isinstance(item, Repeat):
            ends = next((i for i, body in enumerate(item.bodies) if self._least(body) > left), len(item.bodies))
            return replace(item, bodies=tuple(map(fresh, item.bodies[:ends])))
        return parts_changed(item, fresh)

    def _is_open(self, item: Any) -> bool:
        """Tell whether each use of a rule has an item of its own: it holds a symbol, or a decision of the rule."""
        return self._any(item, self._open, lambda part: isinstance(part, Decision | Recursive) or part in self._names)

    def _has_symbol(self, item: Any) -> bool:
        return self._any(item, self._holds, lambda part: part in self._names)

    def _any(self, item: Any, memo: dict[int, bool], test: Callable[[Any], bool]) -> bool:
        if not isinstance(item, Node | list | tuple | slice | Mapping) or id(item) in self._shared:
            return False
        if id(item) not in memo:
            parts = [part for _, part in children(item)] if not isinstance(item, Recursive) else []
            memo[id(item)] = (isinstance(item, Node) and test(item)) or any(
                self._any(part, memo, test) for part in (*parts, *getattr(item, "branches", ()))
            )
        return memo[id(item)]

    def _least(self, item: Any) -> float:
        """Return how many uses are nested at least in an item, whatever is decided."""
        if isinstance(item, Symbol):
            return self.needs[item.name] if item in self._names else 0
        if not self._has_symbol(item):
            return 0
        if isinstance(item, Choice):
            return min(map(self._least, item.options))
        if isinstance(item, Subset):
            return max(sorted(map(self._least, item.options))[: item.low], default=0)
        if isinstance(item, Repeat):
            return max(map(self._least, item.bodies[: item.low]), default=0)
        return max((self._least(part) for _, part in children(item)), default=0)

    # ------------------------------------------------------------------ how often recursive options are drawn

    def _weights(self, options: Sequence[Any]) -> tuple[float, ...]:
        """Return the probabilities of options, those with symbols being less likely; () where all are alike."""
        holding = [self._has_symbol(option) for option in options]
        if self._weight == 1 or all(holding) or not any(holding):
            return ()
        weights = np.where(holding, self._weight, 1.0)
        return tuple((weights / weights.sum()).tolist())

    def _solved(self) -> float:
        """Return the weight of options with symbols for which a use opens `growth` others on average, at most 1."""
        low, high = 0.0, 1.0
        if self._radius(high) <= self._grammar.growth:
            return high
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self._radius(middle) <= self._grammar.growth else (low, middle)
        return high

    def _radius(self, weight: float) -> float:
        """Return by what factor the number of uses grows with depth: the spectral radius of the mean matrix."""
        means = np.array([self._mean(body, weight) for body in self._bodies.values()])
        return float(np.abs(np.linalg.eigvals(means)).max())

    def _mean(self, item: Any, weight: float) -> Any:
        """Return how often each rule is used in an item on average."""
        found = np.zeros(len(self._bodies))
        if isinstance(item, Symbol):
            found[list(self._bodies).index(item.name)] = item in self._names
            return found
        if not self._has_symbol(item):
            return found
        if isinstance(item, Choice):
            shares = np.array([weight if self._has_symbol(option) else 1.0 for option in item.options])
            shares = shares / shares.sum() if shares.any() else np.full(len(shares), 1 / len(shares))
        elif isinstance(item, Subset):
            sizes = [(k, math.comb(len(item.options), k)) for k in range(item.low, item.high + 1)]
            mean = sum(k * count for k, count in sizes) / sum(count for _, count in sizes)
            shares = np.full(len(item.options), mean / len(item.options))
        elif isinstance(item, Repeat):
            depths = range(item.low, len(item.bodies) + 1)
            shares = np.array([sum(depth > i for depth in depths) / len(depths) for i in range(len(item.bodies))])
        else:
            return sum((self._mean(part, weight) for _, part in children(item)), found)
        parts = item.branches
        return sum((s * self._mean(part, weight) for s, part in zip(shares, parts, strict=True)), found)


def _values_of(*ends: Any) -> set[Any]:
    """Return what some values of a graph are made from, whatever is decided."""
    found, stack = set[Any](), list(ends)
    while stack:
        item = stack.pop()
        if isinstance(item, Node) and item not in found:
            found.add(item)
            stack += item.sources if isinstance(item, GraphValue) else getattr(item, "options", ())
    return found


def parts_changed(item: Any, change: Callable[[Any], Any]) -> Any:
    """Return a copy of an item with a function applied to its parts, those of decisions and graphs included."""
    if isinstance(item, Graph):
        labels = {change(value): label for value, label in item.labels.items()}  # in the order of execution
        edges = {ends: change(value) for ends, value in item.edges.items()}
        nodes, output = tuple(map(change, item.nodes)), change(item.output)
        used = _values_of(output, *nodes)  # some lead to options that were left out alone
        labels = {value: label for value, label in labels.items() if value in used}
        return replace(item, output=output, edges=edges, nodes=nodes, labels=labels)
    if isinstance(item, Branching):
        return Choice(tuple(map(change, item.options)), item.labels, item.ordered, item.name)
    if isinstance(item, Choice | Subset):
        return replace(item, options=tuple(map(change, item.options)))
    if isinstance(item, Repeat):
        return replace(item, bodies=tuple(map(change, item.bodies)))
    if isinstance(item, Decision):
        return replace(item)  # type: ignore[type-var]  # every decision is a dataclass
    if isinstance(item, Filled):
        return replace(item, body=change(item.body), values=tuple(map(change, item.values)))
    if isinstance(item, Apply):
        return Apply(change(item.module), tuple(map(change, item.inputs)), item.name)
    if isinstance(item, Merge):
        return Merge(change(item.kind), tuple(map(change, item.operands)), item.name, change(item.axis))
    return rebuilt(item, [change(part) for _, part in children(item)]) if has_parts(item) else item


def recursive(body: Callable[..., Any], *, depth: int, growth: float = 1.0) -> Recursive:
    """Define a part that may hold smaller parts of its own kind.

    `block = aw.recursive(lambda block: aw.choice(layer, nn.Sequential(block, block)), depth=6)` is a layer, or two
    blocks in sequence, each of which is again a layer or two blocks, and so on. It is a grammar of one rule: see
    `rules`.

    Args:
        body: A function of one parameter, the symbol for the rule, that returns the expression of the rule.
        depth: How many uses of the rule may be nested.
        growth: How many uses another use opens on average in a sample.

    Raises:
        SpaceError: As for `rules`.

    Example:
        >>> options = lambda block: {"layer": nn.ReLU(), "pair": nn.Sequential(block, block)}
        >>> block = aw.recursive(lambda block: aw.choice(options(block)), depth=3)
        >>> space = aw.Space(model=block)
        >>> space.size, len(space.decisions)
        (5, 7)
        >>> list(space.canonical({"model": "pair", "model.pair.0": "layer", "model.pair.1": "layer"}))
        ['model', 'model.pair.0', 'model.pair.1']
    """
    if isinstance(body, Node) or not callable(body):
        raise SpaceError(
            f"recursive takes a function of the rule, such as lambda block: ...; {written(body)} was given"
        )
    names = list(inspect.signature(body).parameters)
    if len(names) != 1:
        raise SpaceError(
            f"the body of a recursive part has one parameter, the rule itself; {len(names)} were given: several rules "
            f"that use each other are aw.rules"
        )
    return _grammar(depth, growth, {names[0]: body})


def rules(*, depth: int, growth: float = 1.0, **bodies: Callable[..., Any]) -> Recursive:
    """Define a part by rules that use each other: a context-free grammar of networks, with a depth limit.

    Each rule is a function whose parameters are the names of the rules that it uses, or `**uses` for all. In its body
    such a parameter is a symbol: wherever it stands, a new use of that rule is derived, with decisions of its own,
    which are named by their path. Decisions made outside of the functions are shared by all uses, and need a name. The
    part itself is a use of the first rule; as everywhere, one object in two places has the same decisions in both.

    A use is expanded when it becomes active, so that a large depth costs nothing. At the depth limit the options that
    could not end are left out. In samples all options are equally likely, but for options that use rules, which are
    made less likely where else a use would open more than `growth` others on average. With 1, a critical branching
    process, small parts are frequent and large ones occur: the expected number of uses is the same at each depth.

    Args:
        depth: How many uses of rules may be nested, at least 1; uses of all rules count.
        growth: How many uses another use opens on average in a sample, above 0.
        **bodies: Functions that return the expressions of the rules, the first of which is the part itself.

    Raises:
        SpaceError: A rule does not end within the depth, uses what is no rule, or uses a decision from outside that
            has no name.

    Example:
        >>> net = aw.rules(
        ...     chain=lambda chain, op: aw.choice({"one": op, "more": nn.Sequential(op, chain)}),
        ...     op=lambda: aw.choice({"relu": nn.ReLU(), "tanh": nn.Tanh()}),
        ...     depth=4,
        ... )
        >>> aw.Space(model=net).size
        14
    """
    if not bodies:
        raise SpaceError("there is one rule or more: aw.rules(block=lambda block: ..., depth=4)")
    return _grammar(depth, growth, bodies)


def _grammar(depth: Any, growth: Any, rules: Mapping[str, Callable[..., Any]]) -> Recursive:
    depth, growth = scalar(depth), scalar(growth)
    if not is_whole(depth) or depth < 1:
        raise SpaceError(f"the depth of rules is a whole number from 1; {depth!r} was given")
    if not is_number(growth) or not 0 < growth < math.inf:
        raise SpaceError(f"the growth of rules is a number above 0; {growth!r} was given")
    symbols = {name: Symbol(name) for name in rules}
    bodies, again = ([_body(name, rule, symbols) for name, rule in rules.items()] for _ in range(2))
    # What two calls of the functions have in common was made outside of them.
    inside = {id(part) for part in walk(again) if isinstance(part, Decision)}
    shared = tuple(part for part in walk(bodies) if isinstance(part, Decision) and id(part) in inside)
    return checked(
        Recursive(Grammar(tuple(symbols.values()), tuple(bodies), shared, float(growth)), next(iter(rules)), depth)
    )


def checked(part: Recursive) -> Recursive:
    """Return a use of a rule that was found sound.

    Raises:
        SpaceError: As for `rules`.
    """
    for decision in part.grammar.shared:
        if decision.name is None:
            raise SpaceError(
                f"{decision!r} is made outside of the rules that use it, so that all uses share it, and needs a name: "
                f"name=...; made inside of the function, it is decided anew in each use"
            )
        if any(isinstance(each, Decision | Recursive) for each in walk(decision.branches)):
            raise SpaceError(f"the decision {decision.name!r}, which rules share, cannot hold decisions itself")
    for symbol, body in zip(part.grammar.symbols, part.grammar.bodies, strict=True):
        if is_value(body) or not isinstance(body, Node) or body.is_setting or None in with_options(body):
            raise SpaceError(
                f"the rule {symbol.name!r} gives a layer, whatever is decided; its body is {written(body)}"
            )
    need = rules_of(part.grammar).needs[part.rule]
    if need > part.depth:
        raise SpaceError(f"the rule {part.rule!r} needs a depth of {need} to end, and {part.depth} is allowed")
    return part


def _body(name: str, rule: Any, symbols: Mapping[str, Symbol]) -> Any:
    if isinstance(rule, Node) or not callable(rule):
        raise SpaceError(f"the rule {name!r} is a function of the rules that it uses; {written(rule)} was given")
    parameters = inspect.signature(rule).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return rule(**symbols)
    used = [parameter.name for parameter in parameters]
    for each in used:
        if each not in symbols:
            raise SpaceError(f"the rule {name!r} uses {each!r}, which is no rule; the rules are {', '.join(symbols)}")
    return rule(**{each: symbols[each] for each in used})


def rules_of(grammar: Grammar) -> Rules:
    """Return what follows from the bodies of a grammar, worked out once."""
    made: Rules = grammar.memo.setdefault("rules", None) or Rules(grammar)
    grammar.memo["rules"] = made
    return made


def expansion(use: Recursive) -> Any:
    """Return the body of a use of a rule, made when it is first asked for.

    Example:
        >>> from archwright.space import expansion
        >>> expansion(aw.recursive(lambda block: aw.choice(nn.ReLU(), nn.Sequential(block, block)), depth=2))
        choice(ReLU(), Sequential(recursive(block, depth=1), recursive(block, depth=1)))
    """
    if "body" not in use.memo:
        use.memo["body"] = rules_of(use.grammar).instance(use.rule, use.depth)
    return use.memo["body"]


def expanded(program: Program, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return expressions with all uses of rules written out; decisions keep the names that they have in a program.

    Raises:
        SpaceError: There are too many decisions.
    """
    if program.number > _EXPANDED:
        raise SpaceError(
            f"the rules cannot be written out: that would make {program.number:,} decisions, and {_EXPANDED:,} are "
            f"allowed; give the rules a smaller depth"
        )
    memo: dict[int, Any] = {}

    def written_out(item: Any) -> Any:
        if not isinstance(item, Node | list | tuple | slice | Mapping):
            return item
        if id(item) not in memo:
            memo[id(item)] = copied(item)
        return memo[id(item)]

    def copied(item: Any) -> Any:
        if isinstance(item, Recursive):
            program.entered(item)
            return written_out(expansion(item))
        if isinstance(item, Decision) and program.home(item) is not None:
            return replace(parts_changed(item, written_out), name=program.names[item])
        return parts_changed(item, written_out)

    return {name: written_out(part) for name, part in parts.items()}
