"""Folders of images and masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from archwright._words import counted
from archwright.datasets._images import read_images, to_size
from archwright.datasets._reading import (
    GIGABYTES,
    IMAGES,
    InputError,
    limit_text,
    open_image,
    orientation,
    pillow,
    turned,
)
from archwright.datasets._text_preprocess import text_lines
from archwright.errors import DataError

IGNORED = 255
"""The target of pixels that are not looked at."""

_IMAGES = ("images", "image", "imgs", "img", "jpegimages")
_MASKS = ("masks", "mask", "labels", "label", "annotations", "segmentationclass")
PARTS = {"train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation"}
PARTS |= {"test": "test", "testing": "test"}
_MOST = 254  # classes
_LAYOUT = (
    "images and masks lie in FOLDER/images/NAME.jpg and FOLDER/masks/NAME.png (or labels/), or in the same two folders "
    "in FOLDER/train/, FOLDER/val/ and FOLDER/test/"
)

Pair = tuple[Path, Path]


def find_pairs(root: Path) -> dict[str, list[Pair]] | None:
    """Return the images with their masks by part, "" where they are not divided; `None` where there are none.

    Raises:
        DataError: An image has no mask, or a mask no image.

    Example:
        >>> find_pairs(Path("nothing")) is None
        True
    """
    if (folders := _folders(root)) is not None:
        return {"": _paired(*folders)}
    found = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else ():
        part = PARTS.get(folder.name.lower())
        if part is not None and (folders := _folders(folder)) is not None:
            found[part] = _paired(*folders)
    return found if "train" in found else None


def read_pairs(
    pairs: Sequence[Pair], *, size: object = None, gigabytes: float = GIGABYTES, root: Path | None = None
) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Return images, masks and the names of the classes.

    Args:
        pairs: The files.
        size: To resize to: a number of pixels or (height, width); `None` for the size that all have.
        gigabytes: The most memory that they may take.
        root: The folder of the data, above which no names of classes are looked for.

    Returns:
        Images, uint8 (n, channels, height, width); masks, uint8 (n, height, width), of the positions of the classes,
        and 255 for pixels that are not looked at; and the names of the classes.

    Raises:
        DataError: There are too many classes, or they have other names.
        InputError: A file cannot be read, they take too much memory, or a mask has another size than its image.

    Example:
        >>> from PIL import Image
        >>> for name, pixel in (("image", 90), ("mask", 255)):
        ...     image = Image.new("L", (4, 4))
        ...     image.putpixel((0, 0), pixel)
        ...     image.save(f"{name}.png")
        >>> read_pairs([(Path("image.png"), Path("mask.png"))])[2]
        ('background', 'foreground')
    """
    wanted = None if size is None else to_size(size)
    images = read_images([image for image, _ in pairs], size=wanted, gigabytes=gigabytes)
    height, width = images.shape[-2:]
    raw, taken = list[np.ndarray](), images.nbytes
    for image, mask in pairs:
        raw.append(_mask(image, mask, (height, width), gigabytes))
        taken += raw[-1].nbytes
        if taken > gigabytes * 1e9:
            raise InputError(
                f"{len(pairs):,} images and masks of {height}x{width} pixels take more than {limit_text(gigabytes)} Or "
                "resize them to less: size=, or --size."
            )
    values = sorted(set().union(*(np.unique(mask).tolist() for mask in raw)))
    ignored = {IGNORED} if len(values) > 2 else set()  # as in Pascal VOC; of two values 255 is the foreground
    classes = [value for value in values if value not in ignored]
    if not 2 <= len(classes) <= _MOST:
        raise DataError(
            f"the masks, such as {pairs[0][1]}, hold {counted(len(classes), 'class', 'classes')}; 2 to {_MOST} are "
            "possible. Each value or colour in them is a class, so save masks without smooth edges, as PNG"
        )
    table = np.full(max(values) + 1, IGNORED, dtype=np.uint8)
    table[classes] = np.arange(len(classes))
    masks = torch.empty((len(raw), height, width), dtype=torch.uint8)
    for place, found in enumerate(raw):
        masks[place] = torch.from_numpy(table[found])
    return images, masks, _names(pairs[0][1].parent, classes, root)


