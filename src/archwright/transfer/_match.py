"""The decisions of one space as decisions of another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from archwright._scalars import is_number
from archwright._words import counted
from archwright.errors import ArchitectureError
from archwright.space import Architecture, Choice, Decision, Integer, Real, Repeat, Space, Subset, Value

_LEAST = 0.5  # of the decisions of an architecture that have to be known from the other space
_NAMED = 3  # decisions that are named in a line
_TRIES = 20  # fillings of what is not known, where there are constraints


@dataclass(frozen=True)
class Matching:
    """Architectures of one space as architectures of another, as `match` found it.

    Args:
        space: The new space.
        pairs: The old decision of each new one, by name; `None` for decisions of the same name, in recursive spaces.
        told: A line on what does not match; empty where all does.

    Example:
        >>> old, new = aw.Space(width=aw.ordinal(8, 16)), aw.Space(width=aw.ordinal(16, 32))
        >>> aw.transfer.match(old, new).apply({"width": 8})["width"]
        16
    """

    space: Space
    pairs: Mapping[str, str] | None
    told: str = ""

    def apply(self, architecture: Mapping[str, Value]) -> Architecture | None:
        """Return an architecture of the new space, or `None` if fewer than half of its decisions are known.

        Decisions without a match are drawn at random, always the same for the same architecture.
        """
        rng = np.random.default_rng(int(Architecture(architecture).id, 16))
        for _ in range(_TRIES if self.space.where else 1):
            known = 0

            def rule(name: str, decision: Decision) -> Value:
                nonlocal known
                old = name if self.pairs is None else self.pairs.get(name)
                value = None if old is None or old not in architecture else _nearest(decision, architecture[old])
                known += value is not None
                return decision.sample(rng) if value is None else value[0]

            found = self.space.decide(rule)
            if known < _LEAST * len(found):
                return None
            if not self.space.where or found in self.space:
                return found
        return None


def match(old: Space, new: Space) -> Matching:
    """Return which decisions of a space are which of another one.

    Decisions match by name (the path in the expression, or the label that they were given); those left over by the last
    part of their path, such as "kernel_size", in order. Their domains have to have values in common: labels are equal,
    numbers and depths lie in ranges that overlap. In recursive spaces, whose decisions are not listed, names are equal.

    Example:
        >>> old = aw.Space(width=aw.ordinal(8, 16, 32), depth=aw.integer(1, 4))
        >>> new = aw.Space(width=aw.ordinal(16, 32, 64), rate=aw.real(0.0, 1.0))
        >>> aw.transfer.match(old, new).told
        'width matches; rate is new; depth is not used'
    """
    if old.is_recursive or new.is_recursive:
        return Matching(new, None)
    pairs = {
        name: name
        for name, decision in new.decisions.items()
        if name in old.decisions and _overlap(old.decisions[name], decision)
    }
    left: defaultdict[str, list[str]] = defaultdict(list)
    for name in old.decisions:
        if name not in pairs and not _last(name).isdigit():
            left[_last(name)].append(name)
    for name, decision in new.decisions.items():
        if name not in pairs:
            found = next((each for each in left[_last(name)] if _overlap(old.decisions[each], decision)), None)
            if found is not None:
                pairs[name] = found
                left[_last(name)].remove(found)
    return Matching(new, pairs, _told(old, new, pairs))


def _told(old: Space, new: Space, pairs: Mapping[str, str]) -> str:
    fresh = [name for name in new.decisions if name not in pairs]
    unused = [name for name in old.decisions if name not in pairs.values()]
    parts = [(pairs, "matches", "match"), (fresh, "is new", "are new"), (unused, "is not used", "are not used")]
    if not fresh and not unused:
        return ""
    return "; ".join(f"{_listed(names)} {one if len(names) == 1 else many}" for names, one, many in parts if names)


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    shown = list(islice(listed, _NAMED if len(listed) > _NAMED + 1 else None))
    more = len(listed) - len(shown)
    return ", ".join(shown) + (f" and {counted(more, 'more decision')}" if more else "")


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _overlap(old: Decision, new: Decision) -> bool:
    """Tell whether some value of the old decision means something in the new one."""
    if isinstance(new, Subset) or isinstance(old, Subset):
        return isinstance(new, Subset) and isinstance(old, Subset) and bool(set(old.labels) & set(new.labels))
    ends, others = _range(old), _range(new)
    if ends is not None and others is not None:
        return ends[0] <= others[1] and others[0] <= ends[1]
    if isinstance(old, Choice) and isinstance(new, Choice):
        return bool(set(old.labels) & set(new.labels))
    return False


def _range(decision: Decision) -> tuple[float, float] | None:
    """Return the least and the greatest number of an ordered decision, or `None` for others."""
    if isinstance(decision, Integer | Real):
        return decision.low, decision.high
    if isinstance(decision, Repeat):
        return decision.low, len(decision.bodies)
    if isinstance(decision, Choice) and decision.ordered and all(map(is_number, decision.labels)):
        return min(decision.labels), max(decision.labels)  # type: ignore[type-var,return-value]  # all are numbers
    return None


def _nearest(decision: Decision, value: Any) -> tuple[Value] | None:
    """Return the value of a decision that means the same as a value of another one, in a tuple, or `None`."""
    try:
        return (decision.check(value),)
    except ArchitectureError:
        pass
    if isinstance(decision, Subset) and isinstance(value, tuple):
        try:
            return (decision.check([label for label in value if label in decision.labels]),)
        except ArchitectureError:
            return None
    ends = _range(decision)
    if ends is None or not is_number(value):
        return None
    if isinstance(decision, Choice):
        return (min(decision.labels, key=lambda label: abs(label - value)),)  # type: ignore[operator]  # numbers
    near = min(max(value, ends[0]), ends[1])
    return (decision.decode(decision.encode(near if isinstance(decision, Real) else round(near))),)
