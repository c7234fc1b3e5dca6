"""`archwright serve`: predictions over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archwright.cli._options import Code, Ensemble, OfTrial


def serve(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a search; with --trust, an export.")],
    host: Annotated[str, typer.Option(help="Address; 0.0.0.0 for other machines.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 for a free one.")] = 8000,
    trial: OfTrial = None,
    ensemble: Ensemble = False,
    max_gigabytes: Annotated[
        float, typer.Option(help="Limit of the uncompressed size of a file; an upload may take a sixteenth of it.")
    ] = 4.0,
    trust: Annotated[
        bool, typer.Option("--trust", help="RUN is the folder of an export, whose model.py is executed.")
    ] = False,
    code: Code = None,
) -> None:
    """Serve a trained network over HTTP, as a demonstration: POST /predict, GET /schema, and a page to try a file."""
    from archwright.errors import DataError, StudyError, require

    for module in ("starlette", "uvicorn"):
        require(module, extra="serve", purpose="`archwright serve`")
    from archwright.datasets import InputError
    from archwright.export import load
    from archwright.export import serve as serve_network
    from archwright.study import load as load_study

    try:
        if trust:
            predictor = load(run)
        elif (run / "predict.py").is_file() and not (run / "study.db").exists():
            raise StudyError(f"{run} is an export, whose model.py would be executed: give --trust if you trust it")
        else:
            predictor = load_study(run, code=code or ()).predictor(trial, ensemble=ensemble)
        serve_network(predictor, host=host, port=port, max_gigabytes=max_gigabytes)
    except InputError as error:
        raise DataError(str(error)) from error
