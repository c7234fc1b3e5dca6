"""What a user believes of good architectures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright._scalars import is_number, scalar
from archwright.errors import ArchitectureError, StudyError
from archwright.space import Architecture, Decision, Space, Subset, Value

_WIDTH = 0.15  # standard deviation around a believed value, as a share of the range of an ordered decision
_LISTED = 256  # values, up to which they are weighed one by one
_TRIES = 20
_NAMED = 8  # decisions of the space that an error lists


@dataclass(frozen=True)
class Prior:
    """A prior over architectures: believed values of some decisions, each with a confidence.

    The probability of a value v of a decision with believed value m and confidence c is (1 - c) times that of a uniform
    draw plus c times that of a peak at m: m alone for unordered options, else a normal distribution on the scale of the
    decision, with a standard deviation of 15 % of its range. Decisions are independent; those without a belief are
    uniform.

    Args:
        beliefs: (believed value, confidence from 0 to 1) by the full name of a decision.

    Example:
        >>> space = aw.Space(width=aw.ordinal(16, 32, 64, 128), depth=aw.integer(1, 4))
        >>> prior = aw.transfer.Prior.parse({"width": 64}, space, confidence=1.0)
        >>> bool(prior.log_ratios(space, [{"width": 64, "depth": 1}, {"width": 16, "depth": 1}]).argmin() == 1)
        True
    """

    beliefs: Mapping[str, tuple[Value, float]] = field(default_factory=dict)

    @classmethod
    def parse(cls, beliefs: Mapping[str, Any], space: Space, *, confidence: float = 0.75) -> Prior:
        """Return the prior of a user's beliefs.

        Args:
            beliefs: Believed values by the name of a decision, the last part of its path, or a pattern such as
                `*.width`; or pairs `(value, confidence)`.
            space: The space.
            confidence: The confidence of beliefs that have none of their own.

        Raises:
            StudyError: No decision has such a name, a value is allowed by none of them, or a confidence is not in 0..1.
        """
        if not isinstance(beliefs, Mapping):
            raise StudyError(f"priors is a mapping of names to values, such as {{'width': 64}}; {beliefs!r} was given")
        found: dict[str, tuple[Value, float]] = {}
        for pattern, given in beliefs.items():
            names = [name for name in space.decisions if _fits(name, pattern)]
            if not names:
                known = ", ".join(list(space.decisions)[:_NAMED])
                raise StudyError(f"priors: the space decides nothing named {pattern!r}; it decides {known}, ...")
            is_pair = isinstance(given, tuple) and _is_pair(space.decisions[names[0]], given)
            value, sure = given if is_pair else (given, confidence)
            if not is_number(scalar(sure)) or not 0 <= sure <= 1:
                raise StudyError(f"priors: the confidence of {pattern!r} is a number from 0 to 1, not {sure!r}")
            refused = ""
            for name in names:
                try:
                    found[name] = space.decisions[name].check(value), float(sure)
                except ArchitectureError as error:
                    refused = f"{name}: {error}"
            if not found.keys() & set(names):
                raise StudyError(f"priors: {refused}")
        return cls(found)

    def __bool__(self) -> bool:
        return bool(self.beliefs)

    def __str__(self) -> str:
        return ", ".join(f"{name} {value} (confidence {sure:g})" for name, (value, sure) in self.beliefs.items())

    def mode(self, space: Space, rng: np.random.Generator) -> Architecture:
        """Return an architecture with all believed values; what is not believed is drawn at random."""
        return self._drawn(space, rng, lambda decision, value, _: value)

    def sample(self, space: Space, rng: np.random.Generator) -> Architecture:
        """Return an architecture drawn from the prior."""

        def draw(decision: Decision, value: Value, sure: float) -> Value:
            if rng.random() >= sure:
                return decision.sample(rng)
            return decision.decode([rng.normal(decision.encode(value)[0], _WIDTH)]) if _ordered(decision) else value

        return self._drawn(space, rng, draw)

    def log_ratios(self, space: Space, architectures: Sequence[Mapping[str, Value]]) -> NDArray[np.float64]:
        """Return the (n,) logarithms of the prior's density over the uniform one."""
        total = np.zeros(len(architectures))
        for name, (value, sure) in self.beliefs.items():
            ratio = _ratios(space.decisions[name], value, min(sure, 0.999))
            total += [ratio(each[name]) if name in each else 0.0 for each in architectures]
        return total

    def to_json(self) -> dict[str, Any]:
        """Return the prior as a JSON object."""
        return {
            name: [list(value) if isinstance(value, tuple) else value, sure]
            for name, (value, sure) in self.beliefs.items()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Prior:
        """Return the prior written by `to_json`."""
        return cls({n: (tuple(v) if isinstance(v, list) else v, float(sure)) for n, (v, sure) in data.items()})

    def _drawn(self, space: Space, rng: np.random.Generator, draw: Any) -> Architecture:
        def rule(name: str, decision: Decision) -> Value:
            if name not in self.beliefs:
                return decision.sample(rng)
            value, sure = self.beliefs[name]
            found: Value = draw(decision, value, sure)
            return found

        for _ in range(_TRIES):
            found = space.decide(rule)
            if not space.where or found in space:
                return found
        return space.sample(rng)


def _fits(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern) or name.rpartition(".")[2] == pattern


def _is_pair(decision: Decision, given: tuple[Any, ...]) -> bool:
    return len(given) == 2 and (not isinstance(decision, Subset) or isinstance(given[0], tuple | list))


def _ordered(decision: Decision) -> bool:
    return decision.width == 1


def _ratios(decision: Decision, value: Value, sure: float) -> Any:
    """Return a function from a value to the logarithm of its density over the uniform one."""
    if not _ordered(decision):
        hit = math.log((1 - sure) + sure * float(decision.size))
        return lambda other: hit if other == value else math.log(1 - sure)
    mode = decision.encode(value)[0]

    def peak(other: Any) -> float:
        return math.exp(-0.5 * ((decision.encode(other)[0] - mode) / _WIDTH) ** 2)

    if decision.size <= _LISTED:
        mean = float(np.mean([peak(each) for each in decision.values()]))
    else:  # on the scale of the decision a uniform draw is uniform
        root = _WIDTH * math.sqrt(2)
        mean = _WIDTH * math.sqrt(math.pi / 2) * (math.erf((1 - mode) / root) + math.erf(mode / root))
    return lambda other: math.log((1 - sure) + sure * peak(other) / mean)
