"""Rewards: functions of metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

from archwright._checks import check_options
from archwright.errors import EvaluationError

Form = Literal["linear", "hard", "soft"]


@dataclass(frozen=True)
class Reward:
    """A weighted sum of metrics with penalties for costs above their limits.

    Args:
        weights: Weights of the metrics: `{"accuracy": 1.0, "loss": -0.1}`.
        penalties: For each cost its limit and a weight, both above 0: `{"parameters": (100_000, 0.5)}`.
        form: "linear": subtract weight × max(0, cost / limit - 1). "hard" and "soft": multiply by (cost /
            limit)^-weight, as in MnasNet (Tan et al., "MnasNet: platform-aware neural architecture search for mobile",
            CVPR 2019): "hard" above the limit only, "soft" on both sides of it; the paper has weights 1 and 0.07. A
            negative sum is divided instead, so that the reward decreases with the cost.

    Raises:
        EvaluationError: Neither weights nor penalties are given, a number is out of range, or the form is unknown.

    Example:
        >>> reward = aw.envs.Reward(penalties={"parameters": (100_000, 0.5)})
        >>> reward({"accuracy": 0.9, "parameters": 150_000})
        0.65
    """

    settings_error: ClassVar[type[EvaluationError]] = EvaluationError

    weights: Mapping[str, float] = field(default_factory=lambda: {"accuracy": 1.0})
    penalties: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    form: Form = "linear"

    def __post_init__(self) -> None:
        if not self.weights and not self.penalties:
            raise EvaluationError('a reward needs a metric: Reward(weights={"accuracy": 1.0})')
        for name, weight in self.weights.items():
            if not math.isfinite(weight):
                raise EvaluationError(f"the weight of {name!r} is a finite number, not {weight!r}")
        for name, pair in dict[str, Any](self.penalties).items():
            if (
                not isinstance(pair, tuple | list)
                or len(pair) != 2
                or not all(0 < number < math.inf for number in pair)
            ):
                raise EvaluationError(f"the penalty on {name!r} is (limit, weight), two numbers above 0, not {pair!r}")
        check_options(self, form=get_args(Form))

    def __call__(self, metrics: Mapping[str, float]) -> float:
        """Return the reward of metrics.

        Raises:
            EvaluationError: A metric that has a weight or a limit is not among them.
        """
        total = sum(weight * _known(metrics, name) for name, weight in self.weights.items())
        for name, (limit, weight) in self.penalties.items():
            share = _known(metrics, name) / limit
            if self.form == "linear":
                total -= weight * max(0.0, share - 1)
            elif share > 1 or (self.form == "soft" and share > 0):
                factor = share**-weight
                total = total * factor if total >= 0 else total / factor
        return total


def _known(metrics: Mapping[str, float], name: str) -> float:
    if name not in metrics:
        raise EvaluationError(f"the reward asks for {name!r}, but the metrics that came are: {', '.join(metrics)}")
    return metrics[name]
