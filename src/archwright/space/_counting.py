"""Exact numbers: of the architectures of a program, and of its decisions."""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, TypeAlias

from archwright.errors import SpaceError
from archwright.space._decisions import Decision
from archwright.space._grammar import Grammar, Recursive

if TYPE_CHECKING:
    from archwright.space._program import Program

Unit: TypeAlias = Decision | Recursive

_WORK = 2_000_000
"""How many decisions are looked at in cases of tied ones before a space is taken for uncountable."""
_SHARED = 10  # decisions that rules share, up to which spaces are counted


class Counting:
    """The count of the architectures of a program.

    The numbers of independent parts are multiplied. Decisions shared by several branches are counted case by case,
    with memoisation. A use of a rule is one part, counted once for each rule and depth (dynamic programming).

    Decisions s with n(s) values that rules share may be active in any use, and are decided once. With f(B), the number
    of architectures if those in B had one value and the others none, the number is the sum over all sets B of f(B)
    times the product of n(s) over s in B and of 1 - n(s) over the others, by inclusion and exclusion.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._reach: dict[Unit, frozenset[Unit]] = {}
        self._memo: dict[tuple[frozenset[Unit], frozenset[Unit]], int] = {}
        self._rules: dict[tuple[Grammar, str, int], int] = {}
        self._only: dict[Decision, int] = {}  # the number of values that a shared decision is counted with
        self._work = 0

    def total(self) -> int | float:
        """Return the number of architectures; `math.inf` with real decisions.

        Raises:
            SpaceError: There are too many cases.
        """
        program = self._program
        if program.has_reals:
            return math.inf
        shared = list(dict.fromkeys(s for use in program.uses for s in use.grammar.shared))
        if len(shared) > _SHARED:
            raise SpaceError(
                f"the architectures cannot be counted: rules share {len(shared)} decisions that are made outside of "
                f"them, and up to {_SHARED} can be"
            )
        total = 0
        try:
            for size in range(len(shared) + 1):
                for some in combinations(shared, size):
                    self._only = {each: int(each in some) for each in shared}
                    self._memo.clear()
                    self._rules.clear()
                    factor = math.prod(int(s.size) if s in some else 1 - int(s.size) for s in shared)
                    total += factor and factor * self._product(frozenset(program.top), frozenset())
        except RecursionError:
            raise SpaceError(
                f"the architectures cannot be counted: too many of the {len(program.names):,} decisions are tied to "
                f"each other across options, where one that is decided in several of them is decided once; tie fewer"
            ) from None
        return total

    def _product(self, agenda: frozenset[Unit], decided: frozenset[Unit]) -> int:
        agenda -= decided
        leaves = frozenset(each for each in agenda if not self._below(each))
        decided |= leaves
        total = math.prod(map(self._size, leaves))
        for group in self._groups(agenda - leaves, decided):
            total *= self._cases(group, decided)
        return total

    def _size(self, leaf: Unit) -> int:
        if isinstance(leaf, Decision):
            return self._only.get(leaf, int(leaf.size))
        key = leaf.grammar, leaf.rule, leaf.depth
        if key not in self._rules:
            self._rules[key] = self._product(frozenset(self._program.entered(leaf).exposed or ()), frozenset())
        return self._rules[key]

    def _cases(self, group: frozenset[Unit], decided: frozenset[Unit]) -> int:
        reach = frozenset[Unit]().union(*(self._reached(each) for each in group))
        key = (group, decided & reach)
        if key not in self._memo:
            self._work += len(reach)
            position = self._program.position
            inner = (each for each in group if isinstance(each, Decision))  # uses are leaves
            first = max(inner, key=lambda each: (len(self._reached(each)), -position[each]))
            rest, after = group - {first}, decided | {first}
            ways: dict[frozenset[Unit], int] = {}
            for value in first.values():
                self._work += 1
                if self._work > _WORK:
                    raise RecursionError
                opened = frozenset(self._program.exposed_by(first, value)) - after
                ways[opened] = ways.get(opened, 0) + 1
            self._memo[key] = sum(n * self._product(rest | opened, after) for opened, n in ways.items())
        return self._memo[key]

    def _groups(self, agenda: frozenset[Unit], decided: frozenset[Unit]) -> list[frozenset[Unit]]:
        """Split an agenda into groups that have no undecided part in common."""
        above: dict[Unit, Unit] = {}  # each one's way to the one that stands for its group

        def leader(each: Unit) -> Unit:
            while above.setdefault(each, each) is not each:
                above[each] = each = above[above[each]]
            return each

        for each in agenda:
            for other in self._reached(each) - decided:
                above[leader(other)] = leader(each)
        groups: dict[Unit, set[Unit]] = {}
        for each in agenda:
            groups.setdefault(leader(each), set()).add(each)
        return list(map(frozenset, groups.values()))

    def _below(self, each: Unit) -> tuple[Unit, ...]:
        return self._program.below[each] if isinstance(each, Decision) else ()

    def _reached(self, each: Unit) -> frozenset[Unit]:
        if each not in self._reach:
            below = frozenset(self._below(each))
            self._reach[each] = frozenset((each,)).union(*(self._reached(inner) for inner in below))
        return self._reach[each]


def count_decisions(program: Program) -> int:
    """Return the number of decisions of a program, with those of all uses of its rules."""
    memo: dict[tuple[Grammar, str, int], int] = {}

    def inside(use: Recursive) -> int:
        key = use.grammar, use.rule, use.depth
        if key not in memo:
            walked = program.entered(use)
            memo[key] = len(walked.own) + sum(map(inside, dict.fromkeys(walked.uses)))
        return memo[key]

    tops = [each for each in program.uses if program.uses[each].outer is None]
    outside = sum(program.home(decision) is None for decision in program.names)
    return outside + sum(map(inside, tops))
