"""What found networks leave on disk: their decisions, their source, their weights and their figures."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.errors import BuildError, StudyError
from archwright.space import Architecture, Space, TensorSpec

if TYPE_CHECKING:
    import torch

    from archwright.datasets import Preprocess

__all__ = [
    "FRONT",
    "Saved",
    "clear_front",
    "export_network",
    "load_best",
    "onnx_file",
    "read_best",
    "read_preprocess",
    "save_best",
]

FRONT = "front"
"""The folder of a run in which each network of the front has a folder, named after its trial."""

_BEST = "best"


@dataclass(frozen=True)
class Saved:
    """What a `best` folder says, without its weights.

    Args:
        architecture: The network's decisions.
        example_input: What goes into the network, where that is known.
        metrics: Its figures.
        stage: "search", or "final" after the longer training on train and validation data.
        trial: The number of the trial that found it.
    """

    architecture: Architecture
    example_input: tuple[TensorSpec, ...] | None
    metrics: dict[str, float]
    stage: str
    trial: int | None


def save_best(
    folder: str | Path,
    *,
    space: Space,
    architecture: Architecture,
    candidate: Any = None,
    metrics: Mapping[str, float],
    stage: str = "search",
    trial: int | None = None,
    name: str = _BEST,
) -> str | None:
    """Write a network into a folder of a run: architecture.json, model.py, weights.safetensors, metrics.json.

    Where the preprocessing is known, preprocess.json and predict.py are written too, and model.py has its figures.
    The folder is replaced as a whole, so that a reader never sees half of it, whenever the process is killed.

    Args:
        folder: The run folder.
        space: The space that the architecture belongs to.
        architecture: The decisions.
        candidate: The trained candidate, whose `model` holds the weights and whose `example_input` and `preprocess` are
            known; without it there are no weights to save.
        metrics: The network's figures.
        stage: "search" or "final".
        trial: The number of the trial that found it.
        name: The folder's name in the run folder, "best", or "front/12" for that of trial 12 on the front.

    Returns:
        Why there is no model.py, where the source cannot be written; else None.
    """
    place = Path(folder) / name
    new = place.with_name(f"{place.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    specs = getattr(candidate, "example_input", None) or space.example_input
    specs = (specs,) if isinstance(specs, TensorSpec) else specs
    _write_json(
        new / "architecture.json",
        {
            "id": architecture.id,
            "space": space.name,
            "fingerprint": space.fingerprint,
            "trial": trial,
            "example_input": specs and [{"shape": list(spec.shape), "dtype": spec.dtype} for spec in specs],
            "decisions": architecture.to_json(),
        },
    )
    _write_json(new / "metrics.json", {"stage": stage, "trial": trial, "metrics": dict(metrics)})
    preprocess = getattr(candidate, "preprocess", None)
    if preprocess is not None:
        from archwright.export._preprocess import model_source, preprocess_files

        for file, content in preprocess_files(preprocess).items():
            (new / file).write_bytes(content)
    reason = None
    if "model" in space.parts and (candidate is not None or specs is not None):
        try:
            source = space.source(architecture, specs)
            if preprocess is not None:
                source = model_source(source, preprocess)
            (new / "model.py").write_text(source, encoding="utf-8")
        except BuildError as error:
            reason = str(error)
    if candidate is not None:
        _save_weights(candidate.model, new / "weights.safetensors", architecture)
    _swap(place)
    return reason


def read_best(folder: str | Path, name: str = _BEST) -> Saved | None:
    """Return what the folder of a network in a run says; None where there is none."""
    best = _settled(Path(folder) / name)
    if best is None:
        return None
    written = json.loads((best / "architecture.json").read_text(encoding="utf-8"))
    figures = json.loads((best / "metrics.json").read_text(encoding="utf-8"))
    specs = written["example_input"]
    return Saved(
        Architecture.from_json(written["decisions"]),
        specs and tuple(TensorSpec(tuple(spec["shape"]), spec["dtype"]) for spec in specs),
        figures["metrics"],
        figures["stage"],
        figures["trial"],
    )


def clear_front(folder: str | Path, keep: Collection[int]) -> None:
    """Remove the networks of trials that are not on the front any more."""
    for place in (Path(folder) / FRONT).glob("*"):
        if not place.name.isdecimal() or int(place.name) not in keep:
            shutil.rmtree(place, ignore_errors=True)


def load_best(folder: str | Path, space: Space, name: str = _BEST) -> torch.nn.Module:
    """Return the trained network of a run folder, in evaluation mode, on the CPU.

    It is built from the space; the code in `model.py` is not executed.

    Args:
        folder: The run folder.
        space: The space that was searched.
        name: The network's folder in the run folder.

    Raises:
        StudyError: Nothing has been found yet, or the search kept no weights.
    """
    from safetensors.torch import load_file

    best = _found(folder, name)
    weights = best / "weights.safetensors"
    if not weights.exists():
        raise StudyError(f"{folder} holds no weights: the evaluator of this study trained no network (candidate.model)")
    saved = read_best(folder, name)
    assert saved is not None
    model = space.build(saved.architecture, saved.example_input)
    model.load_state_dict(load_file(weights))
    return model.eval()


def read_preprocess(folder: str | Path, name: str = _BEST) -> Preprocess | None:
    """Return the preprocessing of a network in a run folder; `None` where none was saved with it.

    Raises:
        StudyError: There is no such network, or its preprocess.json is damaged.
    """
    from archwright.datasets import InputError, load_preprocess

    file = _found(folder, name) / "preprocess.json"
    try:
        return load_preprocess(file) if file.exists() else None
    except InputError as error:
        raise StudyError(str(error)) from error


def export_network(
    folder: str | Path, out: str | Path, *, trial: int | None = None, onnx: Space | None = None
) -> list[Path]:
    """Copy a network of a run folder to where it will be used.

    Args:
        folder: The run folder.
        out: A new or empty folder; it gets model.py, weights.safetensors, architecture.json and metrics.json.
        trial: The trial on the front whose network it is to be; the best when not given.
        onnx: The space that was searched, where it is to get model.onnx too.

    Returns:
        The files written.

    Raises:
        StudyError: Nothing has been found yet, no network of the trial is kept, or `out` holds files already.
        BuildError: The network cannot be written as an ONNX file.
        MissingExtra: What writes ONNX files is not installed.
    """
    name = _BEST if trial is None else _name_of(Path(folder), trial)
    found = _found(folder, name)
    target = Path(out)
    if target.exists() and any(target.iterdir()):
        raise StudyError(f"{target} is not empty; name a new folder")
    target.mkdir(parents=True, exist_ok=True)
    if onnx is not None:
        onnx_file(folder, onnx, name)
    return [Path(shutil.copy2(file, target)) for file in sorted(found.iterdir())]


def onnx_file(folder: str | Path, space: Space, name: str = _BEST) -> Path:
    """Return the ONNX file of a network of a run, which is written beside its weights where it is not there yet.

    Raises:
        StudyError: There is no such network, or it is not known what goes into it.
        BuildError: It cannot be written as an ONNX file.
        MissingExtra: What writes ONNX files is not installed.
    """
    from archwright.build import write_onnx

    place = _found(folder, name)
    file = place / "model.onnx"
    if not file.exists():
        saved = read_best(folder, name)
        specs = None if saved is None else saved.example_input or space.example_input
        if specs is None:
            raise StudyError(f"{folder} does not say what goes into the network: an ONNX file needs to know")
        new = file.with_suffix(".new")
        model, preprocess = load_best(folder, space, name), read_preprocess(folder, name)
        if preprocess is None:
            write_onnx(model, specs, new)
        else:
            from archwright.export._preprocess import write_raw_onnx

            write_raw_onnx(model, preprocess, specs, new)
        new.replace(file)
    return file


def _name_of(folder: Path, trial: int) -> str:
    """Return the folder that holds the network of a trial."""
    name = f"{FRONT}/{trial}"
    if _settled(folder / name) is not None:
        return name
    best = read_best(folder)
    if best is not None and best.trial == trial:
        return _BEST
    kept = sorted(int(place.name) for place in (folder / FRONT).glob("*") if place.name.isdecimal())
    listed = ", ".join(map(str, kept)) or ("none but the best" if best is not None else "none")
    raise StudyError(f"{folder} keeps no network of trial {trial}; it keeps those of the trials on the front: {listed}")


def _save_weights(model: torch.nn.Module, path: Path, architecture: Architecture) -> None:
    from safetensors.torch import save_file

    # A clone of its own for each tensor: the format refuses tensors that share memory, such as tied weights.
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in model.state_dict().items()}
    save_file(tensors, path, metadata={"architecture": architecture.id})


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _swap(place: Path) -> None:
    old = place.with_name(f"{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        os.rename(place, old)
    os.rename(place.with_name(f"{place.name}.new"), place)
    shutil.rmtree(old, ignore_errors=True)


def _found(folder: str | Path, name: str) -> Path:
    best = _settled(Path(folder) / name)
    if best is None:
        raise StudyError(f"{folder} holds no network yet: no trial has ended with a result")
    return best


def _settled(place: Path) -> Path | None:
    """Return a network's folder; a process killed between the two renames left it under its old name."""
    old = place.with_name(f"{place.name}.old")
    if place.exists():
        return place
    return old if old.exists() else None
