"""Folders of idx files, the format of MNIST and Fashion-MNIST."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from archwright._words import counted
from archwright.datasets._reading import GIGABYTES, InputError, limit_text, read_idx
from archwright.datasets._source import Samples, Source
from archwright.errors import DataError

_TRAIN, _TEST = "train", "t10k"
_LABEL_BYTES = 12  # of the text of a label in an array


def is_idx_folder(folder: Path) -> bool:
    """Tell whether a folder holds an idx file under one of the usual names."""
    return any(_find(folder, part, what) is not None for part in (_TRAIN, _TEST) for what in ("images", "labels"))


def read_idx_folder(folder: Path, *, gigabytes: float = GIGABYTES) -> Source:
    """Read a folder of idx files under the names of MNIST.

    `train-images-idx3-ubyte` and `train-labels-idx1-ubyte` must be there; the same with `t10k` in place of `train`,
    where it is, becomes the test part. Each file may be compressed (`.gz`), and take so many gigabytes of memory.
    """
    train = _read_pair(folder, _TRAIN, gigabytes)
    has_test = _find(folder, _TEST, "images") or _find(folder, _TEST, "labels")
    return Source(folder.name, train, _read_pair(folder, _TEST, gigabytes) if has_test else None)


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
            f"{images.name} holds {counted(len(pixels), 'image')} but {labels.name} {counted(len(classes), 'label')} "
            f"(in {folder}); the two files do not belong together."
        )
    if pixels.numel() == 0:
        raise DataError(f"{images} holds no images (shape {tuple(pixels.shape)}).")
    if _LABEL_BYTES * len(classes) > gigabytes * 1e9:
        raise InputError(f"{labels} holds {len(classes):,} labels, which take more than {limit_text(gigabytes)}")
    return Samples(pixels.unsqueeze(1), classes.numpy().astype(np.str_))


def _name(part: str, what: str) -> str:
    return f"{part}-{what}-idx{3 if what == 'images' else 1}-ubyte"


def _find(folder: Path, part: str, what: str) -> Path | None:
    """Return the file, plain or compressed, if it is there."""
    plain = folder / _name(part, what)
    packed = plain.with_name(plain.name + ".gz")
    return next((path for path in (plain, packed) if path.is_file()), None)
