"""`archwright store`: what is done with databases of studies; and `archwright studies`, which lists them."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from archwright.cli._options import Json

app = typer.Typer(name="store", help="List, check, back up, export and import studies.", no_args_is_help=True)

Place = Annotated[
    str, typer.Argument(metavar="STORE", help="Database: the path of an SQLite file or of a run folder, or a URL.")
]


@app.command("list")
def studies(store: Place, json: Json = False) -> None:
    """List the studies of a database."""
    from archwright.cli._listing import show_studies

    show_studies(store, as_json=json)


@app.command()
def check(store: Place, json: Json = False) -> None:
    """Read all of a database, and say what is damaged; the exit status is 1 if something is."""
    from archwright._words import counted
    from archwright.cli._console import Output, document
    from archwright.errors import ArchwrightError
    from archwright.store import RUN, check_studies
    from archwright.study import load

    found, path = check_studies(store), Path(store)
    of_run = path if path.is_dir() else path.parent if path.name == RUN else None
    folder = None if "://" in store else of_run
    for place, study in enumerate(found):
        if study.problem is None:  # the store has all of it: does it make sense?
            try:
                load(store=store, name=study.name) if folder is None else load(folder)
            except ArchwrightError as error:
                found[place] = replace(study, problem=str(error))
    if json:
        document([asdict(study) for study in found])
    else:
        out = Output()
        if not found:
            out.line("no studies")
        for study in found:
            out.line(f"{study.name!r}: {study.problem or counted(study.trials, 'trial') + ', nothing is damaged'}")
    raise typer.Exit(int(any(study.problem for study in found)))


@app.command()
def backup(
    store: Place, file: Annotated[Path, typer.Argument(metavar="FILE", help="New SQLite file.")], json: Json = False
) -> None:
    """Copy all studies of a database into a new SQLite file, also while searches write to it."""
    from archwright.cli._console import Output, document
    from archwright.store import back_up

    names = back_up(store, file)
    if json:
        document({"file": str(file), "studies": names})
        return
    Output().line(f"wrote {file}: {', '.join(map(repr, names))}")


@app.command()
def export(
    store: Place,
    name: Annotated[
        list[str] | None, typer.Option(help="Name of a study; may be repeated. Default: all studies.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="New file; default: standard output.")] = None,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Write what can still be read of a damaged SQLite file.")
    ] = False,
    json: Json = False,
) -> None:
    """Write studies as JSON lines, for `archwright store import`: one for each study and each trial."""
    from json import loads

    from archwright._words import counted
    from archwright.cli._console import Output, document, warnings_as_lines
    from archwright.store import export_studies, new_file

    with warnings_as_lines():
        lines = export_studies(store, name or (), salvage=salvage)
        if out is None:
            if json:
                document([loads(line) for line in lines])
            else:
                sys.stdout.writelines(f"{line}\n" for line in lines)
            return
        with new_file(out) as new, new.open("x", encoding="utf-8") as file:
            count = 0
            for count, line in enumerate(lines, start=1):  # noqa: B007
                file.write(f"{line}\n")
        if json:
            document({"file": str(out)})
        else:
            Output().line(f"wrote {out}: {counted(count, 'line')}")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File that `archwright store export` has written.")],
    store: Annotated[
        str, typer.Argument(metavar="STORE", help="Database: the path of an SQLite file, new or not, or a URL.")
    ],
    name: Annotated[str | None, typer.Option("--as", help="Name that the study gets; default: as in the file.")] = None,
    json: Json = False,
) -> None:
    """Add exported studies to a database; what is there stays as it is."""
    from archwright.cli._console import Output, document
    from archwright.errors import StoreError
    from archwright.store import address, import_studies

    try:
        with file.open(encoding="utf-8") as lines:
            names = import_studies(lines, store, name=name)
    except UnicodeDecodeError as error:
        raise StoreError(f"{file} is no export: {error}") from error
    if json:
        document({"store": address(store), "studies": names})
        return
    Output().line(f"added to {address(store)}: {', '.join(map(repr, names))}")
