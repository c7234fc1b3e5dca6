"""Preprocessing: from a file or a raw tensor to the input of a network, and from its outputs to predictions.

It is saved with each network, as `preprocess.json`. This module and the one of the kind of preprocessing are
parts of the `predict.py` beside it, so they import only PyTorch.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from archwright.datasets._reading import GIGABYTES, InputError, check_file

__all__ = [
    "Estimate",
    "Normalised",
    "Noted",
    "Prediction",
    "Preprocess",
    "Result",
    "Sample",
    "Target",
    "check_numbers",
    "field",
    "free_path",
    "load_preprocess",
    "moments",
    "normalise",
    "outputs_from_json",
    "outputs_source",
    "outputs_to_json",
    "preprocess_from_json",
    "texts",
]


@dataclass(frozen=True)
class Noted:
    """Raw values of a sample, with what its result shows besides.

    Args:
        raw: The raw values.
        note: What the preprocessing's `results` gets as the third item of a place.

    Example:
        >>> Noted(torch.tensor([4, 2]), ("in", "Berlin")).note
        ('in', 'Berlin')
    """

    raw: Tensor
    note: Any


Sample = tuple[int | None, Tensor | Noted | InputError]
"""The row of a table (None for a picture) and the raw values, or why there are none."""


@dataclass(frozen=True)
class Target:
    """A value that a network predicts; networks learn it less its mean, over its standard deviation.

    Args:
        name: Its name.
        mean: Over the training part.
        std: Standard deviation likewise; above 0.

    Example:
        >>> Target("price", mean=20.0, std=5.0).name
        'price'
    """

    name: str
    mean: float
    std: float


@dataclass(frozen=True)
class Result:
    """What a network says of one sample.

    Args:
        file: The file of the sample; `None` for a sample in memory.
        row: Its row in a table or number in an idx file, from 1, or its index in memory, from 0; `None` for an image.

    Example:
        >>> result: Result = Prediction("cat.jpg", None, "cat", 0.75, {"cat": 0.75, "dog": 0.25})
        >>> result.cells()
        {'class': 'cat', 'probability': '0.7500'}
    """

    file: str | None
    row: int | None

    def cells(self) -> dict[str, str]:
        """Return what is printed of it, by the heads of the columns."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        return asdict(self)

    def save(self, folder: Path) -> list[Path]:
        """Write what is better seen as a picture into a folder; return the files, which are new."""
        return []


@dataclass(frozen=True)
class Prediction(Result):
    """The predicted class of one sample.

    Args:
        file: The file of the sample; `None` for a sample in memory.
        row: Its row in a table or number in an idx file, from 1, or its index in memory, from 0; `None` for an image.
        label: The most probable class.
        probability: Its probability, the softmax of the network's scores.
        probabilities: The probabilities of all classes.

    Example:
        >>> prediction = Prediction("cat.jpg", None, "cat", 0.75, {"cat": 0.75, "dog": 0.25})
        >>> max(prediction.probabilities, key=prediction.probabilities.get) == prediction.label
        True
    """

    label: str
    probability: float
    probabilities: dict[str, float]

    def cells(self) -> dict[str, str]:
        """Return the class and its probability."""
        return {"class": self.label, "probability": f"{self.probability:.4f}"}


@dataclass(frozen=True)
class Estimate(Result):
    """The predicted target values of one sample, for regression.

    Args:
        file: The file of the sample; `None` for a sample in memory.
        row: Its row in a table or number in an idx file, from 1, or its index in memory, from 0; `None` for an image.
        value: The first target value, in the unit of the target.
        values: All target values by name.

    Example:
        >>> Estimate(None, 0, 3.5, {"price": 3.5, "rent": 1.0}).values["rent"]
        1.0
    """

    value: float
    values: dict[str, float]

    def cells(self) -> dict[str, str]:
        """Return the values."""
        return {name: f"{value:.6g}" for name, value in self.values.items()}


