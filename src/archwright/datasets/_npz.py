"""Arrays in a numpy file."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archwright.datasets._arrays import to_samples
from archwright.datasets._source import Source
from archwright.errors import DataError

__all__ = ["read_npz"]


def read_npz(path: Path) -> Source:
    """Read the arrays `x` and `y`, or `x_train`, `y_train`, `x_test` and `y_test`.

    Of the latter four, the last two become the test part as they are.

    Args:
        path: A file that `numpy.savez` or `numpy.savez_compressed` wrote.

    Raises:
        DataError: It is no such file, holds other names, or arrays that cannot be learnt from.
    """
    arrays = _load(path)
    names = set(arrays)
    if names == {"x", "y"}:
        return Source(path.stem, to_samples(arrays["x"], arrays["y"]))
    if names == {"x_train", "y_train", "x_test", "y_test"}:
        return Source(
            path.stem,
            to_samples(arrays["x_train"], arrays["y_train"]),
            to_samples(arrays["x_test"], arrays["y_test"]),
        )
    raise DataError(
        f"{path} holds the arrays {', '.join(sorted(names)) or 'none'}; it should hold x and y, "
        "or x_train, y_train, x_test and y_test."
    )


def _load(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        # pickles stay shut: they could run anything
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, EOFError, ValueError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as arrays of numbers or texts: {error}") from error
