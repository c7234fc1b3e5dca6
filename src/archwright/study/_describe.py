"""The stored description of a study, and its restoration."""

from __future__ import annotations

import importlib
import json
import math
import platform
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

from archwright import schedulers, strategies
from archwright._scalars import is_whole
from archwright._words import counted
from archwright.errors import ArchwrightError, DataError, MissingExtra, SpaceError, StudyError
from archwright.evaluate import Evaluator
from archwright.schedulers import Full, Ladder
from archwright.space import Architecture, Space
from archwright.strategies import Strategy
from archwright.study._propose import Planner
from archwright.study._proxy_filter import ProxyFilter
from archwright.study._warm import told_background
from archwright.transfer import Background
from archwright.trials import Constraint, Objective

if TYPE_CHECKING:
    from archwright.study._budget import Budget
    from archwright.study._recorder import Recorder
    from archwright.study._workers import Workers
    from archwright.tasks import Task

_EVALUATORS = {
    "training": ("archwright.evaluate", "Training"),
    "supernet": ("archwright.supernet", "SupernetEvaluator"),
    "proxies": ("archwright.proxies", "ProxyEvaluator"),
    "repeats": ("archwright.evaluate", "Repeats"),
    "costed": ("archwright.cost", "Costed"),
    "nested": ("archwright.study", "Nested"),
}
"""The evaluators that can be restored, by the "type" in their JSON. Their `from_json` takes it, and the evaluator that
they wrap."""

_BY_BUDGET = ("fidelity", "scheduler", "size", "strategy")
"""What lines on automatic choices begin with that depend on the budget, and hold for a whole study."""

_OF_A_BUDGET = ("budget too short:", "plan:", "kept:")
"""What lines begin with that hold for one budget alone."""

NO_EVALUATOR = (
    "the study's evaluator cannot be restored from its record: run the program that began the search again, with "
    "search(..., resume=True), or give the evaluator, as load(path, evaluator=...)"
)


def describe(
    planner: Planner,
    objectives: Sequence[Objective],
    reference: Mapping[str, float] | None = None,
    background: Background | None = None,
) -> dict[str, Any]:
    """Return what is written down when a study begins."""
    space = planner.space
    seed: object = planner.seed
    if not is_whole(seed) or seed < 0:
        raise StudyError(f"a study's seed must be an integer of 0 or more, not {seed!r}")
    return {
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "versions": versions(),
        "space": space.to_json(),
        "fingerprint": space.fingerprint,
        "strategy": _described(planner.strategy, strategies),
        "scheduler": {
            **_described(planner.scheduler, schedulers),
            "rungs": planner.ladder.to_json(),
            "inherit": planner.inherit,
            "screen": None if planner.screen is None else str(planner.screen),
            "constraints": [str(constraint) for constraint in planner.constraints],
            "starts": [architecture.to_json() for architecture in planner.starts],
        },
        "objective": str(objectives[0]) if len(objectives) == 1 else list(map(str, objectives)),
        "reference": _checked_reference(objectives, reference),
        "seed": seed,
        "evaluator": None,
        "budget": None,
        "final": None,
        "results": {},
        "learned": None,
        "checkpoints": [],
        "digests": {},
        "why": [] if background is None else told_background(background),
        "elapsed": 0.0,
        "settings": None,
        "baselines": None,
        "ensemble": None,
        "workers": None,
        "samples": None,
        "data": None,
        "background": background.to_json() if background else None,
    }


def _checked_reference(
    objectives: Sequence[Objective], reference: Mapping[str, float] | None
) -> dict[str, float] | None:
    if reference is None:
        return None
    for objective in objectives:
        if not math.isfinite(reference.get(objective.metric, math.nan)):
            raise StudyError(
                f"a reference point has a number for each objective's metric; {dict(reference)} has none for "
                f"{objective.metric!r}"
            )
    return {name: float(value) for name, value in reference.items()}


def describe_evaluator(evaluator: Evaluator) -> dict[str, Any] | None:
    """Return what is written down about an evaluator, or `None` where it cannot be."""
    return _as_json(evaluator, evaluator.to_json)


