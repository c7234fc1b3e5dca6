"""Exports of a study: its networks, with what its record says of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright._words import counted
from archwright.errors import StudyError, unknown

if TYPE_CHECKING:
    from archwright.export import Card
    from archwright.study._results import Results
    from archwright.tasks import Task

_LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]{0,60}")


def export(
    study: Results,
    out: Path,
    *,
    trial: int | None,
    ensemble: bool,
    formats: Sequence[str] | None,
    imports: Sequence[str],
    quantise: str | None,
    docker: bool,
    licence: str | None,
) -> list[Path]:
    """Write a network of a study with a model card into a new folder; see `Study.export`."""
    from archwright.export import export_network

    if study.path is None:
        raise StudyError("this study has no run folder, so no network is saved: give the search path=")
    if quantise not in (None, "int8"):
        raise unknown("quantisation", quantise, ["int8"])
    if licence is not None and not _LICENCE.fullmatch(licence):
        raise StudyError(f"licence={licence!r} is no identifier of a licence, such as 'apache-2.0', 'mit' or 'other'")
    return export_network(
        study.path,
        out,
        trial=trial,
        ensemble=ensemble,
        space=study.space,
        formats=formats,
        imports=imports,
        docker=docker,
        int8=None if quantise is None else _task(study),
        card=_card(study, out, licence),
    )


def _task(study: Results) -> Task:
    task: Task | None = study.evaluator.task
    if task is None:
        raise StudyError("int8 is calibrated on training samples, and the evaluator of this study has no task")
    return task


def _card(study: Results, out: Path, licence: str | None) -> Card:
    from archwright.export import Card

    summary = study.summary()
    data = _data(summary["evaluator"])
    objectives, complete = ", ".join(summary["objectives"]), counted(summary["trials"]["complete"], "complete trial")
    return Card(
        name=out.resolve().name,
        data=data,
        samples=study.samples or {},
        search=[f"The search ({objectives} by {summary['strategy']} in {summary['space']}) had {complete}."],
        seed=study.seed,
        baselines={each.name: each.metrics for each in study.baselines},
        licence=licence,
    )


def _data(evaluator: Any) -> str | None:
    """Return the name of the data, without the folder that they are in, which is nobody's business."""
    while isinstance(evaluator, dict) and "evaluator" in evaluator:
        evaluator = evaluator["evaluator"]
    source = (evaluator or {}).get("data", {}).get("source") if isinstance(evaluator, dict) else None
    return Path(source).name if isinstance(source, str) else None
