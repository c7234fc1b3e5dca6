"""Predict from files with the trained network of this folder: `python predict.py FILE...`, or `load()` from Python.

The network takes raw inputs: files, or tensors of raw values.
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
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archwright.datasets import (
    GIGABYTES,
    InputError,
    Noted,
    Preprocess,
    Result,
    check_file,
    load_preprocess,
    to_gigabytes,
)

__all__ = ["Predictor", "load", "main", "report"]

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


class Predictor:
    """A trained network together with its preprocessing.

    Example:
        >>> predictor = load("network")                         # doctest: +SKIP
        >>> for found in predictor.predict(["cat.jpg"]):        # doctest: +SKIP
        ...     print(found.file, found.label, found.probability)

    Args:
        network: The trained network.
        preprocess: Its preprocessing.

    Attributes:
        network: The same network for raw inputs, in evaluation mode.
    """

    def __init__(self, network: nn.Module, preprocess: Preprocess) -> None:
        self.preprocess = preprocess
        self.network = preprocess.adapted(network).eval()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the scores; empty for regression."""
        return self.preprocess.classes

    @torch.no_grad()
    def scores(self, raw: Tensor) -> Any:
        """Return the outputs of the network.

        Args:
            raw: Raw inputs, such as pixels (n, channels, height, width), or features (n, features).

        Returns:
            Scores of the classes (n, classes), or for regression the target values in their units (n, targets),
            float32. Networks for other tasks return what their preprocessing says.

        Raises:
            InputError: The inputs do not fit, or the network does not match the preprocessing.
        """
        weight = next(chain(self.network.parameters(), self.network.buffers()), None)
        batch = self.preprocess.batch(raw)
        batch = batch if weight is None else batch.to(weight.device)
        return self.preprocess.checked(self.preprocess.run(self.network, batch), len(raw))

    def predict(
        self,
        inputs: Any,
        *,
        batch_size: int = 256,
        max_gigabytes: float = GIGABYTES,
        on_error: Callable[[InputError], None] | None = None,
    ) -> Iterator[Result]:
        """Yield the class or the target values of each sample, in order, reading files as they are needed.

        Args:
            inputs: One or several files: images, folders of images, or tables; or table rows: mappings from column
                names to values, such as `{"text": "a fine film"}`; or a tensor of raw inputs (n, ...).
            batch_size: How many samples the network is given at a time.
            max_gigabytes: The limit of a file's uncompressed size; a sixteenth of it for an image.
            on_error: Called for each invalid file or row, which is then skipped.

        Raises:
            InputError: A file, a row or the tensor cannot be used, and `on_error` is not given.
        """
        batch: list[tuple[str | None, int | None, Tensor | Noted]] = []
        for file, row, raw in self._samples(inputs, to_gigabytes(max_gigabytes)):
            if not isinstance(raw, InputError):
                batch.append((file, row, raw))
            elif on_error is None:
                raise raw
            else:
                on_error(raw)
            if len(batch) >= batch_size:
                yield from self._predicted(batch)
                batch.clear()
        yield from self._predicted(batch)

    def _predicted(self, batch: Sequence[tuple[str | None, int | None, Tensor | Noted]]) -> Iterator[Result]:
        if batch:
            outputs = self.scores(torch.stack([raw.raw if isinstance(raw, Noted) else raw for _, _, raw in batch]))
            notes = [(raw.note,) if isinstance(raw, Noted) else () for _, _, raw in batch]
            places = [(file, row, *note) for (file, row, _), note in zip(batch, notes, strict=True)]
            yield from self.preprocess.results(outputs, places)

    def _samples(
        self, inputs: Any, gigabytes: float
    ) -> Iterator[tuple[str | None, int | None, Tensor | Noted | InputError]]:
        if isinstance(inputs, Tensor):
            for place, sample in enumerate(self.preprocess.batch(inputs)):
                yield None, place, sample
            return
        for place, each in enumerate([inputs] if isinstance(inputs, str | os.PathLike | Mapping) else inputs):
            try:
                if not isinstance(each, str | os.PathLike):
                    yield None, place, self.preprocess.item(each)
                    continue
                for file in self.files([each]):
                    for row, raw in self.preprocess.read(file, gigabytes=gigabytes):
                        yield str(file), row, raw
            except InputError as error:
                yield None, place, error

    def files(self, paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
        """Return the files, with folders replaced by the files in them that the network takes, sorted by name.

        Raises:
            InputError: A folder contains none.
        """
        found: list[Path] = []
        suffixes = self.preprocess.suffixes
        for path in map(Path, paths):
            try:
                is_folder = path.is_dir()
            except OSError as error:  # a name that is too long
                raise InputError(f"{str(path)[:80]} cannot be opened: {error.strerror}") from error
            if not (is_folder and suffixes):
                found.append(path)
                continue
            inside = sorted(each for each in path.iterdir() if each.suffix.lower() in suffixes and each.name[0] != ".")
            if not inside:
                folders = any(each.is_dir() for each in path.iterdir())
                hint = "; give the folders inside it" if folders else ""
                raise InputError(f"the folder {path} contains no file of the kinds {', '.join(suffixes)}{hint}")
            found += inside
        return found


def load(folder: str | os.PathLike[str] | None = None) -> Predictor:
    """Return the network in a folder of files that belong together, `model.py` and its weights among them.

    Args:
        folder: The folder; the one in which this file lies when not given.

    Raises:
        InputError: A file is missing or damaged.

    Example:
        >>> load("network").classes  # doctest: +SKIP
        ('cat', 'dog')
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
    out: str | os.PathLike[str] | None = None,
) -> int:
    """Print the predictions for files, and errors on standard error.

    Args:
        predictor: The network with its preprocessing.
        paths: The files.
        as_json: Whether to print one JSON document: `{"predictions": [...], "errors": [...]}`.
        batch_size: Number of samples in a batch.
        max_gigabytes: See `Predictor.predict`.
        out: The folder for pictures of predictions, made where there is none and they have some; `None` for no
            pictures.

    Returns:
        0, 1 if there were errors, or 2 if `max_gigabytes` is no limit.

    Example:
        >>> report(load("network"), ["cat.jpg"])  # doctest: +SKIP
    """
    errors: list[str] = []

    def fail(error: InputError) -> None:
        errors.append(str(error))
        sys.stderr.write(f"{_printable(error)}\n")

    try:
        max_gigabytes = to_gigabytes(max_gigabytes)
    except InputError as error:
        fail(error)
        return 2
    files: list[Path] = []
    for path in paths:
        try:
            files += predictor.files([path])
        except InputError as error:
            fail(error)
    with _warnings_in_a_line():
        found = predictor.predict(files, batch_size=batch_size, max_gigabytes=max_gigabytes, on_error=fail)
        if out is not None:
            found = _saved(found, Path(out))
        if as_json:
            predictions = [each.to_json() for each in found]
            sys.stdout.write(json.dumps({"predictions": predictions, "errors": errors}, indent=2) + "\n")
            return int(bool(errors))
        _write_table(found, files, numbered=predictor.preprocess.is_numbered)
    sys.stdout.flush()  # here, where a closed pipe can still be dealt with
    return int(bool(errors))


def _saved(results: Iterable[Result], folder: Path) -> Iterator[Result]:
    """Yield predictions when their pictures are written, and say where."""
    is_told = False
    for each in results:
        if type(each).save is Result.save:
            if not is_told:
                sys.stderr.write(f"--out {_printable(folder)}: such predictions are printed, and not saved as files\n")
            is_told = True
            yield each
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--out {_printable(folder)} is no folder: {error.strerror}") from error
        for written in each.save(folder):
            sys.stderr.write(f"wrote {_printable(written)}\n")
        yield each


def _write_table(results: Iterable[Result], files: Sequence[Path], *, numbered: bool) -> None:
    """Print predictions line by line as they come, under new heads where they have others; rows if files have some."""
    numbered = numbered or any("idx3-ubyte" in str(path) for path in files)
    heads, widths = list[str](), list[int]()
    for each in results:
        shown = {"file": str(each.file)} | ({"row": str(each.row or "")} if numbered else {}) | each.cells()
        cells = [_printable(cell) for cell in shown.values()]
        if heads != list(map(_printable, shown)):
            heads = list(map(_printable, shown))
            widths = [max(8, len(head), len(cell)) for head, cell in zip(heads, cells, strict=True)]
            widths[0] = max(widths[0], *(len(_printable(path)) for path in files))
            _write_line(heads, widths)
        _write_line(cells, widths)


def _write_line(cells: Sequence[str], widths: Sequence[int]) -> None:
    sys.stdout.write("  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip() + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command `python predict.py FILE...`."""
    parser = argparse.ArgumentParser(description="Predict from files with the trained network of this folder.")
    parser.add_argument("files", nargs="+", metavar="FILE", help="file of the kind that the network was trained on")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--batch-size", type=int, default=256, help="batch size")
    parser.add_argument(
        "--max-gigabytes", type=float, default=GIGABYTES, help="limit of the uncompressed size of a file"
    )
    parser.add_argument("--out", help="folder for files such as masks, boxes and forecasts")
    given = parser.parse_args(arguments)
    try:
        return report(
            load(),
            given.files,
            as_json=given.json,
            batch_size=given.batch_size,
            max_gigabytes=given.max_gigabytes,
            out=given.out,
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
