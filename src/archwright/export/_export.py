"""Exports: a network of a run in a folder of its own, in one or several formats."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from archwright import _disk
from archwright.errors import BuildError, CostError, StudyError, unknown
from archwright.export._best import BEST, ENSEMBLE, SOURCE, found_network, network_of_trial, source_of, write_onnx_file
from archwright.export._card import Card
from archwright.export._docker import docker_files
from archwright.export._folder import INDEX, as_json
from archwright.export._saved import FIGURES, PREPROCESS, SCRIPT, WEIGHTS, Saved
from archwright.space import Space, TensorSpec

if TYPE_CHECKING:
    from archwright.datasets import Preprocess
    from archwright.tasks import Task

FORMATS = ("torch", "source", "onnx", "pt2", "executorch")
"""The formats of exports."""

README, INT8 = "README.md", "model.int8.onnx"

_ALWAYS = (INDEX, FIGURES, PREPROCESS)
_FILES = {"torch": (SOURCE, WEIGHTS), "source": (SOURCE,)}  # what a format consists of
_ANEW = {"onnx": "model.onnx", "pt2": "model.pt2", "executorch": "model.pte"}  # what the network itself is written to


def export_network(
    folder: str | Path,
    out: str | Path,
    *,
    trial: int | None = None,
    ensemble: bool = False,
    space: Space | None = None,
    formats: Sequence[str] | None = None,
    onnx: bool = False,
    imports: Sequence[str] = (),
    int8: Task | None = None,
    docker: bool = False,
    card: Card | None = None,
) -> list[Path]:
    """Write a network of a run folder into a new folder.

    With the space, the files are made anew, and checked before they are written: a new process without archwright runs
    those of each format on raw inputs, and its outputs have to be those of the trained network. Without it, they are
    copied.

    Args:
        folder: The run folder; it is not changed.
        out: A new or empty folder.
        trial: The number of a trial on the front or of the best that are kept; by default the best.
        ensemble: Whether to take the ensemble instead.
        space: The search space.
        formats: "torch": source, weights, and a script for predictions; "source": the source alone; "onnx": model.onnx;
            "pt2": model.pt2, a program of `torch.export`; "executorch": model.pte, a program for one sample, with the
            size of its arena in metrics.json. By default what the run folder has. Decisions, metrics and preprocessing
            are always written.
        onnx: Whether to write model.onnx too.
        imports: Packages that model.py may import besides torch.
        int8: The task of the network, to write model.onnx and beside it model.int8.onnx, with weights and activations
            of 8 bits, which are calibrated on training samples. The metrics and the latency of both are measured, and
            are in metrics.json and the card.
        docker: Whether to write serve.py, requirements.txt and a Dockerfile too, which serve predictions over HTTP.
        card: What a model card says; it is written as README.md.

    Returns:
        The files written.

    Raises:
        UnknownName: There is no such format.
        StudyError: There is no network yet, none of the trial is kept, its files are damaged, or `out` is not empty; or
            both a trial and the ensemble are asked for.
        BuildError: A format cannot carry the network; the message says why. Nothing is written.
        MissingExtra: The ONNX exporter, or the server of a Dockerfile, is not installed.

    Example:
        >>> from archwright.export import export_network, save_best
        >>> space = aw.Space(model=nn.Linear(4, aw.ordinal(2, 3, name="width")), example_input=(4,))
        >>> candidate = aw.Candidate(space, aw.Architecture({"width": 3}), seed=0)
        >>> save_best("trained", space=space, architecture=candidate.architecture, candidate=candidate, metrics={})
        >>> sorted(path.name for path in export_network("trained", "exported"))
        ['architecture.json', 'metrics.json', 'model.py', 'weights.safetensors']
    """
    wanted = tuple(dict.fromkeys(formats or ()))
    for name in wanted:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS)
    more = (*(name for name in wanted if name in _ANEW), *["onnx"] * (onnx and "onnx" not in wanted))
    more += ("onnx",) * (int8 is not None and "onnx" not in more)
    if space is None and (more or imports):
        raise StudyError(
            f"to write {', '.join(more) or 'model.py anew'}, the space that was searched is needed: space=..."
        )
    saved = _saved(folder, trial, ensemble=ensemble)
    target = Path(out)
    check_target(target)
    files, measured = dict(saved.files), dict[str, Any]()
    if space is not None:
        files |= _made_anew(saved, space, imports)
        for name in more:
            files[_ANEW[name]], figures = _written(saved, space, name)
            measured |= figures
    _check_carried(files, wanted)
    if space is not None:
        _check_outputs(saved, space, files, wanted or ("torch",), more)
    if wanted:
        kept = {
            *_ALWAYS,
            *(each for name in wanted for each in _FILES.get(name, ())),
            *(_ANEW[name] for name in more),
        }
        kept |= {SCRIPT} if "torch" in wanted else set()
        files = {name: content for name, content in files.items() if name in kept}
    if space is not None and int8 is not None:
        files[INT8], figures = _quantised(saved, space, files["model.onnx"], int8)
        measured |= figures
    if measured:
        files[FIGURES] = as_json({**_disk.parse_json(files[FIGURES], FIGURES), "measured": measured})
    if docker:
        files |= docker_files(files)
    if card is not None:
        sizes = {name: len(content) for name, content in sorted(files.items())}
        costs = {} if space is None else _costs(saved, space)
        files[README] = card.write(saved, saved.preprocess(), sizes=sizes, costs=costs, measured=measured).encode()
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            _disk.write(target / name, content)
    except OSError as error:
        raise StudyError(f"{target} cannot be written to: {error}") from error
    return sorted(target / name for name in files)


def check_target(target: Path) -> None:
    """Refuse a place for an export in which there is something.

    Raises:
        StudyError: There is.
    """
    if target.exists() and not target.is_dir():
        raise StudyError(f"{target} is a file; name a new folder")
    if target.exists() and any(target.iterdir()):
        raise StudyError(f"{target} is not empty; name a new folder")


def _saved(folder: str | Path, trial: int | None, *, ensemble: bool) -> Saved:
    if trial is not None and ensemble:
        raise StudyError(f"either the network of a trial or the ensemble: trial={trial} and ensemble=True were given")
    if trial is not None:
        return network_of_trial(Path(folder), trial)
    return found_network(folder, ENSEMBLE if ensemble else BEST)


def _specs(saved: Saved, space: Space) -> tuple[TensorSpec, ...] | None:
    return saved.example_input or space.example_input


def _made_anew(saved: Saved, space: Space, imports: Sequence[str]) -> dict[str, bytes]:
    """Return the source of a network and what goes with it, not as the run folder has them, which anybody may change.

    Raises:
        BuildError: The source cannot be written, with these imports.
    """
    if SOURCE not in saved.files and not imports:
        return {}
    preprocess = saved.preprocess()
    files = {
        SOURCE: source_of(space, saved.members or saved.architecture, _specs(saved, space), preprocess, imports or None)
    }
    if preprocess is not None:
        from archwright.export._preprocess import preprocess_files

        files |= preprocess_files(preprocess)
    return files


def _written(saved: Saved, space: Space, name: str) -> tuple[bytes, dict[str, Any]]:
    """Return the file of a format, and what is measured of it, by its name."""
    from archwright.build import write_executorch, write_pt2

    specs, preprocess, figures = _specs(saved, space), saved.preprocess(), dict[str, Any]()
    if specs is None:
        raise StudyError(f"{saved.place} does not say what goes into the network: the format {name!r} needs to know")
    with TemporaryDirectory(prefix="archwright-") as temporary:
        file = Path(temporary) / _ANEW[name]
        if name == "onnx":
            write_onnx_file(saved, space, file)
        elif name == "pt2":
            extra = {} if preprocess is None else {PREPROCESS: saved.files[PREPROCESS].decode()}
            write_pt2(_on_raw(saved.network(space), preprocess), specs, file, extra=extra)
        else:
            arena = write_executorch(_on_raw(saved.network(space), preprocess), specs, file)
            figures[file.name] = {"arena_bytes": arena, "bytes": file.stat().st_size}
        return file.read_bytes(), figures


def _quantised(saved: Saved, space: Space, content: bytes, task: Task) -> tuple[bytes, dict[str, Any]]:
    """Return an ONNX file with integers of 8 bits, and what was measured of it and of the file it is made of."""
    from archwright.export._int8 import check_same_data, quantise

    specs, preprocess = _specs(saved, space), saved.preprocess()
    assert specs is not None  # or there would be no ONNX file
    check_same_data(task, preprocess)
    with TemporaryDirectory(prefix="archwright-") as temporary:
        file, out = Path(temporary) / "model.onnx", Path(temporary) / INT8
        file.write_bytes(content)
        measured = quantise(file, out, _on_raw(saved.network(space), preprocess), task, specs)
        return out.read_bytes(), measured


def _on_raw(network: Any, preprocess: Preprocess | None) -> Any:
    return network if preprocess is None else preprocess.adapted(network).eval()


def _costs(saved: Saved, space: Space) -> dict[str, float]:
    """Return the counted costs of a network; of an ensemble, and where it cannot be counted, those on record."""
    from archwright.cost import Counted

    specs = _specs(saved, space)
    if saved.members is None and specs is not None:
        with suppress(CostError):
            return Counted().of(space, saved.architecture, specs[0] if len(specs) == 1 else None)
    return {name: value for name, value in saved.metrics.items() if name == "parameters"}


def _check_carried(files: dict[str, bytes], formats: Sequence[str]) -> None:
    """Refuse a format that lacks a file.

    Raises:
        BuildError: It does.
    """
    why = {
        SOURCE: "its source cannot be written; log.txt of the run says why",
        WEIGHTS: "it has no weights: the evaluator trained no network",
    }
    for name in formats:
        for file in _FILES.get(name, ()):
            if file not in files:
                raise BuildError(f"the format {name!r} cannot carry this network: {why[file]}")


def _check_outputs(
    saved: Saved, space: Space, files: dict[str, bytes], formats: Sequence[str], more: Sequence[str]
) -> None:
    specs = _specs(saved, space)
    checked = [*(["torch"] if SOURCE in files and {"torch", "source"} & set(formats) else []), *more]
    if specs is None or WEIGHTS not in files or not checked:
        return
    from archwright.export._verify import check_files

    with TemporaryDirectory(prefix="archwright-") as temporary:
        for name, content in files.items():
            (Path(temporary) / name).write_bytes(content)
        check_files(Path(temporary), _on_raw(saved.network(space), saved.preprocess()), specs, checked)
