"""Tasks: data, loss and metrics of a training."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset, default_collate

from archwright import spaces
from archwright._scalars import is_whole, scalar
from archwright.datasets import Data, Part
from archwright.errors import EvaluationError
from archwright.space import InputSpec, TensorSpec, as_specs
from archwright.tasks._augment import AUGMENTATIONS, crop, cutout, flip, is_symmetric
from archwright.tasks._baseline import ClassicalMethod
from archwright.tasks._combination import MeanOutputs
from archwright.tasks._dataset import Collate, DatasetPart
from archwright.tasks._metrics import Metric, Metrics, MetricsByName
from archwright.tasks._tensors import leaves

if TYPE_CHECKING:
    from archwright.datasets import Preprocess

Loss = Callable[[Any, Any], Tensor]

_COLUMNS, _BINS = 1_000, 16  # of a table that spaces are told about, at most; and the bins of its numbers
_OURS = ("loss", "train_loss", "epochs", "parameters")  # metrics of every training


class Task:
    """The data, the loss and the metrics of a training.

    Any data set, loss function and metric can be used; final training, fidelities, schedulers, zero-cost proxies,
    inherited weights and supernets work with all of them. For classification and regression pass `aw.data(...)`, for
    which there are ready-made tasks.

    A sample is a pair (inputs, target). Inputs are a tensor, or a tuple of tensors for a network with several inputs,
    which is called as `network(*inputs)`. Targets are whatever the loss takes: a tensor, or a tuple, list or dict of
    tensors.

    Args:
        train: Samples to learn from: a map-style `torch.utils.data.Dataset`, or a pair of tensors or arrays (inputs,
            targets), which stays in memory on the device as a whole.
        validation: Samples on which a search compares networks.
        loss: `f(outputs, targets)`, the mean loss of a batch, a scalar tensor.
        test: Samples that are used once, at the very end.
        metrics: Metrics by name. A function `f(outputs, targets)` is called once with outputs and targets of the whole
            validation or test set, on the CPU. An object with `update(outputs, targets)` and `compute()`, such as
            a metric of torchmetrics, is copied for each evaluation. "loss" is always computed.
        objective: The default objective of a search: "max" or "min" and the name of a metric.
        example_input: The shape and type of one sample's inputs, as in `Space`; that of the first sample of `train`
            when not given.
        collate: Turns a list of samples into a batch (inputs, targets); `torch.utils.data.default_collate` when not
            given.
        num_workers: Processes that read samples, as in `torch.utils.data.DataLoader`; 0 for this one.
        distillation: `f(outputs, teacher_outputs)`, the distillation loss, a scalar tensor, for supernets that distil
            large networks into small ones. `None` trains all of them on the targets.
        combination: The class of the module that combines the outputs of the networks of an ensemble: it is made with
            their weights, and called with the outputs of all of them. `None` for their weighted mean.
        name: The name, for printed output.

    Raises:
        EvaluationError: An argument cannot be used; the message says why.

    Example:
        >>> import torch, archwright as aw
        >>> parts = [(torch.rand(40, 8), torch.rand(40, 1)) for _ in range(2)]
        >>> task = aw.Task(train=parts[0], validation=parts[1], loss=torch.nn.functional.mse_loss)
        >>> task
        Task('custom': 40 training + 40 validation + 0 test samples, min loss)
    """

    kind: str = "custom"
    """ "image" where inputs are images (n, channels, height, width); "table"; "custom" for any other."""
    augmentations: tuple[str, ...] = ()
    """Names of the augmentations of training samples that there are."""
    is_scalable: bool = False
    """Whether a network can be trained on images of a lower resolution with the same targets."""
    is_ordered: bool = False
    """Whether samples follow each other in time or overlap, so that the parts are not to be mixed."""
    label_smoothing: float | None = None
    """The label smoothing that a training uses when it is not told; `None` where the loss has none."""
    spec: Mapping[str, Any] | None = None
    """What makes the task again, JSON-able; `None` where it was made in memory."""
    preprocess: Preprocess | None = None
    """How raw inputs become what a network takes; `None` where that is not known."""
    space: str | None = None
    """The name of the ready-made space that suits the task; `None` for none."""
    space_options: Mapping[str, Any] = MappingProxyType({})
    """What ready-made spaces need to know, by the names of their arguments."""
    batch_size: int = 128
    """The batch size that a training uses when it is not told, at most; samples of many pixels need less."""
    learning_rate: float | None = None
    """The peak learning rate of AdamW that a training uses when it is not told; `None` for the optimizer's default."""
    least_steps: int = 0
    """The steps of a full training at least, when it is not told the epochs."""
    told: tuple[str, ...] = ()
    """What was guessed from the data, a line each."""
    test_passes: float = 1.0
    """About how many passes over the test part the test takes; more where texts are written token by token."""
    combination: type[nn.Module] = MeanOutputs
    """The class of the module that combines the outputs of networks in an ensemble; it is made with their weights."""

    def __init__(
        self,
        *,
        train: Dataset[Any] | tuple[Tensor, Tensor] | Part | DatasetPart,
        validation: Dataset[Any] | tuple[Tensor, Tensor] | Part | DatasetPart,
        loss: Loss,
        test: Dataset[Any] | tuple[Tensor, Tensor] | Part | DatasetPart | None = None,
        metrics: Mapping[str, Callable[[Any, Any], Any] | Metric] = MappingProxyType({}),
        objective: str = "min loss",
        example_input: Any = None,
        collate: Collate | None = None,
        num_workers: int = 0,
        distillation: Loss | None = None,
        combination: type[nn.Module] | None = None,
        name: str = "custom",
    ) -> None:
        num_workers = scalar(num_workers)
        if not is_whole(num_workers) or num_workers < 0:
            raise EvaluationError(f"num_workers must be a whole number of 0 or more, not {num_workers!r}")
        for what, function in (("loss", loss), ("distillation", distillation), ("collate", collate)):
            if isinstance(function, type):
                raise EvaluationError(f"{what} must be a function: give an instance, {function.__name__}()")
            if function is not None and not callable(function):
                raise EvaluationError(f"{what} must be a function, not {function!r}")
        given: object = type(self).combination if combination is None else combination
        if not isinstance(given, type) or not issubclass(given, nn.Module):
            raise EvaluationError(f"combination must be a class of torch.nn.Module, not {given!r}")
        _check_metrics(metrics)
        reader = {"collate": collate or default_collate, "num_workers": num_workers}
        self.name = name
        self.train = _as_part("train", train, reader)
        self.validation = _as_part("validation", validation, reader)
        self.test = self.train.select(torch.arange(0)) if test is None else _as_part("test", test, reader)
        if len({type(part) for part in (self.train, self.validation, self.test)}) > 1:
            raise EvaluationError("the parts must be all data sets, or all pairs of tensors (inputs, targets)")
        if len(self.train) < 2 or len(self.validation) < 1:
            raise EvaluationError(
                f"{name!r} has {len(self.train)} training and {len(self.validation)} validation samples: there must be "
                "at least 2 training samples and 1 validation sample"
            )
        self._loss, self._metrics, self._distillation = loss, dict(metrics), distillation
        self.combination = given
        self._is_warned = False
        prepared = type(self).prepare is not Task.prepare  # samples are not yet what goes into a network
        specs = _input_specs(self.train, as_specs(example_input), prepared=prepared)
        self.example_input: InputSpec = specs[0] if len(specs) == 1 else specs
        self.objective = objective
        match str(objective).split():
            case ["max" | "min", metric]:
                pass
            case _:
                raise EvaluationError(f'objective must be "max" or "min" and the name of a metric, not {objective!r}')
        if metric not in self.metrics:
            raise EvaluationError(
                f"objective {objective!r}: the metrics of this task are {', '.join(sorted(self.metrics))}"
            )

    @property
    def metrics(self) -> frozenset[str]:
        """The names of the metrics."""
        return frozenset(("loss", *self._metrics))

    @property
    def baselines(self) -> Sequence[ClassicalMethod]:
        """The classical methods that a search is compared with; none, unless a subclass has some."""
        return ()

    @property
    def suited(self) -> tuple[str, ...]:
        """The augmentations that a training uses when it is not told: all of them, unless a subclass selects some."""
        return self.augmentations

    # ------------------------------------------------------------------ what a training asks

    def prepare(self, inputs: Any) -> Any:
        """Return a batch of inputs, preprocessed for a network, on the same device."""
        return inputs

    def augment(self, inputs: Any, targets: Any, names: Collection[str], generator: torch.Generator) -> tuple[Any, Any]:
        """Return a batch of training samples with random changes, as inputs and targets.

        Args:
            inputs: The inputs of the part, before `prepare`.
            targets: The targets.
            names: Some of `augmentations`.
            generator: The generator, on the CPU.
        """
        return inputs, targets

    def lengths(self, part: Any) -> Tensor | None:
        """Return the length of each sample of a part, int64 (n,), if batches have samples of similar length."""
        return None

    def check_outputs(self, outputs: Any, size: int) -> None:
        """Check the outputs of a network.

        Args:
            outputs: The outputs for a batch.
            size: The number of samples in it.

        Raises:
            EvaluationError: Their shape or type is wrong.
        """

    def loss(self, outputs: Any, targets: Any, *, label_smoothing: float | None = None) -> Tensor:
        """Return the mean loss of a batch, a scalar tensor.

        Args:
            outputs: The outputs of the network.
            targets: The targets.
            label_smoothing: The label smoothing of the training; `None` for evaluation.

        Raises:
            EvaluationError: The loss is no scalar tensor.
        """
        if not self._is_warned and isinstance(outputs, Tensor) and isinstance(targets, Tensor):
            self._is_warned = _warn_of_broadcasting(outputs, targets)
        loss: Any = self._loss(outputs, targets)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            given = f"one of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
            raise EvaluationError(f"the loss of a batch must be a scalar tensor, not {given}")
        return loss.reshape(())

    def distillation(self, outputs: Any, teacher_outputs: Any) -> Tensor | None:
        """Return the distillation loss of a batch with the outputs of a teacher; `None` if the task has none."""
        return None if self._distillation is None else self._distillation(outputs, teacher_outputs)

    def meter(self, device: str = "cpu") -> Metrics:
        """Return an accumulator of the metrics besides the loss.

        Args:
            device: The device of outputs and targets.
        """
        return MetricsByName(self._metrics, device)

    def test_metrics(self, run: Callable[[Any], Any], device: str) -> dict[str, float]:
        """Return further metrics of the test part, where a network is run on other inputs than those of the part.

        Args:
            run: Returns the outputs of the network for inputs, in evaluation mode and without gradients.
            device: The device of inputs and outputs.
        """
        return {}

    def decode(self, outputs: Tensor) -> list[Any]:
        """Return the predictions in readable form, such as class names, one for each sample."""
        return list(outputs)

    def __repr__(self) -> str:
        """Return one line: name, sizes of the parts, objective."""
        return (
            f"{type(self).__name__}({self.name!r}: {len(self.train):,} training + {len(self.validation):,} validation "
            f"+ {len(self.test):,} test samples, {self.objective})"
        )


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
        if data.kind == "image":
            self.augmentations, self.is_scalable = AUGMENTATIONS, True
        else:
            self.learning_rate = 3e-3
        self.spec = data.spec
        self.told = data.told
        self.preprocess = data.preprocess
        self.space = spaces.default_for(data.example_input.shape)
        options: dict[str, Any] = {"input_shape": data.example_input.shape, "classes": outputs}
        if data.kind == "table" and len(data.groups) <= _COLUMNS:
            options |= {"columns": data.groups, "quantiles": data.quantiles(_BINS)}
        self.space_options = options
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

    @property
    def suited(self) -> tuple[str, ...]:
        """The augmentations that suit the data: "crop" for images, and "flip" where mirrored ones keep their class."""
        if self.kind != "image":
            return ()
        return ("crop", "flip") if is_symmetric(self.train.inputs, self.train.targets) else ("crop",)

    def augment(
        self, inputs: Any, targets: Any, names: Collection[str], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return a batch of images with random changes, and the targets."""
        # While they are bytes: a quarter of the memory to move, and the border that comes in is black.
        if "crop" in names:
            inputs = crop(inputs, generator)
        if "flip" in names:
            inputs = flip(inputs, generator)
        if "cutout" in names:
            inputs = cutout(inputs, generator, self.data.mean)
        return inputs, targets

    def __repr__(self) -> str:
        """Return the data in one line."""
        return repr(self.data)


def _as_part(which: str, given: Any, reader: Mapping[str, Any]) -> Any:
    """Return samples as a part: tensors as they are, data sets with their reader."""
    if isinstance(given, Part | DatasetPart):
        return given
    if isinstance(given, TensorDataset) and len(given.tensors) == 2:
        given = given.tensors
    if isinstance(given, tuple) and len(given) == 2 and all(isinstance(each, Tensor | np.ndarray) for each in given):
        inputs, targets = map(torch.as_tensor, given)
        if not inputs.ndim or not targets.ndim or len(inputs) != len(targets):
            raise EvaluationError(
                f"{which}: inputs have shape {tuple(inputs.shape)}, but targets {tuple(targets.shape)}; their first "
                "axis is the sample, and must agree"
            )
        return Part(inputs, targets)
    if hasattr(given, "__getitem__") and hasattr(given, "__len__") and not isinstance(given, str | Mapping):
        return DatasetPart(given, **reader)
    raise EvaluationError(
        f"{which} must be a data set with __len__ and __getitem__ (a map-style torch.utils.data.Dataset) or a pair of "
        f"tensors (inputs, targets), not {type(given).__name__}. Of a DataLoader give its dataset; an iterable data "
        "set cannot be split or shuffled: read it into a list"
    )


def _example(part: Part | DatasetPart) -> tuple[TensorSpec, ...]:
    """Return the shape and type of the inputs of one sample, by a look at the first."""
    try:
        batch: Any = next(iter(part.batches([torch.arange(1)])))
    except Exception as error:  # whatever a data set of the user's own raises
        raise EvaluationError(f"train: sample 0 cannot be read: {type(error).__name__}: {error}") from error
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise EvaluationError(
            f"train: a sample must be a pair (inputs, target), and a batch a pair (inputs, targets), not {_kind(batch)}"
        )
    inputs, found = batch[0], list(leaves(batch[0]))
    if isinstance(inputs, Mapping) or not found or any(not each.ndim for each in found):
        raise EvaluationError(
            f"train: the inputs of a sample must be a tensor, or a tuple of tensors for a network with several inputs, "
            f"not {_kind(inputs)}"
        )
    if isinstance(inputs, list) and isinstance(part, DatasetPart) and isinstance(part.first_inputs(), list):
        raise EvaluationError(
            "train: the inputs of a sample are a list, which is collated as several inputs: make it a tensor, or a "
            "tuple where the network has several inputs"
        )
    specs = as_specs(tuple(found))
    assert specs is not None
    return specs


def _input_specs(
    part: Part | DatasetPart, given: tuple[TensorSpec, ...] | None, *, prepared: bool
) -> tuple[TensorSpec, ...]:
    """Return the specs of a network's inputs: those given, where they agree with the first sample, or its own.

    Sizes have to agree where the samples are one tensor; those of a data set may differ in length, say.

    Args:
        part: The training data.
        given: The specs that were given.
        prepared: Whether samples are prepared before they go into a network, and so may differ.

    Raises:
        EvaluationError: They do not agree, or inputs are float64 and that was not asked for.
    """
    if given is not None and prepared:
        return given
    found = _example(part)
    if given is None:
        if any(spec.dtype == "float64" for spec in found) and torch.get_default_dtype() != torch.float64:
            raise EvaluationError(
                "train: inputs are float64, and the layers of a network float32: convert them, such as by "
                "inputs.float(). For networks of float64 layers give example_input"
            )
        return found
    wanted, sample = (
        [(spec.dtype, spec.shape if isinstance(part, Part) else len(spec.shape)) for spec in specs]
        for specs in (given, found)
    )
    if wanted != sample:
        told, first = (", ".join(f"{spec.dtype} {spec.shape}" for spec in specs) for specs in (given, found))
        raise EvaluationError(f"example_input is {told}, and the first sample of train has {first}")
    return given


def _warn_of_broadcasting(outputs: Tensor, targets: Tensor) -> bool:
    """Warn if an elementwise loss would compare outputs with targets of other samples; return whether it would."""
    shapes = outputs.shape, targets.shape
    try:
        both = np.broadcast_shapes(*shapes)
    except ValueError:  # then the loss is not elementwise, or raises
        return False
    if not targets.is_floating_point() or both in shapes:
        return False
    warnings.warn(
        f"outputs have shape {tuple(outputs.shape)}, and targets {tuple(targets.shape)}: an elementwise loss "
        f"broadcasts them to {both}. Give both the same shape",
        stacklevel=2,
    )
    return True


def _kind(value: Any) -> str:
    """Return what a value is, for a message."""
    kind = type(value).__name__
    return f"a {kind} of {len(value)}" if isinstance(value, tuple | list | Mapping) else kind


def _check_metrics(metrics: object) -> None:
    """Refuse what is no mapping from names to metrics."""
    if not isinstance(metrics, Mapping):
        raise EvaluationError(f"metrics must be a dict from names to functions or objects, not {metrics!r}")
    for name, metric in metrics.items():
        if not isinstance(name, str) or not name or any(each.isspace() for each in name):
            raise EvaluationError(f"the name of a metric must be a string without spaces, not {name!r}")
        if name in _OURS:
            raise EvaluationError(f"a metric cannot be called {name!r}, which every training measures: rename it")
        if isinstance(metric, type) or not (
            callable(metric) or (hasattr(metric, "compute") and hasattr(metric, "update"))
        ):
            raise EvaluationError(
                f"metric {name!r} must be a function f(outputs, targets), or an object with update(outputs, targets) "
                f"and compute(), not {metric!r}"
            )
