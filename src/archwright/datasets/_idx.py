"""Folders of idx files, the format of MNIST and Fashion-MNIST."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from archwright.datasets._reading import GIGABYTES, limit_text
from archwright.datasets._source import Samples, Source
from archwright.errors import DataError

__all__ = ["is_idx_folder", "read_idx", "read_idx_folder"]

_TRAIN, _TEST = "train", "t10k"
_UNSIGNED_BYTES = 0x08


def is_idx_folder(folder: Path) -> bool:
    """Tell whether a folder holds an idx file under one of the usual names."""
    return any(_find(folder, part, what) is not None for part in (_TRAIN, _TEST) for what in ("images", "labels"))


def read_idx_folder(folder: Path, *, gigabytes: float = GIGABYTES) -> Source:
    """Read a folder of idx files under the names of MNIST.

    `train-images-idx3-ubyte` and `train-labels-idx1-ubyte` must be there; the same with `t10k`
    in place of `train`, where it is, becomes the test part. Each file may be compressed (`.gz`).

    Args:
        folder: Where the files lie.
        gigabytes: The most memory that one of them may take.

    Raises:
        DataError: A file of a pair is missing, damaged or of another kind, or images and labels
            differ in number.
    """
    train = _read_pair(folder, _TRAIN, gigabytes)
    has_test = _find(folder, _TEST, "images") or _find(folder, _TEST, "labels")
    return Source(folder.name, train, _read_pair(folder, _TEST, gigabytes) if has_test else None)


def read_idx(path: Path, axes: int, gigabytes: float = GIGABYTES) -> npt.NDArray[np.uint8]:
    """Return the array of unsigned bytes that an idx file holds.

    Args:
        path: The file, compressed where its name ends in `.gz`.
        axes: How many axes it must have: 3 for images, 1 for labels.
        gigabytes: The most memory that it may take.

    Returns:
        uint8, read-only.

    Raises:
        DataError: The file is truncated, too long or too large, or no idx file of that kind.
    """
    start = 4 + 4 * axes
    wanted = bytes((0, 0, _UNSIGNED_BYTES, axes))
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(start)
            if head[:4] != wanted:
                raise DataError(
                    f"{path} starts with the magic number {head[:4].hex() or 'nothing'}, but an idx "
                    f"file of unsigned bytes with {axes} {'axis' if axes == 1 else 'axes'} starts with "
                    f"{wanted.hex()}. Is it the right file?"
                )
            if len(head) < start:
                raise DataError(f"{path} is cut short: its header needs {start} bytes, there are {len(head)}.")
            shape = struct.unpack(f">{axes}I", head[4:])
            size = math.prod(shape)
            told = f"{path} says that it holds {' x '.join(map(str, shape))} = {size} bytes"
            if size > gigabytes * 1e9:
                raise DataError(f"{told}, which is more than {limit_text(gigabytes)}")
            content = file.read(size + 1)  # one more, to see that it ends there
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read, it may be damaged or cut short: {error}") from error
    if len(content) != size:
        raise DataError(
            f"{told}, but {len(content)} follow its header{' or more' if len(content) > size else ''}: it is cut short "
            "or damaged. Fetch it again."
        )
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _read_pair(folder: Path, part: str, gigabytes: float) -> Samples:
    """Read the images and the labels of one part."""
    paths = {what: _find(folder, part, what) for what in ("images", "labels")}
    images, labels = paths["images"], paths["labels"]
    if images is None or labels is None:
        absent = ", ".join(_name(part, what) for what, path in paths.items() if path is None)
        raise DataError(f"{folder} has no {absent} (or the same with .gz); put the missing file beside the others.")
    pixels, classes = read_idx(images, 3, gigabytes), read_idx(labels, 1, gigabytes)
    if len(pixels) != len(classes):
        raise DataError(
            f"{images.name} holds {len(pixels)} images but {labels.name} {len(classes)} labels "
            f"(in {folder}); the two files do not belong together."
        )
    if pixels.size == 0:
        raise DataError(f"{images} holds no images (shape {pixels.shape}).")
    return Samples(torch.tensor(pixels).unsqueeze(1), classes.astype(np.str_))


def _name(part: str, what: str) -> str:
    return f"{part}-{what}-idx{3 if what == 'images' else 1}-ubyte"


def _find(folder: Path, part: str, what: str) -> Path | None:
    """Return the file, plain or compressed, if it is there."""
    plain = folder / _name(part, what)
    packed = plain.with_name(plain.name + ".gz")
    return next((path for path in (plain, packed) if path.is_file()), None)
