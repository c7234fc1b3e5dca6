"""What every strategy is, and the registry of those that have a name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from archwright._registry import Classes
from archwright.errors import ArchwrightError, StrategyError
from archwright.space import Architecture, Space
from archwright.trials import History, Stateful

__all__ = ["Strategy", "create", "entries", "name_of", "names", "options", "register"]


class Strategy(Stateful, ABC):
    """Proposes architectures, from what has been tried so far.

    A strategy is a function of the history and of the generator, which the study derives from its seed and from
    the number of the proposal: so a search that was killed and resumed is the search that was not killed. It is
    a frozen dataclass of its settings; anything else it keeps must be such that it can be built again from the
    history.

    The history holds trials that failed, were stopped early or still run, and may hold nothing complete at all:
    a strategy goes on whatever is in it. It need not avoid architectures that were seen, since the study asks
    again for those, and goes on with random ones where asking does not help.

    Attributes:
        multi_objective: Whether it optimises all objectives of a history, and takes infeasible trials into account. Any
            other sees one objective; in a multi-objective search a study wraps it in "scalarised".
    """

    multi_objective: ClassVar[bool] = False
    settings_error: ClassVar[type[ArchwrightError]] = StrategyError

    @abstractmethod
    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the architecture to try next.

        Args:
            space: Where to search.
            history: All that has been tried.
            rng: The only source of randomness, new for each proposal.
        """

    def check(self, space: Space) -> None:
        """Refuse a space that this strategy cannot serve.

        Raises:
            StrategyError: It cannot; the message says which strategies can.
        """


_classes: Classes[Strategy] = Classes("strategy", StrategyError, {"nevergrad": "mu-plus-lambda"})
register = _classes.register
create = _classes.create
names = _classes.names
entries = _classes.entries
name_of = _classes.name_of
options = _classes.options
