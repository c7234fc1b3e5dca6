"""Batches of one part of a task's samples, and the metrics of a network on it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from archwright.datasets import Part
from archwright.errors import EvaluationError
from archwright.tasks import leaves, map_tensors, size_of

if TYPE_CHECKING:
    from archwright.evaluate._device import Setup
    from archwright.tasks import Task

Batch = tuple[Any, Any]  # prepared inputs, and targets
BATCH = 256
LEAST = 512
TIMED_BATCHES = 4
TIMED_SAMPLES = TIMED_BATCHES * BATCH
_NEAR = 50  # batches that are sorted by length together


@dataclass(frozen=True)
class Share:
    """The share of each batch that one of several processes learns from.

    Args:
        place: The place of the process, from 0.
        count: The number of processes.
    """

    place: int = 0
    count: int = 1

    def of(self, samples: int) -> slice:
        """Return which of so many samples; all, if there are not two for each process, which batch normalisation needs.

        Then the processes do the same.
        """
        if samples < 2 * self.count:
            return slice(0, samples)
        return slice(samples * self.place // self.count, samples * (self.place + 1) // self.count)

    def weight(self, samples: int) -> float:
        """Return the weight of the mean over the share in the mean over so many samples."""
        taken = self.of(samples)
        return 1 / self.count if samples < 2 * self.count else (taken.stop - taken.start) / samples


WHOLE = Share()


class Feed:
    """Batches of one part of a task's samples. Tensors stay on the device; data sets are loaded batch by batch.

    Args:
        task: The task, which prepares inputs and checks outputs.
        part: The part: training, validation or test.
        setup: Device, memory format and precision.

    Example:
        >>> from archwright.evaluate import Feed, Setup
        >>> task = aw.Training(aw.data((torch.rand(40, 4), torch.arange(40) % 2))).task
        >>> feed = Feed(task, task.train, Setup("cpu"))
        >>> feed.sizes(12), [tuple(inputs.shape) for inputs, targets in feed.in_order(12)]
        ([12, 12, 4], [(12, 4), (12, 4), (4, 4)])
    """

    def __init__(self, task: Task, part: Any, setup: Setup) -> None:
        self.task, self.part = task, part
        self._setup = setup
        self._lengths = task.lengths(part)

    @cached_property
    def _placed(self) -> Part:
        """The part on the device, where it is moved when batches are wanted."""
        placed: Part = self.part.placed(self._setup.place, self._place_targets)
        return placed

    def _place_targets(self, targets: Tensor) -> Tensor:
        if torch.device(self._setup.device).type == "mps" and targets.dtype == torch.float64:
            targets = targets.float()  # which is all there is
        return targets.to(self._setup.device)

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.part)

    def run(self, model: Callable[..., Any], inputs: Any) -> Any:
        """Return the outputs of a network for the inputs of a batch.

        Raises:
            EvaluationError: The outputs do not fit the task.
        """
        outputs = self._setup.run(model, inputs)
        self.task.check_outputs(outputs, size_of(inputs))
        return outputs

    def in_order(self, size: int) -> Iterator[Batch]:
        """Yield all samples in order, in batches of `size`."""
        if isinstance(self.part, Part):
            for start in range(0, len(self), size):
                inputs, targets = self._placed.at(slice(start, start + size))  # views, not copies
                yield self._prepare(inputs), targets
        else:
            yield from self._read(torch.split(torch.arange(len(self)), size))

    def shuffled(self, size: int, generator: torch.Generator, *, augment: tuple[str, ...] = ()) -> Iterator[Batch]:
        """Yield all samples in random order, in batches of `size`; of similar length where the task tells lengths.

        The last batch may be smaller; a last batch of one sample is merged with the one before, because of batch
        normalisation.

        Args:
            size: The batch size.
            generator: The generator of the order and the augmentation, on the CPU.
            augment: Names of augmentations of the task.
        """
        for inputs, targets, _ in self.shares(size, generator, augment=augment):
            yield inputs, targets

    def shares(
        self, size: int, generator: torch.Generator, *, augment: tuple[str, ...] = (), share: Share = WHOLE
    ) -> Iterator[tuple[Any, Any, int]]:
        """Yield a share of each batch that `shuffled` yields, with the number of samples in the batch."""
        order = torch.randperm(len(self), generator=generator)
        batches = torch.split(order, self.sizes(size))
        if not isinstance(self.part, Part):
            read = self._read([chosen[share.of(len(chosen))] for chosen in batches])
            for (inputs, targets), chosen in zip(read, batches, strict=True):
                yield inputs, targets, len(chosen)
            return
        if self._lengths is not None:
            batches = _alike(order, self._lengths, self.sizes(size), generator)
        for chosen in batches:
            taken, places = share.of(len(chosen)), chosen.to(self._setup.device)
            if augment:  # the whole batch, so that each share is what it is in the whole
                inputs, targets = self.task.augment(*self._placed.at(places), augment, generator)
                inputs, targets = map_tensors(itemgetter(taken), (inputs, targets))
            else:
                inputs, targets = self._placed.at(places[taken])
            yield self._prepare(inputs), targets, len(chosen)

    def sizes(self, size: int) -> list[int]:
        """Return the sizes of the batches that `shuffled(size)` yields."""
        full, rest = divmod(len(self), size)
        sizes = [size] * full
        if rest == 1 and full:
            sizes[-1] += 1
        elif rest:
            sizes.append(rest)
        return sizes

    def steps(self, size: int) -> int:
        """Return the number of batches of `shuffled(size)`."""
        return len(self.sizes(size))

    def _read(self, places: Sequence[Tensor]) -> Iterator[Batch]:
        for inputs, targets in self.part.batches(places):
            # A collating function makes a list of several inputs.
            given = tuple(inputs) if isinstance(inputs, list) else inputs
            yield self.task.prepare(self._setup.place(given)), self._setup.place(targets)

    def _prepare(self, inputs: Any) -> Any:
        """Return inputs as the network takes them, images in its layout."""
        if self.task.kind == "image":
            inputs = inputs.contiguous(memory_format=self._setup.layout)
        return self.task.prepare(inputs)


def _alike(order: Tensor, lengths: Tensor, sizes: list[int], generator: torch.Generator) -> tuple[Tensor, ...]:
    """Return batches of these sizes in random order, of neighbours in length among some batches' random samples."""
    near = [each[lengths[each].argsort(stable=True)] for each in torch.split(order, _NEAR * sizes[0])]
    batches = torch.split(torch.cat(near), sizes)
    return tuple(batches[place] for place in torch.randperm(len(batches), generator=generator).tolist())


