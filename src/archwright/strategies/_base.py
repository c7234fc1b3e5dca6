"""The base class of strategies, and their registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from archwright._registry import Classes
from archwright.errors import ArchwrightError, StrategyError
from archwright.space import Architecture, Space
from archwright.trials import History, Stateful


class Strategy(Stateful, ABC):
    """Base class of strategies: propose architectures, given the trials so far.

    A strategy is a function of the history and of the generator, which the study derives from its seed and from the
    number of the proposal: so a search that was killed and resumed makes the same proposals as one that ran through. It
    is a frozen dataclass of its settings; any other state must be reproducible from the history (`state_of`).

    The history may hold trials that failed, were stopped early or are running, and no complete trial; a strategy has to
    handle all of these. It need not avoid duplicates: the study asks again, and then falls back to random
    architectures.

    Attributes:
        multi_objective: Whether it optimises all objectives of a history, and takes infeasible trials into account.
            Otherwise it sees one objective; in a multi-objective search a study wraps it in "scalarised".
        recursive: Whether it supports recursive spaces (`aw.recursive`), whose decisions are not listed beforehand.

    Example:
        >>> class Sweep(aw.strategies.Strategy):
        ...     def propose(self, space, history, rng):
        ...         return aw.Architecture({"x": 1 + len(history.trials)})
        >>> aw.Study(aw.Space(x=aw.integer(1, 9)), strategy=Sweep()).ask().architecture["x"]
        1
    """

    multi_objective: ClassVar[bool] = False
    recursive: ClassVar[bool] = True
    settings_error: ClassVar[type[ArchwrightError]] = StrategyError

    @abstractmethod
    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the architecture of the next trial.

        Args:
            space: The search space.
            history: The trials so far.
            rng: The only source of randomness, new for each proposal.
        """

    def check(self, space: Space) -> None:
        """Check that the strategy supports a space.

        Raises:
            StrategyError: It does not; the message names strategies that do.
        """

    def restored(self) -> Strategy:
        """Return the strategy as it is used if its settings come from a record, which a stranger may have made.

        By default itself. One that would send something to an address of the record does so only when told again.
        """
        return self


_classes: Classes[Strategy] = Classes("strategy", StrategyError, {"nevergrad": "mu-plus-lambda"})
register = _classes.register
create = _classes.create
names = _classes.names
entries = _classes.entries
name_of = _classes.name_of
options = _classes.options


def check_space(strategy: Strategy, space: Space) -> None:
    """Check that a strategy supports a space.

    Raises:
        StrategyError: It does not; the message names strategies that do.

    Example:
        >>> aw.strategies.check_space(aw.strategies.create("evolution"), aw.Space(x=aw.integer(1, 9)))
    """
    if space.is_recursive and not strategy.recursive:
        known = ", ".join(entry.name for entry in entries() if entry.make.recursive)
        raise StrategyError(
            f"{name_of(strategy) or type(strategy).__name__} needs a list of all decisions, which a recursive space "
            f"has not: use {known}; or write the rules out (Space.expand)"
        )
    strategy.check(space)
