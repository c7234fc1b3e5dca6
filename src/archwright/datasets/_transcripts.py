"""Folders of recordings and the texts that are spoken in them."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from archwright.datasets._audio import RECORDINGS
from archwright.datasets._pairs import PARTS
from archwright.datasets._reading import GIGABYTES, TABLES, InputError, read_rows
from archwright.datasets._recordings import folders_in, recordings_in
from archwright.datasets._text_preprocess import text_lines, text_of_file
from archwright.errors import DataError

Spoken = tuple[Path, str]

_DEPTHS = ("", "*/", "*/*/")  # LibriSpeech has speaker/chapter/
_LONGEST = 10_000  # characters: all texts take memory for as many as the longest has


def find_transcripts(root: Path, *, gigabytes: float = GIGABYTES) -> dict[str, list[Spoken]] | None:
    """Return recordings with their texts by part, "" where they are not divided; `None` where there are no texts.

    A folder has a table of files and texts, or a NAME.txt beside each recording, or files `*.trans.txt` as LibriSpeech.
    Texts beside fewer than half of the recordings are notes of another purpose.

    Args:
        root: The folder.
        gigabytes: The most memory that a file of texts may take.

    Raises:
        DataError: A recording has no text, or two, or lies outside of the folder; or a text has no recording.
        InputError: A file of texts cannot be read.

    Example:
        >>> for name, text in (("a.wav", ""), ("a.txt", "seven one")):
        ...     _ = Path(name).write_text(text)
        >>> find_transcripts(Path("."))[""][0][1]
        'seven one'
    """
    if not root.is_dir():
        return None
    parts: dict[str, list[Spoken]] = {}
    for folder in folders_in(root):
        part = PARTS.get(folder.name.lower())
        if part is not None:
            parts.setdefault(part, []).extend(_spoken(folder, gigabytes))
    if not parts.get("train"):
        parts = {"": _spoken(root, gigabytes)}
    return parts if any(parts.values()) else None


def holds_transcripts(root: Path) -> bool:
    """Tell whether a folder holds recordings with their texts, also where these cannot be read, which loading tells.

    Where the recordings lie in folders of classes, a file that cannot be read is of no concern.

    Example:
        >>> holds_transcripts(Path("nothing"))
        False
    """
    try:
        return find_transcripts(root) is not None
    except (DataError, InputError):
        places = [root, *(each for each in folders_in(root) if each.name.lower() in PARTS)]
        return any(map(recordings_in, places))
    except OSError:
        return False


def _spoken(folder: Path, gigabytes: float) -> list[Spoken]:
    """Return the recordings in a folder with their texts; none where there are no texts."""
    tables = sorted(path for path in folder.iterdir() if path.name.lower().endswith(TABLES) and path.name[0] != ".")
    seen: set[Path] = set()
    found = [each for table in tables for each in _from_table(table, seen, gigabytes)]
    if not found:
        lists = sorted(path for depth in _DEPTHS for path in folder.glob(f"{depth}*.trans.txt"))
        found = [each for path in lists for each in _from_list(path, seen, gigabytes)]
    return found or _from_texts(folder, gigabytes)


def _from_table(table: Path, seen: set[Path], gigabytes: float) -> list[Spoken]:
    """Return the files and texts in the first two columns of a table, below its head; none where they are no files."""
    found = []
    for place, (number, cells) in enumerate(read_rows(table, gigabytes)):
        path = table.parent / cells[0]
        if os.path.isfile(path) and path.suffix.lower() in RECORDINGS and len(cells) > 1:
            where = f"{table}, row {number}"
            if not path.resolve().is_relative_to(table.parent.resolve()):
                raise DataError(f"{where}: {path} lies outside of {table.parent}, where recordings have to be")
            found.append((_once(path, seen, where), _plain(cells[1], where)))
        elif found:
            raise DataError(f"{table}, row {number}: there is no recording {path}")
        elif place:  # what stands first may be a head
            break
    return found


def _from_list(path: Path, seen: set[Path], gigabytes: float) -> list[Spoken]:
    found = []
    for number, line in enumerate(text_lines(path, gigabytes), start=1):
        name, _, text = line.strip().partition(" ")
        if not name:
            continue
        files = [path.parent / f"{name}{suffix}" for suffix in RECORDINGS]
        file = next((each for each in files if each.parent == path.parent and os.path.isfile(each)), None)
        if file is None:
            raise DataError(f"{path}, line {number}: there is no recording {name} ({', '.join(RECORDINGS)}) beside it")
        where = f"{path}, line {number}"
        found.append((_once(file, seen, where), _plain(text, where)))
    return found


def _from_texts(folder: Path, gigabytes: float) -> list[Spoken]:
    files = recordings_in(folder)
    texts = [path.with_suffix(".txt") for path in files]
    if not files or 2 * sum(text.is_file() for text in texts) < len(files):
        return []
    for path, text in zip(files, texts, strict=True):
        if not text.is_file():
            raise DataError(f"{path} has no {text.name} beside it")
    return [(path, _plain(text_of_file(text, gigabytes), text)) for path, text in zip(files, texts, strict=True)]


def _once(path: Path, seen: set[Path], where: str) -> Path:
    """Return the path of a recording that has no text yet."""
    file = path.resolve()
    if file in seen:
        raise DataError(f"{where}: {path} has a text already, and may be in the training and in the test part")
    seen.add(file)
    return path


def _plain(text: str, where: object) -> str:
    if len(text) > _LONGEST:
        raise DataError(f"{where}: the text has {len(text):,} characters; up to {_LONGEST:,} are possible")
    plain = " ".join(unicodedata.normalize("NFC", text).split())
    if not plain:
        raise DataError(f"{where}: the text is empty; a recording in which nothing is said cannot be learned from")
    return plain
