"""Folders of images, one folder for each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from archwright._words import counted
from archwright.datasets._images import Size, read_images
from archwright.datasets._reading import GIGABYTES, IMAGES, BrokenImage
from archwright.datasets._source import Samples, Source
from archwright.errors import DataError
from archwright.spaces import default_for

_VALIDATION = "val", "validation"
_PARTS = "train", "test", *_VALIDATION
_SHOWN = 5  # names of images that cannot be decoded
_LAYOUT = "an image folder looks like FOLDER/class/image.png, or FOLDER/train/class/... with FOLDER/test/class/..."


def read_image_folder(
    root: Path,
    *,
    size: Size | None = None,
    gigabytes: float = GIGABYTES,
    skip_broken: bool = False,
    task: str | None = None,
) -> Source:
    """Read `root/class/*.png`, or `root/train/class/*.png` and likewise `test`, `val` or `validation`.

    PNG, JPEG, BMP and WebP files count as images; other files and hidden ones are passed over. With `skip_broken` those
    that cannot be decoded are left out, with a note. Without `task` it is told what the folder was taken for.
    """
    if not _folders(root / "train"):  # a folder "train" of images is a class: trains
        parts = {"train": _list(root)}
    else:
        names = [folder.name for folder in _folders(root)]
        odd, held = [name for name in names if name not in _PARTS], [name for name in names if name in _VALIDATION]
        if odd or len(held) > 1:
            raise DataError(
                f"{root} holds train/ and also {', '.join(odd or held)}/: only train/, test/, and one of "
                f"{'/ and '.join(_VALIDATION)}/ are read. Rename or remove the others."
            )
        parts = {name: _list(root / name) for name in ("train", *held, "test") if name in names}
    files = [file for part in parts.values() for file, _ in part]
    broken: dict[Path, str] = {}
    try:
        # all at once, so that they agree in size and channels
        images = read_images(files, size=size, gigabytes=gigabytes, broken=broken if skip_broken else None)
    except BrokenImage as error:
        raise DataError(
            f"{error} Or leave out all that cannot be decoded: skip_broken=True, or --skip-broken."
        ) from error
    notes: tuple[str, ...] = ()
    if broken:
        shown = ", ".join(str(path.relative_to(root)) for path in list(broken)[:_SHOWN])
        more = f" and {len(broken) - _SHOWN:,} more" if len(broken) > _SHOWN else ""
        notes = (f"left out: {len(broken):,} of {counted(len(files), 'image')} cannot be decoded: {shown}{more}",)
    samples: dict[str, Samples] = {}
    start = 0
    for name, part in parts.items():
        labels = [label for file, label in part if file not in broken]
        if lost := {label for _, label in part} - {*labels}:
            raise DataError(f"no image of the class {min(lost)!r} in {root} can be decoded; replace them.")
        images_of = images[start : start + len(labels)]
        samples[name] = Samples(images_of, np.array(labels, dtype=np.str_), notes if name == "train" else ())
        start += len(labels)
    return Source(
        root.name,
        samples["train"],
        samples.get("test"),
        validation=samples.get("val", samples.get("validation")),
        told=() if task is not None else (_guessed(root.name, samples["train"]),),
    )


def _guessed(name: str, samples: Samples) -> str:
    """Return the task that a folder was taken for, and why."""
    channels, height, width = samples.inputs.shape[1:]
    kind = "colour" if channels == 3 else "grey"
    return (
        f"task: image classification, because {name} holds {counted(len(set(samples.labels)), 'folder')} of "
        f"{height}x{width} {kind} images (default space: {default_for(samples.inputs.shape[1:])}); name another with "
        "task=, or --task"
    )


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
