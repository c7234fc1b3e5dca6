"""The options of a few decisions, by what networks they leave within constraints."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from archwright.cost._base import Cost
from archwright.cost._count import Counted
from archwright.cost._metrics import as_cost
from archwright.cost._target import Target
from archwright.errors import CostError, unknown
from archwright.space import Decision, Space, Value
from archwright.trials import Constraint


@dataclass(frozen=True)
class RankedOptions:
    """Options of some decisions, with figures of sampled networks that have them.

    Attributes:
        options: The options by the names of the decisions.
        feasible: The share of sampled networks that satisfy the constraints.
        flops: The mean FLOPs of those networks; NaN if there are none.

    Example:
        >>> space = aw.Space(model=nn.Linear(4, aw.ordinal(2, 8, name="width")), example_input=(4,))
        >>> aw.cost.rank_options(space, ["width"], ["parameters <= 20"], samples=1)[0]
        RankedOptions(options={'width': 2}, feasible=1.0, flops=16.0)
    """

    options: dict[str, Value]
    feasible: float
    flops: float


def rank_options(
    space: Space,
    decisions: Sequence[str],
    constraints: Iterable[str | Constraint],
    *,
    samples: int = 50,
    costs: Iterable[str | Target | Cost] = (),
    seed: int = 0,
) -> list[RankedOptions]:
    """Rank the options of a few decisions, such as the resolution and the width, for a search under constraints.

    For each combination of options, networks are sampled that have them. Combinations whose networks within the
    constraints have more FLOPs on average come first: larger networks are the more accurate ones. This is the first
    step of TinyNAS, which then searches the remaining decisions.

    Lin et al., "MCUNet: Tiny deep learning on IoT devices", NeurIPS 2020.

    Args:
        space: The space.
        decisions: The names of the decisions.
        constraints: Constraints on costs, such as "arena_kb <= 256".
        samples: The number of networks of a combination, at least 1.
        costs: The costs, or targets of them; by default each metric is counted, or has the default of its cost.
        seed: The random seed.

    Raises:
        CostError: A decision is not in the space or its options cannot be listed; a network cannot be counted;
            or no network that was sampled is feasible: the message has the closest values.

    Example:
        >>> space = aw.spaces.create("mcunet", input_shape=(3, 16, 16), classes=10, widths=(4, 8))
        >>> ranked = aw.cost.rank_options(space, ["width"], ["parameters <= 120000"], samples=5)
        >>> [row.options["width"] for row in ranked]
        [8, 4]
    """
    if samples < 1:
        raise CostError(f"samples={samples}: at least one network of each combination is sampled")
    for name in decisions:
        if name not in space.decisions:
            raise unknown("decision", name, space.decisions)
        if math.isinf(space.decisions[name].size):
            raise CostError(f"decision {name!r} is continuous: name decisions whose options can be listed")
    limits = [Constraint.parse(each) for each in constraints]
    used = [as_cost(each) for each in costs]
    for limit in limits:
        if all(limit.metric not in cost.metrics for cost in used):
            used.append(as_cost(limit.metric))
    flops = Counted(("flops",))
    for cost in used:
        cost.check(space)

    closest: dict[Constraint, float] = {}

    def row(options: dict[str, Value]) -> RankedOptions:
        rng = np.random.default_rng(seed)

        def value(name: str, decision: Decision) -> Any:
            return options[name] if name in options else decision.sample(rng)

        drawn = [space.decide(value) for _ in range(samples)]
        found: list[dict[str, float]] = [{} for _ in drawn]
        for cost in used:
            for known, each in zip(found, cost.of_all(space, drawn), strict=True):
                known.update(each)
        for limit in limits:
            seen = [known[limit.metric] for known in found] + ([closest[limit]] if limit in closest else [])
            closest[limit] = min(seen) if limit.at_most else max(seen)
        kept = [each for each, known in zip(drawn, found, strict=True) if all(limit.keeps(known) for limit in limits)]
        mean = float(np.mean([flops.of(space, each)["flops"] for each in kept])) if kept else math.nan
        return RankedOptions(options, len(kept) / samples, mean)

    values = [list(space.decisions[name].values()) for name in decisions]
    rows = [row(dict(zip(decisions, each, strict=True))) for each in itertools.product(*values)]
    if not any(each.feasible for each in rows):
        told = "; ".join(f"{limit}: {value:g} is the closest" for limit, value in closest.items())
        raise CostError(f"none of {samples * len(rows)} sampled networks is feasible ({told}); relax the constraints")
    return sorted(rows, key=lambda each: math.inf if math.isnan(each.flops) else -each.flops)
