"""The rungs: fidelities from the cheapest to the full evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from archwright._scalars import is_number, scalar
from archwright.errors import EvaluationError, SchedulerError, unknown
from archwright.evaluate import Fidelity, Spent

Range: TypeAlias = Fidelity | tuple[float, float]


@dataclass(frozen=True)
class Ladder:
    """The rungs: fidelities in ascending order of cost, in ratios of about `eta`.

    Args:
        rungs: The fidelity of each rung, values by name; the last is the full evaluation.
        costs: The cost of each rung as a share of a full evaluation, ascending; the last is 1.

    Example:
        >>> evaluator = aw.Training(aw.data((torch.eye(2).repeat(64, 1), torch.arange(128) % 2)), epochs=9)
        >>> aw.schedulers.Ladder.of(aw.schedulers.narrowed(evaluator.fidelities, {"epochs": (1, 9)}), eta=3).rungs
        ({'epochs': 1}, {'epochs': 3}, {'epochs': 9})
    """

    rungs: tuple[Spent, ...] = ()
    costs: tuple[float, ...] = ()

    @classmethod
    def of(cls, fidelities: Mapping[str, Range], *, eta: float) -> Ladder:
        """Return the rungs between the lowest and the full values of one or several fidelities.

        Args:
            fidelities: Ranges of fidelities by name.
            eta: The approximate ratio of the costs of successive rungs; above 1.

        Raises:
            SchedulerError: A range is empty or reversed, there are none, or `eta` is out of range.
        """
        eta = scalar(eta)
        if not is_number(eta) or not 1 < eta < math.inf:
            raise SchedulerError(f"eta, the ratio of the costs of successive rungs, must be above 1, not {eta!r}")
        chosen = {name: _as_fidelity(name, each) for name, each in fidelities.items()}
        ratio = math.prod((each.full / each.least) ** each.power for each in chosen.values())
        if ratio <= 1:
            raise SchedulerError(
                "the evaluator has no lower fidelity, which this scheduler needs: use the scheduler 'full', or give "
                "the range of a fidelity, such as fidelity={'epochs': (1, 27)}"
            )
        steps = max(1, round(math.log(ratio) / math.log(eta)))
        found: dict[float, Spent] = {}
        for step in range(steps + 1):
            rung = {name: each.at(step / steps) for name, each in chosen.items()}
            cost = math.prod((rung[name] / each.full) ** each.power for name, each in chosen.items())
            found.setdefault(cost, rung)
        return cls(tuple(found.values()), tuple(found))

    @property
    def top(self) -> int:
        """The index of the last rung, from 0."""
        return len(self.rungs) - 1

    def level(self, share: float) -> int:
        """Return the rung of a trial, given its cost as a share of a full evaluation."""
        return min(range(len(self.costs)), key=lambda rung: abs(self.costs[rung] - share))

    def to_json(self) -> list[Any]:
        """Return the rungs and their costs as JSON."""
        return [{"rung": dict(rung), "cost": cost} for rung, cost in zip(self.rungs, self.costs, strict=True)]

    @classmethod
    def from_json(cls, written: list[Any]) -> Ladder:
        """Return the ladder written by `to_json`."""
        return cls(tuple(each["rung"] for each in written), tuple(each["cost"] for each in written))

    def __str__(self) -> str:
        """Return the rungs in words, such as "epochs 1, 3, 9"."""
        if not self.rungs:
            return "full evaluations"
        return "; ".join(f"{name} {', '.join(f'{rung[name]:g}' for rung in self.rungs)}" for name in self.rungs[0])


def narrowed(fidelities: Mapping[str, Fidelity], wanted: Mapping[str, tuple[float, float]] | None) -> dict[str, Range]:
    """Return the fidelities of a search with their ranges.

    A range may exceed the evaluator's full fidelity; more epochs are a longer training.

    Args:
        fidelities: The fidelities of the evaluator; empty if unknown.
        wanted: The ranges by name; by default the whole range of the first fidelity.

    Raises:
        SchedulerError: A range is empty or reversed, or contains none of the evaluator's values.
        UnknownName: The evaluator has no such fidelity.

    Example:
        >>> aw.schedulers.narrowed({}, {"epochs": (1, 9)})
        {'epochs': (1, 9)}
    """
    if wanted is None:
        return dict(list(fidelities.items())[:1])
    if not fidelities:
        return dict(wanted)
    for name in wanted:
        if name not in fidelities:
            raise unknown("fidelity", name, fidelities)
    return {name: _as_fidelity(name, given, fidelities[name]) for name, given in wanted.items()}


def _as_fidelity(name: str, given: Range, known: Fidelity | None = None) -> Fidelity:
    """Return a range as a part of what is known, or by itself where nothing is."""
    if isinstance(given, Fidelity):
        return given
    try:
        low, high = given
    except (TypeError, ValueError):
        raise SchedulerError(f"fidelity {name!r}: a range is a pair such as (1, 27), not {given!r}") from None
    try:
        return (known or Fidelity(low, high)).between(low, high)
    except EvaluationError as error:
        raise SchedulerError(f"fidelity {name!r}: {error}") from error
