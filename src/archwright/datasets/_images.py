"""Image files as one tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from archwright.errors import DataError

__all__ = ["Size", "read_images", "to_size"]

Size = int | Sequence[int]
T = TypeVar("T")

_GREY = frozenset({"1", "L"})
_DEEP = frozenset({"F", "I", "I;16", "I;16B", "I;16L", "I;16N"})


def read_images(paths: Sequence[Path], *, size: Size | None = None) -> torch.Tensor:
    """Decode image files.

    All become grey where all are grey, else all become RGB; transparency is dropped.

    Args:
        paths: The files, one or more.
        size: Height and width in pixels, or one number for both, to resize every image to
            (bilinear, without regard to its proportions). `None` where all have the same size
            already.

    Returns:
        uint8 of shape (n, channels, height, width), channels 1 or 3, in the order of `paths`.

    Raises:
        DataError: A file is damaged or has more than 8 bits for a channel, the sizes differ and
            `size` is not given, or Pillow is not installed.
    """
    pillow = _pillow()

    def look(path: Path) -> tuple[str, int, int]:
        with pillow.open(path) as image:
            return str(image.mode), int(image.height), int(image.width)

    heads = [_guarded(look, path, pillow) for path in paths]
    for path, (mode, _, _) in zip(paths, heads, strict=True):
        if mode in _DEEP:
            raise DataError(f"{path} has more than 8 bits for a channel (mode {mode!r}); convert it to 8 bits.")
    height, width = _common_size(paths, heads) if size is None else to_size(size)
    grey = all(mode in _GREY for mode, _, _ in heads)
    mode = "L" if grey else "RGB"
    pixels = torch.empty((len(paths), 1 if grey else 3, height, width), dtype=torch.uint8)
    # a view in the order in which Pillow gives an image, so that each is written in place
    rows: npt.NDArray[np.uint8] = pixels.permute(0, 2, 3, 1).numpy()

    def decode(path: Path) -> npt.NDArray[np.uint8]:
        with pillow.open(path) as image:
            image.draft(None, (2 * width, 2 * height))  # no JPEG in full where a quarter will do
            plain: Any = image if image.mode == mode else image.convert(mode)
            if plain.size != (width, height):
                plain = plain.resize((width, height), pillow.Resampling.BILINEAR)
            return np.asarray(plain).reshape(height, width, -1)

    for index, path in enumerate(paths):
        rows[index] = _guarded(decode, path, pillow)
    return pixels


def to_size(size: object) -> tuple[int, int]:
    """Return height and width.

    Raises:
        DataError: `size` is neither a whole number of pixels nor a pair of them.
    """
    pair = tuple(size) if isinstance(size, Sequence) else (size, size)
    if len(pair) != 2 or not all(type(side) is int and side > 0 for side in pair):
        raise DataError(f"size={size!r} must be a number of pixels or a pair (height, width) of them, such as size=32.")
    return pair[0], pair[1]


def _common_size(paths: Sequence[Path], heads: Sequence[tuple[str, int, int]]) -> tuple[int, int]:
    """Return the size that all images have."""
    _, height, width = heads[0]
    for path, (_, other_height, other_width) in zip(paths, heads, strict=True):
        if (other_height, other_width) != (height, width):
            raise DataError(
                f"images differ in size (height x width): {paths[0]} is {height}x{width} but "
                f"{path} is {other_height}x{other_width}. Give size=, such as size=32 or "
                "size=(32, 48), to resize them all."
            )
    return height, width


def _guarded(work: Callable[[Path], T], path: Path, pillow: ModuleType) -> T:
    """Return what `work` makes of a file, or raise an error that names it."""
    try:
        return work(path)
    except (OSError, SyntaxError, ValueError, EOFError, pillow.DecompressionBombError) as error:
        raise DataError(f"the image {path} cannot be decoded: {error}. Replace the file or remove it.") from error


def _pillow() -> ModuleType:
    """Return Pillow's image module, which the base install does not bring."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(
            "reading image files needs Pillow: install it with `pip install 'archwright[images]'`."
        ) from error
    return Image
