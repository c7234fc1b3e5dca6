"""Folders of images, one folder for each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from archwright._words import counted
from archwright.datasets._images import Size, read_images
from archwright.datasets._reading import GIGABYTES, IMAGES
from archwright.datasets._source import Samples, Source
from archwright.errors import DataError

_VALIDATION = "val", "validation"
_PARTS = "train", "test", *_VALIDATION
_LAYOUT = "an image folder looks like FOLDER/class/image.png, or FOLDER/train/class/... with FOLDER/test/class/..."


def read_image_folder(root: Path, *, size: Size | None = None, gigabytes: float = GIGABYTES) -> Source:
    """Read `root/class/*.png`, or `root/train/class/*.png` and likewise `test`, `val` or `validation`.

    PNG, JPEG, BMP and WebP files count as images; other files and hidden ones are passed over.
    """
    if not _folders(root / "train"):  # a folder "train" of images is a class: trains
        files = _list(root)
        return Source(
            root.name, _label(files, read_images([path for path, _ in files], size=size, gigabytes=gigabytes))
        )
    names = [folder.name for folder in _folders(root)]
    odd, held = [name for name in names if name not in _PARTS], [name for name in names if name in _VALIDATION]
    if odd or len(held) > 1:
        raise DataError(
            f"{root} holds train/ and also {', '.join(odd or held)}/: only train/, test/, and one of "
            f"{'/ and '.join(_VALIDATION)}/ are read. Rename or remove the others."
        )
    train = _list(root / "train")
    validation = _list(root / held[0]) if held else []
    test = _list(root / "test") if "test" in names else []
    # all at once, so that they agree in size and channels
    images = read_images([path for path, _ in train + validation + test], size=size, gigabytes=gigabytes)
    ends = len(train), len(train) + len(validation)
    return Source(
        root.name,
        _label(train, images[: ends[0]]),
        _label(test, images[ends[1] :]) if test else None,
        validation=_label(validation, images[ends[0] : ends[1]]) if validation else None,
    )


def _label(files: list[tuple[Path, str]], images: torch.Tensor) -> Samples:
    return Samples(images, np.array([name for _, name in files], dtype=np.str_))


def _folders(root: Path) -> list[Path]:
    """Return the folders in a folder that are not hidden, by name."""
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    """Return the image files in a folder that are not hidden, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES and not path.name.startswith("."))


def _list(root: Path) -> list[tuple[Path, str]]:
    """Return every image with the name of its class, class by class."""
    if not any(root.iterdir()):
        raise DataError(f"{root} is empty; {_LAYOUT}.")
    folders, lying = _folders(root), _images(root)
    if folders and lying:
        raise DataError(
            f"{root} holds {counted(len(lying), 'image')} beside its class folders, such as {lying[0].name}, which "
            "would not be read. Put them into a class folder or remove them."
        )
    if not folders:
        have = f"{counted(len(lying), 'image')} but no class folders" if lying else "neither images nor class folders"
        raise DataError(f"{root} holds {have}; {_LAYOUT}.")
    files = [(path, folder.name) for folder in folders for path in _images(folder)]
    if not files:
        raise DataError(f"the {len(folders)} class folders of {root} hold no images ({', '.join(IMAGES)}); {_LAYOUT}.")
    filled = {name for _, name in files}
    bare = [folder.name for folder in folders if folder.name not in filled]
    if bare:
        raise DataError(
            f"of the class folders in {root}, {', '.join(map(repr, bare))} hold no images; fill them or remove them."
        )
    return files
