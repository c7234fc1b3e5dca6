"""Costs by name and from JSON, and the costs that objectives and constraints of a search need."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from archwright.cost._base import Cost
from archwright.cost._costed import Costed
from archwright.cost._count import COUNTED, Counted
from archwright.cost._energy import Energy
from archwright.cost._latency import Latency
from archwright.cost._microcontroller import Microcontroller
from archwright.cost._pace import TrainingPace
from archwright.cost._published import Published
from archwright.cost._table import LatencyTable
from archwright.cost._target import RUNTIMES, Target
from archwright.errors import CostError, StudyError, unknown
from archwright.evaluate import Evaluator, Wrapped
from archwright.trials import Constraint, Objective, SoftReward, WeightedSum, canonical


def costs_of(evaluator: Evaluator) -> tuple[Cost, ...]:
    """Return the costs that an evaluator and those wrapped by it add.

    Example:
        >>> from archwright.evaluate import as_evaluator
        >>> evaluator = aw.cost.Costed(as_evaluator(lambda candidate: 1.0), [aw.cost.Counted(["parameters"])])
        >>> [cost.metrics for cost in aw.cost.costs_of(evaluator)]
        [('parameters',)]
    """
    found: list[Cost] = []
    inner: Evaluator | None = evaluator
    while inner is not None:
        found += inner.costs if isinstance(inner, Costed) else ()
        inner = inner.evaluator if isinstance(inner, Wrapped) else None
    return tuple(found)


def pace_of(evaluator: Evaluator) -> tuple[Cost, ...]:
    """Return the training time per epoch as a cost, or nothing if the evaluator does not predict it.

    Example:
        >>> from archwright.evaluate import as_evaluator
        >>> aw.cost.pace_of(as_evaluator(lambda candidate: 1.0))
        ()
    """
    return (TrainingPace(evaluator),) if evaluator.is_paced else ()


def as_cost(given: str | Target | Cost) -> Cost:
    """Return a cost unchanged or by name; the latency on a target; memory on a processor; or the table of a device.

    Raises:
        UnknownName: No runtime or device has that name.
        CostError: The text of the target cannot be parsed.

    Example:
        >>> aw.cost.as_cost("onnx:threads=1")
        Latency('onnx:threads=1')
    """
    if isinstance(given, Cost):
        return given
    if not isinstance(given, str):
        return Latency(given)
    if canonical(given) in COUNTED:
        return Counted((canonical(given),))
    if given in Energy.metrics:
        return Energy(Target())
    if given in Latency.metrics:
        return Latency()
    if given in Microcontroller.metrics:
        return Microcontroller()
    if given in Microcontroller.cores:
        return Microcontroller(given)
    if given in Published.devices():
        return Published(given)
    if given.partition(":")[0] not in RUNTIMES:
        raise unknown("device", given, [*RUNTIMES, *Microcontroller.cores, *Published.devices()])
    return Latency(given)


def cost_from_json(written: Mapping[str, Any]) -> Cost:
    """Return the cost written by `Cost.to_json`.

    Raises:
        CostError: The class is not in `archwright.cost`.

    Example:
        >>> aw.cost.cost_from_json(aw.cost.Counted(["flops"]).to_json())
        Counted('flops')
    """
    kind = written.get("type")
    if kind == "counted":
        return Counted(tuple(written["metrics"]), written["batch_size"])
    if kind == "latency":
        return Latency(written["target"], written["limit"])
    if kind == "energy":
        return Energy(written["target"], written["seconds"])
    if kind == "latency-table":
        return LatencyTable(written["target"], written["milliseconds"])
    if kind == "microcontroller":
        return Microcontroller(written["core"], written["precision"])
    if kind == "published":
        return Published(written["device"])
    raise CostError(f"this is no cost written down: {dict(written)!r}")


def with_costs(
    evaluator: Evaluator,
    objectives: Sequence[Objective],
    constraints: Iterable[Constraint],
    targets: str | Target | Cost | Iterable[str | Target | Cost],
) -> Evaluator:
    """Return an evaluator extended by the costs that objectives and constraints need.

    Args:
        evaluator: The evaluator of all other metrics.
        objectives: The objectives.
        constraints: The constraints.
        targets: Costs, or targets of latency and energy; by default eager mode on this machine.

    Raises:
        CostError: A latency or energy is needed, and the only device that is named is a microcontroller.

    Example:
        >>> evaluator = aw.Training(aw.data((torch.rand(40, 4), torch.arange(40) % 2)))
        >>> aw.cost.with_costs(evaluator, [aw.Objective("flops", maximise=False)], [], []).costs
        (Counted('flops'),)
    """
    wanted = metrics_of(objectives, constraints)
    costs = [as_cost(each) for each in ([targets] if isinstance(targets, str | Target | Cost) else targets)]
    said = {name for cost in costs for name in cost.metrics}
    if evaluator.example_input is not None:  # it evaluates networks
        said |= evaluator.metrics or set()
        lacking = [name for name in wanted if name not in said]
        counted = tuple(name for name in lacking if name in COUNTED)
        if counted:
            costs.append(Counted(counted))
        others = [name for name in lacking if name in (*Latency.metrics, *Energy.metrics)]
        memory = next((cost for cost in costs if isinstance(cost, Microcontroller)), None)
        if others and memory is not None and not any(isinstance(cost, Latency) for cost in costs):
            raise CostError(
                f"{others[0]} is not known of {memory.core}, of which there are {', '.join(memory.metrics)}: leave it "
                "out, or name the device that it is measured on as well, such as 'eager' for this machine"
            )
        target = next((cost.target for cost in costs if isinstance(cost, Latency)), Target())
        if not set(lacking).isdisjoint(Latency.metrics):
            costs.append(Latency())
        if not set(lacking).isdisjoint(Energy.metrics):
            costs.append(Energy(target))
        if not set(lacking).isdisjoint(Microcontroller.metrics):
            costs.append(Microcontroller())
    return Costed(evaluator, costs) if costs else evaluator


def metrics_of(objectives: Iterable[Objective], constraints: Iterable[Constraint]) -> list[str]:
    """Return the metrics that objectives and constraints go by, each once."""
    names: list[str] = []
    for objective in objectives:
        names.append(objective.metric)
        if isinstance(objective, WeightedSum):
            names += [name for name, _ in objective.weights]
        if isinstance(objective, SoftReward):
            names.append(objective.cost)
    return list(dict.fromkeys([*names, *(each.metric for each in constraints)]))


def check_metrics_known(
    evaluator: Evaluator, objectives: Iterable[Objective], constraints: Iterable[Constraint]
) -> None:
    """Check that all metrics of objectives and constraints are measured, if the measured metrics are known.

    Raises:
        StudyError: A metric is not measured.

    Example:
        >>> from archwright.evaluate import as_evaluator
        >>> aw.cost.check_metrics_known(as_evaluator(lambda candidate: 1.0), [aw.Objective("value")], []) is None
        True
    """
    if evaluator.metrics is None:
        return
    reported = set(evaluator.metrics)
    while isinstance(evaluator, Costed):
        evaluator = evaluator.evaluator
    measured = {*reported, *(name for cost in pace_of(evaluator) for name in cost.metrics)}
    known = {*reported, *COUNTED, *Latency.metrics, *Energy.metrics, *Microcontroller.metrics}
    for name in metrics_of(objectives, constraints):
        if name not in measured:
            near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise StudyError(
                f"unknown metric {name!r} in an objective or a constraint.{hint} {type(evaluator).__name__} reports "
                f"{', '.join(sorted(reported))}; costs that can be added are "
                f"{', '.join(sorted(known - reported)) or 'none'}."
            )
