"""Arguments that several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output, and nothing else there.")
]
Code = Annotated[
    list[Path] | None,
    typer.Option(
        "--code",
        metavar="FILE",
        help="Python file with the classes and functions of the space; it is executed. May be repeated.",
    ),
]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a search.")]
Trials = Annotated[
    int | None,
    typer.Option(
        help="Search budget in full evaluations; a trial at a lower fidelity counts as its share of one. Default: 20 "
        "where no time is given."
    ),
]
Ensemble = Annotated[bool, typer.Option("--ensemble", help="Take the ensemble instead (of a search with --ensemble).")]
SkipBroken = Annotated[
    bool | None,
    typer.Option("--skip-broken", help="Leave out images of a folder that cannot be decoded, and say which."),
]
Minutes = Annotated[float | None, typer.Option(help="Search budget in minutes, the final training included.")]
