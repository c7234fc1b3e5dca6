"""What a search optimises."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from archwright.errors import EvaluationError, StudyError

__all__ = ["Objective"]

_DIRECTIONS = {
    "max": True,
    "maximise": True,
    "maximize": True,
    "min": False,
    "minimise": False,
    "minimize": False,
}
_KNOWN = {
    **dict.fromkeys(("accuracy", "precision", "recall", "f1", "auc", "r2", "throughput"), True),
    **dict.fromkeys(("loss", "error", "mae", "mse", "rmse", "perplexity", "seconds"), False),
    **dict.fromkeys(("parameters", "params", "flops", "latency_ms", "memory", "energy"), False),
}


@dataclass(frozen=True)
class Objective:
    """A metric and the direction in which it is better.

    Args:
        metric: The metric's name, as the evaluator reports it.
        maximise: Whether greater is better.
    """

    metric: str
    maximise: bool = True

    @classmethod
    def parse(cls, text: str | Objective) -> Objective:
        """Return the objective that a text such as "max accuracy" or "min loss" describes.

        A metric that everybody knows may stand alone: "accuracy" is "max accuracy", "loss" is "min loss".

        Raises:
            StudyError: The direction or the metric is missing, or not known.
        """
        if isinstance(text, Objective):
            return text
        match = re.fullmatch(r"\s*(?:(\S+)\s+)?(\S+)\s*", str(text))
        if match is None:
            raise StudyError(f'an objective reads "max accuracy" or "min loss"; {text!r} was given')
        direction, metric = match.groups()
        if direction is not None:
            if direction.lower() not in _DIRECTIONS:
                raise StudyError(
                    f"objective {text!r}: the direction is max or min (or maximise, minimise), not {direction!r}"
                )
            return cls(metric, _DIRECTIONS[direction.lower()])
        if metric in _DIRECTIONS:
            raise StudyError(f'objective {text!r} names no metric: write "{metric} accuracy", say')
        if metric not in _KNOWN:
            raise StudyError(
                f"objective {text!r}: it is not known whether more of it is better. "
                f'Write "max {metric}" or "min {metric}".'
            )
        return cls(metric, _KNOWN[metric])

    def score(self, metrics: Mapping[str, float]) -> float:
        """Return how good the metrics are: greater is better, whatever the direction.

        Raises:
            EvaluationError: The metric is not among them; the message names those that are.
        """
        try:
            value = metrics[self.metric]
        except KeyError:
            came = ", ".join(metrics) or "none"
            raise EvaluationError(f"the objective is {str(self)!r}, but the metrics that came are: {came}") from None
        return value if self.maximise else -value

    def reached(self, metrics: Mapping[str, float], target: float) -> bool:
        """Tell whether the metrics are at least as good as the target value of the metric."""
        return self.score(metrics) >= (target if self.maximise else -target)

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        return f"{'max' if self.maximise else 'min'} {self.metric}"
