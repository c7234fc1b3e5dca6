"""The knowledge base: past runs, from which the strategy "auto" picks those to begin with."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright import _disk
from archwright._words import counted
from archwright.errors import SpaceError, StudyError
from archwright.space import Space
from archwright.study._warm import EarlierTrials
from archwright.transfer import match
from archwright.trials import Objective

if TYPE_CHECKING:
    from archwright.study._results import Results
    from archwright.tasks import Task

_VARIABLE = "ARCHWRIGHT_KB"
_NEAR = 0.5  # mean difference of meta-features, up to which a task is similar
_TAKEN = 2  # runs that a search begins with, at most


@dataclass(frozen=True)
class KnownRun:
    """A run in a knowledge base.

    Args:
        name: Its name there: the absolute path of its run folder.
        kind: The kind of its task, such as "image".
        features: The meta-features of its data.
        trials: Its trials.

    Example:
        >>> from archwright.study import EarlierTrials, KnownRun
        >>> trials = EarlierTrials("runs/first", aw.Space(x=aw.integer(0, 9)), ("max accuracy",), ())
        >>> KnownRun("runs/first", "image", {"samples": 3.0}, trials).distance({"samples": 3.5})
        0.5
    """

    name: str
    kind: str
    features: Mapping[str, float]
    trials: EarlierTrials

    def distance(self, features: Mapping[str, float]) -> float:
        """Return the mean absolute difference of the meta-features that both have."""
        common = sorted(self.features.keys() & features.keys())
        return sum(abs(self.features[name] - features[name]) for name in common) / max(1, len(common))


class KnowledgeBase:
    """A file of past runs: their meta-features, spaces, and best trials.

    Args:
        path: The JSON file. By default the one that the environment variable ARCHWRIGHT_KB names, else
            "knowledge.json" in the user's data folder ($XDG_DATA_HOME/archwright, ~/.local/share/archwright).

    Raises:
        StudyError: The file cannot be read.

    Example:
        >>> from archwright.study import KnowledgeBase
        >>> KnowledgeBase("knowledge.json").runs
        []
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "archwright"
        self.path = Path(path or os.environ.get(_VARIABLE) or home / "knowledge.json")
        self._stored: dict[str, Any] = {}
        if self.path.exists():
            try:
                read = _disk.parse_json(_disk.read(self.path), self.path)
                self._stored = {name: read["runs"][name] for name in read["runs"]}
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise StudyError(
                    f"{self.path} is no knowledge base ({error}): remove it, or give another file"
                ) from error

    @property
    def names(self) -> list[str]:
        """The names of the runs."""
        return sorted(self._stored)

    @property
    def runs(self) -> list[KnownRun]:
        """The runs whose spaces can be restored here, by name."""
        found = []
        for name in self.names:
            stored = self._stored[name]
            try:
                trials = EarlierTrials.from_json(stored["trials"])
            except SpaceError:  # of code that this program does not import
                continue
            found.append(KnownRun(name, stored["kind"], stored["features"], trials))
        return found

    def add(self, study: Results) -> str:
        """Add a run, in place of an earlier state of it, and return its name.

        Raises:
            StudyError: It has no run folder, no complete trial, or no data.
        """
        from archwright.tasks import meta_features

        if study.path is None:
            raise StudyError("a knowledge base holds runs with a run folder; this study is in memory or in a store")
        try:
            task = study.evaluator.task
        except StudyError as error:
            raise StudyError(
                f"{study.path}: the task of the run is not on record, as of a search by a function or on arrays, so "
                f"its data cannot be compared. Begin with it by warm_start= or --warm-start instead ({error})"
            ) from error
        if task is None:
            raise StudyError(
                f"{study.path} was evaluated by a function, not on data, so its task cannot be compared. Begin with it "
                "by warm_start= or --warm-start instead"
            )
        name = str(study.path.absolute())
        trials = EarlierTrials.of(study, name).to_json()
        self._stored[name] = {"kind": task.kind, "features": meta_features(task), "trials": trials}
        self._write()
        return name

    def remove(self, name: str) -> None:
        """Remove a run.

        Raises:
            StudyError: There is none of that name.
        """
        name = name if name in self._stored else str(Path(name).absolute())
        if name not in self._stored:
            raise StudyError(
                f"the knowledge base {self.path} has no run {name}; it has {', '.join(self.names) or 'none'}"
            )
        del self._stored[name]
        self._write()

    def similar(self, task: Task, space: Space, objectives: Sequence[Objective]) -> list[tuple[KnownRun, float]]:
        """Return up to two runs on the most similar data that a search can begin with, and their distances.

        They have the same kind of task, the objectives, a space of which decisions match, and a mean difference of
        meta-features of at most 0.5.
        """
        from archwright.tasks import meta_features

        wanted, features = {str(objective) for objective in objectives}, meta_features(task)
        found = [
            (run, run.distance(features))
            for run in self.runs
            if run.kind == task.kind and wanted <= set(run.trials.objectives)
        ]
        near = sorted((pair for pair in found if pair[1] <= _NEAR), key=lambda pair: pair[1])
        return [pair for pair in near if _matches(pair[0].trials, space)][:_TAKEN]

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _disk.write(self.path, json.dumps({"version": 1, "runs": self._stored}).encode())


def from_knowledge(
    task: Task | None, space: Space, objectives: Sequence[Objective]
) -> tuple[list[EarlierTrials], tuple[str, ...]]:
    """Return the runs of the user's knowledge base that a search on a task begins with, and lines on why."""
    base = None if task is None else KnowledgeBase()
    if task is None or base is None or not base.names:
        return [], ()
    found = base.similar(task, space, objectives)
    told = tuple(
        f"knowledge base: {run.name} has similar data (mean difference of meta-features {apart:.2g})"
        for run, apart in found
    )
    none = f"knowledge base: none of {counted(len(base.names), 'run')} has similar data, the objective and such a space"
    return [run.trials for run, _ in found], told or (none,)


def _matches(trials: EarlierTrials, space: Space) -> bool:
    matching = match(trials.space, space)
    return any(matching.apply(architecture) is not None for architecture, _ in trials.trials)