class Preprocess(ABC):
    """Base class of what stands between raw inputs and a network, and between its outputs and predictions.

    Attributes:
        kind: The kind of the data, as in `preprocess.json`.
        takes: What files it reads, in words.
        suffixes: Of the files that are looked for in a folder; a folder is refused where there are none.
        is_numbered: Whether a file has several samples.
        uses: Classes of other modules that it is made of, such as another kind of preprocessing.
        classes: Names of the classes; empty where the outputs are no scores of classes.
        targets: The targets of a regression.

    Example:
        >>> from archwright.datasets import Column, TablePreprocess
        >>> preprocess: Preprocess = TablePreprocess(("yes", "no"), (Column("age", mean=40.0, std=10.0),))
        >>> preprocess.item({"age": 50})
        tensor([50.])
    """

    kind: ClassVar[str]
    takes: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()
    is_numbered: ClassVar[bool] = False
    uses: ClassVar[tuple[type, ...]] = ()
    classes: tuple[str, ...]
    targets: tuple[Target, ...]

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""

    @abstractmethod
    def read(self, path: str | os.PathLike[str], *, gigabytes: float = GIGABYTES) -> Iterator[Sample]:
        """Yield the samples in a file, or for each why there is none.

        Args:
            path: The file.
            gigabytes: The limit of its uncompressed size.

        Raises:
            InputError: The file cannot be read at all.
        """

    def item(self, given: Any) -> Tensor | Noted:
        """Return a sample that is given as something other than a file or a tensor.

        Raises:
            InputError: There are no such samples, or this one is none.
        """
        raise InputError(f"this network takes {self.takes}, or a tensor of raw inputs, not a {type(given).__name__}.")

    @abstractmethod
    def batch(self, raw: Tensor) -> Tensor:
        """Return raw inputs (n, ...) in the layout of training, after a check.

        Raises:
            InputError: Shape, type or values differ from the training data.
        """

    def adapted(self, network: nn.Module) -> nn.Module:
        """Return a network for raw inputs."""
        return network

    def run(self, network: nn.Module, batch: Tensor) -> Any:
        """Return the outputs of an adapted network for a batch; texts are written token by token, for example."""
        return network(batch)

    def checked(self, outputs: Any, size: int) -> Any:
        """Return the outputs of an adapted network on the CPU, after a check.

        By default they are scores of the classes (n, classes), or values of the targets (n, targets), as float32.

        Args:
            outputs: The outputs.
            size: The number of samples.

        Raises:
            InputError: They are of another form.
        """
        targets = len(self.targets)
        wanted = (size, targets or len(self.classes))
        if targets == 1 and isinstance(outputs, Tensor) and outputs.shape == wanted[:1]:
            outputs = outputs.unsqueeze(1)
        if not isinstance(outputs, Tensor) or outputs.shape != wanted:
            got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            what = "a value for each of the {} targets" if targets else "a score for each of the {} classes"
            raise InputError(f"the network returned {got}, and not {what.format(wanted[1])}.")
        return outputs.float().cpu()

    def results(self, outputs: Any, places: Sequence[Any]) -> Sequence[Result]:
        """Return the prediction for each sample: by default its class, or the values of the targets.

        Args:
            outputs: Those that `checked` returned.
            places: The file and the row of each sample, and its note where it is `Noted`.
        """
        if names := [each.name for each in self.targets]:
            return [
                Estimate(place[0], place[1], values[0], dict(zip(names, values, strict=True)))
                for place, values in zip(places, outputs.tolist(), strict=True)
            ]
        best, shares = outputs.argmax(1).tolist(), outputs.softmax(1).tolist()
        return [
            Prediction(
                place[0], place[1], self.classes[index], share[index], dict(zip(self.classes, share, strict=True))
            )
            for place, index, share in zip(places, best, shares, strict=True)
        ]

    def source(self) -> str:
        """Return the Python source, put at the end of `model.py`, of what raw inputs need and outputs mean."""
        return ""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return the content of `preprocess.json`."""

    @classmethod
    @abstractmethod
    def from_json(cls, data: Mapping[str, Any]) -> Preprocess:
        """Return the preprocessing written by `to_json`.

        Raises:
            InputError: The value is not a preprocessing.
        """


class Normalised(nn.Module):
    """A network on raw inputs, whose regression outputs are in the units of the targets.

    Args:
        network: The network on normalised inputs.
        preprocess: Its preprocessing, which has the `mean` and the `std` of each channel or feature.

    Example:
        >>> from archwright.datasets import Column, TablePreprocess
        >>> preprocess = TablePreprocess(("a", "b"), (Column("x", mean=1.0, std=2.0),))
        >>> Normalised(torch.nn.Identity(), preprocess)(torch.tensor([[5.0]])).tolist()
        [[2.0]]
    """

    mean: Tensor
    std: Tensor
    target_mean: Tensor
    target_std: Tensor

    def __init__(self, network: nn.Module, preprocess: Any) -> None:
        super().__init__()
        self.network = network
        shape = (-1,) + (1,) * (len(preprocess.shape) - 1)
        weight = next(network.parameters(), None)
        device = None if weight is None else weight.device
        self.register_buffer("mean", torch.tensor(preprocess.mean, device=device).view(shape))
        self.register_buffer("std", torch.tensor(preprocess.std, device=device).view(shape))
        targets = preprocess.targets
        self.register_buffer("target_mean", torch.tensor([each.mean for each in targets], device=device))
        self.register_buffer("target_std", torch.tensor([each.std for each in targets], device=device))

    def forward(self, raw: Tensor) -> Any:
        """Return the network's output for raw inputs (n, ...)."""
        output = self.network((raw.to(torch.float32) - self.mean) / self.std)
        return output * self.target_std + self.target_mean if len(self.target_std) else output


def normalise(raw: Tensor, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor) -> Tensor:
    """Return (n, ...) values less the mean, over the deviation of each channel or feature, as float32."""
    shape = (-1,) + (1,) * (raw.ndim - 2)
    centre, spread = (torch.as_tensor(each, device=raw.device).view(shape) for each in (mean, std))
    return (raw.to(torch.float32) - centre).div_(spread)


