"""A bandit over several strategies."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from archwright._checks import check_numbers, check_positive
from archwright.errors import StrategyError
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, check_space, create, register
from archwright.trials import History


@dataclass
class _Ledger:
    """Whose the trials are, if so many ran whenever one was asked for."""

    lag: int
    credit: list[float]  # of each member, discounted; of all trials but the last `lag`
    weight: list[float]  # how many trials that credit stands for
    whose: list[int] = field(default_factory=list)  # the member of each trial
    ranked: list[float] = field(default_factory=list)  # the scores of complete trials that are credited, sorted


@register("portfolio")
@dataclass(frozen=True)
class Portfolio(Strategy):
    """Portfolio: a bandit divides the trials among several strategies that share one history.

    A bandit with discounted upper confidence bounds (Garivier and Moulines, "On upper-confidence bound policies for
    switching bandit problems", 2011). The next member is the one with the largest mean credit + exploration ×
    sqrt(log(1 + N) / n), where n is the discounted number of its trials and N their sum over the members. The credit of
    a trial is the share of the earlier complete trials that it beats, plus 1 for a new best; 0 if it is not complete. A
    running trial counts with its member's mean credit, so that parallel workers use different members (Desautels,
    Krause and Burdick, "Parallelizing exploration-exploitation tradeoffs in Gaussian process bandit optimization", JMLR
    2014).

    The member that proposed a trial is reconstructed from the trials before it, assuming a constant number of running
    trials. This is exact for trials that end in order, and approximate otherwise.

    Args:
        members: Names of strategies, at least one.
        discount: The factor by which older credit counts less with each trial, above 0 and at most 1.
        exploration: The weight of the exploration term, 0 or more.

    Raises:
        StrategyError: No member is given, or a setting is out of range.
        UnknownName: No strategy has the name of a member.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.Portfolio())
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=30))
        >>> study.best.trial.architecture["x"]
        40
    """

    members: Sequence[str] = ("bo", "local-search", "evolution")
    discount: float = 0.97
    exploration: float = 0.3
    _strategies: tuple[Strategy, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the settings and make the members."""
        given: Any = self.members
        if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(one, str) for one in given):
            raise StrategyError(f"portfolio: members must be a list of names of strategies, not {given!r}")
        if not tuple(given):
            raise StrategyError("portfolio: members names no strategy; give at least one")
        check_positive(self, "discount", most=1)
        check_numbers(self, "exploration", allowed="of 0 or more", holds=lambda value: value >= 0)
        object.__setattr__(self, "members", tuple(self.members))
        object.__setattr__(self, "_strategies", tuple(create(name) for name in self.members))

    def check(self, space: Space) -> None:
        """Check that all members support a space."""
        for strategy in self._strategies:
            check_space(strategy, space)

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the proposal of the next member."""
        count = len(history.trials)
        lag = count - len(history.finished)
        new = _Ledger(lag, [0.0] * len(self._strategies), [0.0] * len(self._strategies))
        ledger = self.state_of(history, dict[int, _Ledger]).setdefault(lag, new)
        kept = True
        while len(ledger.whose) < count:
            place = len(ledger.whose) - lag
            if kept and place >= 0 and not history.trials[place].ended:  # what follows from here may change
                ledger, kept = deepcopy(ledger), False
            self._settle(ledger, history)
        return self._strategies[self._turn(ledger)].propose(space, history, rng)

    def _settle(self, ledger: _Ledger, history: History) -> None:
        """Say whose the next trial is, and credit the one that is over when the trial after it is asked for."""
        ledger.whose.append(self._turn(ledger))
        place = len(ledger.whose) - 1 - ledger.lag
        if place < 0:
            return
        trial, member, worth = history.trials[place], ledger.whose[place], 0.0
        if trial.state == "complete":
            score = history.score(trial)
            beaten, count = bisect.bisect_left(ledger.ranked, score), len(ledger.ranked)
            worth = beaten / max(1, count) + (beaten == count)
            bisect.insort(ledger.ranked, score)
        elif not trial.ended:
            worth = _mean(ledger.credit[member], ledger.weight[member])
        self._add(ledger.credit, ledger.weight, member, worth)

    def _turn(self, ledger: _Ledger) -> int:
        """Return whose turn it is: the first of the members that may be worth most."""
        credit, weight = [*ledger.credit], [*ledger.weight]
        for member in ledger.whose[max(0, len(ledger.whose) - ledger.lag) :]:
            self._add(credit, weight, member, _mean(credit[member], weight[member]))
        total = math.log1p(sum(weight))

        def bound(member: int) -> float:
            if weight[member] == 0:
                return math.inf
            return credit[member] / weight[member] + self.exploration * math.sqrt(total / weight[member])

        return max(range(len(weight)), key=bound)

    def _add(self, credit: list[float], weight: list[float], member: int, worth: float) -> None:
        """Add a trial to the credit of a member; what older trials were worth counts less from now on."""
        for one in range(len(weight)):
            credit[one] = self.discount * credit[one] + worth * (one == member)
            weight[one] = self.discount * weight[one] + (one == member)


def _mean(credit: float, weight: float) -> float:
    return credit / weight if weight else 0.0
