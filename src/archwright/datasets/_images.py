"""Image files as one tensor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from archwright.datasets._reading import (
    GIGABYTES,
    BrokenImage,
    InputError,
    limit_text,
    open_image,
    orientation,
    pillow,
    read_image,
)
from archwright.errors import DataError

Size = int | Sequence[int]

_GREY = frozenset({"1", "L"})


def read_images(
    paths: Sequence[Path],
    *,
    size: Size | None = None,
    gigabytes: float = GIGABYTES,
    broken: dict[Path, str] | None = None,
) -> torch.Tensor:
    """Decode image files, upright as their EXIF data say.

    All become grey where all are grey, else all become RGB; transparency is dropped.

    Args:
        paths: The files, one or more.
        size: To resize every image to (bilinear, without regard to its proportions); `None` where all have one size.
        gigabytes: The most memory that they may take; a single one a sixteenth of it.
        broken: Where given, files that cannot be decoded are left out, and entered here with the error.

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
    grey, sound, first = True, list[Path](), list[int]()
    for path in paths:
        with _noting(path, broken), open_image(path, gigabytes) as image:
            # Which side is the height is known once the file is decoded; what differs otherwise is refused now.
            sides = sorted(image.size)
            first = first or sides
            if wanted is None and sides != first:
                raise _differing(sound[0], path, gigabytes)
            grey = grey and image.mode in _GREY
            sound.append(path)
    if not sound:
        raise InputError(f"none of the {len(paths):,} images can be decoded, such as {paths[0]}.")
    height, width = wanted or _upright(sound[0], gigabytes)
    channels = 1 if grey else 3
    if len(sound) * channels * height * width > gigabytes * 1e9:
        raise InputError(
            f"{len(sound):,} images of {channels}x{height}x{width} bytes take more than {limit_text(gigabytes)} Or "
            "resize them to less: size=, or --size."
        )
    pixels = torch.empty((len(sound), channels, height, width), dtype=torch.uint8)
    count = 0
    for path in sound:
        with _noting(path, broken):
            decoded = read_image(path, channels, wanted, gigabytes)
            if decoded.shape != pixels.shape[1:]:
                raise _differing(sound[0], path, gigabytes)
            pixels[count] = decoded
            count += 1
    return pixels[:count]


@contextmanager
def _noting(path: Path, broken: dict[Path, str] | None) -> Iterator[None]:
    """Enter a file that cannot be decoded, where that is asked for."""
    try:
        yield
    except BrokenImage as error:
        if broken is None:
            raise
        broken[path] = str(error)


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