def outputs_source(preprocess: Any, given: str, view: str) -> str:
    """Return the source of what outputs mean, and of a function `preprocess` that normalises raw inputs.

    Args:
        preprocess: The preprocessing, with `mean` and `std`.
        given: The shape of raw inputs, in words.
        view: The call that gives a list of constants the axes of inputs.
    """
    targets = preprocess.targets
    outputs = f"CLASSES = {preprocess.classes!r}"
    if targets:
        outputs = f"TARGETS = {tuple(each.name for each in targets)!r}\n"
        outputs += f"TARGET_MEAN = {tuple(each.mean for each in targets)!r}\n"
        outputs += f"TARGET_STD = {tuple(each.std for each in targets)!r}"
    return f'''{outputs}
MEAN = {preprocess.mean!r}
STD = {preprocess.std!r}


def preprocess(raw):
    """Return raw inputs {given} as the network takes them: less the mean, over the deviation."""
    raw = raw.float()
    return (raw - raw.new_tensor(MEAN).{view}) / raw.new_tensor(STD).{view}
{_POSTPROCESS if targets else ""}'''


_POSTPROCESS = '''

def postprocess(outputs):
    """Return the network's outputs (n, targets) in the units of the targets."""
    return outputs * outputs.new_tensor(TARGET_STD) + outputs.new_tensor(TARGET_MEAN)
'''


def outputs_to_json(preprocess: Preprocess) -> dict[str, Any]:
    """Return what the outputs of a network mean: names of classes, or the values of a regression."""
    if not preprocess.targets:
        return {"classes": list(preprocess.classes)}
    return {"targets": [{"name": each.name, "mean": each.mean, "std": each.std} for each in preprocess.targets]}


def outputs_from_json(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments `classes` and `targets` of a preprocessing, from what `outputs_to_json` wrote."""
    if "targets" not in data:
        return {"classes": texts(data, "classes"), "targets": ()}
    return {"classes": (), "targets": tuple(map(_target, field(data, "targets", list)))}


def load_preprocess(path: str | os.PathLike[str]) -> Preprocess:
    """Return the preprocessing in a `preprocess.json`.

    Raises:
        InputError: The file cannot be read, or is not a preprocessing.

    Example:
        >>> from archwright.datasets import Column, TablePreprocess
        >>> table = TablePreprocess(("yes", "no"), (Column("age", mean=40.0, std=10.0),))
        >>> _ = Path("preprocess.json").write_text(json.dumps(table.to_json()))
        >>> load_preprocess("preprocess.json") == table
        True
    """
    try:
        check_file(Path(path))
        return preprocess_from_json(json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be used: {error}") from error


def preprocess_from_json(data: Any) -> Preprocess:
    """Return the preprocessing written by `to_json`.

    Raises:
        InputError: The value is not a preprocessing.

    Example:
        >>> from archwright.datasets import Column, TablePreprocess
        >>> table = TablePreprocess(("yes", "no"), (Column("age", mean=40.0, std=10.0),))
        >>> preprocess_from_json(table.to_json()) == table
        True
    """
    if not isinstance(data, dict) or data.get("version") != 1:
        raise InputError("it is no preprocessing of version 1.")
    kinds = {each.kind: each for each in _kinds(Preprocess)}
    if data.get("kind") not in kinds:
        raise InputError(f"its kind is {data.get('kind')!r}, and not {' or '.join(map(repr, kinds))}.")
    return kinds[data["kind"]].from_json(data)


def _kinds(base: Any) -> Iterator[type[Preprocess]]:
    """Yield the classes below one."""
    for each in base.__subclasses__():
        yield each
        yield from _kinds(each)


def field(data: Mapping[str, Any], name: str, kind: type) -> Any:
    """Return a value of a JSON object, which has to be of a type."""
    if type(data.get(name)) is not kind:
        raise InputError(f"{name!r} should be of type {kind.__name__}; it is {data.get(name)!r}.")
    return data[name]


def texts(data: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return different texts in a list of a JSON object."""
    texts = field(data, name, list)
    if not texts or not all(isinstance(text, str) for text in texts) or len(set(texts)) < len(texts):
        raise InputError(f"{name!r} should be a list of different texts.")
    return tuple(texts)


def moments(mean: Any, std: Any) -> tuple[float, float]:
    """Return a mean and a standard deviation above 0."""
    for value in (mean, std):
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 3.5e38:
            raise InputError(f"{value!r} is no mean or deviation.")
    if std <= 0:
        raise InputError(f"the deviation {std!r} is not above zero.")
    return float(mean), float(std)


def _target(data: Any) -> Target:
    if not isinstance(data, dict):
        raise InputError(f"{data!r} is no target.")
    return Target(field(data, "name", str), *moments(data.get("mean"), data.get("std")))


def check_numbers(raw: Tensor) -> None:
    """Refuse what is NaN, infinite or complex."""
    if raw.is_complex() or (raw.is_floating_point() and not bool(raw.isfinite().all())):
        raise InputError("the input holds values that are NaN, infinite or complex; replace them.")


def free_path(path: Path) -> Path:
    """Return a path at which there is no file and no link: itself, or the same name with a number.

    Example:
        >>> free_path(Path("nothing.png")).name
        'nothing.png'
    """
    number, found = 2, path
    while os.path.lexists(found):
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    return found
