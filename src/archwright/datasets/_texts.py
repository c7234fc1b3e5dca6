"""Texts with classes: tables, lines that begin with a class, and folders of text files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archwright._scalars import is_whole
from archwright.datasets._audio import RECORDINGS
from archwright.datasets._labels import check_classes, class_names, to_indices, to_texts
from archwright.datasets._reading import GIGABYTES, IMAGES, TABLES, InputError
from archwright.datasets._split import three_parts
from archwright.datasets._text_preprocess import text_lines, text_of_file, text_rows, words_of
from archwright.errors import DataError

_PARTS = {"train": "train", "training": "train", "val": "validation", "valid": "validation", "dev": "validation"}
_PARTS |= {"validation": "validation", "test": "test", "testing": "test"}
_OTHERS = (*IMAGES, *RECORDINGS)  # files beside which texts are notes
_LOOKED_AT = 200  # rows by which columns are told apart
_WORDS = 3  # that most cells of a column of texts have, for a table to be taken for texts without being told
_MOST_CLASSES = 1000
_LAYOUT = (
    "texts are a table (CSV, TSV) with a column of texts and one of classes, a file whose lines begin with the class, "
    "a folder FOLDER/class/*.txt (or FOLDER/train/class/*.txt and FOLDER/test/...), or a folder with such files named "
    "train.*, dev.* and test.*"
)


@dataclass(frozen=True)
class Text:
    """A text with its class.

    Args:
        text: The text.
        label: The class.
        where: Where it stands, for messages.

    Example:
        >>> Text("a fine film", "good", "films.csv, row 2").label
        'good'
    """

    text: str
    label: str
    where: str


@dataclass(frozen=True)
class Texts:
    """Texts with classes, divided into three parts.

    Args:
        texts: The texts.
        targets: The positions of their classes, int64 (n,).
        places: The indices of the training, validation and test texts.
        classes: The names of the classes.
        column: The column of the texts, by name or position.
        named: Whether columns have names.
        told: What was guessed, a line each.

    Example:
        >>> texts = read_texts({"": [Text(f"it is {name}", name, "row 1") for name in ("good", "bad") * 10]})
        >>> texts.classes, [len(each) for each in texts.places]
        (('bad', 'good'), [14, 2, 4])
    """

    texts: Sequence[str]
    targets: Tensor
    places: Sequence[Tensor]
    classes: tuple[str, ...]
    column: str = "text"
    named: bool = True
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Columns:
    """Which columns hold what."""

    text: int
    label: int
    names: tuple[str, ...] | None

    @property
    def column(self) -> str:
        return str(self.text + 1) if self.names is None else self.names[self.text]


def holds_texts(path: Path, *, encoding: str = "utf-8") -> str | None:
    r"""Return what a path holds, in words, where that is surely texts with classes; else `None`. It looks at little.

    Example:
        >>> _ = Path("films.tsv").write_text("a fine film\t1\na bad old one\t0\nit is well made\t1\n" * 2)
        >>> holds_texts(Path("films.tsv"))
        'texts with classes'
    """
    try:
        if path.is_dir():
            files = _part_files(path)
            if files:
                return holds_texts(files["train"], encoding=encoding)
            roots = _part_folders(path)
            inside = [each for root in roots.values() for each in _class_folders(root)]
            suffixes = {each.suffix.lower() for folder in inside for each in islice(folder.iterdir(), _LOOKED_AT)}
            return "folders of texts" if ".txt" in suffixes and not suffixes.intersection(_OTHERS) else None
        if not path.name.lower().endswith(TABLES):
            return None
        rows = [cells for _, cells in islice(text_rows(path, encoding=str(encoding)), _LOOKED_AT)]
    except (DataError, InputError, OSError):
        return None
    return "texts with classes" if len(rows) > 2 and len(rows[0]) == 2 and _is_surely(rows[1:]) else None


def find_texts(
    source: Path,
    *,
    text: str | None = None,
    target: str | None = None,
    header: bool | None = None,
    validation_file: Path | None = None,
    test_file: Path | None = None,
    encoding: str = "utf-8",
    gigabytes: float = GIGABYTES,
) -> tuple[dict[str, list[Text]], dict[str, Any]]:
    r"""Return texts by part, "" where they are not divided, and what `read_texts` takes of how they are written.

    Args:
        source: A file or folder.
        text: The column of the texts, by name or position from 1; by default that of the longest ones.
        target: The column of the classes likewise; by default the other one with the fewest different values.
        header: Whether the first row of a table holds names; by default that is found out.
        validation_file: A file with the validation part.
        test_file: A file with the test part.
        encoding: The encoding of the files.
        gigabytes: The limit of the size of a file.

    Raises:
        DataError: There is no such column, or a text has no class.
        InputError: A file cannot be read.

    Example:
        >>> _ = Path("films.tsv").write_text("a fine film\t1\na bad old one\t0\n")
        >>> find_texts(Path("films.tsv"))[0][""][1].label
        '0'
    """
    files: dict[str, Path] = {}
    if source.is_dir():
        files = _part_files(source)
        if not files:
            if text or target or validation_file or test_file:
                raise DataError(f"{source} is a folder of texts, which takes no columns and no further files")
            return _from_folders(source, encoding, gigabytes), {}
    else:
        files = {"train": source}
    files |= {part: file for part, file in (("validation", validation_file), ("test", test_file)) if file is not None}
    columns: _Columns | None = None
    parts, told = {}, []
    for part, path in files.items():
        rows = _rows(path, encoding, gigabytes)
        if not rows:
            raise DataError(f"{path} is empty; {_LAYOUT}")
        if columns is None:
            columns = _columns(path, rows, text, target, header)
            width = len(rows[0][1])
            if width > 2 or columns.names:
                label = str(columns.label + 1) if columns.names is None else columns.names[columns.label]
                told.append(f"texts: column {columns.column!r}, classes: column {label!r}")
        names = [] if columns.names is None else list(columns.names)
        is_header = bool(names) and rows[0][1] == names
        if (names and not is_header) or len(rows[0][1]) <= max(columns.text, columns.label):
            raise DataError(f"{path} has other columns than {files['train']}: its first row is {rows[0][1]!r}")
        parts[part] = [
            Text(cells[columns.text], cells[columns.label], f"{path}, row {number}")
            for number, cells in rows[int(is_header) :]
        ]
        if not parts[part]:
            raise DataError(f"{path} holds a row of names and no texts; {_LAYOUT}")
    assert columns is not None
    if parts.keys() == {"train"}:
        parts = {"": parts["train"]}
    return parts, {"column": columns.column, "named": columns.names is not None, "told": tuple(told)}


def read_texts(
    given: Mapping[str, Sequence[Text]],
    *,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    column: str = "text",
    named: bool = True,
    told: tuple[str, ...] = (),
) -> Texts:
    """Return texts divided into three parts, those to be split in proportion to the classes.

    Args:
        given: The texts by part: "train", and where they are official "validation" and "test"; or all under "".
        validation: The share or number of texts for validation, where it is not official.
        test: Likewise for the test.
        seed: The seed of the split.
        column: As in `Texts`.
        named: As in `Texts`.
        told: As in `Texts`.

    Raises:
        DataError: A text or a class is empty, or there are too few of a class.

    Example:
        >>> read_texts({"": [Text(f"it is {name}", name, "row 1") for name in ("good", "bad") * 10]}).targets[:3]
        tensor([1, 0, 1])
    """
    for each in (each for part in given.values() for each in part):
        if not words_of(each.text):
            raise DataError(f"{each.where}: the text is empty: there is no word in {each.text[:40]!r}")
        if not each.label:
            raise DataError(f"{each.where}: the text has no class")
    learnt = given.get("train", given.get("", ()))
    labels = to_texts([each.label for each in learnt], [each.where for each in learnt])
    check_classes(labels, where=learnt[0].where if learnt else "")
    classes = class_names(labels)
    strata = to_indices(labels, classes)
    samples, places = three_parts(given, validation=validation, test=test, seed=seed, strata=strata)
    positions = {name: place for place, name in enumerate(classes)}
    for each in samples:
        if each.label not in positions:
            raise DataError(f"{each.where}: class {each.label!r} has no training text; they have {', '.join(classes)}")
    targets = torch.tensor([positions[each.label] for each in samples])
    return Texts([each.text for each in samples], targets, places, classes, column, named, told)


def vocabulary_of(sequences: Iterable[Sequence[str]], *, least: int, most: int) -> tuple[str, ...]:
    """Return the words that occur often enough, the most frequent first.

    Args:
        sequences: The words of each text.
        least: How often a word occurs at least.
        most: The number of words at most.

    Raises:
        DataError: There is none.

    Example:
        >>> vocabulary_of([["a", "fine", "film"], ["a", "film"]], least=2, most=10)
        ('a', 'film')
    """
    for name, value in (("least", least), ("most", most)):
        if not is_whole(value) or value < 1:
            raise DataError(f"{name}={value!r} must be a whole number of 1 or more")
    counts = Counter(word for words in sequences for word in words)
    found = sorted((word for word, count in counts.items() if count >= least), key=lambda word: (-counts[word], word))
    if not found:
        raise DataError(f"no word occurs {least} times in the training texts; give least=1, or more texts")
    return tuple(found[:most])


def usual_length(lengths: Sequence[int], *, share: float = 0.95, most: int = 256) -> int:
    """Return the length that a share of sequences do not exceed, limited.

    Example:
        >>> usual_length([3] * 98 + [9, 1000]), usual_length([300, 400])
        (3, 256)
    """
    return max(1, min(most, int(np.quantile(lengths, share, method="inverted_cdf"))))


def _from_folders(source: Path, encoding: str, gigabytes: float) -> dict[str, list[Text]]:
    found = {}
    for part, root in _part_folders(source).items():
        found[part] = [
            Text(text_of_file(file, gigabytes, encoding), folder.name, str(file))
            for folder in _class_folders(root)
            for file in _inside(folder, (".txt",))
        ]
        if not found[part]:
            raise DataError(f"{root} holds no folders of .txt files; {_LAYOUT}")
    return found


def _part_folders(root: Path) -> dict[str, Path]:
    """Return the folders of the parts, or the folder itself under "" where it is not divided."""
    found: dict[str, Path] = {}
    for folder in _class_folders(root):
        part = _PARTS.get(folder.name.lower())
        if part is not None and _class_folders(folder):
            if part in found:
                raise DataError(f"{root} holds {found[part].name}/ and {folder.name}/; one of them is read: rename one")
            found[part] = folder
    return found if "train" in found else {"": root}


def _part_files(root: Path) -> dict[str, Path]:
    """Return the files of the parts in a folder, by their names; the training part is the first."""
    found: dict[str, Path] = {}
    for path in sorted(each for each in root.iterdir() if each.is_file() and each.name.lower().endswith(TABLES)):
        part = _PARTS.get(path.name.lower().partition(".")[0])
        if part is not None:
            if part in found:
                raise DataError(f"{root} holds {found[part].name} and {path.name}; one of them is read: rename one")
            found[part] = path
    return {part: found[part] for part in ("train", "validation", "test") if part in found} if "train" in found else {}


def _class_folders(root: Path) -> list[Path]:
    return sorted(each for each in root.iterdir() if each.is_dir() and each.name[0] != ".")


def _inside(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.suffix.lower() in suffixes and each.name[0] != ".")


def _rows(path: Path, encoding: str, gigabytes: float) -> list[tuple[int, list[str]]]:
    """Return the rows of a file with their lines: of a table, or of lines that begin with a class."""
    if path.name.lower().endswith(TABLES):
        return list(text_rows(path, gigabytes, encoding))
    found = []
    for number, line in enumerate(text_lines(path, gigabytes, encoding), 1):
        cells = line.strip().split("\t") if line.count("\t") == 1 else line.strip().split(None, 1)
        if not cells:
            continue
        if len(cells) < 2:
            raise DataError(f"{path}, row {number}: {cells[0][:40]!r} is a class without a text; {_LAYOUT}")
        found.append((number, cells))
    return found


def _columns(
    path: Path, rows: Sequence[tuple[int, list[str]]], text: str | None, target: str | None, header: bool | None
) -> _Columns:
    first, width = rows[0][1], len(rows[0][1])
    if width < 2:
        raise DataError(f"{path} has one column; {_LAYOUT}")
    rest = [cells for _, cells in rows[1:]] or [first]
    chosen = [None if name is None else _named(path, first, name) for name in (text, target)]
    words = [sum(len(cells[place].split()) for cells in rest[:_LOOKED_AT]) for place in range(width)]
    kinds = [len({cells[place] for cells in rest}) for place in range(width)]
    of_text = chosen[0]
    if of_text is None:
        of_text = max((place for place in range(width) if place != chosen[1]), key=lambda place: words[place])
    label = chosen[1]
    if label is None:
        others = [place for place in range(width) if place != of_text]
        label = min((place for place in others if kinds[place] > 1), key=lambda place: kinds[place], default=others[0])
    if label == of_text:
        raise DataError(f"{path}: texts and classes are both in column {text!r}; give text= and target= two columns")
    if kinds[label] > min(_MOST_CLASSES, max(2, len(rest) / 2)):
        raise DataError(
            f"{path}: column {first[label] if header else label + 1!r} has {kinds[label]} different values in "
            f"{len(rest)} rows, too many for classes; name the column of the classes: target=, --label"
        )
    if header is None:
        by_name = (text in first and not str(text).isdecimal()) or (target in first and not str(target).isdecimal())
        is_new = all(cells[label] != first[label] for cells in rest)
        header = by_name or (is_new and len(first[of_text].split()) == 1)
    return _Columns(of_text, label, tuple(first) if header else None)


def _named(path: Path, first: Sequence[str], name: str) -> int:
    """Return the place of a column, by its name or its position from 1."""
    if name in first:
        return first.index(name)
    if str(name).isdecimal() and 1 <= int(name) <= len(first):
        return int(name) - 1
    raise DataError(f"{path} has no column {name!r}; its first row is {', '.join(map(repr, first[:8]))}")


def _is_surely(rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether, of two columns, one holds different texts of several words and the other a few classes."""
    for text, label in ((0, 1), (1, 0)):
        long = sum(len(cells[text].split()) >= _WORDS for cells in rows)
        texts, labels = ({cells[place] for cells in rows} for place in (text, label))
        few = len(labels) <= max(2, len(rows) / 4) and all(len(each.split()) < _WORDS for each in labels)
        if long > 0.8 * len(rows) and few and len(texts) > len(rows) / 2:
            return True
    return False
