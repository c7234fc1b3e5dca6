"""Warm starts: the trials of earlier studies as the background of a new one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from archwright._words import counted
from archwright.errors import StudyError
from archwright.space import Architecture, Space
from archwright.study._found import find_studies
from archwright.transfer import Background, EarlierRun, Prior, match
from archwright.trials import History, Objective, Trial

if TYPE_CHECKING:
    from archwright.study._place import Place
    from archwright.study._results import Results

_MOST = 200  # trials of a run that are kept: the cost of its model grows with their cube
_ENOUGH = 10  # trials of one fidelity, above which those below are left out
_NAMED = 4  # decisions that an error names

Source: TypeAlias = "str | os.PathLike[str] | Results | EarlierTrials"
"""A run folder, a folder of run folders, a database (path or URL), or a study."""


@dataclass(frozen=True)
class EarlierTrials:
    """The complete trials of an earlier study in its own space.

    Args:
        name: The name of the study.
        space: Its space.
        objectives: Its objectives.
        trials: Architectures with the metrics of the objectives.

    Example:
        >>> from archwright.study import EarlierTrials
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 9)), strategy="grid")
        >>> study = study.run(lambda candidate: candidate.settings["x"], aw.Budget(trials=3))
        >>> len(EarlierTrials.of(study).trials)
        3
    """

    name: str
    space: Space
    objectives: tuple[str, ...]
    trials: tuple[tuple[Architecture, Mapping[str, float]], ...]

    @classmethod
    def of(cls, study: Results, name: str | None = None) -> EarlierTrials:
        """Return the trials of a study: the best 100, and 100 of the others, evenly spread in time.

        They are those of its highest fidelity with at least 10 complete trials; without one, of that with the most.

        Raises:
            StudyError: It has no complete trial.
        """
        history, name = study.history, name or (str(study.path) if study.path else "a study in memory")
        if not history.complete:
            raise StudyError(f"warm_start: {name} has no complete trial, so there is nothing to learn from it")
        aims = tuple(map(str, history.objectives))
        names = sorted({metric for objective in history.objectives for metric in _metrics(objective, history)})
        kept = tuple(
            (trial.architecture, {metric: trial.metrics[metric] for metric in names if metric in trial.metrics})
            for trial in _chosen(history)
        )
        return cls(name, study.space, aims, kept)

    def run(self, space: Space, objectives: Sequence[Objective]) -> EarlierRun:
        """Return the trials as architectures of another space.

        Raises:
            StudyError: The objectives differ, or the spaces have too little in common.
        """
        missing = [str(objective) for objective in objectives if str(objective) not in self.objectives]
        if missing:
            raise StudyError(
                f"warm_start: {self.name} was searched for {' and '.join(self.objectives)}, and this study is for "
                f"{' and '.join(map(str, objectives))}: metrics of another objective cannot be ranked for this one. "
                "Give the same objective, or leave that run out"
            )
        matching = match(self.space, space)
        found: dict[Architecture, Mapping[str, float]] = {}
        for architecture, metrics in self.trials:
            mapped = matching.apply(architecture)
            if mapped is not None:
                found.setdefault(mapped, metrics)
        if not found:
            theirs, ours = (
                ", ".join(list(each.sample(np.random.default_rng(0)))[:_NAMED]) for each in (self.space, space)
            )
            raise StudyError(
                f"warm_start: the space of {self.name} has too little in common with this one: fewer than half of the "
                f"decisions of an architecture match (there {theirs}; here {ours}). Leave that run out"
            )
        return EarlierRun(self.name, tuple(found), tuple(found.values()), matching.told)

    def to_json(self) -> dict[str, Any]:
        """Return the trials as a JSON object."""
        trials = [[architecture.to_json(), dict(metrics)] for architecture, metrics in self.trials]
        return {
            "name": self.name,
            "space": self.space.to_json(),
            "objectives": list(self.objectives),
            "trials": trials,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EarlierTrials:
        """Return the trials written by `to_json`."""
        trials = tuple((Architecture.from_json(one), metrics) for one, metrics in data["trials"])
        return cls(data["name"], Space.from_json(data["space"]), tuple(data["objectives"]), trials)


def background_of(
    warm_start: Source | Iterable[Source],
    priors: Mapping[str, Any] | None,
    space: Space,
    objectives: Sequence[Objective],
    place: Place,
) -> Background:
    """Return the background of a study that begins.

    Raises:
        StudyError: A source is the study itself, has no complete trial, another objective or another space; or a prior
            does not fit the space.
        StoreError: A source cannot be read.
    """
    runs = [source.run(space, objectives) for source in _sources(warm_start, place)]
    return Background(tuple(runs), Prior.parse(priors or {}, space))


def told_background(background: Background) -> list[str]:
    """Return lines on what a search begins with."""
    lines = []
    for run in background.runs:
        line = f"warm start: {counted(len(run), 'trial')} of {run.name}"
        lines.append(f"{line}; {run.told}" if run.told else line)
    return [*lines, *([f"prior: {background.prior}"] if background.prior else [])]


def _sources(given: Source | Iterable[Source], place: Place) -> list[EarlierTrials]:
    from archwright.study._results import Results

    single = isinstance(given, str | os.PathLike | Results | EarlierTrials)
    found: list[EarlierTrials] = []
    for source in [given] if single else given:  # type: ignore[union-attr]  # one source, or several
        if isinstance(source, EarlierTrials):
            found.append(source)
        elif isinstance(source, Results):
            _check_other(source, place)
            found.append(EarlierTrials.of(source))
        elif isinstance(source, str | os.PathLike):
            studies = find_studies(source)
            if not studies:
                raise StudyError(f"warm_start: {os.fspath(source)} holds no study: give a run folder or a database")
            for each in studies:
                opened = each.open()
                _check_other(opened, place)
                name = os.fspath(source) if len(studies) == 1 else f"{os.fspath(source)}: {each.name}"
                found.append(EarlierTrials.of(opened, name))
        else:
            raise StudyError(f"warm_start takes run folders, databases and studies, not {source!r}")
    return found


def _check_other(study: Results, place: Place) -> None:
    if study._recorder.on_disk and study._recorder.place == place:
        raise StudyError(f"warm_start: {place} is the study itself; continue it with resume, or give another path")


def _chosen(history: History) -> list[Trial]:
    """Return the trials of one fidelity, the best of them and some of the others."""
    by_share: dict[float, list[Trial]] = {}
    for trial in history.complete:
        by_share.setdefault(trial.share, []).append(trial)
    shares = sorted(by_share, reverse=True)
    share = next((each for each in shares if len(by_share[each]) >= _ENOUGH), None)
    listed = by_share[max(shares, key=lambda each: len(by_share[each])) if share is None else share]
    if len(listed) <= _MOST:
        return listed
    best = history.best_first(listed, _MOST // 2)
    numbers = {trial.number for trial in best}
    others = [trial for trial in listed if trial.number not in numbers]
    kept = numbers | {others[place * len(others) // (_MOST // 2)].number for place in range(_MOST // 2)}
    return [trial for trial in listed if trial.number in kept]


def _metrics(objective: Objective, history: History) -> Iterable[str]:
    """Return the metrics that an objective is made of."""
    return [objective.metric, *(name for name in history.complete[0].metrics if name in str(objective))]
