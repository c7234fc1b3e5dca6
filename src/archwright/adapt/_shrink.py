"""From a trained network to a smaller one that is tuned."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from archwright.adapt._elastic import Sizes, elastic, largest
from archwright.adapt._program import BlockProgram
from archwright.cost import Counted, as_cost
from archwright.errors import BuildError, StudyError, UnknownName
from archwright.evaluate import Feed, Setup, TrainingLoop, TrainingProgress, compute_metrics, lay_out, seeded
from archwright.export import save_best
from archwright.space import Architecture, Space, Value
from archwright.supernet import Supernet
from archwright.trials import Constraint

if TYPE_CHECKING:
    from archwright.cost import Cost
    from archwright.evaluate import Training

_SAMPLES = 1024  # training samples by which options are judged
_SHARES = (0.25, 0.375, 0.5, 0.625, 0.75, 0.875)


@dataclass(frozen=True)
class Shrunk:
    """A network that was shrunk.

    Attributes:
        model: The network, in plain PyTorch, in evaluation mode, on the CPU.
        space: The space of the sub-networks of the original.
        architecture: The decisions of the network.
        costs: The costs of the original, "before", and of the network, "after".
        original: The metrics of the original on the validation part, and with names such as "test_accuracy" on the test
            part.
        untuned: Those of the network before tuning.
        metrics: Those of the network.
        losses: The loss that each option adds alone, by the name of its decision and the option.

    Example:
        >>> training = aw.Training(aw.data("iris"), epochs=1, device="cpu")
        >>> network = torch.nn.Sequential(torch.nn.Linear(4, 32), torch.nn.ReLU(), torch.nn.Linear(32, 3))
        >>> shrunk = aw.shrink(network, training, "flops <= 0.5x", epochs=0)
        >>> shrunk.costs["after"]["flops"] <= 0.5 * shrunk.costs["before"]["flops"]
        True
    """

    model: nn.Module
    space: Space
    architecture: Architecture
    costs: Mapping[str, Mapping[str, float]]
    original: Mapping[str, float]
    untuned: Mapping[str, float]
    metrics: Mapping[str, float]
    losses: Mapping[tuple[str, Value], float] = field(repr=False)
    preprocess: Any = field(default=None, repr=False)

    def save(self, folder: str | Path) -> Path:
        """Write the network into a run folder, as a search does: `archwright export FOLDER` exports it.

        Returns:
            The folder of the network: architecture.json, model.py, weights.safetensors, metrics.json; and predict.py
            where the preprocessing is known.

        Raises:
            StudyError: The folder's path is in use.
            BuildError: The source of the network cannot be written.
        """
        reason = save_best(
            folder,
            space=self.space,
            architecture=self.architecture,
            candidate=self,
            metrics=self.metrics,
            stage="final",
        )
        if reason is not None:
            raise BuildError(
                f"{folder} has the weights alone, as the source of the network cannot be written: {reason}"
            )
        return Path(folder) / "best"

    @property
    def example_input(self) -> Any:
        """The input of the network."""
        return self.space.example_input

    def __str__(self) -> str:
        costs = ", ".join(
            f"{name} {self.costs['before'][name]:.4g} to {self.costs['after'][name]:.4g}"
            for name in self.costs["after"]
        )
        shared = [name for name in self.metrics if name in self.original and name in self.untuned]
        told = ", ".join(
            f"{name} {self.original[name]:.4g} to {self.metrics[name]:.4g} (untuned {self.untuned[name]:.4g})"
            for name in shared[:2]
        )
        return f"{costs}; {told}"


def shrink(
    model: nn.Module | str | Path,
    training: Training,
    constraints: str | Iterable[str],
    *,
    width: Sizes = _SHARES,
    heads: Sizes = True,
    feed_forward: Sizes = _SHARES,
    depth: bool = True,
    whole: Sequence[str] = (),
    space: Space | None = None,
    epochs: int | None = None,
    distil: bool = True,
    samples: int = _SAMPLES,
    seed: int = 0,
) -> Shrunk:
    """Shrink a trained network until it keeps constraints, and tune it.

    1. The network becomes the space of its sub-networks: `elastic`, with units sorted by the loss on training samples.
    2. Each option of each decision is judged alone, in the whole network: by the distillation loss of the task against
       the outputs of the whole network on training samples, after the statistics of batch normalisation were measured
       anew. An integer program takes the best sum under the constraints: `BlockProgram`.
    3. The network that was found is tuned by the recipe of the training. Half of the loss is the distillation loss with
       the original network as the teacher, for tasks that have one.

    For a search instead of step 2, use `aw.search(aw.elastic(...), aw.SupernetEvaluator(training, "sandwich"), ...)`.

    Args:
        model: As in `elastic`.
        training: The task and the recipe of tuning.
        constraints: One or several upper bounds of costs, absolute or as a share of those of the network:
            "flops <= 0.5x", "parameters <= 1e5", "latency_ms <= 2".
        width: As in `elastic`.
        heads: As in `elastic`.
        feed_forward: As in `elastic`.
        depth: As in `elastic`.
        whole: As in `elastic`.
        space: A space of `elastic`, in place of one with these settings.
        epochs: Epochs of tuning; 0 for none; `None` for those of the training.
        distil: Whether the original teaches the network.
        samples: The number of training samples by which units and options are judged.
        seed: The random seed.

    Raises:
        StudyError: A constraint cannot be parsed, is no upper bound of a cost, or no sub-network keeps it; the message
            gives the closest value.
        RelaxationError: As in `elastic`.
        EvaluationError: The loss of tuning became NaN or infinite.

    Example:
        >>> training = aw.Training(aw.data("iris"), epochs=1, device="cpu")
        >>> network = torch.nn.Sequential(torch.nn.Linear(4, 32), torch.nn.ReLU(), torch.nn.Linear(32, 3))
        >>> shrunk = aw.shrink(network, training, "parameters <= 0.5x")
        >>> sum(each.numel() for each in shrunk.model.parameters()) <= 0.5 * sum(map(torch.numel, network.parameters()))
        True
    """
    task, setup = training.task, training.setup(training.device)
    size = training.recipe.batch_for(task)
    with seeded(seed, training.device):
        feed = Feed(task, task.train, setup)
        sample = list(_some(feed, size, samples, seed))
        if space is None:
            space = elastic(
                model,
                task.example_input,
                width=width,
                heads=heads,
                feed_forward=feed_forward,
                depth=depth,
                whole=whole,
                loss=lambda network: _loss(network.to(training.device), feed, sample),
            )
        full = largest(space)
        teacher = space.build(full).to(training.device).eval().requires_grad_(False)
        lay_out(teacher, setup.layout)
        bounds, costs = _bounds(constraints, space, full)

        def measured(architecture: Architecture) -> dict[str, float]:
            return {name: value for cost in costs for name, value in cost.of(space, architecture).items()}

        before = measured(full)
        _check_reachable(space, bounds, measured)
        program = BlockProgram(space, full, measured, bounds, pairs=all(isinstance(each, Counted) for each in costs))
        supernet = Supernet(space, "path", seed=seed).to(training.device).eval()
        losses = _judged(program, supernet, teacher, feed, sample)
        architecture = program.solve(losses)
        supernet.calibrate(supernet.select(architecture), [inputs for inputs, _ in sample])
        network = supernet.extract(architecture)
        original, untuned = (_metrics(each, task, setup) for each in (teacher, network))
        if epochs != 0:
            _tune(network, teacher if distil else None, training, feed, epochs, seed)
        metrics = _metrics(network, task, setup)
    lay_out(network, torch.contiguous_format)
    return Shrunk(
        network.cpu().eval(),
        space,
        architecture,
        {"before": before, "after": measured(architecture)},
        original,
        untuned,
        metrics,
        losses,
        task.preprocess,
    )


def _some(feed: Feed, size: int, samples: int, seed: int) -> Iterator[Any]:
    batches = feed.shuffled(min(size, len(feed)), torch.Generator().manual_seed(seed))
    yield from islice(batches, max(1, -(-samples // size)))


def _loss(network: nn.Module, feed: Feed, sample: list[Any]) -> torch.Tensor:
    losses = [feed.task.loss(feed.run(network, inputs), targets) for inputs, targets in sample]
    return torch.stack(losses).mean()


def _bounds(constraints: str | Iterable[str], space: Space, whole: Architecture) -> tuple[dict[str, float], list[Cost]]:
    """Return the bounds of costs, and what measures them."""
    bounds: dict[str, float] = {}
    costs: list[Cost] = []
    for text in [constraints] if isinstance(constraints, str) else constraints:
        share = re.fullmatch(r"(.*\d)\s*x\s*", text)
        parsed = Constraint.parse(share[1] if share else text)
        if not parsed.at_most:
            raise StudyError(f"constraint {text!r}: shrink takes upper bounds of costs, such as 'flops <= 0.5x'")
        try:
            cost = as_cost(parsed.metric)
        except UnknownName:
            cost = None
        if cost is None or parsed.metric not in cost.metrics:
            raise StudyError(
                f"constraint {text!r}: {parsed.metric!r} is no cost of a network; there are flops, parameters, "
                "size_mb, activation_mb, latency_ms, arena_kb, flash_kb and others (aw.cost)"
            )
        costs.append(cost)
        bounds[parsed.metric] = parsed.bound * (cost.of(space, whole)[parsed.metric] if share else 1.0)
    if not bounds:
        raise StudyError("shrink needs a constraint, such as 'flops <= 0.5x'; none was given")
    return bounds, costs


def _check_reachable(space: Space, bounds: Mapping[str, float], measured: Any) -> None:
    """Refuse bounds that even the smallest network does not keep."""
    smallest = space.canonical({name: next(iter(each.values())) for name, each in space.decisions.items()})
    found = measured(smallest)
    for name, bound in bounds.items():
        if found[name] > bound:
            raise StudyError(
                f"{name} <= {bound:g} cannot be kept: the smallest sub-network has {found[name]:g}. Raise the bound, "
                f"or give smaller shares of width, heads and feed_forward"
            )


@torch.no_grad()
def _judged(
    program: BlockProgram, supernet: Supernet, teacher: nn.Module, feed: Feed, sample: list[Any]
) -> dict[tuple[str, Value], float]:
    """Return the loss that each option adds alone, 0 or more."""
    taught = [feed.run(teacher, inputs) for inputs, _ in sample]

    def loss(architecture: Architecture) -> float:
        path = supernet.select(architecture)
        supernet.calibrate(path, [inputs for inputs, _ in sample])
        losses = []
        for (inputs, targets), wanted in zip(sample, taught, strict=True):
            outputs = feed.run(path, inputs)
            soft = feed.task.distillation(outputs, wanted)
            losses.append(feed.task.loss(outputs, targets) if soft is None else soft)
        return float(torch.stack(losses).mean())

    whole = loss(program.whole)
    return {(name, value): max(0.0, loss(program.changed({name: value})) - whole) for name, value in program.others()}


def _metrics(network: nn.Module, task: Any, setup: Setup) -> dict[str, float]:
    found = compute_metrics(network, Feed(task, task.validation, setup), setup)
    if len(task.test):
        tested = compute_metrics(network, Feed(task, task.test, setup), setup)
        found |= {f"test_{name}": value for name, value in tested.items()}
    return found


def _tune(
    network: nn.Module, teacher: nn.Module | None, training: Training, feed: Feed, epochs: int | None, seed: int
) -> None:
    recipe, setup = training.recipe, training.setup(training.device)
    size = recipe.batch_for(training.task)
    count = recipe.epochs_for(training.task) if epochs is None else epochs
    lay_out(network, setup.layout)
    pace = TrainingProgress(count * feed.steps(size))
    loop = TrainingLoop(network, feed, setup, recipe, batch_size=size, seed=seed, pace=pace, teacher=teacher)
    for _ in range(count):
        loop.epoch()
    loop.settle()
    network.eval()
