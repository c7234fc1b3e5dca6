"""Saved networks of a run folder: decisions, source, weights and metrics."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright import _disk
from archwright.errors import BuildError, StudyError
from archwright.export._ensemble import Members
from archwright.export._folder import Folder, as_json
from archwright.export._saved import FIGURES, SCRIPT, WEIGHTS, Saved
from archwright.space import Architecture, Space, TensorSpec
from archwright.trials import metrics_to_json

if TYPE_CHECKING:
    import torch

BEST = "best"
"""The folder of a run that holds its best network."""

SOURCE = "model.py"

FRONT = "front"
"""The folder of a run in which each network of the front has a folder, named after its trial."""

TOP = "top"
"""The same for the few best networks of a search for one objective."""

POOL = "pool"
"""The same for the networks of the search from which an ensemble is selected."""

ENSEMBLE = "ensemble"
"""The folder of a run that holds its ensemble, as one network."""


def save_best(
    folder: str | Path,
    *,
    space: Space,
    architecture: Architecture,
    candidate: Any = None,
    metrics: Mapping[str, float],
    stage: str = "search",
    trial: int | None = None,
    name: str = BEST,
    members: Members | None = None,
    source: bool = True,
) -> str | None:
    """Write a network into a folder of a run: architecture.json, model.py, weights.safetensors, metrics.json.

    If the preprocessing is known, preprocess.json and predict.py are written too, and model.py contains its constants.
    The files are replaced atomically.

    Args:
        folder: The run folder.
        space: The space of the architecture.
        architecture: The decisions.
        candidate: The trained candidate, with `model`, `example_input` and `preprocess`; `None` to save no weights.
        metrics: The network's metrics.
        stage: "search" or "final".
        trial: The number of the trial that found it.
        name: The folder's name in the run folder, "best", or "front/12" for that of trial 12 on the front.
        members: The members, if the network is an ensemble; it has no decisions of its own.
        source: Whether to write model.py and predict.py.

    Returns:
        The reason why model.py is missing, if the source cannot be written; else `None`.

    Raises:
        StudyError: The folder's path is in use.
        OSError: The files cannot be written; the network saved before is unchanged.

    Example:
        >>> from archwright.export import read_best, save_best
        >>> space = aw.Space(model=nn.Linear(4, aw.ordinal(2, 3, name="width")), example_input=(4,))
        >>> save_best("run", space=space, architecture=aw.Architecture({"width": 3}), metrics={"accuracy": 0.9})
        >>> read_best("run").architecture["width"]
        3
    """
    specs = getattr(candidate, "example_input", None) or space.example_input
    specs = (specs,) if isinstance(specs, TensorSpec) else specs
    index = {
        "id": architecture.id,
        "space": space.name,
        "fingerprint": space.fingerprint,
        "trial": trial,
        "example_input": specs and [{"shape": list(spec.shape), "dtype": spec.dtype} for spec in specs],
        "decisions": architecture.to_json(),
        **({} if members is None else {"ensemble": members.to_json()}),
    }
    files = {FIGURES: as_json({"stage": stage, "trial": trial, "metrics": metrics_to_json(metrics)})}
    preprocess = getattr(candidate, "preprocess", None)
    if preprocess is not None:
        from archwright.export._preprocess import preprocess_files

        files |= preprocess_files(preprocess)
    reason = None
    if source and "model" in space.parts and (candidate is not None or specs is not None):
        try:
            written = source_of(space, members or architecture, specs, preprocess)
            if candidate is not None:
                from archwright.export._verify import check_source

                check_source(written.decode(), candidate.model, specs)
            files[SOURCE] = written
        except BuildError as error:
            reason = str(error)
    if SOURCE not in files:
        files.pop(SCRIPT, None)  # which builds the network with it
    if candidate is not None:
        files[WEIGHTS] = _weights(candidate.model, architecture)
    Folder(folder, name).write(index, files)
    return reason


def read_best(folder: str | Path, name: str = BEST) -> Saved | None:
    """Return the saved network of a run folder, or `None`.

    Raises:
        StudyError: Its files are damaged.

    Example:
        >>> from archwright.export import read_best
        >>> read_best("empty") is None
        True
    """
    place = Folder(folder, name)
    files = place.read()
    return None if files is None else Saved.parse(place.path, files)


def kept_trials(folder: str | Path, name: str) -> list[int]:
    """Return the trials that have a folder in a folder of a run, `FRONT` or `TOP`."""
    above = Path(folder) / name
    if not _disk.is_folder(above):
        return []
    names = {place.name.removeprefix(f"{_disk.RESERVED}old-") for place in above.iterdir()}
    return sorted(int(each) for each in names if each.isdecimal() and each.isascii())


def clear_all_but(folder: str | Path, name: str, keep: Collection[int]) -> None:
    """Remove the networks of all but the given trials from a subfolder of a run folder, `FRONT` or `TOP`.

    Example:
        >>> from archwright.export import FRONT, clear_all_but
        >>> clear_all_but("run", FRONT, keep=[3]) is None
        True
    """
    for trial in kept_trials(folder, name):
        if trial not in keep:
            Folder(folder, f"{name}/{trial}").clear()


def load_best(folder: str | Path, space: Space, name: str = BEST) -> torch.nn.Module:
    """Return the trained network of a run folder, in evaluation mode, on the CPU.

    It is built from the space; the code in `model.py` is not executed.

    Args:
        folder: The run folder.
        space: The space that was searched.
        name: The network's folder in the run folder.

    Raises:
        StudyError: Nothing has been found yet, the search kept no weights, or the files are damaged.

    Example:
        >>> from archwright.export import load_best, save_best
        >>> space = aw.Space(model=nn.Linear(4, aw.ordinal(2, 3, name="width")), example_input=(4,))
        >>> candidate = aw.Candidate(space, aw.Architecture({"width": 3}), seed=0)
        >>> save_best("run", space=space, architecture=candidate.architecture, candidate=candidate, metrics={})
        >>> torch.equal(load_best("run", space).weight, candidate.model.weight)
        True
    """
    return found_network(folder, name).network(space)


def write_onnx_file(saved: Saved, space: Space, file: Path) -> None:
    """Write a network of a run as an ONNX file."""
    from archwright.build import write_onnx

    specs = saved.example_input or space.example_input
    if specs is None:
        raise StudyError(f"{saved.place} does not say what goes into the network: an ONNX file needs to know")
    network, preprocess = saved.network(space), saved.preprocess()
    if preprocess is None:
        write_onnx(network, specs, file)
    else:
        from archwright.export._preprocess import write_raw_onnx

        write_raw_onnx(network, preprocess, specs, file)


def source_of(
    space: Space, network: Architecture | Members, specs: Any, preprocess: Any, imports: Sequence[str] | None = None
) -> bytes:
    """Return the text of model.py."""
    if isinstance(network, Architecture):
        source = space.source(network, specs, imports=imports)
    else:
        source = network.source(space, specs, imports=imports)
    if preprocess is not None:
        from archwright.export._preprocess import model_source

        source = model_source(source, preprocess)
    return source.encode()


def network_of_trial(folder: Path, trial: int) -> Saved:
    for name in (f"{FRONT}/{trial}", f"{TOP}/{trial}"):
        saved = read_best(folder, name)
        if saved is not None:
            return saved
    best = found_network(folder, BEST)
    if best.trial == trial:
        return best
    kept = sorted(
        {each for name in (FRONT, TOP) for each in kept_trials(folder, name) if read_best(folder, f"{name}/{each}")}
    )
    listed = ", ".join(map(str, kept)) or f"{best.trial} (the best)"
    raise StudyError(
        f"{folder} holds no network of trial {trial}; networks are kept of trial {listed}. A search with several "
        "objectives keeps its Pareto front; --final 3 (final=3) keeps the three best"
    )


def _weights(model: torch.nn.Module, architecture: Architecture) -> bytes:
    from safetensors.torch import save

    # A clone of its own for each tensor: the format refuses tensors that share memory, such as tied weights.
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in model.state_dict().items()}
    return save(tensors, metadata={"architecture": architecture.id})


def found_network(folder: str | Path, name: str) -> Saved:
    saved = read_best(folder, name)
    if saved is not None:
        return saved
    if not Path(folder).is_dir():
        raise StudyError(f"there is no folder {folder}: give the run folder of a search")
    if name == ENSEMBLE:
        raise StudyError(f"{folder} holds no ensemble: a search with --ensemble 5 (ensemble=5) makes one at its end")
    raise StudyError(f"{folder} holds no network yet: no trial is complete")
