"""Objectives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from archwright.errors import EvaluationError, StudyError

_DIRECTIONS = {"max": True, "maximise": True, "maximize": True, "min": False, "minimise": False, "minimize": False}
_KNOWN = {
    **dict.fromkeys(("accuracy", "precision", "recall", "f1", "auc", "r2", "throughput"), True),
    **dict.fromkeys(("loss", "error", "mae", "mse", "rmse", "perplexity", "seconds"), False),
    **dict.fromkeys(("parameters", "trainable_parameters", "flops"), False),
    **dict.fromkeys(("size_mb", "activation_mb", "training_mb"), False),
    **dict.fromkeys(("latency_ms", "energy_mj", "arena_kb", "flash_kb"), False),
}
_OTHER_NAMES = {"params": "parameters"}

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_TERM = re.compile(rf"\s*([+-])?\s*(?:({_NUMBER})\s*\*\s*)?([A-Za-z_]\w*)\s*")
_SOFT = re.compile(
    rf"\s*([A-Za-z_]\w*)\s*\*\s*\(\s*([A-Za-z_]\w*)\s*/\s*({_NUMBER})\s*\)\s*\^\s*"
    rf"(?:({_NUMBER})|\(\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\))\s*"
)


def canonical(metric: str) -> str:
    """Return the canonical name of a metric.

    Example:
        >>> from archwright.trials import canonical
        >>> canonical("params")
        'parameters'
    """
    return _OTHER_NAMES.get(metric, metric)


@dataclass(frozen=True)
class Objective:
    """A metric and the direction of optimisation; subclasses combine several metrics into one score.

    Args:
        metric: The metric's name, as the evaluator reports it.
        maximise: Whether greater is better.

    Example:
        >>> import archwright as aw
        >>> objective = aw.Objective.parse("min loss")
        >>> objective.score({"loss": 0.5})
        -0.5
    """

    metric: str
    maximise: bool = True

    @classmethod
    def parse(cls, text: str | Objective) -> Objective:
        """Return the objective that a text such as "max accuracy" or "min loss" describes.

        Well-known metrics need no direction: "accuracy" is "max accuracy", "loss" is "min loss". Several are combined
        as "max accuracy - 0.01*latency_ms" and "max accuracy * (latency_ms / 5) ^ -0.07": see `WeightedSum` and
        `SoftReward`.

        Raises:
            StudyError: The direction or the metric is missing or unknown.
        """
        if isinstance(text, Objective):
            return text
        if not isinstance(text, str):
            raise StudyError(f'an objective reads "max accuracy" or "min loss"; {text!r} was given')
        direction, _, rest = str(text).strip().partition(" ")
        if (direction.lower() in _DIRECTIONS and len(rest.split()) > 1) or set("+*^(") & set(rest):
            return _parse_reward(text, direction, rest)
        match = re.fullmatch(r"\s*(?:(\S+)\s+)?(\S+)\s*", str(text))
        if match is None:
            raise StudyError(f'an objective reads "max accuracy" or "min loss"; {text!r} was given')
        direction, metric = match[1], canonical(match[2])
        if direction is not None:
            if direction.lower() not in _DIRECTIONS:
                raise StudyError(
                    f"objective {text!r}: the direction must be max or min (or maximise, minimise), not {direction!r}"
                )
            return cls(metric, _DIRECTIONS[direction.lower()])
        if metric in _DIRECTIONS:
            raise StudyError(f'objective {text!r} names no metric: write "{metric} accuracy", say')
        if metric not in _KNOWN:
            raise StudyError(f'objective {text!r}: the direction is missing. Write "max {metric}" or "min {metric}".')
        return cls(metric, _KNOWN[metric])

    def score(self, metrics: Mapping[str, float]) -> float:
        """Return the score of metrics: greater is better, for both directions.

        Raises:
            EvaluationError: The metric is missing; the message names the available ones.
        """
        value = _value(self, metrics, self.metric)
        return value if self.maximise else -value

    def reached(self, metrics: Mapping[str, float], target: float) -> bool:
        """Tell whether the metrics are at least as good as the target value of the metric."""
        return self.score(metrics) >= (target if self.maximise else -target)

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        return f"{'max' if self.maximise else 'min'} {self.metric}"


def parse_objectives(given: str | Objective | Iterable[str | Objective]) -> tuple[Objective, ...]:
    """Return one or several objectives, parsed by `Objective.parse`.

    Raises:
        StudyError: No objective is given, one cannot be parsed, or a metric occurs twice.

    Example:
        >>> from archwright.trials import parse_objectives
        >>> [objective.maximise for objective in parse_objectives(["max accuracy", "min latency_ms"])]
        [True, False]
    """
    several = given if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    found = tuple(map(Objective.parse, several))
    if not found:
        raise StudyError('there is no objective: name one at least, such as "max accuracy"')
    for place, objective in enumerate(found):
        for other in found[:place]:
            if other == objective:
                raise StudyError(f"the objective {str(objective)!r} stands there twice")
            if type(other) is type(objective) is Objective and other.metric == objective.metric:
                raise StudyError(
                    f"the objectives {str(other)!r} and {str(objective)!r} contradict each other: keep one of them"
                )
    return found


@dataclass(frozen=True)
class WeightedSum(Objective):
    """A weighted sum of metrics, sum w_i m_i, to be maximised.

    As text: "max accuracy - 0.01*latency_ms".

    Args:
        metric: The first metric.
        maximise: Always true.
        weights: Metrics with their weights, in the order of the text.

    Example:
        >>> aw.Objective.parse("max accuracy - 0.01*latency_ms").score({"accuracy": 0.9, "latency_ms": 10.0})
        0.8
    """

    weights: tuple[tuple[str, float], ...] = ()

    def score(self, metrics: Mapping[str, float]) -> float:
        """Return the sum.

        Raises:
            EvaluationError: A metric is missing.
        """
        return sum(weight * _value(self, metrics, name) for name, weight in self.weights)

    def __str__(self) -> str:
        """Return the text that `Objective.parse` reads."""
        told = ""
        for name, weight in self.weights:
            sign = ("-" if weight < 0 else "+") if told else ("-" if weight < 0 else "")
            size = "" if abs(weight) == 1 else f"{abs(weight)!r}*"
            told += f" {sign} {size}{name}" if told else f"{sign}{size}{name}"
        return f"max {told}"


@dataclass(frozen=True)
class SoftReward(Objective):
    """A metric with a soft constraint on a cost, metric × (cost / target)^exponent, to be maximised.

    Tan et al., "MnasNet: platform-aware neural architecture search for mobile", CVPR 2019, where the exponent is -0.07
    on both sides of the target: twice the latency lowers the score by 5 %. With (0, -1) the constraint is hard on one
    side: no reward below the target, and a strong penalty above it.

    As text: "max accuracy * (latency_ms / 5) ^ -0.07", or "... ^ (0, -1)".

    Args:
        metric: The metric.
        maximise: Always true.
        cost: The metric of the cost.
        target: The cost's target, above 0.
        below: The exponent if the cost is at most the target.
        above: The exponent otherwise.

    Example:
        >>> reward = aw.Objective.parse("max accuracy * (latency_ms / 5) ^ -0.07")
        >>> round(reward.score({"accuracy": 0.9, "latency_ms": 10.0}), 3)
        0.857
    """

    cost: str = ""
    target: float = 1.0
    below: float = -0.07
    above: float = -0.07

    def score(self, metrics: Mapping[str, float]) -> float:
        """Return the reward.

        Raises:
            EvaluationError: A metric is missing, or the cost is not above 0.
        """
        value, cost = _value(self, metrics, self.metric), _value(self, metrics, self.cost)
        if not cost > 0:
            raise EvaluationError(f"the objective is {str(self)!r}, which takes a cost above 0; {self.cost} is {cost}")
        return value * float((cost / self.target) ** (self.below if cost <= self.target else self.above))

    def __str__(self) -> str:
        """Return the text that `Objective.parse` reads."""
        power = repr(self.below) if self.below == self.above else f"({self.below!r}, {self.above!r})"
        return f"max {self.metric} * ({self.cost} / {self.target!r}) ^ {power}"


def _parse_reward(text: str, direction: str, rest: str) -> Objective:
    if not _DIRECTIONS.get(direction.lower(), False):
        raise StudyError(f"objective {text!r}: of several metrics that make one number more is better: begin with max")
    soft = _SOFT.fullmatch(rest)
    if soft is not None:
        target, both, below, above = soft.groups()[2:]
        metric, cost = canonical(soft[1]), canonical(soft[2])
        if float(target) <= 0:
            raise StudyError(f"objective {text!r}: the target of {cost} is above 0, not {target}")
        return SoftReward(metric, True, cost, float(target), float(both or below), float(both or above))
    weights: list[tuple[str, float]] = []
    place = 0
    while place < len(rest):
        term = _TERM.match(rest, place)
        if term is None or (weights and term[1] is None):
            raise StudyError(
                f'an objective reads "max accuracy", "max accuracy - 0.01*latency_ms" or "max accuracy * (latency_ms / '
                f'5) ^ -0.07"; {text!r} was given'
            )
        weights.append((canonical(term[3]), (-1.0 if term[1] == "-" else 1.0) * float(term[2] or 1.0)))
        place = term.end()
    return WeightedSum(weights[0][0], True, tuple(weights))


def _value(objective: Objective, metrics: Mapping[str, float], name: str) -> float:
    try:
        return metrics[name]
    except KeyError:
        came = ", ".join(metrics) or "none"
        other = next((other for other in metrics if canonical(other) == name), None)
        hint = "" if other is None else f": report {other!r} as {name!r}"
        told = f"the objective is {str(objective)!r}, but the metrics that came are: {came}{hint}"
        raise EvaluationError(told) from None
