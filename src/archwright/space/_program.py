"""The decisions of an expression, in order, with the decisions that their values activate.

The expression is walked once, but for the uses of rules (`aw.recursive`), each of which is walked when it becomes
active. Sampling, validation, mutation and so on are calls of `decide` with different rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cached_property, partial
from typing import Any, TypeAlias, TypeVar

from archwright.errors import SpaceError
from archwright.space._counting import Counting, count_decisions
from archwright.space._decisions import Decision, Value, place_of
from archwright.space._fold import children, walk
from archwright.space._grammar import Grammar, Recursive, Symbol
from archwright.space._graph import Graph
from archwright.space._limits import extent_of
from archwright.space._nodes import Apply, Merge, Node
from archwright.space._open import OpenDecisions, Use
from archwright.space._rules import expansion
from archwright.space._text import written

Rule: TypeAlias = Callable[[str, Decision], Value]
Scope: TypeAlias = tuple[Graph, str] | None
Exposed: TypeAlias = Decision | Recursive
T = TypeVar("T")

_END: Any = object()
MAX_ACTIVE = 20_000
"""How many decisions of one architecture of a recursive space may be active."""


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
        self._parts = parts
        self._homes: dict[Decision, Use] = {}
        self.extent = extent_of(parts)
        self.names: dict[Decision, str] = {}
        self.met: dict[str, Decision] = {}  # those that were named so far
        self.code: list[Any] = []
        self.uses: dict[Recursive, Use] = {}
        self.below: dict[Decision, tuple[Exposed, ...]] = {}
        self.position: dict[Exposed, int] = {}
        self._memo: dict[int, tuple[Exposed, ...]] = {}
        self._opens: dict[tuple[Decision, Value], tuple[Decision, ...]] = {}
        self._waiting: dict[str, list[Recursive]] = {}  # uses that were not entered, by path
        self._home: Use | None = None  # what is walked
        self.top: tuple[Exposed, ...] = _distinct(
            decision for name, part in parts.items() for decision in self._exposed(part, name, None)
        )
        self.is_recursive = bool(self.uses)
        self.decisions: Mapping[str, Decision] = OpenDecisions(self) if self.is_recursive else self.met
        self._survey()
        self.roots: tuple[Decision, ...] = self._entered(self.top)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle by the expressions: what is remembered goes by the identity of their nodes."""
        return Program, (dict(self._parts),)

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
                if len(values) > MAX_ACTIVE and self.is_recursive:
                    raise SpaceError(
                        f"an architecture of this recursive space has more than {MAX_ACTIVE:,} decisions; give its "
                        f"rules a smaller depth or growth"
                    )
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
        if not self.below[decision]:
            return ()
        key = (decision, value)
        if key not in self._opens:
            self._opens[key] = self._entered(self.exposed_by(decision, value))
        return self._opens[key]

    def exposed_by(self, decision: Decision, value: Value) -> tuple[Exposed, ...]:
        """Return the decisions and the uses of rules that a value of a decision activates."""
        return _distinct(inner for part in decision.chosen(value) for inner in self._memo.get(id(part), ()))

    def exposed(self, item: Any) -> tuple[Decision, ...]:
        """Return the decisions in a part of the expression that are not inside another decision."""
        is_constant = item is None or isinstance(item, bool | int | float | str)
        return () if is_constant else self._entered(self._memo.get(id(item), ()))

    def entered(self, use: Recursive) -> Use:
        """Return a use of a rule, walked."""
        found = self.uses[use]
        if found.exposed is None:
            before, self._home = self._home, found
            found.exposed = self._exposed(expansion(use), found.path, None)
            self._home = before
            self._waiting[found.path].remove(use)
        return found

    def find(self, name: str) -> Decision | None:
        """Return the decision of a name, for which the uses of rules on its path are walked; None if there is none."""
        if name not in self.met:
            path = ""
            for place in name.split("."):
                path = f"{path}.{place}" if path else place
                while waiting := self._waiting.get(path):
                    self.entered(waiting[0])
        return self.met.get(name)

    def home(self, decision: Decision) -> Use | None:
        """Return the use of a rule that a decision belongs to."""
        return self._homes.get(decision)

    def uses_in(self, values: Mapping[str, Value]) -> list[Use]:
        """Return the uses of rules that an architecture has, in the order of its decisions."""
        found: dict[Use, None] = {}

        def rule(name: str, decision: Decision) -> Value:
            use = self.home(decision)
            while use is not None and use not in found:
                found[use] = None
                use = use.outer
            return values[name]

        self.decide(rule)
        return list(found)

    def place(self, name: str) -> str:
        """Return the name of a decision in its rule, which is the same in all uses of the rule; else its name."""
        use = self.home(self.decisions[name])
        return name if use is None else f"{use.use.rule}{name[len(use.path) :]}"

    @cached_property
    def number(self) -> int:
        """The number of decisions, with those of all uses of rules."""
        return count_decisions(self) if self.is_recursive else len(self.met)

    @cached_property
    def has_reals(self) -> bool:
        """Whether a real number is decided."""
        return any(part.size == math.inf for part in walk(self._parts) if isinstance(part, Decision))

    def count(self) -> int | float:
        """Return the exact number of architectures; `math.inf` with real decisions.

        Raises:
            SpaceError: There are too many cases.
        """
        return Counting(self).total()

    def _entered(self, found: tuple[Exposed, ...]) -> tuple[Decision, ...]:
        """Return decisions with those that uses of rules expose in place of the uses."""
        if not self.is_recursive or not any(isinstance(each, Recursive) for each in found):
            return found  # type: ignore[return-value]  # there is no use of a rule among them
        inner = (self._entered(self.entered(e).exposed or ()) if isinstance(e, Recursive) else (e,) for e in found)
        return _distinct(decision for each in inner for decision in each)

    def _survey(self) -> None:
        """Walk one use of each rule, so that what cannot be is refused at once, and all code is known."""
        met: set[tuple[Grammar, str]] = set()
        waiting = list(self.uses)
        while waiting:
            use = waiting.pop(0)
            if (use.grammar, use.rule) not in met:
                met.add((use.grammar, use.rule))
                waiting += self.entered(use).uses

    def _exposed(self, item: Any, path: str, scope: Scope) -> tuple[Exposed, ...]:
        """Return the decisions, which are named on the way, and uses of rules that an item holds outside of others."""
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
        if isinstance(item, Recursive):
            self.uses[item] = Use(item, path, self._home)
            self.position[item] = len(self.position)
            self._waiting.setdefault(path, []).append(item)
            if self._home is not None:
                self._home.uses.append(item)
            self._memo[id(item)] = uses = (item,)
            return uses
        if isinstance(item, Symbol):
            raise SpaceError(f"{path} holds the rule {item.name!r} outside of its grammar, where it means nothing")
        if isinstance(item, Graph):
            path = self._named(item, path)
            scope = (item, path)
            for value in item.always():
                self._exposed(value, path, scope)
        if isinstance(item, Decision):
            path = self._named(item, path)
            self._name(item, path)
            self._memo[id(item)] = found = (item,)
            below: list[Exposed] = []
            for index, part in enumerate(item.branches):
                below.extend(self._exposed(part, _join(path, place_of(item, index)), scope))
            self.below[item] = _distinct(iter(below))
            return found
        for key in item if isinstance(item, Mapping) else ():  # a class or a member of an enumeration, say
            if not isinstance(key, Node):
                self._exposed(key, path, scope)
        exposed: dict[Exposed, None] = {}
        for place, part in children(item):
            below_path = path if place in ("", "<") else _join(path, place)
            exposed.update(dict.fromkeys(self._exposed(part, below_path, scope)))
        result = tuple(exposed)
        if isinstance(item, Graph):
            result = tuple(sorted(result, key=self.position.__getitem__))
        self._memo[id(item)] = result
        return result

    def _named(self, item: Decision | Graph, path: str) -> str:
        """Return the name of an item, within a rule that of its use and its own."""
        is_inside = item.name is not None and self._home is not None and item not in self._home.use.grammar.shared
        return _join(self._home.path, item.name) if is_inside and self._home and item.name else item.name or path

    def _name(self, decision: Decision, path: str) -> None:
        held = self.met.get(path)
        if held is not None and held is not decision:
            raise SpaceError(
                f"two different decisions are named {path!r}: {held!r} and {decision!r}; give one of them another "
                f"name, or use one object in both places to tie them"
            )
        self.position[decision] = len(self.position)
        self.names[decision] = path
        self.met[path] = decision
        if self._home is not None and decision not in self._home.use.grammar.shared:
            self._homes[decision] = self._home
            self._home.own.append(decision)


def _inside(item: Any) -> Iterable[Any]:
    """Return what is inside an object that is taken as it stands."""
    if isinstance(item, partial):
        return (*item.args, *item.keywords.values())
    if isinstance(item, set | frozenset):
        return item
    is_object = is_dataclass(item) and not isinstance(item, type | Node)
    return [getattr(item, each.name, None) for each in fields(item)] if is_object else ()


def _distinct(found: Iterator[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(found))


def _join(path: str, place: str) -> str:
    return f"{path}.{place}" if path else place
