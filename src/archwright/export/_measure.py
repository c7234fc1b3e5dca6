"""What the networks of a run cost on this machine, measured on what would be shipped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from archwright.cost import Counted, Target, Timing, time_files, time_networks
from archwright.errors import StudyError
from archwright.export._best import FRONT, Saved, load_best, onnx_file, read_best
from archwright.space import Space

__all__ = ["Measured", "measure_networks"]


@dataclass(frozen=True)
class Measured:
    """A network of a run with what it costs here.

    Args:
        saved: What is on record of it.
        timing: How long a batch takes.
        throughput: Samples in a second.
        parameters: How many numbers it learned.
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
    """Measure the best network of a run, and those on its front, on a target of this machine.

    They are run with their trained weights, and take turns. For ONNX Runtime the file that is measured stays beside the
    weights: it is the one that `export_network` gives away.

    Args:
        folder: The run folder.
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
    numbers = sorted(int(place.name) for place in (root / FRONT).glob("*") if place.name.isdecimal())
    names = [f"{FRONT}/{number}" for number in numbers] or ["best"]
    found = {name: saved for name in names if (saved := read_best(root, name)) is not None}
    if not found:
        raise StudyError(f"{folder} holds no network yet: no trial has ended with a result")
    inputs = {name: saved.example_input or space.example_input for name, saved in found.items()}
    specs = next(iter(inputs.values()))
    if specs is None:
        raise StudyError(f"{folder} does not say what goes into its networks, so they cannot be run")
    if target.runtime == "onnx":
        timings = time_files([onnx_file(root, space, name) for name in found], specs, target, limit=limit)
    else:
        models = [load_best(root, space, name) for name in found]
        timings = time_networks(models, specs, target, limit=limit)
    counted = Counted()
    rows = []
    for saved, timing in zip(found.values(), timings, strict=True):
        costs = counted.of(space, saved.architecture, specs[0] if len(specs) == 1 else None)
        per_second = target.batch_size / timing.milliseconds * 1e3
        rows.append(Measured(saved, timing, per_second, costs["parameters"], costs["flops"]))
    return rows
