"""Image files as one tensor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from archwright.datasets._reading import GIGABYTES, InputError, limit_text, open_image, orientation, pillow, read_image
from archwright.errors import DataError

Size = int | Sequence[int]

_GREY = frozenset({"1", "L"})


def read_images(paths: Sequence[Path], *, size: Size | None = None, gigabytes: float = GIGABYTES) -> torch.Tensor:
    """Decode image files, upright as their EXIF data say.

    All become grey where all are grey, else all become RGB; transparency is dropped.

    Args:
        paths: The files, one or more.
        size: To resize every image to (bilinear, without regard to its proportions); `None` where all have one size.
        gigabytes: The most memory that they may take; a single one a sixteenth of it.

    Returns:
        uint8 of shape (n, channels, height, width), channels 1 or 3, in the order of `paths`.
    """
    try:
        pillow()
    except InputError as error:
        raise DataError(
            "reading image files needs Pillow: install it with `pip install 'archwright[images]'`."
        ) from error
    wanted = None if size is None else to_size(size)
    grey, first = True, None
    for path in paths:
        with open_image(path, gigabytes) as image:
            grey = grey and image.mode in _GREY
            # Which side is the height is known once the file is decoded; what differs otherwise is refused now.
            sides = sorted(image.size)
        first = first or sides
        if wanted is None and sides != first:
            raise _differing(paths[0], path, gigabytes)
    height, width = wanted or _upright(paths[0], gigabytes)
    channels = 1 if grey else 3
    if len(paths) * channels * height * width > gigabytes * 1e9:
        raise InputError(
            f"{len(paths):,} images of {channels}x{height}x{width} bytes take more than {limit_text(gigabytes)} Or "
            "resize them to less: size=, or --size."
        )
    pixels = torch.empty((len(paths), channels, height, width), dtype=torch.uint8)
    for index, path in enumerate(paths):
        decoded = read_image(path, channels, wanted, gigabytes)
        if decoded.shape != pixels.shape[1:]:
            raise _differing(paths[0], path, gigabytes)
        pixels[index] = decoded
    return pixels


def to_size(size: object) -> tuple[int, int]:
    """Return height and width, of a whole number of pixels or a pair of them."""
    pair = tuple(size) if isinstance(size, Sequence) else (size, size)
    if len(pair) != 2 or not all(type(side) is int and side > 0 for side in pair):
        raise DataError(f"size={size!r} must be a number of pixels or a pair (height, width) of them, such as size=32.")
    return pair[0], pair[1]


def _upright(path: Path, gigabytes: float) -> tuple[int, int]:
    """Return height and width of an image as it is seen."""
    with open_image(path, gigabytes) as image:
        height, width = image.height, image.width
        return (height, width) if orientation(image) < 5 else (width, height)


def _differing(one: Path, other: Path, gigabytes: float) -> InputError:
    sizes = ["x".join(map(str, _upright(path, gigabytes))) for path in (one, other)]
    return InputError(
        f"images differ in size (height x width): {one} is {sizes[0]} but {other} is {sizes[1]}. Give size=, such as "
        "size=32 or size=(32, 48), or --size on the command line, to resize them all."
    )
