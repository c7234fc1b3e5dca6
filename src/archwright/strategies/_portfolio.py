"""Several strategies, of which the one that pays gets more."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np

from archwright.errors import StrategyError
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, create, register
from archwright.trials import History

__all__ = ["Portfolio"]


@dataclass
class _Ledger:
    """Who proposed what, as far as it is settled."""

    settled: int = 0  # trials before this number are credited for good
    credit: list[float] = field(default_factory=list)  # of each member, discounted
    weight: list[float] = field(default_factory=list)  # how many trials that credit stands for
    ranked: list[float] = field(default_factory=list)  # scores of settled complete trials, sorted


@register("portfolio")
@dataclass(frozen=True)
class Portfolio(Strategy):
    """A portfolio: several strategies share one history, and the one whose trials do well proposes more of them.

    A bandit with discounted upper confidence bounds (Garivier and Moulines, "On upper-confidence bound policies for
    switching bandit problems", 2011). A trial's credit is the share of the trials before it that it beats, and
    1 more for a new best. Who proposed a trial is not on record: it is worked out from the trials before it, as if they
    had ended one by one; trials that run at the same time are spread over the members, and credited approximately.

    Args:
        members: Names of strategies, at least one.
        discount: The factor by which older credit counts less with each trial, above 0 and at most 1.
        exploration: How much a member that proposed little is preferred, 0 or more.

    Raises:
        StrategyError: There is no member, or a setting is out of range.
        UnknownName: A member is no strategy.
    """

    members: Sequence[str] = ("bo", "local-search", "evolution")
    discount: float = 0.97
    exploration: float = 0.3
    _strategies: tuple[Strategy, ...] = field(init=False, repr=False, compare=False)
    _ledgers: WeakKeyDictionary[History, _Ledger] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Check the settings and make the members."""
        if isinstance(self.members, str) or not self.members:
            raise StrategyError(f"portfolio: members is a list of strategies, not {self.members!r}")
        if not 0 < self.discount <= 1:
            raise StrategyError(f"portfolio: discount is a number above 0 and at most 1, not {self.discount!r}")
        if not self.exploration >= 0:
            raise StrategyError(f"portfolio: exploration is 0 or more, not {self.exploration!r}")
        object.__setattr__(self, "members", tuple(self.members))
        object.__setattr__(self, "_strategies", tuple(create(name) for name in self.members))

    def check(self, space: Space) -> None:
        """Refuse a space that one of the members cannot serve."""
        for strategy in self._strategies:
            strategy.check(space)

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return what the member proposes whose turn it is."""
        ledger = self._ledgers.setdefault(history, _Ledger())
        count = len(self._strategies)
        if not ledger.credit:
            ledger.credit, ledger.weight = [0.0] * count, [0.0] * count
        # A trial is settled once all trials before it have ended, so that whoever looks finds the same.
        while ledger.settled < len(history.trials) and history.trials[ledger.settled].ended:
            self._settle(ledger, history)
        # Trials that run are spread over the members in turn.
        running = len(history.trials) - ledger.settled
        order = sorted(range(count), key=lambda member: (-self._bound(ledger, member), member))
        return self._strategies[order[running % count]].propose(space, history, rng)

    def _settle(self, ledger: _Ledger, history: History) -> None:
        trial = history.trials[ledger.settled]
        member = max(range(len(self._strategies)), key=lambda one: (self._bound(ledger, one), -one))
        credit = 0.0
        if trial.state == "complete":
            score = history.score(trial)
            beaten = bisect.bisect_left(ledger.ranked, score)
            credit = (beaten + 0.5) / (len(ledger.ranked) + 1) + (beaten == len(ledger.ranked))
            bisect.insort(ledger.ranked, score)
        for one in range(len(self._strategies)):
            ledger.credit[one] = self.discount * ledger.credit[one] + credit * (one == member)
            ledger.weight[one] = self.discount * ledger.weight[one] + (one == member)
        ledger.settled += 1

    def _bound(self, ledger: _Ledger, member: int) -> float:
        """Return what a member may be worth: its mean credit, and more the less it is known."""
        weight = ledger.weight[member]
        if weight == 0:
            return math.inf
        total = math.log(1 + sum(ledger.weight))
        return ledger.credit[member] / weight + self.exploration * math.sqrt(total / weight)