# Not `inference_mode`: a network that caches a tensor meanwhile could not train with it afterwards.
@torch.no_grad()
def compute_metrics(model: torch.nn.Module, feed: Feed, setup: Setup, *, seconds: float = math.inf) -> dict[str, float]:
    """Return the metrics of a network on a part of the data; the network is set to evaluation mode.

    Args:
        model: The network.
        feed: The batches.
        setup: Device, memory format and precision.
        seconds: Time limit, after which the remaining batches are skipped; at least 512 samples are used.

    Returns:
        "loss", the mean over the samples, and the other metrics of the task.

    Raises:
        EvaluationError: The loss is NaN or infinite.

    Example:
        >>> from archwright.evaluate import Feed, Setup, compute_metrics
        >>> task = aw.Training(aw.data((torch.rand(40, 4), torch.arange(40) % 2))).task
        >>> metrics = compute_metrics(torch.nn.Linear(4, 2), Feed(task, task.validation, Setup("cpu")), Setup("cpu"))
        >>> sorted(metrics)
        ['accuracy', 'auc', 'f1', 'loss', 'precision', 'recall']
    """
    model.eval()
    end = time.monotonic() + seconds

    def batches() -> Iterator[tuple[Any, Any, int]]:
        seen = 0
        for inputs, targets in feed.in_order(BATCH):
            yield feed.run(model, inputs), targets, size_of(inputs)
            seen += size_of(inputs)
            if seen >= LEAST and time.monotonic() >= end:
                break

    return mean_metrics(feed.task, setup.device, batches())


def mean_metrics(task: Task, device: str, batches: Iterable[tuple[Any, Any, int]]) -> dict[str, float]:
    """Return "loss", the mean over the samples, and the other metrics of batches: outputs, targets and sizes.

    Raises:
        EvaluationError: The loss is NaN or infinite.
    """
    # Sums stay on the device, so that the loop never waits for it.
    loss = torch.zeros((), device=device)
    seen, meter = 0, task.meter(device)
    for outputs, targets, size in batches:
        loss += task.loss(outputs, targets) * size
        meter.update(outputs, targets)
        seen += size
    mean = loss.item() / seen
    if not math.isfinite(mean):
        raise EvaluationError(f"loss became {mean} on held-out data: the training has diverged")
    return {"loss": mean, **meter.compute()}


@torch.no_grad()
def seconds_to_validate(model: torch.nn.Module, feed: Feed, setup: Setup, *, samples: int) -> float:
    """Return about how many seconds `compute_metrics` takes for so many samples of the kind of those of a feed.

    The network is left in evaluation mode.
    """
    model.eval()
    batches = [inputs for inputs, _ in islice(feed.in_order(BATCH), TIMED_BATCHES)]
    feed.run(model, batches[0])  # the first call of each shape prepares the kernels
    start = time.monotonic()
    for inputs in batches:
        outputs = feed.run(model, inputs)
        next(leaves(outputs)).sum().item()  # waits until the device is done
    return (time.monotonic() - start) / sum(map(size_of, batches)) * samples
