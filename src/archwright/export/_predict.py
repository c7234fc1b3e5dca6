"""Predict from files with the trained network of this folder: `python predict.py FILE...`, or `load()` from Python.

The network takes raw inputs: image files, table rows, or tensors of raw values.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archwright.datasets import (
    GIGABYTES,
    IMAGES,
    ImagePreprocess,
    InputError,
    Normalised,
    Preprocess,
    check_file,
    load_preprocess,
)

__all__ = ["Estimate", "Prediction", "Predictor", "load", "main", "report"]

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C64": torch.complex64,
}


@dataclass(frozen=True)
class Prediction:
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

    file: str | None
    row: int | None
    label: str
    probability: float
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Estimate:
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

    file: str | None
    row: int | None
    value: float
    values: dict[str, float]


class Predictor:
    """A trained network together with its preprocessing.

    Example:
        >>> predictor = load("network")                         # doctest: +SKIP
        >>> for found in predictor.predict(["cat.jpg"]):        # doctest: +SKIP
        ...     print(found.file, found.label, found.probability)

    Args:
        network: The network on normalised inputs, which returns a score for each class, or standardised target values.
        preprocess: Its preprocessing.

    Attributes:
        network: The same network for raw inputs, in evaluation mode.
    """

    def __init__(self, network: nn.Module, preprocess: Preprocess) -> None:
        self.preprocess = preprocess
        self.network = Normalised(network, preprocess).eval()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the scores; empty for regression."""
        return self.preprocess.classes

    @torch.no_grad()
    def scores(self, raw: Tensor) -> Tensor:
        """Return the scores of the classes, or for regression the target values in their units.

        Args:
            raw: Raw inputs: pixels (n, channels, height, width), or features (n, features).

        Returns:
            Shape (n, classes) or (n, targets), float32.

        Raises:
            InputError: The inputs do not fit, or the network does not match the classes or targets.
        """
        scores = self.network(self.preprocess.batch(raw).to(self.network.mean.device))
        targets = len(self.preprocess.targets)
        wanted = (len(raw), targets or len(self.classes))
        if targets == 1 and isinstance(scores, Tensor) and scores.shape == wanted[:1]:
            scores = scores.unsqueeze(1)
        if not isinstance(scores, Tensor) or scores.shape != wanted:
            got = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            what = "a value for each of the {} targets" if targets else "a score for each of the {} classes"
            raise InputError(f"the network returned {got}, and not {what.format(wanted[1])}.")
        return scores.float().cpu()

    def predict(
        self,
        inputs: Any,
        *,
        batch_size: int = 256,
        max_gigabytes: float = GIGABYTES,
        on_error: Callable[[InputError], None] | None = None,
    ) -> Iterator[Prediction | Estimate]:
        """Yield the class or the target values of each sample, in order, reading files as they are needed.

        Args:
            inputs: One or several files: images, folders of images, or tables; or table rows: mappings from column
                names to values; or a tensor of raw inputs (n, ...).
            batch_size: How many samples the network is given at a time.
            max_gigabytes: The limit of a file's uncompressed size; a sixteenth of it for an image.
            on_error: Called for each invalid file or row, which is then skipped.

        Raises:
            InputError: A file, a row or the tensor cannot be used, and `on_error` is not given.
        """
        batch: list[tuple[str | None, int | None, Tensor]] = []
        for file, row, raw in self._samples(inputs, max_gigabytes):
            if isinstance(raw, Tensor):
                batch.append((file, row, raw))
            elif on_error is None:
                raise raw
            else:
                on_error(raw)
            if len(batch) >= batch_size:
                yield from self._predicted(batch)
                batch.clear()
        yield from self._predicted(batch)

    def _predicted(self, batch: Sequence[tuple[str | None, int | None, Tensor]]) -> Iterator[Prediction | Estimate]:
        if not batch:
            return
        names = [each.name for each in self.preprocess.targets]
        if names:
            found = self.scores(torch.stack([raw for _, _, raw in batch])).tolist()
            for (file, row, _), values in zip(batch, found, strict=True):
                yield Estimate(file, row, values[0], dict(zip(names, values, strict=True)))
            return
        scores = self.scores(torch.stack([raw for _, _, raw in batch]))
        best, shares = scores.argmax(1).tolist(), scores.softmax(1).tolist()
        for (file, row, _), place, share in zip(batch, best, shares, strict=True):
            yield Prediction(file, row, self.classes[place], share[place], dict(zip(self.classes, share, strict=True)))

    def _samples(self, inputs: Any, gigabytes: float) -> Iterator[tuple[str | None, int | None, Tensor | InputError]]:
        if isinstance(inputs, Tensor):
            for place, sample in enumerate(self.preprocess.batch(inputs)):
                yield None, place, sample
            return
        for place, each in enumerate([inputs] if isinstance(inputs, str | os.PathLike | Mapping) else inputs):
            try:
                if isinstance(each, Mapping):
                    if isinstance(self.preprocess, ImagePreprocess):
                        raise InputError("this network takes pictures, not rows of a table.")
                    yield None, place, self.preprocess.row(each)
                    continue
                for file in self.files([each]):
                    for row, raw in self.preprocess.read(file, gigabytes=gigabytes):
                        yield str(file), row, raw
            except InputError as error:
                yield None, place, error

    def files(self, paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
        """Return the files, with folders replaced by the images in them, sorted by name.

        Raises:
            InputError: A folder contains no images.
        """
        found: list[Path] = []
        for path in map(Path, paths):
            if not (path.is_dir() and isinstance(self.preprocess, ImagePreprocess)):
                found.append(path)
                continue
            inside = sorted(each for each in path.iterdir() if each.suffix.lower() in IMAGES and each.name[0] != ".")
            if not inside:
                folders = any(each.is_dir() for each in path.iterdir())
                hint = "; give the folders inside it" if folders else ""
                raise InputError(f"the folder {path} contains no images ({', '.join(IMAGES)}){hint}")
            found += inside
        return found


def load(folder: str | os.PathLike[str] | None = None) -> Predictor:
    """Return the network in a folder of files that belong together, `model.py` and its weights among them.

    Args:
        folder: The folder; the one in which this file lies when not given.

    Raises:
        InputError: A file is missing or damaged.
    """
    place = Path(__file__).resolve().parent if folder is None else Path(folder)
    source = place / "model.py"
    check_file(source)
    name = f"model_of_{place.resolve().name}"
    spec = importlib.util.spec_from_file_location(name, source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where its dataclasses look for their module
    spec.loader.exec_module(module)
    network = module.build()
    weights = place / "weights.safetensors"
    try:
        network.load_state_dict(read_weights(weights))
    except RuntimeError as error:
        raise InputError(f"{weights} does not hold the weights of {source}: {error}") from error
    return Predictor(network, load_preprocess(place / "preprocess.json"))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors in a safetensors file: the length of a JSON header, the header, and the numbers.

    Raises:
        InputError: The file is missing or damaged.
    """
    check_file(path)
    content = path.read_bytes()
    try:
        start = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:start])
        tensors = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            values = bytearray(content[start + begin : start + end])
            dtype = _DTYPES[entry["dtype"]]
            flat = torch.frombuffer(values, dtype=dtype) if values else torch.empty(0, dtype=dtype)
            tensors[name] = flat.reshape(entry["shape"])
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged or no safetensors file: {error!r}") from error
    return tensors


def report(
    predictor: Predictor,
    paths: Sequence[str | os.PathLike[str]],
    *,
    as_json: bool = False,
    batch_size: int = 256,
    max_gigabytes: float = GIGABYTES,
) -> int:
    """Print the predictions for files, and errors on standard error.

    Args:
        predictor: The network with its preprocessing.
        paths: The files.
        as_json: Whether to print one JSON document: `{"predictions": [...], "errors": [...]}`.
        batch_size: Number of samples in a batch.
        max_gigabytes: See `Predictor.predict`.

    Returns:
        0, or 1 if there were errors.

    Example:
        >>> report(load("network"), ["cat.jpg"])  # doctest: +SKIP
    """
    errors: list[str] = []

    def fail(error: InputError) -> None:
        errors.append(str(error))
        sys.stderr.write(f"{_printable(error)}\n")

    files: list[Path] = []
    for path in paths:
        try:
            files += predictor.files([path])
        except InputError as error:
            fail(error)
    with _warnings_in_a_line():
        found = predictor.predict(files, batch_size=batch_size, max_gigabytes=max_gigabytes, on_error=fail)
        if as_json:
            sys.stdout.write(json.dumps({"predictions": list(map(asdict, found)), "errors": errors}, indent=2) + "\n")
            return int(bool(errors))
        width = max([4, *(len(_printable(path)) for path in files)])
        heads = ["class", "probability"] if predictor.classes else [each.name for each in predictor.preprocess.targets]
        names = max([len(_printable(heads[0])), 8, *(len(_printable(name)) for name in predictor.classes)])
        rows = not isinstance(predictor.preprocess, ImagePreprocess) or any("idx3-ubyte" in str(path) for path in files)
        head = "  ".join(f"{_printable(name):<{names}}" for name in heads)
        for number, each in enumerate(found):
            if not number:
                sys.stdout.write(f"{'file':<{width}}  {'row      ' if rows else ''}{head}".rstrip() + "\n")
            row = f"{each.row or '':<7}  " if rows else ""
            if isinstance(each, Prediction):
                cells = [_printable(each.label), f"{each.probability:.4f}"]
            else:
                cells = [f"{value:.6g}" for value in each.values.values()]
            told = "  ".join(f"{cell:<{names}}" for cell in cells)
            sys.stdout.write(f"{_printable(each.file):<{width}}  {row}{told}".rstrip() + "\n")
    sys.stdout.flush()  # here, where a closed pipe can still be dealt with
    return int(bool(errors))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command `python predict.py FILE...`."""
    parser = argparse.ArgumentParser(description="Predict from files with the trained network of this folder.")
    parser.add_argument("files", nargs="+", metavar="FILE", help="image, folder of images, idx file, or table (CSV)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--batch-size", type=int, default=256, help="batch size")
    parser.add_argument(
        "--max-gigabytes", type=float, default=GIGABYTES, help="limit of the uncompressed size of a file"
    )
    given = parser.parse_args(arguments)
    try:
        return report(
            load(),
            given.files,
            as_json=given.json,
            batch_size=given.batch_size,
            max_gigabytes=given.max_gigabytes,
        )
    except InputError as error:
        sys.stderr.write(f"{_printable(error)}\n")
        return 2
    except BrokenPipeError:  # whoever read has seen enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


@contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    def show(message: Warning | str, *_: object, **__: object) -> None:
        sys.stderr.write(f"warning: {_printable(message)}\n")

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        yield


def _printable(text: object) -> str:
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in str(text))
