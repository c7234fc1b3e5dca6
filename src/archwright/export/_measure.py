"""What the networks of a run cost on this machine, measured on what would be shipped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from archwright.cost import Counted, Target, Timing, time_files, time_networks
from archwright.errors import StudyError
from archwright.export._best import BEST, FRONT, kept_trials, read_best, write_onnx_file
from archwright.export._saved import Saved
from archwright.space import Space

__all__ = ["Measured", "measure_networks"]


@dataclass(frozen=True)
class Measured:
    """A network of a run with what it costs here.

    Args:
        saved: What is on record of it.
        timing: How long a batch takes.
        throughput: Samples in a second.
        parameters: How many numbers it has that can be learned.
        flops: Of one sample, 2 per multiply-add.
    """

    saved: Saved
    timing: Timing
    throughput: float
    parameters: float
    flops: float


def measure_networks(
    folder: str | Path, space: Space, target: Target | str = "eager", *, limit: float = 0.1
) -> list[Measured]:
    """Measure the best network of a run, or those on its front, on a target of this machine.

    They are run with their trained weights, and take turns. ONNX Runtime is given a file as `export_network` writes it.

    Args:
        folder: The run folder; it is left as it is.
        space: The space that was searched.
        target: On what.
        limit: The greatest spread of the times that is believed.

    Raises:
        StudyError: Nothing has been found, or it is not known what goes into the networks.
        CostError: A network does not run on the target, or the times waver too much.
        MissingExtra: The runtime is not installed.
    """
    target = Target.parse(target)
    root = Path(folder)
    names = [f"{FRONT}/{number}" for number in kept_trials(root, FRONT)] or [BEST]
    found = [saved for name in names if (saved := read_best(root, name)) is not None]
    if not found:
        raise StudyError(f"{folder} holds no network yet: no trial is complete")
    specs = found[0].example_input or space.example_input
    if specs is None:
        raise StudyError(f"{folder} does not say what goes into its networks, so they cannot be run")
    if target.runtime == "onnx":
        with TemporaryDirectory() as temporary:
            files = [Path(temporary) / f"{position}.onnx" for position in range(len(found))]
            for saved, file in zip(found, files, strict=True):
                write_onnx_file(saved, space, file)
            timings = time_files(files, specs, target, limit=limit)
    else:
        timings = time_networks([saved.network(space) for saved in found], specs, target, limit=limit)
    counted = Counted()
    rows = []
    for saved, timing in zip(found, timings, strict=True):
        costs = counted.of(space, saved.architecture, specs[0] if len(specs) == 1 else None)
        per_second = target.batch_size / timing.milliseconds * 1e3
        rows.append(Measured(saved, timing, per_second, costs["parameters"], costs["flops"]))
    return rows
