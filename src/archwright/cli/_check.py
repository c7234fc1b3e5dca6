"""`archwright check` and `archwright schema`: what an architecture has to be, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archwright.cli._options import Code, Json

SpaceName = Annotated[
    str,
    typer.Argument(
        metavar="SPACE",
        help="Run folder of a search; ready-made space (`archwright list spaces`); or FILE.py:NAME, which is executed.",
    ),
]
Shape = Annotated[
    str | None, typer.Option("--input-shape", help="Shape of one sample, for a ready-made space: 3,32,32.")
]
Classes = Annotated[int | None, typer.Option(help="Number of classes, for a ready-made space.")]
Option = Annotated[
    list[str] | None, typer.Option("--option", help="Further option of a ready-made space: vocabulary=100.")
]


def check(
    space: SpaceName,
    architecture: Annotated[
        str, typer.Argument(metavar="ARCHITECTURE.json", help="JSON object of decisions; - for standard input.")
    ],
    input_shape: Shape = None,
    classes: Classes = None,
    option: Option = None,
    code: Code = None,
    json: Json = False,
) -> None:
    """Check an architecture without training: its decisions, and the shapes of its network on the meta device.

    All problems are listed, with the nearest allowed values. The exit status is 1 if there are any.
    """
    from archwright.build import check_architecture
    from archwright.cli._console import Output, document
    from archwright.cli._named import named_space, read_decisions
    from archwright.errors import BuildError
    from archwright.space import Problem, examine

    searched = named_space(space, shape=input_shape, classes=classes, options=option or (), code=code or ())
    found = examine(searched, read_decisions(architecture, f"{architecture}: give"))
    problems, is_checked = list(found.problems), "model" in searched.parts and searched.example_input is not None
    try:
        check_architecture(searched, found.architecture)
    except BuildError as error:
        of = " of the nearest architecture" if problems else ""
        problems.append(Problem("shape", "model", f"the network{of} does not run: {error}"))
    if json:
        document(
            {
                "valid": not problems,
                "problems": [problem.to_json() for problem in problems],
                "inactive": list(found.inactive),
                "shapes_checked": is_checked,
                "id": found.architecture.id,
                "nearest": found.architecture.to_json(),
            }
        )
    else:
        out = Output()
        for problem in problems:
            out.line(problem, label=problem.kind)
        if found.inactive:
            out.line(f"{', '.join(map(repr, found.inactive))}: not active here, and ignored", label="inactive")
        if not problems:
            runs = "its network runs" if is_checked else "its shapes are not checked: the input is not known"
            out.line(f"architecture {found.architecture.id} is in the space; {runs}", label="valid")
    raise typer.Exit(bool(problems))


def schema(
    space: SpaceName,
    input_shape: Shape = None,
    classes: Classes = None,
    option: Option = None,
    conditions: Annotated[
        bool, typer.Option(help="Say in the schema when a decision is active; --no-conditions: properties alone.")
    ] = True,
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="New file for the JSON schema.")] = None,
    code: Code = None,
    json: Json = False,
) -> None:
    """Show the decisions of a space with their values and conditions; with --json or --out as a JSON schema."""
    from json import dumps

    from archwright.cli._console import Output, document
    from archwright.cli._named import named_space
    from archwright.space import grammar, json_schema

    searched = named_space(space, shape=input_shape, classes=classes, options=option or (), code=code or ())
    if out is not None:
        written = dumps(json_schema(searched, conditions=conditions), indent=1)
        with out.open("x", encoding="utf-8") as file:
            file.write(f"{written}\n")
    if json:
        document(json_schema(searched, conditions=conditions))
        return
    lines = [f"wrote {out}"] if out is not None else grammar(searched)
    for line in lines:
        Output().line(line)
