"""`archwright kb`: past runs, from which the strategy auto picks those to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archwright.cli._options import Json

app = typer.Typer(name="kb", help="Add, list and remove past runs that searches begin with.", no_args_is_help=True)

File = Annotated[
    Path | None,
    typer.Option("--kb", metavar="FILE", help="The knowledge base; default: ARCHWRIGHT_KB, or the user's data folder."),
]


@app.command()
def add(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders of searches on data.")],
    kb: File = None,
    json: Json = False,
) -> None:
    """Add runs; a run that is there is replaced."""
    from archwright.cli._console import Output, document
    from archwright.study import KnowledgeBase, load

    base = KnowledgeBase(kb)
    names = []
    for run in runs:
        names.append(base.add(load(run)))
        if not json:
            Output().line(f"added {names[-1]} to {base.path}")
    if json:
        document({"file": str(base.path), "added": names})


@app.command("list")
def list_(kb: File = None, json: Json = False) -> None:
    """List the runs."""
    from archwright.cli._console import Output, document
    from archwright.study import KnowledgeBase

    base = KnowledgeBase(kb)
    if json:
        rows = [{"name": run.name, "kind": run.kind, "features": dict(run.features)} for run in base.runs]
        document({"file": str(base.path), "runs": rows})
        return
    out = Output()
    if not base.names:
        out.line(f"{base.path}: no runs")
    for run in base.runs:
        told = ", ".join(f"{name} {value:.2g}" for name, value in run.features.items())
        out.line(
            f"{run.name}: {run.kind}, {len(run.trials.trials)} trials, {' and '.join(run.trials.objectives)}; {told}"
        )


@app.command()
def remove(
    runs: Annotated[list[str], typer.Argument(metavar="RUN", help="Names that `archwright kb list` shows.")],
    kb: File = None,
    json: Json = False,
) -> None:
    """Remove runs; their folders stay."""
    from archwright.cli._console import Output, document
    from archwright.study import KnowledgeBase

    base = KnowledgeBase(kb)
    for run in runs:
        base.remove(run)
        if not json:
            Output().line(f"removed {run} from {base.path}")
    if json:
        document({"file": str(base.path), "removed": runs})
