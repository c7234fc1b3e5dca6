"""Arrays in a numpy file."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archwright.datasets._arrays import to_samples
from archwright.datasets._reading import GIGABYTES, limit_text
from archwright.datasets._source import Source
from archwright.errors import DataError

_DAMAGED = (EOFError, OSError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error)
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # as numpy writes them


def read_npz(path: Path, *, gigabytes: float = GIGABYTES, task: str = "classification") -> Source:
    """Read the arrays `x` and `y`, or `x_train`, `y_train`, `x_test` and `y_test`, as `numpy.savez` wrote them.

    Of the latter four, the last two become the test part as they are.
    """
    arrays = _load(path, gigabytes)
    names = set(arrays)
    if names == {"x", "y"}:
        return Source(path.stem, to_samples(arrays["x"], arrays["y"], task=task))
    if names == {"x_train", "y_train", "x_test", "y_test"}:
        return Source(
            path.stem,
            to_samples(arrays["x_train"], arrays["y_train"], task=task),
            to_samples(arrays["x_test"], arrays["y_test"], task=task),
        )
    raise DataError(
        f"{path} holds the arrays {', '.join(sorted(names)) or 'none'}; it should hold x and y, "
        "or x_train, y_train, x_test and y_test."
    )


def _load(path: Path, gigabytes: float) -> dict[str, npt.NDArray[Any]]:
    name = None
    try:
        with zipfile.ZipFile(path) as packed:
            entries = packed.infolist()
        size = sum(entry.file_size for entry in entries)
        if size > gigabytes * 1e9:
            raise DataError(f"{path} unpacks to {size / 1e9:,.3g} gigabytes, more than {limit_text(gigabytes)}")
        if odd := [entry.filename for entry in entries if entry.compress_type not in _PACKED]:
            raise DataError(f"{path}: {odd[0]!r} is packed as numpy does not pack; save it by numpy.savez_compressed")
        arrays = {}
        # pickles stay shut: they could run anything
        with np.load(path, allow_pickle=False) as file:
            for name in file.files:
                arrays[name] = file[name]
    except (*_DAMAGED, AttributeError, KeyError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error)
        if "allow_pickle" in reason:
            reason = "it holds Python objects (a pickle), and opening a pickle runs code. Save numbers or texts"
        what = "" if name is None else f"the array {name!r}: "
        raise DataError(f"{path} cannot be read as arrays of numbers or texts: {what}{reason}") from error
    return arrays
