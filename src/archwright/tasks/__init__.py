"""Tasks: data, loss and metrics of a training."""

from archwright.tasks._classification import Classification
from archwright.tasks._make import as_task
from archwright.tasks._regression import Regression
from archwright.tasks._task import Task
from archwright.tasks._tensors import leaves, map_tensors, size_of

__all__ = ["Classification", "Regression", "Task", "as_task", "leaves", "map_tensors", "size_of"]
