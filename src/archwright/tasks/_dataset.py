"""Parts of a task with samples of a torch data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset, default_collate

Collate = Callable[[list[Any]], Any]


class DatasetPart:
    """Samples of a map-style data set, which are read and collated batch by batch.

    Args:
        dataset: A `torch.utils.data.Dataset` with `__len__` and `__getitem__`; a sample is a pair (inputs, target).
        collate: Turns a list of samples into a batch (inputs, targets).
        num_workers: Processes that read samples, as in `torch.utils.data.DataLoader`; 0 for this one.
    """

    def __init__(self, dataset: Dataset[Any], *, collate: Collate = default_collate, num_workers: int = 0) -> None:
        self.dataset = dataset
        self._collate = collate
        self._num_workers = num_workers

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.dataset)  # type: ignore[arg-type]  # torch's class declares no length

    def __add__(self, other: Self) -> Self:
        """Return the samples of both."""
        return self._of(ConcatDataset([self.dataset, other.dataset]))

    def select(self, places: Tensor) -> Self:
        """Return the samples at some places.

        Args:
            places: int64 of shape (n,).
        """
        return self._of(Subset(self.dataset, places.tolist()))

    def first_inputs(self) -> Any:
        """Return the inputs of the first sample as the data set gives them."""
        return self.dataset[0][0]

    def batches(self, places: Sequence[Tensor]) -> Iterator[tuple[Any, Any]]:
        """Yield batches (inputs, targets), on the CPU.

        Args:
            places: Those of the samples of each batch, int64 of shape (n,).
        """
        yield from DataLoader(
            self.dataset,
            batch_sampler=[each.tolist() for each in places],
            collate_fn=self._collate,
            num_workers=self._num_workers,
        )

    def _of(self, dataset: Dataset[Any]) -> Self:
        return type(self)(dataset, collate=self._collate, num_workers=self._num_workers)
