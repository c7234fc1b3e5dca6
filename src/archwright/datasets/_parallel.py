"""Pairs of texts: two files with a text in each line, tables with two columns, and files of JSON lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from archwright._words import counted
from archwright.datasets._pairs import PARTS
from archwright.datasets._reading import GIGABYTES, TABLES, InputError, limit_text, read_rows, row_bytes
from archwright.datasets._translation_preprocess import read_lines
from archwright.errors import DataError

TextPair = tuple[str, str]

_PARTS = {**PARTS, "dev": "validation"}
_ONE_FILE = (*TABLES, ".jsonl", ".jsonl.gz")
_LANGUAGE = re.compile("(?!py|sh|md|js)[a-z]{2}")
_LAYOUT = (
    "pairs of texts are FOLDER/train.de and FOLDER/train.en with a text in each line (and val.*, test.*), or a table "
    "or JSON lines with two columns, FILE.csv, FILE.tsv or FILE.jsonl, or FOLDER/train.tsv and so on"
)


def languages_in(root: Path) -> list[str]:
    r"""Return the languages of the files train.LANGUAGE in a folder, such as ["de", "en"].

    Example:
        >>> _ = Path("train.de").write_text("ein Hund\n"), Path("train.en").write_text("a dog\n")
        >>> languages_in(Path("."))
        ['de', 'en']
    """
    return [end for end in _ends(root, "train") if _LANGUAGE.fullmatch(end)]


def find_text_pairs(
    source: Path, *, pair: str | None = None, test_file: str | None = None, gigabytes: float = GIGABYTES
) -> tuple[dict[str, list[TextPair]], str]:
    r"""Return pairs of texts by part, "" where they are not divided, and which pair was read.

    Args:
        source: A file or folder.
        pair: From and to, such as "de-en": ends of names of files, or columns.
        test_file: The name of the files of the test part, without the language.
        gigabytes: The most memory that a table may take; a file of lines takes a sixteenth of it at most.

    Raises:
        DataError: There are no pairs, two files differ in length, or a text is empty.
        InputError: A file cannot be read.

    Example:
        >>> _ = Path("pairs.tsv").write_text("source\ttarget\nein Hund\ta dog\n")
        >>> find_text_pairs(Path("pairs.tsv"))
        ({'': [('ein Hund', 'a dog')]}, 'source-target')
    """
    wanted: Sequence[str] | None = None if pair is None else re.split("[-,]", pair)
    if wanted is not None and (len(wanted) != 2 or wanted[0] == wanted[1]):
        raise DataError(f"pair={pair!r} is no pair of two names, such as 'de-en' or 'document-summary'")
    tables = {"": source} if source.is_file() else _tables(source)
    if not tables:
        return _from_lines(source, wanted, test_file, gigabytes)
    if test_file is not None:
        raise DataError(f"test_file={test_file!r} is for files with a text in each line; name a table test.csv or so")
    found = {}
    for part, path in tables.items():
        if not path.name.lower().endswith(_ONE_FILE):
            raise DataError(f"{path} is no pairs of texts: {_LAYOUT}")
        found[part], wanted = _from_table(path, wanted, gigabytes)
    return found, "-".join(wanted or ())


def _tables(root: Path) -> dict[str, Path]:
    found = {}
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        name, _, end = path.name.lower().partition(".")
        if name in _PARTS and f".{end}" in _ONE_FILE:
            found[_PARTS[name]] = path
    return found if "train" in found else {}


def _ends(root: Path, part: str, name: str | None = None) -> dict[str, Path]:
    """Return the files of a part, or of that name, with a text in each line, by the ends of their names."""
    found = {}
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        start, _, end = path.name.removesuffix(".gz").removesuffix(".txt").rpartition(".")
        is_of_it = start == name if name is not None else _PARTS.get(start) == part
        if path.is_file() and is_of_it:
            found[end] = path
    return found


def _from_lines(
    root: Path, wanted: Sequence[str] | None, test_file: str | None, gigabytes: float
) -> tuple[dict[str, list[TextPair]], str]:
    known = _ends(root, "train")
    chosen = wanted or (list(known) if len(known) == 2 else languages_in(root))
    if len(chosen) != 2 or not set(chosen) <= set(known):
        there = f"the files train.* end in {', '.join(known)}: give pair= two of them" if known else _LAYOUT
        raise DataError(f"{root}: pair={'-'.join(wanted or ()) or None!r} is not there; {there}")
    found = {}
    for part in ("train", "validation", "test"):
        name = str(test_file) if part == "test" and test_file is not None else None
        files = _ends(root, part, name)
        if set(chosen) <= set(files):
            found[part] = _parallel(files[chosen[0]], files[chosen[1]], gigabytes)
        elif name is not None:
            raise DataError(f"{root} has no files {name}.{chosen[0]} and {name}.{chosen[1]}")
        elif alone := [end for end in chosen if end in files]:
            other = next(end for end in chosen if end not in files)
            raise DataError(f"{files[alone[0]]} has no file ending in .{other} beside it; a part has both or none")
    return found, "-".join(chosen)


def _parallel(first: Path, second: Path, gigabytes: float) -> list[TextPair]:
    sources, targets = (read_lines(path, gigabytes) for path in (first, second))
    if len(sources) != len(targets):
        raise DataError(
            f"{first} has {counted(len(sources), 'line')}, and {second} {len(targets):,}: each line of one must belong "
            "to the same line of the other"
        )
    return [
        (_full(f"{first}, line {number}", source), _full(f"{second}, line {number}", target))
        for number, (source, target) in enumerate(zip(sources, targets, strict=True), start=1)
    ]


def _from_table(
    path: Path, wanted: Sequence[str] | None, gigabytes: float
) -> tuple[list[TextPair], Sequence[str] | None]:
    """Return the pairs of a table or of JSON lines, and the names of the columns, if they have some."""
    if ".jsonl" in path.name.lower():
        named, pairs = wanted or (), []
        for where, item in _objects(path, gigabytes):
            named = named or list(item)
            _check(named, path)
            if missing := [name for name in named if not isinstance(item.get(name), str)]:
                raise DataError(
                    f"{where}: {missing[0]!r} is no text; there is {', '.join(map(repr, item)) or 'nothing'}"
                )
            pairs.append((_full(where, item[named[0]]), _full(where, item[named[1]])))
        _check(named, path)
        return pairs, named
    rows = _rows(path, gigabytes)
    head = rows[0][1] if rows else []
    if not head:
        raise DataError(f"{path} is empty; {_LAYOUT}")
    is_head = wanted is not None or (all(" " not in cell for cell in head) and any(" " in c for c in rows[-1][1]))
    named = wanted or head
    _check(named, path)
    if missing := [name for name in named if name not in head]:
        raise DataError(f"{path} has no column {missing[0]!r}, but {', '.join(map(repr, head))}")
    first, second = map(head.index, named)
    pairs = [
        (_full(f"{path}, row {number}", cells[first]), _full(f"{path}, row {number}", cells[second]))
        for number, cells in rows[is_head:]
    ]
    return pairs, named if is_head else None


def _rows(path: Path, gigabytes: float) -> list[tuple[int, list[str]]]:
    rows, taken = [], 0
    for number, cells in read_rows(path, gigabytes):
        rows.append((number, cells))
        taken += row_bytes(cells)
        if taken > gigabytes * 1e9:
            raise InputError(f"{path} takes, as a table in memory, more than {limit_text(gigabytes)}")
    return rows


def _objects(path: Path, gigabytes: float) -> Iterator[tuple[str, dict[str, object]]]:
    most = int(gigabytes * 1e9 / 64)
    for number, line in enumerate(read_lines(path, gigabytes), start=1):
        if len(line) > most:  # its values may take twenty times as much
            raise InputError(
                f"{path}, line {number} has more than {most:,} characters, a sixty-fourth of {limit_text(gigabytes)}"
            )
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number} is no JSON: {error}") from error
        if not isinstance(item, dict):
            raise DataError(f'{path}, line {number} is no JSON object, such as {{"document": ..., "summary": ...}}')
        yield f"{path}, line {number}", item


def _check(named: Sequence[str], path: Path) -> None:
    if len(named) != 2:
        raise DataError(f"{path} has {len(named)} columns: give pair= two of them, such as 'document-summary'")


def _full(where: str, text: object) -> str:
    if not str(text).strip():
        raise DataError(f"{where}: the text is empty; leave the pair out")
    return str(text)