def _as_json(evaluator: Evaluator, method: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
    try:
        written: dict[str, Any] | None = json.loads(json.dumps(method(), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise StudyError(
            f"{type(evaluator).__name__}.{method.__name__} gives what is no JSON ({error}); it may return None"
        ) from error
    return written


def write_down(
    recorder: Recorder, evaluator: Evaluator, budget: Budget, finals: int, ensemble: int, workers: Workers
) -> None:
    """Put on record what a study is run with; another evaluator than the one before is warned of."""
    written, document = describe_evaluator(evaluator), recorder.document
    settings = None if written else _as_json(evaluator, evaluator.describe)
    before, now = document["evaluator"] or document["settings"], written or settings or {}
    if recorder.history.finished and before is not None and now != before:
        changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        warnings.warn(
            f"the evaluator differs from the one on record in {', '.join(changed)}: its trials are ranked together "
            "with those before",
            stacklevel=4,
        )
    seen = None if evaluator.task is None else describe_data(evaluator.task)
    if recorder.history.finished and seen is not None and document["data"] not in (None, seen):
        here, there = (
            ", ".join(f"{name} {value}" for name, value in each.items()) for each in (seen, document["data"])
        )
        warnings.warn(
            f"the data differ from those on record: {here}, and on record {there}. Trials are ranked together with "
            "those before, whose metrics are of other samples",
            stacklevel=4,
        )
    selected, task = {"size": ensemble, "result": recorder.ensemble}, evaluator.task
    samples = None
    if task is not None and task.objective == "max accuracy":
        samples = {"validation": len(task.validation), "test": len(task.test)}
    recorder.update(
        evaluator=written,
        settings=settings,
        budget=budget.to_json(),
        final=finals,
        ensemble=selected,
        workers=workers.to_json(),
        samples=samples,
        data=seen,
    )


def describe_data(task: Task) -> dict[str, Any]:
    """Return the numbers of samples of the parts of data, and a checksum of what is in memory."""
    import torch  # which a task has loaded

    from archwright.tasks import leaves

    parts, checksum = {name: getattr(task, name) for name in ("train", "validation", "test")}, 0
    for part in parts.values():
        for tensor in leaves(vars(part)):  # what is held: windows of a series, say, would be a copy for each
            content = tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data
            checksum = zlib.crc32(content, checksum)
    return {**{name: len(part) for name, part in parts.items()}, "checksum": f"{checksum:08x}"}


def choices(why: Sequence[str], workers: Sequence[str], before: Budget | None, budget: Budget) -> list[str]:
    """Return the lines on automatic choices, and where they were made for another budget, one more that says so.

    Args:
        why: The lines so far.
        workers: Those on workers, in place of the ones before.
        before: The budget before; `None` without one.
        budget: The budget.
    """
    lines = [line for line in why if not line.startswith("workers ")]
    if before not in (None, budget):
        lines = [line for line in lines if not line.startswith(_OF_A_BUDGET)]
        chosen = sorted({name for line in lines if (name := line.partition(" ")[0]) in _BY_BUDGET})
        told = f"kept: {', '.join(chosen)}, as chosen for the first budget; a new search would choose for {budget}"
        lines += [told] * bool(chosen)
    return [*lines, *workers]


def differences(document: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    """Return how a study differs from one on record, as lines; none where they are the same.

    Both are what `describe` gives; what changes while a study goes on is left out.
    """
    stored = {**stored, "scheduler": {"starts": [], **(stored["scheduler"] or _FULL)}}
    lines = [
        f"{name}: {_told(stored[name])} is on record, {_told(document[name])} was given"
        for name in ("strategy", "scheduler", "objective", "reference", "seed")
        if document[name] != stored[name]
    ]
    if document["fingerprint"] != stored["fingerprint"]:
        lines.append("space: it has changed")
    return lines


def check_joined(document: Mapping[str, Any], recorder: Recorder, *, resume: bool) -> None:
    """Refuse to go on with a study that is there already, unless it is the same one and that was asked for."""
    place, changed = recorder.place, differences(document, recorder.document)
    told = "".join(f"\n  {line}" for line in changed)
    if not resume:
        where, given, out = ("path", "path", "out") if place.store is None else ("name", "store=, name=", "name")
        command = "" if place.folder is None else f", `archwright resume {place.folder}`"
        raise StudyError(
            f"{place} holds a study already, with {counted(len(recorder.history.trials), 'trial')}. Continue it "
            f"(resume=True, load({given}).resume(){command}), or choose another {where} (--{out}).{told}"
        )
    if changed:
        raise StudyError(f"{place} holds a different study:{told}")


def check_same_space(space: Space, document: Mapping[str, Any], place: object) -> None:
    """Refuse a space that is not the one on record."""
    if space.fingerprint != document["fingerprint"]:
        lines = "\n".join("  " + line for line in space.differences(document["space"]))
        raise StudyError(
            f"the space is not the one that the study in {place} was begun with; give that one, or "
            f"begin a study in another path. What changed (- on record, + given):\n{lines}"
        )


def restore_space(document: Mapping[str, Any]) -> Space:
    """Return the space on record."""
    try:
        return Space.from_json(document["space"])
    except SpaceError as error:
        raise StudyError(f"the study's space cannot be restored from its record: {error}") from error


def restore_strategy(document: Mapping[str, Any]) -> Strategy:
    """Return the strategy on record."""
    stored = document["strategy"]
    if stored["options"] is None or stored["name"] not in strategies.names():
        raise StudyError(
            f"the study's strategy, {stored['class']}, cannot be restored from its record: give it, as "
            "load(path, strategy=...), or register it under a name before the study is made"
        )
    with _restored("strategy"):
        return strategies.create(stored["name"], **stored["options"]).restored()


def restore_planner(document: Mapping[str, Any], space: Space, strategy: Strategy) -> Planner:
    """Return what says what comes next, from the scheduler on record."""
    stored = document["scheduler"] or _FULL
    if stored["options"] is None or stored["name"] not in schedulers.names():
        raise StudyError(
            f"the study's scheduler, {stored['class']}, cannot be restored from its record: register it under a name "
            "before the study is opened"
        )
    with _restored("scheduler"):
        scheduler, ladder = schedulers.create(stored["name"], **stored["options"]), Ladder.from_json(stored["rungs"])
        screen = None if stored["screen"] is None else ProxyFilter.parse(stored["screen"])
        constraints = tuple(map(Constraint.parse, stored["constraints"]))
        starts = tuple(map(Architecture.from_json, stored.get("starts", ())))
    return Planner(space, strategy, scheduler, ladder, document["seed"], stored["inherit"], screen, constraints, starts)


def restore_evaluator(document: Mapping[str, Any]) -> Evaluator:
    """Return the evaluator that is stored with a study.

    Raises:
        StudyError: No evaluator is stored, or it could not be stored.

    Example:
        >>> from archwright.study import restore_evaluator
        >>> evaluator = aw.Training(aw.data("iris"), epochs=3)
        >>> restore_evaluator({"evaluator": describe_evaluator(evaluator)}).recipe.epochs
        3
    """
    stored = document["evaluator"]
    if stored is None:
        raise StudyError(NO_EVALUATOR)
    with _restored("evaluator"):
        return _made_evaluator(stored)


@contextmanager
def _restored(what: str) -> Iterator[None]:
    """Say which part of a record cannot be used, where making it again fails."""
    try:
        yield
    except (StudyError, MissingExtra, DataError):
        raise
    except (
        ArchwrightError,
        ArithmeticError,
        AttributeError,
        LookupError,
        OSError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        kind = "" if isinstance(error, ArchwrightError) else f"{type(error).__name__}: "
        raise StudyError(
            f"the study's {what} cannot be restored from its record (field {what!r} of study.db): {kind}{error}"
        ) from error


def is_restorable(stored: Mapping[str, Any] | None) -> bool:
    """Tell whether the evaluator on record is one that can be made again."""
    if stored is None or stored["type"] not in _EVALUATORS:
        return False
    return "evaluator" not in stored or is_restorable(stored["evaluator"])


def _made_evaluator(stored: Mapping[str, Any] | None) -> Evaluator:
    if stored is None or stored["type"] not in _EVALUATORS:
        raise StudyError(NO_EVALUATOR)
    module, name = _EVALUATORS[stored["type"]]
    kind = getattr(importlib.import_module(module), name)
    wrapped = [_made_evaluator(stored["evaluator"])] if "evaluator" in stored else []
    made: Evaluator = kind.from_json(stored, *wrapped)
    return made


def _described(made: Any, registry: Any) -> dict[str, Any]:
    """Return the name, the class and the settings of a strategy or a scheduler, which its room has on file."""
    options: dict[str, Any] | None = registry.options(made)
    try:
        options = json.loads(json.dumps(options, allow_nan=False))
    except (TypeError, ValueError):
        options = None
    kind = type(made)
    return {"name": registry.name_of(made), "class": f"{kind.__module__}:{kind.__qualname__}", "options": options}


_FULL = {
    **_described(Full(), schedulers),
    "rungs": [],
    "inherit": False,
    "screen": None,
    "constraints": [],
    "starts": [],
}
"""The scheduler of studies of a version that had none."""


def _told(value: Any) -> str:
    if not isinstance(value, Mapping):
        return repr(value)
    options = ", ".join(f"{name}={option!r}" for name, option in (value["options"] or {}).items())
    told = f"{value['name'] or value['class']}({options})"
    if "rungs" not in value:
        return told
    rest = {name: value[name] for name in ("inherit", "screen", "constraints") if value.get(name)}
    if starts := value.get("starts"):
        rest["starts"] = [Architecture.from_json(each).id for each in starts]
    return ", ".join([f"{told} over {Ladder.from_json(value['rungs'])}", *(f"{name}={rest[name]!r}" for name in rest)])


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a search depends on."""
    found = {"python": platform.python_version()}
    for package in ("archwright", "numpy", "sqlalchemy", "torch"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
