"""`archwright report` and `archwright compare`: pages of one search, and of several side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archwright.cli._options import Code, Json, Run


def report(
    run: Run,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="File to write; default: RUN/report.html.")
    ] = None,
    code: Code = None,
    json: Json = False,
) -> None:
    """Write a report of a search: one HTML page with its results and charts."""
    from archwright.cli._console import Output, document
    from archwright.study import load

    file = load(run, code=code or ()).report(out)
    if json:
        document({"file": str(file)})
    else:
        Output().line(f"wrote {file}")


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Run folders of two or more searches.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Page to write.")] = None,
    code: Code = None,
    json: Json = False,
) -> None:
    """Compare searches: best values with intervals, test metrics, trials, time and cost."""
    from archwright.cli._console import Output, document
    from archwright.study import compare as compare_studies

    found = compare_studies(runs, code=code or ())
    if out is not None:
        found.save(out)
    if json:
        document(found.to_json())
        return
    shown = Output()
    for line in str(found).splitlines():
        shown.line(line)
    if out is not None:
        shown.line(f"wrote {out}")
