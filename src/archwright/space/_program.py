"""The decisions of an expression, in order, with the decisions that their values activate.

The expression is walked once. Sampling, validation, mutation and so on are calls of `decide` with different rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import partial
from typing import Any, TypeAlias

from archwright.errors import SpaceError
from archwright.space._decisions import Decision, Value, place_of
from archwright.space._fold import children
from archwright.space._graph import Graph
from archwright.space._limits import extent_of
from archwright.space._nodes import Apply, Merge, Node
from archwright.space._text import written

Rule: TypeAlias = Callable[[str, Decision], Value]
Scope: TypeAlias = tuple[Graph, str] | None

_END: Any = object()
_WORK = 2_000_000
"""How many decisions are looked at in cases of tied ones before a space is taken for uncountable."""


class Program:
    """The decisions of expressions, in order, with the decisions that their values activate.

    Args:
        parts: The expressions of a space by name.

    Raises:
        SpaceError: Two decisions have the same name, or an expression is too large.

    Example:
        >>> from archwright.space import Program
        >>> deep = aw.repeat(lambda i: nn.LazyLinear(aw.ordinal(8, 16)), 1, 2, name="depth")
        >>> program = Program({"model": deep})
        >>> list(program.decisions), program.count()
        (['depth', 'depth.0.out_features', 'depth.1.out_features'], 6)
    """

    def __init__(self, parts: Mapping[str, Any]) -> None:
        self.extent = extent_of(parts)
        self.names: dict[Decision, str] = {}
        self.decisions: dict[str, Decision] = {}
        self.code: list[Any] = []
        self._memo: dict[int, tuple[Decision, ...]] = {}
        self._below: dict[Decision, tuple[Decision, ...]] = {}
        self._opens: dict[tuple[Decision, Value], tuple[Decision, ...]] = {}
        self._reach: dict[Decision, frozenset[Decision]] = {}
        self._position: dict[Decision, int] = {}
        self.roots: tuple[Decision, ...] = _distinct(
            decision for name, part in parts.items() for decision in self._exposed(part, name, None)
        )

    def decide(self, rule: Rule) -> dict[str, Value]:
        """Return the values of all active decisions, made by a rule in order.

        Args:
            rule: A function of the name and the decision that returns its value.
        """
        values: dict[str, Value] = {}
        stack = list(self.roots[::-1])
        names = self.names
        while stack:
            decision = stack.pop()
            name = names[decision]
            if name not in values:
                value = values[name] = rule(name, decision)
                stack.extend(self.opened(decision, value)[::-1])
        return values

    def enumerate(
        self, order: Callable[[Decision], Iterator[Value]] | None = None
    ) -> Generator[dict[str, Value], Collection[str] | None, None]:
        """Iterate over all sets of active decisions, each once.

        Args:
            order: A function that returns the values of a decision in order; by default their own order.

        Yields:
            A set of decisions. If names of some of them are sent, all sets that agree in these are skipped.
        """
        order = order or (lambda decision: decision.values())
        values: dict[str, Value] = {}
        open_: list[tuple[Decision, Iterator[Value], tuple[Decision, ...]]] = []  # with what is left to decide after
        left = self.roots
        while True:
            while left:
                decision, left = left[0], left[1:]
                if self.names[decision] not in values:
                    choices = order(decision)
                    values[self.names[decision]] = value = next(choices)
                    open_.append((decision, choices, left))
                    left = self.opened(decision, value) + left
            same = yield dict(values)
            while same is not None and open_ and self.names[open_[-1][0]] not in same:
                del values[self.names[open_.pop()[0]]]
            while True:  # go on with the last decision that has another value
                if not open_:
                    return
                decision, choices, left = open_[-1]
                del values[self.names[decision]]
                following = next(choices, _END)
                if following is not _END:
                    values[self.names[decision]] = following
                    left = self.opened(decision, following) + left
                    break
                open_.pop()

    def opened(self, decision: Decision, value: Value) -> tuple[Decision, ...]:
        """Return the decisions that a value of a decision activates."""
        if not self._below[decision]:
            return ()
        key = (decision, value)
        if key not in self._opens:
            self._opens[key] = _distinct(
                inner for part in decision.chosen(value) for inner in self._memo.get(id(part), ())
            )
        return self._opens[key]

    def exposed(self, item: Any) -> tuple[Decision, ...]:
        """Return the decisions in a part of the expression that are not inside another decision."""
        return () if item is None or isinstance(item, bool | int | float | str) else self._memo.get(id(item), ())

    def count(self) -> int | float:
        """Return the exact number of architectures; `math.inf` with real decisions.

        The numbers of independent parts are multiplied. Decisions shared by several branches are counted case by case,
        with memoisation.

        Raises:
            SpaceError: There are too many cases.
        """
        if any(decision.size == math.inf for root in self.roots for decision in self._reached(root)):
            return math.inf
        memo: dict[tuple[frozenset[Decision], frozenset[Decision]], int] = {}
        work = 0

        def product(agenda: frozenset[Decision], decided: frozenset[Decision]) -> int:
            agenda -= decided
            leaves = frozenset(d for d in agenda if not self._below[d])
            decided |= leaves
            total = math.prod(int(leaf.size) for leaf in leaves)
            for group in self._groups(agenda - leaves, decided):
                total *= cases(group, decided)
            return total

        def cases(group: frozenset[Decision], decided: frozenset[Decision]) -> int:
            reach = frozenset[Decision]().union(*(self._reached(d) for d in group))
            key = (group, decided & reach)
            if key not in memo:
                nonlocal work
                work += len(reach)
                first = max(group, key=lambda each: (len(self._reached(each)), -self._position[each]))
                rest, after = group - {first}, decided | {first}
                ways: dict[frozenset[Decision], int] = {}
                for value in first.values():
                    work += 1
                    if work > _WORK:
                        raise RecursionError
                    opened = frozenset(self.opened(first, value)) - after
                    ways[opened] = ways.get(opened, 0) + 1
                memo[key] = sum(n * product(rest | opened, after) for opened, n in ways.items())
            return memo[key]

        try:
            return product(frozenset(self.roots), frozenset())
        except RecursionError:
            raise SpaceError(
                f"the architectures cannot be counted: too many of the {len(self.names):,} decisions are tied to each "
                f"other across options, where one that is decided in several of them is decided once; tie fewer"
            ) from None

    def _groups(self, agenda: frozenset[Decision], decided: frozenset[Decision]) -> list[frozenset[Decision]]:
        """Split an agenda into groups that have no undecided decision in common."""
        above: dict[Decision, Decision] = {}  # each decision's way to the one that stands for its group

        def leader(decision: Decision) -> Decision:
            while above.setdefault(decision, decision) is not decision:
                above[decision] = decision = above[above[decision]]
            return decision

        for decision in agenda:
            for other in self._reached(decision) - decided:
                above[leader(other)] = leader(decision)
        groups: dict[Decision, set[Decision]] = {}
        for decision in agenda:
            groups.setdefault(leader(decision), set()).add(decision)
        return list(map(frozenset, groups.values()))

    def _reached(self, decision: Decision) -> frozenset[Decision]:
        if decision not in self._reach:
            below = frozenset(self._below[decision])
            self._reach[decision] = frozenset((decision,)).union(*(self._reached(d) for d in below))
        return self._reach[decision]

    def _exposed(self, item: Any, path: str, scope: Scope) -> tuple[Decision, ...]:
        """Return the decisions that an item holds outside of any other decision, naming them on the way."""
        if isinstance(item, Enum):
            self.code.append(type(item))
        if item is None or isinstance(item, bool | int | float | str):
            return ()
        if id(item) in self._memo:
            return self._memo[id(item)]
        if any(
            f"{base.__module__}.{base.__qualname__}" == "torch.nn.modules.module.Module" for base in type(item).__mro__
        ):
            raise SpaceError(
                f"{path} holds {type(item).__name__}(...), an instantiated layer, which would be shared by every "
                f"network; write it with archwright.nn, or aw.lazy for a class of your own"
            )
        if isinstance(item, tuple) and hasattr(item, "_fields"):
            name = type(item).__name__
            raise SpaceError(
                f"{path} holds {name}(...), a named tuple, of which its values alone would be kept; write it as "
                f"aw.lazy({name})(...)"
            )
        hidden = next((part for part in _inside(item) if isinstance(part, Node)), None)
        if hidden is not None:
            raise SpaceError(
                f"{path} holds {written(hidden)} inside a {type(item).__name__}, where it would never be decided; "
                f"write a class or function of your own that takes it, as aw.lazy(YourClass)(...)"
            )
        if callable(item) and not isinstance(item, Node):
            self.code.append(item)
        if isinstance(item, Apply | Merge) and scope is not None:
            path = _join(scope[1], scope[0].labels[item])
        if isinstance(item, Graph):
            path = item.name or path
            scope = (item, path)
            for value in item.always():
                self._exposed(value, path, scope)
        if isinstance(item, Decision):
            path = item.name or path
            self._name(item, path)
            self._memo[id(item)] = found = (item,)
            below: list[Decision] = []
            for index, part in enumerate(item.branches):
                below.extend(self._exposed(part, _join(path, place_of(item, index)), scope))
            self._below[item] = _distinct(iter(below))
            return found
        for key in item if isinstance(item, Mapping) else ():  # a class or a member of an enumeration, say
            if not isinstance(key, Node):
                self._exposed(key, path, scope)
        exposed: dict[Decision, None] = {}
        for place, part in children(item):
            below_path = path if place in ("", "<") else _join(path, place)
            exposed.update(dict.fromkeys(self._exposed(part, below_path, scope)))
        result = tuple(exposed)
        if isinstance(item, Graph):
            result = tuple(sorted(result, key=self._position.__getitem__))
        self._memo[id(item)] = result
        return result

    def _name(self, decision: Decision, path: str) -> None:
        held = self.decisions.get(path)
        if held is not None and held is not decision:
            raise SpaceError(
                f"two different decisions are named {path!r}: {held!r} and {decision!r}; give one of them another "
                f"name, or use one object in both places to tie them"
            )
        self._position[decision] = len(self.names)
        self.names[decision] = path
        self.decisions[path] = decision


def _inside(item: Any) -> Iterable[Any]:
    """Return what is inside an object that is taken as it stands."""
    if isinstance(item, partial):
        return (*item.args, *item.keywords.values())
    if isinstance(item, set | frozenset):
        return item
    is_object = is_dataclass(item) and not isinstance(item, type | Node)
    return [getattr(item, each.name, None) for each in fields(item)] if is_object else ()


def _distinct(decisions: Iterator[Decision]) -> tuple[Decision, ...]:
    return tuple(dict.fromkeys(decisions))


def _join(path: str, place: str) -> str:
    return f"{path}.{place}" if path else place
