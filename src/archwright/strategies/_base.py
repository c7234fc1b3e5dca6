"""What every strategy is, and the registry of those that have a name."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from archwright._registry import Classes
from archwright._scalars import is_number, is_whole, keep_scalars
from archwright.errors import StrategyError
from archwright.space import Architecture, Space
from archwright.trials import History

__all__ = ["Strategy", "create", "entries", "name_of", "names", "options", "register"]


class Strategy(ABC):
    """Proposes architectures, from what has been tried so far.

    A strategy is a function of the history and of the generator, which the study derives from its seed and from
    the number of the proposal: so a search that was killed and resumed is the search that was not killed. It is
    a frozen dataclass of its settings; anything else it keeps must be such that it can be built again from the
    history.

    The history holds trials that failed, were stopped early or still run, and may hold nothing complete at all:
    a strategy goes on whatever is in it. It need not avoid architectures that were seen, since the study asks
    again for those, and goes on with random ones where asking does not help.

    Attributes:
        several: Whether it goes by all objectives of a history, and by its infeasible trials. One that does not sees
            one objective; in a search for several a study has it work under "scalarised".
    """

    several: ClassVar[bool] = False

    @abstractmethod
    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the architecture to try next.

        Args:
            space: Where to search.
            history: All that has been tried.
            rng: The only source of randomness, new for each proposal.
        """

    def check(self, space: Space) -> None:  # noqa: B027 - most strategies serve every space
        """Refuse a space that this strategy cannot serve.

        Raises:
            StrategyError: It cannot; the message says which strategies can.
        """


def check_counts(name: str, strategy: Strategy, *settings: str) -> None:
    """Refuse settings that are not integers of 1 or more.

    Args:
        name: What the strategy is called.
        strategy: The strategy.
        *settings: Names of its settings.

    Raises:
        StrategyError: One is not.
    """
    for setting in settings:
        keep_scalars(strategy, setting)
        value = getattr(strategy, setting)
        if not is_whole(value) or value < 1:
            raise StrategyError(f"{name}: {setting} must be an integer of 1 or more, not {value!r}")


def check_shares(name: str, strategy: Strategy, *settings: str) -> None:
    """Refuse settings that are not numbers from 0 to 1; arguments and errors are those of `check_counts`."""
    for setting in settings:
        keep_scalars(strategy, setting)
        value = getattr(strategy, setting)
        if not is_number(value) or not 0 <= value <= 1:
            raise StrategyError(f"{name}: {setting} must be a number from 0 to 1, not {value!r}")


def check_positive(name: str, strategy: Strategy, *settings: str) -> None:
    """Refuse settings that are not numbers above 0; arguments and errors are those of `check_counts`."""
    for setting in settings:
        keep_scalars(strategy, setting)
        value = getattr(strategy, setting)
        if not is_number(value) or not 0 < value < math.inf:
            raise StrategyError(f"{name}: {setting} must be a number above 0, not {value!r}")


def check_switches(name: str, strategy: Strategy, *settings: str) -> None:
    """Refuse settings that are neither True nor False; arguments and errors are those of `check_counts`."""
    for setting in settings:
        keep_scalars(strategy, setting)
        value = getattr(strategy, setting)
        if not isinstance(value, bool):
            raise StrategyError(f"{name}: {setting} must be True or False, not {value!r}")


def check_options(name: str, strategy: Strategy, **allowed: Iterable[str]) -> None:
    """Refuse settings that are none of the words allowed; errors are those of `check_counts`."""
    for setting, words in allowed.items():
        keep_scalars(strategy, setting)
        value, words = getattr(strategy, setting), tuple(words)
        if value not in words:
            raise StrategyError(f"{name}: {setting} must be one of {', '.join(map(repr, words))}, not {value!r}")


_classes: Classes[Strategy] = Classes("strategy", StrategyError)
register = _classes.register
create = _classes.create
names = _classes.names
entries = _classes.entries
name_of = _classes.name_of
options = _classes.options
