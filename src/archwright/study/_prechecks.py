"""Constraints that are checked before training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from archwright._words import counted
from archwright.cost import COUNTED, Cost, Counted, TrainingPace, costs_of, pace_of
from archwright.evaluate import Evaluator
from archwright.space import Architecture, InputSpec, Space
from archwright.trials import Constraint


class Prechecks:
    """Tells which networks keep to the constraints that can be checked before training."""

    def __init__(
        self,
        space: Space,
        constraints: Sequence[Constraint],
        costs: Iterable[Cost] = (),
        example_input: InputSpec | None = None,
    ) -> None:
        asked = {each.metric for each in constraints}
        said = [cost for cost in costs if asked & set(cost.metrics)]
        names = {name for cost in said for name in cost.metrics}
        counted = tuple(name for name in COUNTED if name in asked - names) if "model" in space.parts else ()
        # What says some of the metrics; what else is asked for and can be counted is counted.
        self._costs = (*([Counted(counted)] if counted else []), *said)
        # The metrics that are checked before training.
        self.metrics = frozenset(name for cost in self._costs for name in cost.metrics)
        self._constraints = [each for each in constraints if each.metric in self.metrics]
        self._space, self._example_input = space, example_input
        self._known: dict[Architecture, dict[str, float]] = {}
        self._failures: dict[Architecture, str] = {}
        self._timed: dict[str, float] = {}
        self._on_record: dict[str, float] = {}

    def __bool__(self) -> bool:
        return bool(self._constraints)

    def check(self) -> None:
        """Refuse, before a search, what can be told of no network.

        Raises:
            CostError: It is not known what goes into the networks.
        """
        for cost in self._costs:
            cost.check(self._space, self._example_input)

    def keep(self, architecture: Architecture) -> bool:
        """Tell whether the network of an architecture keeps to them.

        One of which that cannot be told is let through, to become a trial that fails: see `failure`.
        """
        if architecture in self._failures:
            return True
        known = self._known.setdefault(architecture, {})
        for cost in self._costs:  # the cheapest first, and no more than it takes to refuse
            if not known.keys() >= set(cost.metrics):
                try:
                    known |= self._cost(cost, architecture)
                except Exception as error:  # a layer may raise anything
                    self._failures[architecture] = str(error) or type(error).__name__
                    return True
            if not all(each.keeps(known) for each in self._constraints if each.metric in known):
                return False
        return True

    def _cost(self, cost: Cost, architecture: Architecture) -> dict[str, float]:
        if not isinstance(cost, TrainingPace):
            return cost.of(self._space, architecture, self._example_input)
        (name,) = cost.metrics
        if architecture.id in self._on_record:
            return {name: self._on_record[architecture.id]}
        found = cost.of(self._space, architecture, self._example_input)
        self._timed[architecture.id] = found[name]
        return found

    def take_timed(self) -> dict[str, float]:
        """Return the training times per epoch that were measured since the last call, by the id of the architecture.

        All else that is checked is determined by the architecture.
        """
        timed, self._timed = self._timed, {}
        return timed

    def believe(self, timed: Mapping[str, float]) -> None:
        """Take training times per epoch from a record; they are not measured any more."""
        self._on_record |= timed
        self._known = {each: known for each, known in self._known.items() if each.id not in timed}

    def violation(self, architecture: Architecture) -> float:
        """Return how far the network of an architecture is beyond them, as far as that was looked at."""
        self.keep(architecture)
        known = self._known.get(architecture, {})
        return sum(each.violation(known) for each in self._constraints if each.metric in known)

    def failure(self, architecture: Architecture) -> str | None:
        """Return why it cannot be told whether the network of an architecture keeps to them; `None` where it can."""
        if self:
            self.keep(architecture)
        return self._failures.get(architecture)

    def checked(self, architecture: Architecture) -> frozenset[str]:
        """Return the metrics that were checked before the network of an architecture was trained."""
        return frozenset(self._known[architecture]) if self.failure(architecture) else self.metrics

    def closest(self) -> str:
        """Return what came closest to each of them, of all networks that were looked at."""
        told = []
        for each in self._constraints:
            values = [known[each.metric] for known in self._known.values() if each.metric in known]
            if values:
                value = (min if each.at_most else max)(values)
                told.append(f"{each}: {value:g} is the closest of {counted(len(values), 'network')}")
        return ", ".join(told)


def prechecks_for(space: Space, constraints: Sequence[Constraint], evaluator: Evaluator) -> Prechecks:
    """Return the bounds of a search, which knows what its evaluator says of networks before it trains them."""
    costs = [cost for cost in (*costs_of(evaluator), *pace_of(evaluator)) if cost.is_counted]
    return Prechecks(space, constraints, costs, evaluator.example_input)
