"""What a found network leaves on disk: its decisions, its source, its weights and its figures."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.errors import BuildError, StudyError
from archwright.space import Architecture, Space, TensorSpec

if TYPE_CHECKING:
    import torch

__all__ = ["Saved", "export_network", "load_best", "read_best", "save_best"]

_NEW, _OLD = "best.new", "best.old"


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
) -> str | None:
    """Write `best/` into a run folder: architecture.json, model.py, weights.safetensors, metrics.json.

    The folder is replaced as a whole, so that a reader never sees half of it, whenever the process is killed.

    Args:
        folder: The run folder.
        space: The space that the architecture belongs to.
        architecture: The decisions.
        candidate: The trained candidate, whose `model` holds the weights and whose `example_input` is known; without it
            there are no weights to save.
        metrics: The network's figures.
        stage: "search" or "final".
        trial: The number of the trial that found it.

    Returns:
        Why there is no model.py, where the source cannot be written; else None.
    """
    root = Path(folder)
    new = root / _NEW
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
    reason = None
    if "model" in space.parts and (candidate is not None or specs is not None):
        try:
            (new / "model.py").write_text(space.source(architecture, specs), encoding="utf-8")
        except BuildError as error:
            reason = str(error)
    if candidate is not None:
        _save_weights(candidate.model, new / "weights.safetensors", architecture)
    _swap(root)
    return reason


def read_best(folder: str | Path) -> Saved | None:
    """Return what the `best` folder of a run says; None where nothing has been found yet."""
    best = _settled(Path(folder))
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


def load_best(folder: str | Path, space: Space) -> torch.nn.Module:
    """Return the trained network of a run folder, in evaluation mode, on the CPU.

    It is built from the space; the code in `model.py` is not executed.

    Args:
        folder: The run folder.
        space: The space that was searched.

    Raises:
        StudyError: Nothing has been found yet, or the search kept no weights.
    """
    from safetensors.torch import load_file

    best = _found(folder)
    weights = best / "weights.safetensors"
    if not weights.exists():
        raise StudyError(f"{folder} holds no weights: the evaluator of this study trained no network (candidate.model)")
    saved = read_best(folder)
    assert saved is not None
    model = space.build(saved.architecture, saved.example_input)
    model.load_state_dict(load_file(weights))
    return model.eval()


def export_network(folder: str | Path, out: str | Path) -> list[Path]:
    """Copy the best network of a run folder to where it will be used, and check that it loads there.

    Args:
        folder: The run folder.
        out: A new or empty folder; it gets model.py, weights.safetensors, architecture.json and metrics.json.

    Returns:
        The files written.

    Raises:
        StudyError: Nothing has been found yet, or `out` holds files already.
    """
    best = _found(folder)
    target = Path(out)
    if target.exists() and any(target.iterdir()):
        raise StudyError(f"{target} is not empty; name a new folder")
    target.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copy2(file, target)) for file in sorted(best.iterdir())]


def _save_weights(model: torch.nn.Module, path: Path, architecture: Architecture) -> None:
    from safetensors.torch import save_file

    # A clone of its own for each tensor: the format refuses tensors that share memory, such as tied weights.
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in model.state_dict().items()}
    save_file(tensors, path, metadata={"architecture": architecture.id})


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _swap(root: Path) -> None:
    best, old = root / "best", root / _OLD
    shutil.rmtree(old, ignore_errors=True)
    if best.exists():
        os.rename(best, old)
    os.rename(root / _NEW, best)
    shutil.rmtree(old, ignore_errors=True)


def _found(folder: str | Path) -> Path:
    best = _settled(Path(folder))
    if best is None:
        raise StudyError(f"{folder} holds no network yet: no trial has ended with a result")
    return best


def _settled(root: Path) -> Path | None:
    """Return the `best` folder; a process killed between the two renames left it under its old name."""
    best, old = root / "best", root / _OLD
    if best.exists():
        return best
    return old if old.exists() else None
