"""Loading of data: detection of the kind, reading, splitting."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from archwright.datasets._advice import advice
from archwright.datasets._arrays import to_samples
from archwright.datasets._data import Data, Part
from archwright.datasets._folder import read_image_folder
from archwright.datasets._idx import is_idx_folder, read_idx_folder
from archwright.datasets._images import to_size
from archwright.datasets._labels import check_classes, class_names, to_indices, to_values
from archwright.datasets._moments import moments_of
from archwright.datasets._named import REGRESSIONS, registry
from archwright.datasets._npz import read_npz
from archwright.datasets._preprocess import Target
from archwright.datasets._reading import GIGABYTES, TABLES, InputError, check_file, to_gigabytes
from archwright.datasets._source import Samples, Source
from archwright.datasets._split import split, to_seed, to_share
from archwright.datasets._table_fit import fit_columns
from archwright.datasets._table_preprocess import PARQUET
from archwright.datasets._tables import is_frame, left_out, read_tables
from archwright.errors import DataError, UnknownName, unknown
from archwright.space import TensorSpec

TASKS = ("classification", "regression", "multilabel")
_TABLES = (*TABLES, *PARQUET)
_FRAME_OPTIONS = ("target", "ignore", "test_file", "validation_file")
_TABLE_OPTIONS = (*_FRAME_OPTIONS, "header", "max_gigabytes")

_KINDS = (
    "a folder of idx files (train-images-idx3-ubyte[.gz], ...), a folder of images "
    "(FOLDER/class/image.png, or FOLDER/train/class/... with FOLDER/test/class/...), a table "
    "(.csv or .tsv, also .gz, or .parquet), or arrays in a .npz file"
)


def data(
    source: Any,
    *,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    size: int | Sequence[int] | None = None,
    target: str | Sequence[str] | None = None,
    ignore: str | Sequence[str] = (),
    test_file: Any = None,
    validation_file: Any = None,
    header: bool | None = None,
    max_gigabytes: float | None = None,
    skip_broken: bool = False,
    task: str | None = None,
) -> Data:
    """Load labelled data and split it into training, validation and test sets.

    The kind of `source` is detected:

    - the name of a data set in the registry, such as "digits" (for a folder of that name, write "./digits");
    - a pair `(inputs, targets)` of numpy arrays, tensors or nested lists: a table (n, features), or images
      (n, height, width), (n, channels, height, width) or (n, height, width, channels), with 1 or 3 channels (the second
      axis if both fit). Integer images in 0..255 stay uint8, everything else becomes float32;
    - a folder of idx files with the names of MNIST; the `t10k-` pair is the test set;
    - a folder of images, `FOLDER/class/image.png`, or `FOLDER/train/class/...` with `FOLDER/test/class/...` as the test
      set, `FOLDER/val/class/...` (or `validation`) as the validation set, or both;
    - a table in a `.csv` or `.tsv` file, also compressed (`.gz`), in a `.parquet` file (with pyarrow), or a data frame
      of pandas or polars. Text columns are one-hot encoded with the categories
      of the training set; unknown categories are all zeros. Missing numbers become the median of the training set, and
      a 0/1 feature says where; missing texts are a category. Columns that are constant, missing altogether, or only
      name the rows are left out, with a warning;
    - a `.npz` file with the arrays `x` and `y`, or `x_train`, `y_train`, `x_test` and `y_test`.

    The split depends only on the labels, the sizes and the seed. For classification it is stratified by class.

    Args:
        source: The data.
        validation: Size of the validation set: a fraction, or a number of samples. With an official test set, the
            fraction is of the training samples. Not used with a validation set of its own.
        test: Size of the test set; not used with an official test set.
        seed: The random seed of the split.
        size: For image folders: height and width in pixels (or one number for both) to resize images to.
        target: For tables: the column of the classes, or of the values of a regression; by default the last one. Or
            several columns: of 0 and 1, which are labels, or of values.
        ignore: For tables: columns to leave out.
        test_file: For tables: a file with the test set, with the same columns; for a data frame, a data frame.
        validation_file: For tables: a file with the validation set, likewise.
        header: For tables: whether the first row holds column names; detected by default.
        max_gigabytes: For files: limit of their uncompressed size, 4 by default. A single image may take a sixteenth of
            it.
        skip_broken: For image folders: whether images that cannot be decoded are left out, with a warning. By default
            the first one is an error.
        task: "classification", with class names as targets; "regression", with numbers as targets, shape (n,) or
            (n, k); or "multilabel", with 0 and 1 as targets, shape (n, k). `None` for the task of a named data set;
            for tables in files "regression" where the target has many different numbers, or some that are not whole,
            and "multilabel" for several targets of 0 and 1; else "classification". `Data.told` says what was guessed.

    Returns:
        The three sets, and their preprocessing.

    Warns:
        UserWarning: Integer inputs are standardised as measurements, integer labels are treated as unordered
            classes, or columns of a table or broken images are left out.

    Raises:
        UnknownName: `source` is neither a name in the registry nor a path.
        DataError: The data cannot be read or are not suitable; the message says what to do.

    Example:
        >>> import archwright as aw
        >>> aw.data("digits")
        Data('digits': 1x8x8 images, 10 classes, 1,258 training + 180 validation + 359 test samples)
    """
    # settings first: a mistake in them must not wait for 60,000 images
    validation, test, seed = to_share("validation", validation), to_share("test", test), to_seed(seed)
    options = {
        "size": None if size is None else list(to_size(size)),
        "target": target if target is None or isinstance(target, str) else list(target),
        "ignore": ([ignore] if isinstance(ignore, str) else list(ignore)) or None,
        "test_file": _to_file(test_file),
        "validation_file": _to_file(validation_file),
        "header": header,
        "max_gigabytes": max_gigabytes,
        "skip_broken": skip_broken or None,
    }
    task = _task_of(source, task)
    try:
        if max_gigabytes is not None:
            options["max_gigabytes"] = to_gigabytes(max_gigabytes)
        found, origin = _read(source, options, task)
    except InputError as error:
        raise DataError(str(error)) from error
    except MemoryError as error:
        raise DataError("the data take more memory than there is; give fewer or smaller samples.") from error
    for note in found.train.notes:
        warnings.warn(note, stacklevel=2)
    task = found.task or task or TASKS[0]
    classes: tuple[str, ...] = ()
    if task == "classification":
        where = f"{origin or found.name}, column {found.target!r}" if found.target else origin or ""
        check_classes(found.train.labels, maybe_header=bool(found.columns) and not found.named, where=where)
        classes = class_names(found.train.labels)
    parts = _divide(found, classes, validation, test, seed)
    if task == "multilabel":
        if parts[0].inputs.ndim == 4:
            raise DataError("task='multilabel' takes tables, not images")
        parts = [Part(part.inputs, part.targets.float()) for part in parts]
        classes = _names(found.target, parts[0].targets.shape[1])
    columns, indicators = found.columns, None
    if columns:
        columns, parts, left = fit_columns(columns, parts)
        notes = left_out(found.name, left)
        if not columns:
            raise DataError(f"{origin or found.name}: no column is left to learn from. {' '.join(notes)}")
        for note in notes:
            warnings.warn(note, stacklevel=2)
        marks = [each.categories is not None or place > 0 for each in columns for place in range(each.features)]
        indicators = np.array(marks, dtype=np.bool_)
    train, held, final = parts
    mean, std = moments_of(train.inputs, indicators)
    spec = None
    if origin is not None:
        spec = {"source": origin, "validation": validation, "test": test, "seed": seed}
        spec |= {name: value for name, value in options.items() if value is not None}
        spec |= {} if task == "classification" else {"task": task}
    targets: tuple[Target, ...] = ()
    if task == "regression":
        values = train.targets.numpy()
        spreads = np.where(np.ptp(values, 0) > 0, values.std(0), 1.0)
        names = _names(found.target or ("value" if len(spreads) == 1 else None), len(spreads))
        targets = tuple(map(Target, names, values.mean(0).tolist(), spreads.tolist()))
    return Data(
        name=found.name,
        kind="image" if train.inputs.ndim == 4 else "table",
        classes=classes,
        targets=targets,
        train=train,
        validation=held,
        test=final,
        example_input=TensorSpec(tuple(train.inputs.shape[1:])),
        mean=mean,
        std=std,
        spec=spec,
        columns=columns,
        named=found.named,
        target=found.target,
        resize=size is not None,
        width=found.width,
        told=found.told,
    )


def _names(target: str | tuple[str, ...] | None, count: int) -> tuple[str, ...]:
    """Return the names of values or labels: those of the columns, or else their numbers."""
    if target is None:
        return tuple(str(place + 1) for place in range(count))
    return (target,) if isinstance(target, str) else target


def _to_file(given: Any) -> Any:
    """Return the full path of a file; what is none, such as a data frame, as it is."""
    return str(Path(given).expanduser().resolve()) if isinstance(given, str | PathLike) else given


def _divide(found: Source, classes: tuple[str, ...], validation: float, test: float, seed: int) -> Sequence[Part]:
    """Return the training, validation and test part; those that come with the data as they are."""
    inputs, targets = found.train.inputs, _targets(found.train, classes)
    own = {"validation": found.validation, "test": found.test}
    shares = {"validation": validation, "test": test}
    strata = targets if classes else np.zeros(len(targets), dtype=np.int64)
    drawn = {name: shares[name] if samples is None else None for name, samples in own.items()}
    chosen = split(strata, validation=drawn["validation"], test=drawn["test"], seed=seed)
    train, held, final = (Part(inputs[places], torch.tensor(targets[places])) for places in chosen)
    parts = {"validation": held, "test": final}
    for name, samples in own.items():
        if samples is None:
            continue
        if samples.inputs.shape[1:] != inputs.shape[1:]:
            raise DataError(
                f"training samples have the shape {tuple(inputs.shape[1:])}, but {name} samples "
                f"{tuple(samples.inputs.shape[1:])}; they must agree."
            )
        if samples.inputs.dtype != inputs.dtype:  # 0..255 beside 0..1, for example
            raise DataError(
                f"training samples are {inputs.dtype}, but {name} samples {samples.inputs.dtype}; give both in the "
                "same type and range."
            )
        parts[name] = Part(samples.inputs, torch.tensor(_targets(samples, classes, name)))
    return train, parts["validation"], parts["test"]


def _targets(samples: Samples, classes: tuple[str, ...], part: str = "train") -> npt.NDArray[Any]:
    """Return the positions of the classes, int64 (n,); the values of a regression, float64 (n, k), without classes."""
    if classes:
        return to_indices(samples.labels, classes, part)
    return to_values(samples.labels)


def _task_of(source: Any, given: str | None) -> str | None:
    """Return the task that is meant; `None` where the data may tell it."""
    if given is None:
        return "regression" if isinstance(source, str) and source in REGRESSIONS else None
    if given not in TASKS:
        raise unknown("task", given, TASKS)
    return given


def _read(source: Any, options: dict[str, Any], task: str | None) -> tuple[Source, str | None]:
    """Return what a source holds, and the text that leads to it again (arrays have none)."""
    if isinstance(source, str) and source in registry:
        _refuse(options, f"the data set {source!r}")
        return Source(source, to_samples(*registry.entry(source).make(), task=task or TASKS[0])), source
    if isinstance(source, str | PathLike):
        path = Path(source).expanduser().resolve()
        if not path.exists():
            raise _absent(source, path)
        return _read_path(path, options, task), str(path)
    if is_frame(source):
        _refuse(options, "a data frame", but=_FRAME_OPTIONS)
        for name in ("test_file", "validation_file"):
            if options[name] is not None and not is_frame(options[name]):
                raise DataError(f"{name}={options[name]!r}: with a data frame, give a data frame.")
        return _read_table(source, options, task), None
    if isinstance(source, tuple | list) and len(source) == 2:
        _refuse(options, "a pair of arrays")
        return Source("arrays", to_samples(*source, task=task or TASKS[0])), None
    count = f" of {len(source)} items" if isinstance(source, tuple | list) else ""
    raise DataError(
        f"a {type(source).__name__}{count} is no data; give a name ({', '.join(registry.names())}), a path, or a pair "
        f"(inputs, targets). {advice(source)}".rstrip()
    )


def _read_path(path: Path, options: dict[str, Any], task: str | None) -> Source:
    """Read a file or a folder that is there."""
    gigabytes = options["max_gigabytes"] or GIGABYTES
    if path.is_dir():
        if not any(path.iterdir()):
            raise DataError(f"{path} is empty. Data is {_KINDS}.")
        if is_idx_folder(path):
            _refuse(options, f"{path}, a folder of idx files,", but=("max_gigabytes",))
            return read_idx_folder(path, gigabytes=gigabytes)
        _refuse(options, f"{path}, a folder of images,", but=("size", "max_gigabytes", "skip_broken"))
        skip = bool(options["skip_broken"])
        return read_image_folder(path, size=options["size"], gigabytes=gigabytes, skip_broken=skip, task=task)
    check_file(path)
    if path.name.lower().endswith(_TABLES):
        _refuse(options, f"{path}, a table,", but=_TABLE_OPTIONS)
        parts = {name: _checked(name, options[name]) for name in ("test_file", "validation_file")}
        return _read_table(path, {**options, **parts}, task, gigabytes=gigabytes)
    if path.suffix.lower() == ".npz":
        _refuse(options, f"{path}, a file of arrays,", but=("max_gigabytes",))
        return read_npz(path, gigabytes=gigabytes, task=task or TASKS[0])
    hint = " Give the folder that holds the idx files." if is_idx_folder(path.parent) else ""
    raise DataError(f"{path} is not a supported type of file.{hint} Data can be {_KINDS}.")


def _read_table(source: Any, options: dict[str, Any], task: str | None, gigabytes: float = math.inf) -> Source:
    names = ("test_file", "validation_file", "target", "header")
    given = {name: options[name] for name in names}
    return read_tables(source, **given, ignore=options["ignore"] or (), gigabytes=gigabytes, task=task)


def _checked(name: str, file: Any) -> Path | None:
    """Return the path of a table that has to be there."""
    if file is None:
        return None
    if not isinstance(file, str):
        raise DataError(f"{name}={file!r} must be the path of a table.")
    check_file(Path(file))
    if not file.lower().endswith(_TABLES):
        raise DataError(f"{file} is not a supported type of table; give {', '.join(_TABLES)}.")
    return Path(file)


def _refuse(options: dict[str, Any], what: str, *, but: tuple[str, ...] = ()) -> None:
    """Raise where an option was given that does not apply, rather than pass it over."""
    for name, value in options.items():
        if value is not None and name not in but:
            raise DataError(f"{what} takes no {name}=; leave {name}={value!r} out.")


def _absent(source: str | PathLike[str], path: Path) -> DataError | UnknownName:
    """Return the error for what is not there: a name that looks like one, or else a path."""
    if isinstance(source, str) and Path(source).name == source and not Path(source).suffix:
        error = unknown("data set", source, registry.names())
        return UnknownName(f"{error} A path may be given too: {_KINDS}. There is no {path}.")
    return DataError(f"{path} does not exist. Data can be {_KINDS}.")
