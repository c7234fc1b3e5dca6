"""Selection of proposals by a zero-cost proxy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from archwright.errors import SchedulerError
from archwright.evaluate import Candidate, Evaluator
from archwright.space import Architecture, Space

ProxyScorer = Callable[[Architecture], float]
"""Returns how promising an architecture looks before it is trained."""

_OF = 4
_TRIED = 8  # networks, before a proxy is given up


@dataclass(frozen=True)
class ProxyFilter:
    """By what proposals are screened."""

    proxy: str  # the name of a zero-cost proxy
    of: int = _OF  # from how many proposals the best is taken, at least 2

    @classmethod
    def parse(cls, text: str) -> ProxyFilter:
        """Return the screen of a text such as "naswot", or "naswot:16" for the best of 16."""
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


def proxy_scorer(screen: ProxyFilter, space: Space, evaluator: Evaluator) -> ProxyScorer:
    """Return what scores an architecture by the screen's proxy, on one batch of the evaluator's training data.

    A network for which the proxy is undefined, or that does not run, has minus infinity.

    Raises:
        SchedulerError: The evaluator has no data, or none of several networks has a score.
        EvaluationError: The proxy ranks sets of networks alone.
        UnknownName: No proxy has that name.
    """
    from archwright.proxies import ProxyEvaluator

    if evaluator.task is None:
        raise SchedulerError(
            f"screen {str(screen)!r}: proposals are screened with a batch of the data, and {evaluator!r} has none"
        )
    scorer = ProxyEvaluator(evaluator.task, screen.proxy)
    metric = scorer.objective.split()[-1]
    known: dict[Architecture, float] = {}
    problem: Exception | None = None

    def of(architecture: Architecture) -> float:
        nonlocal problem
        if architecture not in known:
            candidate = Candidate(space, architecture, seed=0, example_input=evaluator.example_input)
            try:
                known[architecture] = scorer.evaluate(candidate)[metric]
            except Exception as error:  # whatever a layer raises: its trial will tell, where it is chosen all the same
                known[architecture], problem = -math.inf, error
        return known[architecture]

    rng = np.random.default_rng(0)
    if not any(of(space.sample(rng)) > -math.inf for _ in range(_TRIED)):
        raise SchedulerError(
            f"screen {str(screen)!r}: none of {_TRIED} networks of the space has a score: take another proxy. "
            f"The last one: {problem}"
        ) from problem
    return of
