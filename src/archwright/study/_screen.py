"""The choice of the most promising of several proposals before any of them is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from archwright.errors import SchedulerError
from archwright.evaluate import Candidate, Evaluator
from archwright.space import Architecture, Space

__all__ = ["Screen", "promise"]

_OF = 4


@dataclass(frozen=True)
class Screen:
    """By what proposals are screened.

    Args:
        proxy: The name of a zero-cost proxy.
        of: From how many proposals the best is taken, at least 2.
    """

    proxy: str
    of: int = _OF

    @classmethod
    def parse(cls, text: str) -> Screen:
        """Return the screen of a text such as "naswot", or "naswot:16" for the best of 16.

        Raises:
            SchedulerError: The number is none of 2 or more.
        """
        proxy, colon, number = str(text).partition(":")
        if not colon:
            return cls(proxy)
        if not number.strip().isdecimal() or int(number) < 2:
            raise SchedulerError(
                f"screen {text!r}: it reads as a proxy and the number of proposals, 2 or more, of which the best is "
                f'taken: "naswot:{_OF}"'
            )
        return cls(proxy.strip(), int(number))

    def __str__(self) -> str:
        return f"{self.proxy}:{self.of}"


def promise(screen: Screen, space: Space, evaluator: Evaluator) -> Callable[[Architecture], float]:
    """Return what scores an architecture by the screen's proxy, on one batch of the evaluator's training data.

    Raises:
        SchedulerError: The evaluator has no data.
        EvaluationError: The proxy ranks sets of networks alone.
        UnknownName: No proxy has that name.
    """
    from archwright.evaluate import ProxyEvaluator

    data = getattr(evaluator, "data", None)
    if data is None:
        raise SchedulerError(
            f"screen {str(screen)!r}: proposals are screened with a batch of the data, and {evaluator!r} has none"
        )
    scorer = ProxyEvaluator(data, screen.proxy)
    metric = scorer.objective.split()[-1]
    known: dict[Architecture, float] = {}

    def of(architecture: Architecture) -> float:
        if architecture not in known:
            candidate = Candidate(space, architecture, seed=0, example_input=evaluator.example_input)
            known[architecture] = scorer.evaluate(candidate)[metric]
        return known[architecture]

    return of
