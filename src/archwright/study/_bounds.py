"""Constraints on what is known of a network before it is trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archwright.cost import COUNTED, Cost, Counted
from archwright.evaluate import Evaluator
from archwright.space import Architecture, Space, TensorSpec
from archwright.study._costs import costs_of, pace_of
from archwright.trials import Constraint

__all__ = ["Bounds", "bounds_for"]


class Bounds:
    """Tells which networks keep to the constraints that can be judged before a training.

    Args:
        space: Where to search.
        constraints: All of them; those on anything else are left to the trials.
        costs: What says some of the metrics; what else is asked for and can be counted is counted.
        example_input: What goes into the networks; what the space says where it is `None`.

    Attributes:
        judged: The metrics that are judged before anything is trained.
    """

    def __init__(
        self,
        space: Space,
        constraints: Sequence[Constraint],
        costs: Iterable[Cost] = (),
        example_input: TensorSpec | None = None,
    ) -> None:
        asked = {each.metric for each in constraints}
        said = [cost for cost in costs if asked & set(cost.metrics)]
        names = {name for cost in said for name in cost.metrics}
        counted = tuple(name for name in COUNTED if name in asked - names) if "model" in space.parts else ()
        self._costs = (*([Counted(counted)] if counted else []), *said)
        self.judged = frozenset(name for cost in self._costs for name in cost.metrics)
        self._constraints = [each for each in constraints if each.metric in self.judged]
        self._space, self._example_input = space, example_input
        self._known: dict[Architecture, dict[str, float]] = {}

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._constraints)

    def keep(self, architecture: Architecture) -> bool:
        """Tell whether the network of an architecture keeps to them, as far as that can be told."""
        known = self._known.setdefault(architecture, {})
        for cost in self._costs:  # the cheapest first, and no more than it takes to refuse
            if not known.keys() >= set(cost.metrics):
                try:
                    known |= cost.of(self._space, architecture, self._example_input)
                except Exception:  # a layer may raise anything: the trial of such a network fails, and says why
                    return True
            if not all(each.keeps(known) for each in self._constraints if each.metric in known):
                return False
        return True

    def closest(self) -> str:
        """Return what came closest to each of them, of all networks that were looked at."""
        told = []
        for each in self._constraints:
            values = [known[each.metric] for known in self._known.values() if each.metric in known]
            if values:
                value = (min if each.at_most else max)(values)
                told.append(f"{each}: {value:g} is the closest of {len(values)} networks")
        return ", ".join(told)


def bounds_for(space: Space, constraints: Sequence[Constraint], evaluator: Evaluator) -> Bounds:
    """Return the bounds of a search, which knows what its evaluator says of networks before it trains them."""
    costs = [cost for cost in (*costs_of(evaluator), *pace_of(evaluator)) if cost.is_counted]
    return Bounds(space, constraints, costs, evaluator.example_input)
