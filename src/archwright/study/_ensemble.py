"""The ensemble of a search: selected from the networks that it has trained."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from archwright._fields import fields, items, whole
from archwright._scalars import is_whole, scalar
from archwright.errors import ArchwrightError, EvaluationError, StudyError
from archwright.evaluate import Candidate, Evaluator
from archwright.space import Architecture, Space
from archwright.study._guard import Overdue
from archwright.trials import History, Objective, Trial, metrics_from_json, metrics_to_json

if TYPE_CHECKING:
    import torch

    from archwright.study._best import Artifacts
    from archwright.study._recorder import Recorder

_LEAST_KEPT = 10  # networks from which is selected,
_KEPT = 2  # and as many for each that the ensemble may have


@dataclass(frozen=True)
class Ensemble:
    """An ensemble of networks of the search, selected on the validation part.

    Args:
        members: The trials of its networks.
        counts: How often each was selected.
        metrics: Its metrics on the validation part; those on the test part are named `test_...`. "parameters" is the
            sum over the networks.
        single: The same metrics of the best single network of the search, which were measured with them.

    Example:
        >>> training = aw.Training(aw.data("iris"), epochs=2, device="cpu")
        >>> study = aw.search("mlp", training, budget=aw.Budget(trials=3), final=False, ensemble=2)
        >>> sum(study.ensemble.weights), study.ensemble.metrics["accuracy"] >= study.ensemble.single["accuracy"]
        (1.0, True)
    """

    members: tuple[Trial, ...]
    counts: tuple[int, ...]
    metrics: Mapping[str, float]
    single: Mapping[str, float]
    _load: Callable[[], torch.nn.Module] = field(repr=False, compare=False)

    @property
    def weights(self) -> tuple[float, ...]:
        """The weight of each member: its count over the sum of all."""
        return tuple(count / sum(self.counts) for count in self.counts)

    def load(self) -> torch.nn.Module:
        """Return the networks as one, which combines their outputs; it takes normalised inputs.

        Raises:
            StudyError: It is no longer kept.
        """
        return self._load()

    @classmethod
    def from_json(cls, written: Mapping[str, Any], history: History, load: Callable[[], Any]) -> Ensemble:
        """Return the ensemble on record.

        Raises:
            StudyError: A trial of it is missing.
        """
        missing = [each["trial"] for each in written["members"] if each["trial"] >= len(history.trials)]
        if missing:
            raise StudyError(f"the ensemble on record has a network of trial {missing[0]}, which is not on record")
        return cls(
            tuple(history.trials[each["trial"]] for each in written["members"]),
            tuple(each["count"] for each in written["members"]),
            metrics_from_json(written["metrics"]),
            metrics_from_json(written["single"]),
            load,
        )


def check_ensemble(size: object, evaluator: Evaluator, objectives: Sequence[Objective]) -> None:
    """Refuse, before anything is written, an ensemble that cannot be selected."""
    size = scalar(size)
    if not is_whole(size) or size < 0 or size == 1:
        raise StudyError(
            f"ensemble is the largest number of networks to combine, 2 or more, or 0 for none; not {size!r}"
        )
    if not size:
        return
    if len(objectives) > 1:
        told = ", ".join(map(str, objectives))
        raise StudyError(
            f"ensemble={size}: an ensemble is selected by one objective, and there are {len(objectives)} ({told}): "
            "leave ensemble out, or give one objective"
        )
    evaluator.check_ensemble()
    assert evaluator.task is not None
    known = sorted(evaluator.task.metrics)
    try:
        objectives[0].score(dict.fromkeys(known, 1.0))
    except EvaluationError as error:
        raise StudyError(
            f"ensemble={size}: an ensemble is selected by metrics of its outputs ({', '.join(known)}), and the "
            f"objective {str(objectives[0])!r} needs others: leave ensemble out, or give an objective such as "
            f"{evaluator.task.objective!r}, and bounds of costs as constraints"
        ) from error


def check_written(value: Any, what: str) -> None:
    """Refuse a record of an ensemble with a field that holds what does not belong there."""
    said = fields(value, what, "size", "result")
    whole(said["size"], f"'size' of {what}")
    if said["result"] is None:
        return
    result = fields(said["result"], f"the result of {what}", "size", "members", "metrics", "single", "candidates")
    for name in ("metrics", "single"):
        metrics_from_json(result[name], f"{name!r} of {what}")
    for each in items(result["members"], f"the members of {what}"):
        member = fields(each, f"a member of {what}", "trial", "count")
        whole(member["trial"], f"the trial of a member of {what}")
        whole(member["count"], f"the count of a member of {what}", least=1)
    for each in items(result["candidates"], f"the candidates of {what}"):
        whole(each, f"a candidate of {what}")


class Ensembler:
    """Selects the ensemble of a search.

    The final training's network is no candidate: it has learned from the validation part.

    Args:
        size: The largest number of members; 0 for no ensemble.
        space: The search space.
        recorder: The record.
        artifacts: The networks.
        evaluator: The evaluator.
    """

    def __init__(self, size: int, space: Space, recorder: Recorder, artifacts: Artifacts, evaluator: Evaluator) -> None:
        self._size, self._space, self._evaluator = size, space, evaluator
        self._recorder, self._artifacts = recorder, artifacts
        self.kept = max(_LEAST_KEPT, _KEPT * size) if size else 0  # networks that are kept

    def keeps(self, ended: Trial, candidate: Candidate) -> bool:
        """Tell whether the network of a trial that has ended is one of those from which is selected."""
        if not self.kept or ended.state != "complete" or candidate.built is None:
            return False
        return ended in self._recorder.history.top(self.kept, also=ended)

    def clear(self) -> None:
        """Remove networks that are no longer among the best."""
        if self.kept:
            self._artifacts.clear("pool", {trial.number for trial in self._recorder.history.top(self.kept)})

    def make(self, attempt: Callable[..., Any], problem: Callable[[str, str], None]) -> bool:
        """Select the ensemble on the validation part, test it once, keep it, and put it on record.

        Args:
            attempt: Runs code of others.
            problem: Called with a message and details where no ensemble can be made.

        Returns:
            Whether there is a new one.
        """
        if self._size and self._recorder.history.finished and not self._recorder.history.complete:
            problem("no ensemble was made: no trial is complete. More time would help", "")
        if not self._is_due():
            return False
        made = attempt("the selection of the ensemble", self._make)
        if isinstance(made, BaseException):
            told = str(made) if isinstance(made, ArchwrightError) else "".join(traceback.format_exception(made))
            late = isinstance(made, Overdue)
            problem("no ensemble was made; `resume` tries it again", "its time was over" if late else told)
            return False
        result, without = made
        if without is not None:
            problem("the ensemble is kept without source", without)
        self._recorder.update(ensemble={"size": self._size, "result": result}, elapsed=self._recorder.clock.elapsed)
        return True

    def _is_due(self) -> bool:
        """Tell whether there is an ensemble to make: none was made of the best networks before, or it is lost."""
        if not self._size or not self._recorder.history.complete:
            return False
        result = self._recorder.ensemble
        if result is None or (result["size"], result["candidates"]) != (self._size, self._candidates()):
            return True
        try:
            self._artifacts.load_ensemble(self._space)
        except StudyError:
            return True
        return False

    def _make(self) -> tuple[dict[str, Any], str | None]:
        """Return what is put on record, and why the source could not be written, where that is so.

        Raises:
            StudyError: Less than two networks are kept.
        """
        from archwright.evaluate import Library, select_members
        from archwright.export import Members

        history, evaluator, space = self._recorder.history, self._evaluator, self._space
        task = evaluator.task
        assert task is not None
        library, trials = Library(task, evaluator.device), []
        for trial in history.top(self.kept):
            with suppress(StudyError):  # what is damaged is as good as lost
                library.add(self._artifacts.pooled(space, trial.number).network)
                trials.append(trial)
        if len(trials) < 2:
            raise StudyError(
                f"it needs the networks of at least 2 complete trials, and {len(trials)} are kept. Give the search "
                "more time or trials; networks are kept if the evaluator trains candidate.model, in memory until the "
                "process ends"
            )

        @cache
        def metrics(counts: tuple[int, ...]) -> dict[str, float]:
            return library.metrics(counts)

        def rank(counts: tuple[int, ...]) -> tuple[float, float]:
            score = history.objective.score(metrics(counts))
            return score if math.isfinite(score) else -math.inf, -metrics(counts)["loss"]

        alone, counts = (select_members(rank, len(trials), size) for size in (1, self._size))
        chosen = [(trial, count) for trial, count in zip(trials, counts, strict=True) if count]
        weights = [count / sum(counts) for _, count in chosen]
        pooled = [self._artifacts.pooled(space, trial.number) for trial, _ in chosen]
        members = Members([each.architecture for each in pooled], weights, task.combination)
        network = Candidate(
            space,
            Architecture({}),
            seed=0,
            example_input=evaluator.example_input,
            preprocess=pooled[0].preprocess,
        )
        network.adopt(members.join(space, [each.network for each in pooled], evaluator.example_input))
        found = {**metrics(counts), **library.test(network.model), "parameters": _parameters(network.model)}
        single = self._artifacts.pooled(space, trials[alone.index(1)].number).network
        reason = self._artifacts.keep_ensemble(members, network, found)
        result = {
            "size": self._size,
            "candidates": self._candidates(),
            "members": [{"trial": trial.number, "count": count} for trial, count in chosen],
            "metrics": metrics_to_json(found),
            "single": metrics_to_json({**metrics(alone), **library.test(single), "parameters": _parameters(single)}),
        }
        return result, reason

    def _candidates(self) -> list[int]:
        return [trial.number for trial in self._recorder.history.top(self.kept)]


def _parameters(network: torch.nn.Module) -> float:
    return float(sum(each.numel() for each in network.parameters()))