def image_size(path: Path, *, most: int, multiple: int, gigabytes: float = GIGABYTES) -> tuple[int, int]:
    """Return height and width for images like one: its own, or a smaller size of about the same shape.

    Args:
        path: The image.
        most: Pixels of the longer side at most.
        multiple: What sides are rounded to a multiple of.
        gigabytes: The limit of memory, of which the image may take a sixteenth.

    Example:
        >>> from PIL import Image
        >>> Image.new("L", (640, 480)).save("image.png")
        >>> image_size(Path("image.png"), most=256, multiple=32)
        (192, 256)
    """
    with open_image(path, gigabytes) as image:
        sides = image.size if orientation(image) > 4 else image.size[::-1]
    scale = min(1.0, most / max(sides))
    height, width = (max(1, round(scale * side / multiple)) * multiple for side in sides)
    return height, width


def _mask(image: Path, mask: Path, size: tuple[int, int], gigabytes: float) -> np.ndarray:
    """Return the values of a mask in a size, upright, uint8 (height, width), or its colours, int32."""
    library = pillow()
    with open_image(image, gigabytes) as one, open_image(mask, gigabytes) as other:
        turns = [orientation(each) for each in (one, other)]
        sides = [each.size if turn > 4 else each.size[::-1] for each, turn in zip((one, other), turns, strict=True)]
        if sides[0] != sides[1]:
            told = ["x".join(map(str, each)) for each in sides]
            raise InputError(
                f"{image} has {told[0]} pixels, but its mask {mask} {told[1]}; they must be of one size as they "
                "are seen, turned as their EXIF data say"
            )
        plain = turned(other if other.mode in ("1", "L", "P") else other.convert("RGB"), turns[1])
        values = np.array(plain.resize(size[::-1], library.Resampling.NEAREST))
    if values.ndim == 3:
        values = values.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.int32)
        if (values >> 16 == values & 255).all() and (values >> 16 == values >> 8 & 255).all():
            values = values.astype(np.uint8)  # a grey mask that was saved in colour
        elif len(np.unique(values)) > _MOST:
            raise DataError(f"{mask} has more than {_MOST} colours, each of which would be a class; save it as PNG")
    return values * np.uint8(IGNORED) if plain.mode == "1" else values


def _names(folder: Path, classes: Iterable[int], root: Path | None) -> tuple[str, ...]:
    """Return the names in a file `classes.txt` beside the masks or up to two folders above, or else the values.

    Its lines are the names of the values 0, 1, 2, ... of masks, or of the values that there are.
    """
    classes = list(classes)
    for place in (folder, folder.parent, folder.parent.parent):
        if root is not None and not place.is_relative_to(root):
            break
        file = place / "classes.txt"
        if file.is_file():
            names = [line.strip() for line in text_lines(file) if line.strip()]
            if len(set(names)) == len(names) and max(classes) < len(names):
                return tuple(names[value] for value in classes)
            if len(set(names)) < len(names) or len(names) != len(classes):
                raise DataError(
                    f"{file} has to name {counted(len(classes), 'class', 'classes')}, each in a line of its own: those "
                    f"of the values {', '.join(map(str, classes[:8]))} in this order, or of 0, 1, 2, ... to the largest"
                )
            return tuple(names)
    return ("background", "foreground") if classes == [0, IGNORED] else tuple(map(str, classes))


def _folders(root: Path) -> tuple[Path, Path] | None:
    """Return the folders of the images and of the masks in a folder."""
    if not root.is_dir():
        return None
    inside = {path.name.lower(): path for path in sorted(root.iterdir()) if path.is_dir()}
    images = next((inside[name] for name in _IMAGES if name in inside), None)
    masks = next((inside[name] for name in _MASKS if name in inside), None)
    return None if images is None or masks is None else (images, masks)


def _paired(images: Path, masks: Path) -> list[Pair]:
    found = {path.stem: path for path in _files(images)}
    held = {path.stem.removesuffix("_mask").removesuffix("_label"): path for path in _files(masks)}
    for these, those, told in ((found, held, "mask"), (held, found, "image")):
        alone = sorted(these.keys() - those.keys())
        if alone:
            more = f", and {len(alone) - 1} more have none either" if len(alone) > 1 else ""
            raise DataError(f"{these[alone[0]]} has no {told} of the same name{more}; {_LAYOUT}")
    if not found:
        raise DataError(f"{images} holds no images ({', '.join(IMAGES)}); {_LAYOUT}")
    return [(found[stem], held[stem]) for stem in sorted(found)]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix.lower() in IMAGES and path.name[0] != "."]
