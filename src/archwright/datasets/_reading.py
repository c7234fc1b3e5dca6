"""Reading of image files, idx files and tables, the same in training and in prediction.

This module is a part of the `predict.py` that is saved beside a network, so it imports only PyTorch, and Pillow for
images.
"""

from __future__ import annotations

import csv
import gzip
import math
import os
import stat
import struct
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedIOBase
from itertools import chain
from numbers import Real
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import Tensor

__all__ = [
    "GIGABYTES",
    "IMAGES",
    "TABLES",
    "BrokenImage",
    "InputError",
    "allow_long_cells",
    "check_file",
    "limit_text",
    "open_image",
    "orientation",
    "pillow",
    "read_at_most",
    "read_idx",
    "read_image",
    "read_rows",
    "row_bytes",
    "to_gigabytes",
    "to_number",
    "turned",
]

IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
GIGABYTES = 4.0
# By content, whatever a file is called: Pillow would hand a PostScript file to Ghostscript.
_FORMATS = ("BMP", "JPEG", "PNG", "WEBP")
_DELIMITERS = ",;\t|"
_CHUNK = 2**24  # bytes that are read at a time
_MOST_GIGABYTES = 10**9
_TURNS = {  # EXIF orientation: what shows the picture upright, by Pillow's names
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


class InputError(ValueError):
    """A file, a row or a tensor is not a valid input of the network."""


class BrokenImage(InputError):
    """An image file cannot be decoded."""


def check_file(path: Path) -> None:
    """Check that a path is a regular file; reading a pipe or a device could block.

    Raises:
        InputError: The path is no regular file, or does not exist.

    Example:
        >>> check_file(Path(__file__)) is None
        True
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be opened: {reason}") from error
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        raise InputError(f"{path} is {kinds.get(stat.S_IFMT(mode), 'a device')}, not a file. Give a file.")


def pillow() -> Any:
    """Return Pillow's image module."""
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError("opening pictures needs Pillow: pip install pillow") from error
    return Image


@contextmanager
def open_image(path: Path, gigabytes: float = GIGABYTES) -> Iterator[Any]:
    """Open a BMP, JPEG, PNG or WebP file, known by its content; its pixels are decoded on first use.

    BrokenImage where it is none of these or damaged; InputError where it has 16 bits for a channel, or takes more than
    a sixteenth of the limit.
    """
    library = pillow()
    check_file(path)
    try:
        with path.open("rb") as file:
            head = file.read(25)
            if head.startswith(b"\x89PNG") and head[24:] == b"\x10":
                # Pillow cuts colour of 16 bits down to 8 without a word
                raise InputError(
                    f"{path} has more than 8 bits for a channel, and would lose them. Convert it to 8 bits, or give "
                    "arrays of float32."
                )
            file.seek(0)
            limit, library.MAX_IMAGE_PIXELS = library.MAX_IMAGE_PIXELS, None  # the limit is stated below
            try:
                image = library.open(file, formats=_FORMATS)
            finally:
                library.MAX_IMAGE_PIXELS = limit
            with image:
                if 3 * image.width * image.height > gigabytes / 16 * 1e9:
                    raise InputError(
                        f"{path} has {image.height} x {image.width} pixels; one picture may take a sixteenth of "
                        f"{limit_text(gigabytes)}"
                    )
                yield image
    except InputError:
        raise
    except Exception as error:  # whatever a decoder makes of a damaged file
        told = "it is no BMP, JPEG, PNG or WebP file" if "cannot identify" in str(error) else str(error) or repr(error)
        raise BrokenImage(f"the image {path} cannot be decoded: {told}. Replace the file or remove it.") from error


def orientation(image: Any) -> int:
    """Return how a picture is to be turned, 1 to 8 as in EXIF; from 5 on height and width change places.

    Where its EXIF data are damaged it is taken as it is stored, as every viewer does.
    """
    try:
        value = image.getexif().get(274)
    except (EOFError, KeyError, OSError, SyntaxError, TypeError, ValueError, struct.error):
        return 1
    return value if value in _TURNS else 1


def turned(picture: Any, turn: int) -> Any:
    """Return a picture upright that is stored in an orientation as `orientation` returns it."""
    return picture.transpose(pillow().Transpose[_TURNS[turn]]) if turn in _TURNS else picture


def read_image(path: Path, channels: int, size: tuple[int, int] | None, gigabytes: float = GIGABYTES) -> Tensor:
    """Decode a picture, upright as its EXIF data say: uint8 of shape (channels, height, width).

    It is converted to 1 channel for grey or 3 for colour, without transparency, and resized to (height, width) where a
    size is given.
    """
    library, mode = pillow(), "L" if channels == 1 else "RGB"
    with open_image(path, gigabytes) as image:
        turn = orientation(image)
        if size is not None:
            height, width = size if turn < 5 else size[::-1]
            image.draft(None, (2 * width, 2 * height))  # no JPEG in full where a quarter will do
        plain = turned(image if image.mode == mode else image.convert(mode), turn)
        if size is not None and plain.size != size[::-1]:
            plain = plain.resize(size[::-1], library.Resampling.BILINEAR)
        pixels = torch.frombuffer(bytearray(plain.tobytes()), dtype=torch.uint8)
        return pixels.view(plain.height, plain.width, channels).permute(2, 0, 1)


def read_idx(path: Path, axes: int, gigabytes: float = GIGABYTES) -> Tensor:
    """Return the array of unsigned bytes that an idx file, compressed where its name ends in `.gz`, holds.

    It must have 3 axes for images, 1 for labels. InputError where the file is truncated, too long, too large or
    another.
    """
    start = 4 + 4 * axes
    wanted = bytes((0, 0, 8, axes))  # 8: unsigned bytes
    check_file(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(start)
            if head[:4] != wanted:
                raise InputError(
                    f"{path} starts with the magic number {head[:4].hex() or 'nothing'}, but an idx "
                    f"file of unsigned bytes with {axes} {'axis' if axes == 1 else 'axes'} starts with "
                    f"{wanted.hex()}. Is it the right file?"
                )
            if len(head) < start:
                raise InputError(f"{path} is cut short: its header needs {start} bytes, there are {len(head)}.")
            shape = struct.unpack(f">{axes}I", head[4:])
            size = math.prod(shape)
            told = f"{path} says that it holds {' x '.join(map(str, shape))} = {size} bytes"
            if size > gigabytes * 1e9:
                raise InputError(f"{told}, which is more than {limit_text(gigabytes)}")
            content = read_at_most(file, size + 1)  # one more, to see that it ends there
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read, it may be damaged or cut short: {error}") from error
    if len(content) != size:
        raise InputError(
            f"{told}, but {len(content)} follow its header{' or more' if len(content) > size else ''}: it is cut short "
            "or damaged. Fetch it again."
        )
    if not size:
        return torch.empty(shape, dtype=torch.uint8)
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).view(shape)


def read_at_most(file: BufferedIOBase, size: int) -> bytes:
    """Return what a file holds, up to so many bytes; `file.read(size)` would allocate all of them at once.

    Example:
        >>> import io
        >>> read_at_most(io.BytesIO(b"abcde"), 3)
        b'abc'
    """
    chunks = []
    while size > 0 and (chunk := file.read(min(size, _CHUNK))):
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


def read_rows(path: Path, gigabytes: float = GIGABYTES) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a table with their numbers in the file, counted from 1; empty ones are left out.

    Cells are separated by commas, semicolons, tabs or bars, in UTF-8; the file is compressed where its name ends in
    `.gz`. One row may take a sixty-fourth of the limit. InputError where the rows differ in length.
    """
    check_file(path)
    allow_long_cells()
    begun: tuple[int, int] | None = None
    held = [0]  # characters of the row that is being read: one in quotes may have many lines
    try:
        opened: Any = gzip.open if path.suffix.lower() == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:  # without the mark that Excel puts first
            lines = _lines(file, path, gigabytes, held)
            first = next(lines, "")
            reader = csv.reader(
                chain([first], lines), delimiter=max(_DELIMITERS, key=first.count), skipinitialspace=True
            )
            for cells in reader:
                held[0] = 0
                row = [cell.strip() for cell in cells]
                if len(row) <= 1 and not any(row):
                    continue
                begun = begun or (reader.line_num, len(row))
                if len(row) != begun[1]:
                    raise InputError(
                        f"{path}: row {reader.line_num} has {len(row)} cells, but row {begun[0]} has {begun[1]}. "
                        "Give all the same number (put quotes around texts that hold the separator)."
                    )
                yield reader.line_num, row
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        hint = (
            "; convert it. Text classification learns from files in other encodings, too: encoding='latin-1', or "
            "--option encoding=latin-1"
        ) * isinstance(error, UnicodeDecodeError)
        raise InputError(f"{path} cannot be read as a table in UTF-8: {error}{hint}") from error


def allow_long_cells() -> None:
    """Have the module csv read cells of any length: what limits them is the memory that a row may take."""
    csv.field_size_limit(2**31 - 1)


def row_bytes(cells: Sequence[str]) -> int:
    """Return the bytes that a row of a table takes in memory, about.

    Example:
        >>> row_bytes(["a", "b"]) < row_bytes(["a", "b" * 1000]) < 2000
        True
    """
    return 150 + sum(map(sys.getsizeof, cells)) + 16 * len(cells)


def to_number(cell: str) -> float | None:
    """Return the number that a cell holds, if it holds one and nothing else.

    Example:
        >>> to_number("2.5"), to_number("2,5")
        (2.5, None)
    """
    try:
        return None if "_" in cell else float(cell)  # Python alone reads 1_000 as a number
    except ValueError:
        return None


def _lines(file: TextIO, path: Path, gigabytes: float, held: list[int]) -> Iterator[str]:
    most = int(gigabytes * 1e9 / 64)
    while line := file.readline(most + 1):
        held[0] += len(line)
        if held[0] > most:
            what = "line" if len(line) > most else "row"
            raise InputError(
                f"{path} has a {what} of more than {most:,} characters, a sixty-fourth of {limit_text(gigabytes)}"
            )
        yield line


def limit_text(gigabytes: float) -> str:
    """Return the end of a message about what is too large: which limit, and how to raise it.

    Example:
        >>> limit_text(4.0)[:26]
        'the limit of 4 gigabytes. '
    """
    return (
        f"the limit of {gigabytes:g} gigabytes. If you trust the file and have the memory, raise the limit: "
        "max_gigabytes=..., or --max-gigabytes on the command line."
    )


def to_gigabytes(given: object) -> float:
    """Return a limit of memory.

    Raises:
        InputError: It is no number above 0, or above 1,000,000,000.

    Example:
        >>> to_gigabytes(8)
        8.0
    """
    number: Any = given
    if isinstance(given, bool) or not isinstance(given, Real) or not 0 < number <= _MOST_GIGABYTES:
        raise InputError(
            f"max_gigabytes={given!r:.40} must be a number above 0, such as 8, and {_MOST_GIGABYTES:,} at most."
        )
    return float(given)
