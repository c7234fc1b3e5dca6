"""`archwright ui`: searches in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from archwright.cli._options import Code


def ui(
    place: Annotated[
        str,
        typer.Argument(
            metavar="[FOLDER | URL]",
            help="Folder with run folders, or a run folder; or a database: the path of an SQLite file, or a URL.",
        ),
    ] = "runs",
    host: Annotated[
        str, typer.Option(help="Address; 0.0.0.0 for other machines, which then need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 for a free one.")] = 8265,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="ARCHWRIGHT_UI_TOKEN",
            help="What a browser needs to be let in; default: one is made and printed where other machines are let in.",
        ),
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    code: Code = None,
) -> None:
    """Show searches in a browser, also while they run: progress, trials, curves, networks, the Pareto front."""
    from archwright.errors import require

    for module in ("starlette", "uvicorn"):
        require(module, extra="ui", purpose="`archwright ui`")
    from archwright.ui import dashboard

    dashboard(place, host=host, port=port, token=token, open_browser=open_browser, code=code or ())
