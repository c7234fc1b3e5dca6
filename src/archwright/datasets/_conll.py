"""Sentences whose tokens have tags, in files as those of CoNLL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from archwright.datasets._reading import GIGABYTES, InputError
from archwright.datasets._tag_preprocess import sentences
from archwright.errors import DataError

_SUFFIXES = (".conll", ".bio", ".iob", ".iob2", ".iobes")
_PARTS = {"train": "train", "training": "train", "val": "validation", "valid": "validation", "dev": "validation"}
_PARTS |= {"validation": "validation", "test": "test", "testing": "test", "testa": "validation", "testb": "test"}
_LOOKED_AT = 50  # sentences


@dataclass(frozen=True)
class Sentence:
    """Tokens with their tags.

    Args:
        tokens: The tokens.
        tags: Their tags.
        where: Where they stand, for messages.

    Example:
        >>> Sentence(("in", "Berlin"), ("O", "B-LOC"), "news.conll, row 1").tags
        ('O', 'B-LOC')
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    where: str


def holds_tags(path: Path, *, encoding: str = "utf-8") -> str | None:
    r"""Return what a path holds, in words, where that seems to be a file of tokens with tags; else `None`.

    Example:
        >>> _ = Path("cities.conll").write_text("in O\nBerlin B-LOC\n\nHello O\n")
        >>> holds_tags(Path("cities.conll"))
        'tokens with tags'
    """
    try:
        file = tag_files(path)["train"] if path.is_dir() else path
    except (DataError, KeyError, OSError):
        return None
    if file.suffix.lower() not in _SUFFIXES:
        return None
    try:
        rows = [cells for _, each in islice(sentences(file, encoding=str(encoding)), _LOOKED_AT) for cells in each]
    except (InputError, OSError):
        rows = []
    is_tagged = 2 * sum(len(cells) > 1 for cells in rows) > len(rows)  # what is wrong with a few, loading tells
    return "tokens with tags" if is_tagged or not rows else None


def tag_files(root: Path) -> dict[str, Path]:
    r"""Return the files of the parts in a folder: train.*, dev.* (or valid, testa) and test.* (or testb).

    Raises:
        DataError: There are two of a part.

    Example:
        >>> folder = Path("tags")
        >>> folder.mkdir()
        >>> _ = (folder / "train.conll").write_text("Hello O\n")
        >>> tag_files(folder)
        {'train': PosixPath('tags/train.conll')}
    """
    found: dict[str, Path] = {}
    for path in sorted(each for each in root.iterdir() if each.suffix.lower() in (*_SUFFIXES, ".txt", ".tsv")):
        part = _PARTS.get(path.name.lower().partition(".")[0].removeprefix("eng."))
        if part is not None:
            if part in found:
                raise DataError(f"{root} holds {found[part].name} and {path.name}; one of them is read: rename one")
            found[part] = path
    return found


def read_tags(path: Path, *, encoding: str = "utf-8", gigabytes: float = GIGABYTES) -> list[Sentence]:
    r"""Return the sentences of a file with a token in each line, and its tag in the last column.

    Args:
        path: The file.
        encoding: Its encoding.
        gigabytes: The limit of its size.

    Raises:
        DataError: It is empty, or a token has no tag.
        InputError: It cannot be read.

    Example:
        >>> _ = Path("cities.conll").write_text("in O\nBerlin B-LOC\n\nHello O\n")
        >>> read_tags(Path("cities.conll"))[0].tags
        ('O', 'B-LOC')
    """
    found = []
    for begun, rows in sentences(path, gigabytes, encoding):
        for place, cells in enumerate(rows):
            if cells[0] == "#" and cells[2:3] == ["="]:
                raise DataError(
                    f"{path}, row {begun + place}: a comment as in files of CoNLL-U, whose last column is no tag; keep "
                    "two columns, the token and its tag, and no comments"
                )
            if len(cells) < 2 or not cells[-1]:
                raise DataError(
                    f"{path}, row {begun + place}: the token {cells[0][:40]!r} has no tag; a line has a token and, in "
                    "its last column, a tag, and an empty line ends a sentence"
                )
        tokens, tags = zip(*((cells[0], cells[-1]) for cells in rows), strict=True)
        found.append(Sentence(tokens, tags, f"{path}, row {begun}"))
    if not found:
        raise DataError(f"{path} is empty; it should have a token and its tag in each line")
    return found


def tag_names(sentences: Iterable[Sentence]) -> tuple[str, ...]:
    """Return the tags that occur, "O" first.

    Example:
        >>> tag_names([Sentence(("in", "Berlin"), ("O", "B-LOC"), "row 1")])
        ('O', 'B-LOC')
    """
    return tuple(sorted({tag for each in sentences for tag in each.tags}, key=lambda tag: (tag != "O", tag)))


def spans(tags: Sequence[str]) -> set[tuple[int, int, str]]:
    """Return the spans that tags mark: first token, last token and kind.

    Tags are of the schemes BIO (IOB1 and IOB2) and IOBES (BILOU): a prefix, "-" and a kind. As conlleval does, a span
    begins where the kind changes, too, so that tags in an impossible order mark what they most likely mean.

    Args:
        tags: The tags of a sentence.

    Example:
        >>> sorted(spans(["B-PER", "I-PER", "O", "S-LOC"]))
        [(0, 1, 'PER'), (3, 3, 'LOC')]
    """
    found: set[tuple[int, int, str]] = set()
    start, before, ended = 0, "", True
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, kind = tag.partition("-")
        kind = kind if tag != "O" else ""
        begins = ended or kind != before or prefix in ("B", "S", "U")
        if before and (begins or not kind):
            found.add((start, place - 1, before))
        start, before, ended = (place if begins else start), kind, not kind or prefix in ("E", "L", "S", "U")
    return found
