"""`archwright explain`: which decisions matter, what options do, and what a change would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from archwright.cli._options import Code, Json, Run

if TYPE_CHECKING:
    from archwright.cli._console import Output


def explain(
    run: Run,
    metric: Annotated[
        str | None,
        typer.Option(help="Metric, such as latency_ms, or 'min price'; default: that of the first objective."),
    ] = None,
    among: Annotated[
        str, typer.Option(help="all trials, or best: what distinguishes the best tenth within the best quarter.")
    ] = "all",
    code: Code = None,
    json: Json = False,
) -> None:
    """Explain a search: the importance of decisions, effects of options, and changes of the best network."""
    from archwright.cli._console import Output, document
    from archwright.study import load

    study = load(run, code=code or ())
    if among != "all":
        found = study.importance(metric, among=among)
        if json:
            document(found.to_json())
        else:
            _lines(Output(), found)
        return
    told = study.explain(metric)
    if json:
        document(told.to_json())
        return
    out = Output()
    _lines(out, told)
    for part in (told.importance, told.effects, told.what_if):
        if part is not None:
            out.line()
            _lines(out, part)


def _lines(out: Output, told: object) -> None:
    for line in str(told).splitlines():
        out.line(line)
