"""`archwright export`: a network in a folder of its own."""

from __future__ import annotations

import json as json_
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archwright.cli._options import Code, Ensemble, Json, OfTrial, Run
from archwright.errors import ArchwrightError

if TYPE_CHECKING:
    from archwright.study import Study


def export(
    run: Run,
    out: Annotated[Path | None, typer.Option(help="New folder for the files; default: RUN-network.")] = None,
    trial: OfTrial = None,
    ensemble: Ensemble = False,
    format: Annotated[
        list[str] | None,
        typer.Option(
            help="torch (source, weights, predict.py), source, onnx (ONNX), pt2 (torch.export) or executorch; may be "
            "repeated. Default: torch."
        ),
    ] = None,
    onnx: Annotated[bool, typer.Option(help="Write model.onnx too.")] = False,
    imports: Annotated[
        list[str] | None, typer.Option(help="Package that model.py may import besides torch; may be repeated.")
    ] = None,
    quantise: Annotated[
        str | None,
        typer.Option(help="int8: write model.onnx and model.int8.onnx, and measure metrics and latency of both."),
    ] = None,
    docker: Annotated[
        bool,
        typer.Option("--docker", help="Write serve.py, requirements.txt and a Dockerfile to predict over HTTP."),
    ] = False,
    licence: Annotated[str | None, typer.Option(help="Licence of the network for its model card: apache-2.0.")] = None,
    push_to: Annotated[
        str | None,
        typer.Option(
            metavar="USER/NAME", help="Upload the files to this new, private repository of the Hugging Face Hub."
        ),
    ] = None,
    code: Code = None,
    json: Json = False,
) -> None:
    """Export a network, checked against the trained one: source code and weights, ONNX, or torch.export."""
    from archwright.cli._console import Output
    from archwright.export import BEST, check_repository, export_network, push

    if push_to is not None:
        check_repository(push_to)
    what = "ensemble" if ensemble else "network" if trial is None else f"trial-{trial}"
    target = out or Path(f"{run.resolve().name}-{what}")
    formats = [*(format or ["torch"]), "onnx"] if onnx else format
    problem: ArchwrightError | None = None
    try:
        study = _opened(run, code or ())
    except ArchwrightError as error:
        if formats or imports or quantise or docker or licence or not (run / BEST).is_dir():
            raise
        problem = error
        files = export_network(run, target, trial=trial, ensemble=ensemble)
    else:
        files = study.export(
            target,
            trial=trial,
            ensemble=ensemble,
            formats=formats,
            imports=imports or (),
            quantise=quantise,
            docker=docker,
            licence=licence,
        )
    if problem is not None:
        told = f"the files are copied without a check against the trained network, and have no model card: {problem}"
        Output(stderr=True).line(f"warning: {told}")
    address = None if push_to is None else push(files, push_to)
    _show(files, address, chosen=bool(format), as_json=json)


def _opened(run: Path, code: Sequence[Path]) -> Study:
    """Return a study whose space can be restored."""
    from archwright.study import load

    study = load(run, code=code)
    _ = study.space
    return study


def _show(files: Sequence[Path], address: str | None, *, chosen: bool, as_json: bool) -> None:
    """Show what was exported, in formats that were chosen or by default, and how it is used."""
    from archwright.cli._console import Output, document

    if as_json:
        document({"files": [str(file) for file in files], **({} if address is None else {"pushed_to": address})})
        return
    out = Output()
    for file in files:
        out.line(file)
    if address is not None:
        out.line(f"\nuploaded to {address}")
    folder, names = files[0].parent, {file.name for file in files}
    if "architecture.json" in names:
        trial = json_.loads((folder / "architecture.json").read_text(encoding="utf-8")).get("trial")
        out.line(f"\nThis is the network of trial {trial}.")
    measured = json_.loads((folder / "metrics.json").read_text(encoding="utf-8")).get("measured", {})
    for name, figures in measured.items():
        shown = ("accuracy", "test_accuracy", "rmse", "test_rmse", "loss", "latency_ms", "arena_bytes", "bytes")
        out.line(f"{name}: {', '.join(f'{each} {figures[each]:.6g}' for each in shown if each in figures)}")
    if {"model.py", "predict.py"} <= names:
        script = shlex.quote(str(folder / "predict.py"))
        out.line(f"\nPredict from new files without archwright: python {script} FILE...")
        out.line(f"In Python, in {folder}: from predict import load; predictor = load()")
    elif {"model.py", "weights.safetensors"} <= names:
        out.line(
            f"\nIn Python, in {folder}: model = build() from model.py, then\n"
            f'model.load_state_dict(safetensors.torch.load_file("weights.safetensors")); model.eval()'
        )
    elif not names & {"model.py", "weights.safetensors"} and not chosen:
        out.line("\nThere is no network: the evaluator of this study trained none (candidate.model).")
    elif "model.py" not in names and not chosen:
        out.line(
            "\nThere is no model.py: the source of this network cannot be written; log.txt of the run says why. "
            "Build the network with archwright: aw.load(RUN).best.load()"
        )
