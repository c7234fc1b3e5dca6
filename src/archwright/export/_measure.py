"""Costs of the saved networks of a run on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from archwright.cost import Counted, Target, Timing, time_files, time_networks
from archwright.errors import StudyError
from archwright.export._best import BEST, FRONT, found_network, kept_trials, read_best, write_onnx_file
from archwright.export._saved import Saved
from archwright.space import Space


@dataclass(frozen=True)
class Measured:
    """A network of a run with its costs on this machine.

    Args:
        saved: The saved network.
        timing: The latency of a batch.
        throughput: Samples per second.
        parameters: Number of parameters.
        flops: FLOPs of one sample, 2 per multiply-add.

    Example:
        >>> from archwright.export import measure_networks, save_best
        >>> space = aw.Space(model=nn.Linear(4, aw.ordinal(2, 3, name="width")), example_input=(4,))
        >>> candidate = aw.Candidate(space, aw.Architecture({"width": 3}), seed=0)
        >>> save_best("run", space=space, architecture=candidate.architecture, candidate=candidate, metrics={})
        >>> [measured.flops for measured in measure_networks("run", space, limit=float("inf"))]
        [24.0]
    """

    saved: Saved
    timing: Timing
    throughput: float
    parameters: float
    flops: float


def measure_networks(
    folder: str | Path, space: Space, target: Target | str = "eager", *, limit: float = 0.1
) -> list[Measured]:
    """Measure the best network of a run, or those on its Pareto front, on a target of this machine.

    They have their trained weights, and their rounds are interleaved. ONNX Runtime gets the file of `export_network`.

    Args:
        folder: The run folder; it is not changed.
        space: The search space.
        target: The target.
        limit: The maximum interquartile range of the rounds, relative to their median.

    Raises:
        StudyError: There is no network, or the input of the networks is unknown.
        CostError: A network does not run on the target, or the times vary too much.
        MissingExtra: The runtime is not installed.

    Example:
        >>> from archwright.export import measure_networks, save_best
        >>> space = aw.Space(model=nn.Linear(4, aw.ordinal(2, 3, name="width")), example_input=(4,))
        >>> candidate = aw.Candidate(space, aw.Architecture({"width": 3}), seed=0)
        >>> save_best("run", space=space, architecture=candidate.architecture, candidate=candidate, metrics={})
        >>> [measured.parameters for measured in measure_networks("run", space, limit=float("inf"))]
        [15.0]
    """
    target = Target.parse(target)
    root = Path(folder)
    names = [f"{FRONT}/{number}" for number in kept_trials(root, FRONT)] or [BEST]
    found = [saved for name in names if (saved := read_best(root, name)) is not None] or [found_network(root, BEST)]
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
