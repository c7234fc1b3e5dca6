"""Tasks on loaded data."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from archwright.datasets import Data
from archwright.tasks._task import Loss, Task


class DataTask(Task):
    """A task on `Data`: inputs are normalised, and written down is where they came from.

    Args:
        data: The data.
        loss: As in `Task`.
        objective: As in `Task`.
        outputs: How many numbers a network gives for a sample.
    """

    def __init__(self, data: Data, *, loss: Loss, objective: str, outputs: int) -> None:
        self.data = data
        self.kind = data.kind
        self.spec = data.spec
        self.preprocess = data.preprocess
        self.space_options = {"input_shape": data.example_input.shape, "classes": outputs}
        super().__init__(
            train=data.train,
            validation=data.validation,
            test=data.test,
            loss=loss,
            objective=objective,
            example_input=data.example_input,
            name=data.name,
        )

    def prepare(self, inputs: Any) -> Tensor:
        """Return raw inputs less the mean of the training part, over its standard deviation."""
        return self.data.normalise(inputs)

    def __repr__(self) -> str:
        """Return the data in one line."""
        return repr(self.data)
