"""Classical baselines of a search: fitted before the first trial, and compared with the best network."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from archwright._fields import fields, number, text, whole
from archwright._words import counted
from archwright.errors import StudyError
from archwright.evaluate import Evaluator
from archwright.study._budget import Budget
from archwright.study._guard import Overdue
from archwright.trials import Objective, WeightedSum, metrics_from_json, metrics_to_json

if TYPE_CHECKING:
    from archwright.study._recorder import Recorder
    from archwright.tasks import ClassicalMethod, Fitted, Task

_SHARE = 0.1  # of a time budget
_SHORT = 20.0  # seconds of a time budget, in less of which loading scikit-learn alone would be felt
_MOST, _DEFAULT = 30.0, 10.0  # seconds: with a time budget at most, and without one


@dataclass(frozen=True)
class Baseline:
    """A classical method, such as gradient boosting, that a search is compared with.

    Args:
        name: The name of the method.
        metrics: The metrics of the task on the validation part; and on the test part, if there is one, named
            `test_...`, after a fit to training and validation samples.
        seconds: The time of all fits.
        samples: The number of training samples that were used.
        note: How the data were reduced, if they were.

    Example:
        >>> study = aw.search("mlp", aw.data("iris"), budget=aw.Budget(trials=1), final=False)
        >>> [baseline.name for baseline in study.baselines]
        ['logistic regression', 'gradient boosting']
    """

    name: str
    metrics: Mapping[str, float]
    seconds: float
    samples: int
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the baseline as a JSON object."""
        return {
            "name": self.name,
            "metrics": metrics_to_json(self.metrics),
            "seconds": self.seconds,
            "samples": self.samples,
            "note": self.note,
        }

    @classmethod
    def from_json(cls, data: Any) -> Baseline:
        """Return the baseline written by `to_json`.

        Raises:
            ValueError: It is none.
        """
        said = fields(data, "a baseline", "name", "metrics", "seconds", "samples", "note")
        return cls(
            text(said["name"], "the name of a baseline"),
            metrics_from_json(said["metrics"], "a baseline"),
            number(said["seconds"], "the seconds of a baseline", least=0.0),
            whole(said["samples"], "the samples of a baseline"),
            text(said["note"], "the note of a baseline"),
        )


def has_baselines(asked: bool | None, strategy: object, evaluator: Evaluator, budget: object) -> bool:
    """Return whether a search begins with baselines: as was asked, or where all is automatic and there is time.

    Raises:
        StudyError: They were asked for, and there are none.
    """
    task = evaluator.task
    if asked and (task is None or not task.baselines):
        raise StudyError(
            f"baseline=True: there is no classical method for {evaluator!r}. Those of data of aw.data(...) are built "
            "in; a subclass of aw.Task has those that its property `baselines` returns"
        )
    if asked is not None:
        return asked
    is_short = isinstance(budget, Budget) and budget.time < _SHORT
    return task is not None and strategy == "auto" and not is_short


def fit_baselines(
    recorder: Recorder,
    evaluator: Evaluator,
    budget: Budget,
    attempt: Callable[[str, Callable[[], Any], int], Any],
    problem: Callable[..., None],
) -> Iterator[Baseline]:
    """Fit the baselines that are wanted and not on record yet, and yield each when it is on record.

    Args:
        recorder: The record.
        evaluator: The evaluator, whose task has the methods.
        budget: The search budget.
        attempt: Returns what a call returns or raises.
        problem: Reports a problem that does not end the search.
    """
    stored, task = recorder.document["baselines"], evaluator.task
    if stored is None or task is None:
        return
    late = recorder.clock.elapsed >= budget.time
    methods = Overdue() if late else attempt("the classical baselines", lambda: task.baselines, 0)
    if isinstance(methods, Overdue):
        return None if stored else problem("no time is left for the classical baselines")
    if isinstance(methods, BaseException):
        return problem("there are no classical baselines", _traceback(methods))
    known = {each["name"] for each in stored}
    missing = [method for method in methods if method.name not in known]
    # scikit-learn is loaded by now, which takes seconds that depend on the machine alone, and are not counted.
    seconds = min(_MOST, _SHARE * budget.time) if math.isfinite(budget.time) else _DEFAULT
    end = time.monotonic() + min(seconds, budget.time - recorder.clock.elapsed)
    for place, method in enumerate(missing):
        share = (end - time.monotonic()) / (len(missing) - place)  # what one leaves, the next ones have
        if share <= 0:
            return problem(f"no time is left for the baseline {method.name!r}")
        fitted = attempt(f"the baseline {method.name!r}", partial(_fit, task, method, share), 0)
        if isinstance(fitted, Overdue):
            problem(f"the baseline {method.name!r} did not return when the time was over, and was ended")
        elif isinstance(fitted, BaseException):
            problem(f"the baseline {method.name!r} failed", _traceback(fitted))
        elif isinstance(fitted, float):
            needed = f"it may take {fitted:.3g} seconds, of which it has {share:.3g}"
            problem(f"the baseline {method.name!r} is left out: {needed}")
        else:
            baseline = _baseline(task, method, fitted)
            recorder.update(baselines=[*recorder.document["baselines"], baseline.to_json()])
            yield baseline


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _fit(task: Task, method: ClassicalMethod, seconds: float) -> Fitted | float:
    from archwright.tasks import fit_within

    return fit_within(task, method, seconds=seconds)


def _baseline(task: Task, method: ClassicalMethod, fitted: Fitted) -> Baseline:
    total = len(task.train)
    used = [] if fitted.samples == total else [f"fitted on {fitted.samples:,} of {counted(total, 'sample')}"]
    note = ", ".join(used + ([method.note] if method.note else []))
    return Baseline(method.name, fitted.metrics, fitted.seconds, fitted.samples, note)


def ahead(
    baselines: Sequence[Baseline],
    objectives: Sequence[Objective],
    validation: Mapping[str, float],
    test: Mapping[str, float],
) -> tuple[Baseline, str] | None:
    """Return the best of the baselines that are ahead of a network, and by which metric; `None` without one.

    The metric is the first objective that both have: on the test part, or else on the validation part. A sum of metrics
    is not compared: the other terms are costs of networks.

    Args:
        baselines: The baselines.
        objectives: The objectives of the search.
        validation: The metrics of the network on the validation part.
        test: Those of its final training; may be empty.
    """
    for objective in (each for each in objectives if not isinstance(each, WeightedSum)):
        for found, metric in ((test, f"test_{objective.metric}"), (validation, objective.metric)):
            rivals = [each for each in baselines if metric in each.metrics]
            if metric in found and rivals:
                sign = 1 if objective.maximise else -1
                best = max(rivals, key=lambda each: sign * each.metrics[metric])
                return (best, metric) if sign * best.metrics[metric] > sign * found[metric] else None
    return None
