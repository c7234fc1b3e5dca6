"""`archwright draw`: networks and spaces as trees, and as SVG files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archwright.cli._options import Code, Json, Run


def draw(
    run: Run,
    trial: Annotated[int | None, typer.Option(help="Trial whose network is drawn; default: the best.")] = None,
    other: Annotated[
        int | None, typer.Option(help="Trial to compare with: what it has instead is marked, and listed.")
    ] = None,
    space: Annotated[bool, typer.Option("--space", help="Draw the search space instead.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="New file for the drawing.")] = None,
    code: Code = None,
    json: Json = False,
) -> None:
    """Draw the network of a trial: as a tree in the terminal, and with --out as SVG."""
    from archwright.cli._console import Output, document
    from archwright.draw import difference, svg, tree
    from archwright.errors import StudyError
    from archwright.study import load

    study = load(run, code=code or ())
    best = study.best.trial.number if study.best is not None else None
    numbers = [] if space else [best if trial is None else trial, *([] if other is None else [other])]
    for number in numbers:
        if number is None:
            raise StudyError("no trial is complete yet: name one with --trial, or draw the space with --space")
        if not 0 <= number < len(study.trials):
            raise StudyError(f"there is no trial {number}: the study has {len(study.trials)}")
    chosen = [study.trials[number].architecture for number in numbers if number is not None]
    both = chosen + [None] * (2 - len(chosen))
    if out is not None:
        text = svg(study.space, both[0], other=both[1])
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    changes = difference(chosen[0], chosen[1]) if len(chosen) > 1 else None
    if json:
        listed = [dict(zip(("decision", "before", "now"), row, strict=True)) for row in changes.rows] if changes else []
        document({"trials": numbers, "differences": listed, "file": None if out is None else str(out)})
        return
    shown = Output()
    if out is None:
        shown.console.print(tree(study.space, both[0], other=both[1]), soft_wrap=True)
    else:
        shown.line(f"wrote {out}")
    if changes is not None:
        shown.console.print(changes)
