"""What every strategy is, and the registry of those that have a name."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from archwright._registry import Entry, Registry
from archwright.errors import StrategyError
from archwright.space import Architecture, Space
from archwright.trials import History

__all__ = ["Strategy", "create", "entries", "name_of", "names", "options", "register"]

_registry: Registry[type[Strategy]] = Registry("strategy")


class Strategy(ABC):
    """Proposes architectures, from what has been tried so far.

    A strategy is a function of the history and of the generator, which the study derives from its seed and from
    the number of the proposal: so a search that was killed and resumed is the search that was not killed. It is
    a frozen dataclass of its settings; anything else it keeps must be such that it can be built again from the
    history.

    The history holds trials that failed, were stopped early or still run, and may hold nothing complete at all:
    a strategy goes on whatever is in it. It need not avoid architectures that were seen, since the study asks
    again for those, and goes on with random ones where asking does not help.
    """

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
        value = getattr(strategy, setting)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise StrategyError(f"{name}: {setting} is an integer of 1 or more, not {value!r}")


def check_shares(name: str, strategy: Strategy, *settings: str) -> None:
    """Refuse settings that are not numbers from 0 to 1; arguments and errors are those of `check_counts`."""
    for setting in settings:
        value = getattr(strategy, setting)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
            raise StrategyError(f"{name}: {setting} is a number from 0 to 1, not {value!r}")


def check_positive(name: str, strategy: Strategy, *settings: str) -> None:
    """Refuse settings that are not numbers above 0; arguments and errors are those of `check_counts`."""
    for setting in settings:
        value = getattr(strategy, setting)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
            raise StrategyError(f"{name}: {setting} is a number above 0, not {value!r}")


def check_options(name: str, strategy: Strategy, **allowed: Iterable[str]) -> None:
    """Refuse settings that are none of the words allowed; errors are those of `check_counts`."""
    for setting, words in allowed.items():
        value, words = getattr(strategy, setting), tuple(words)
        if value not in words:
            raise StrategyError(f"{name}: {setting} is one of {', '.join(map(repr, words))}, not {value!r}")


def register(name: str) -> Callable[[type[Strategy]], type[Strategy]]:
    """Return a decorator that files a strategy class under a name.

    Args:
        name: What users write, such as "local-search".

    Raises:
        ValueError: The name is taken.
    """
    return _registry.register(name)


def create(name: str, **settings: Any) -> Strategy:
    """Make the strategy that is filed under a name.

    Args:
        name: One of `names()`.
        **settings: Its settings.

    Raises:
        UnknownName: Nothing is filed under that name; the message names the nearest one.
        StrategyError: A setting is unknown, or its value is not allowed.
    """
    made: Strategy = _registry.create(name, settings, error=StrategyError)
    return made


def names(pattern: str = "*") -> list[str]:
    """Return the names of the strategies that match a shell-style pattern, sorted."""
    return _registry.names(pattern)


def entries() -> list[Entry[type[Strategy]]]:
    """Return the registered strategies with the line that describes each, sorted by name."""
    return list(_registry)


def name_of(strategy: Strategy) -> str | None:
    """Return the name under which a strategy's class is filed, or `None` if it is not."""
    return next((entry.name for entry in _registry if entry.make is type(strategy)), None)


def options(strategy: Strategy) -> dict[str, Any]:
    """Return a strategy's settings by name, as `create` takes them; empty for one that is no dataclass."""
    made: Any = strategy
    return {one.name: getattr(made, one.name) for one in fields(made) if one.init} if is_dataclass(made) else {}
