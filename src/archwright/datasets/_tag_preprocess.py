"""Preprocessing and results of sequence labelling; a part of the `predict.py` of such networks."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from archwright.datasets._preprocess import Noted, Preprocess, Result, Sample, field, texts
from archwright.datasets._reading import GIGABYTES, InputError
from archwright.datasets._text_preprocess import UNKNOWN, TextPreprocess, check_ids, padded, text_lines

__all__ = ["TagPreprocess", "Tags", "sentences", "shape_of"]


@dataclass(frozen=True)
class Tags(Result):
    """The tag of each token of a sentence.

    Args:
        tokens: The tokens; empty where only their ids were given.
        tags: Their tags; empty behind the number of tokens that the network takes.

    Example:
        >>> Tags("news.txt", 1, ("in", "Berlin"), ("O", "B-LOC")).cells()
        {'tags': 'in Berlin/B-LOC'}
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]

    def cells(self) -> dict[str, str]:
        """Return the tokens with their tags, but for the tag O and the empty one."""
        pairs = zip(self.tokens or [""] * len(self.tags), self.tags, strict=True)
        return {"tags": " ".join(token if token and tag in ("O", "") else f"{token}/{tag}" for token, tag in pairs)}

    def to_json(self) -> dict[str, Any]:
        """Return the tokens and the tags."""
        return {"file": self.file, "row": self.row, "tokens": list(self.tokens), "tags": list(self.tags)}


@dataclass(frozen=True)
class TagPreprocess(Preprocess):
    """Preprocessing of tokens that are labelled: their ids, padded with 0 to one length.

    A token that is not in the vocabulary gets the id of itself in lower case, or else that of its shape, see
    `shape_of`, or else 1.

    Args:
        classes: The tags, in the order of the network's scores.
        vocabulary: The tokens and shapes with an id of their own, 2, 3, ...
        length: The number of tokens of a sentence, at most.
        encoding: The encoding of files.

    Example:
        >>> preprocess = TagPreprocess(("O", "B-LOC"), ("in", "<Xx>"), 4)
        >>> preprocess.item(["In", "Berlin", "!"]).raw
        tensor([2, 3, 1, 0])
    """

    kind = "tags"
    takes = "files with a token in each line and an empty line between sentences, or lists of tokens"
    suffixes = (".txt", ".conll", ".tsv", ".bio", ".iob")
    uses = (TextPreprocess,)
    is_numbered = True
    targets = ()

    classes: tuple[str, ...]
    vocabulary: tuple[str, ...]
    length: int
    encoding: str = "utf-8"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return (self.length,)

    @cached_property
    def ids(self) -> dict[str, int]:
        """The ids of the tokens."""
        return {token: place for place, token in enumerate(self.vocabulary, UNKNOWN + 1)}

    def encode(self, tokens: Sequence[str]) -> Tensor:
        """Return the ids of the tokens of a sentence, int64 (length,)."""
        forms = ((token, token.lower(), shape_of(token)) for token in tokens)
        found = [next((self.ids[form] for form in three if form in self.ids), UNKNOWN) for three in forms]
        return padded(found, self.length)

    def read(self, path: str | os.PathLike[str], *, gigabytes: float = GIGABYTES) -> Iterator[Sample]:
        """Yield the ids of the sentences of a file, with their tokens.

        Raises:
            InputError: The file cannot be read, or is empty.
        """
        found = False
        for number, rows in sentences(Path(path), gigabytes, self.encoding):
            found = True
            yield number, self._noted([cells[0] for cells in rows], f"{path}, row {number}: ")
        if not found:
            raise InputError(f"{path} is empty.")

    def item(self, given: Any) -> Noted:
        """Return the ids of the tokens of a sentence, with the tokens.

        Args:
            given: A list of tokens, or a mapping with it under "tokens".

        Raises:
            InputError: It is none, or empty.
        """
        tokens = given.get("tokens") if isinstance(given, Mapping) else given
        if not isinstance(tokens, list | tuple) or not tokens or not all(isinstance(t, str) and t for t in tokens):
            raise InputError(f'a sentence is a list of tokens, or {{"tokens": [...]}}; {str(given)[:60]!r} is none.')
        return self._noted(tokens)

    def _noted(self, tokens: Sequence[str], where: str = "") -> Noted:
        if len(tokens) > self.length:
            told = f"{where}the sentence has {len(tokens):,} tokens; the first {self.length} are tagged"
            warnings.warn(told, stacklevel=2)
        return Noted(self.encode(tokens), tuple(tokens))

    def batch(self, raw: Tensor) -> Tensor:
        """Return ids of tokens (n, length) as int64, after a check.

        Raises:
            InputError: The shape is wrong, or a value is not an id.
        """
        return check_ids(raw, self.length, len(self.vocabulary) + UNKNOWN + 1)

    def adapted(self, network: nn.Module) -> nn.Module:
        """Return a network whose scores are zero where there is no token."""
        return _Scored(network)

    def checked(self, outputs: Any, size: int) -> Tensor:
        """Return scores of the tags (n, length, tags), after a check of their shape."""
        wanted = (size, self.length, len(self.classes))
        if not isinstance(outputs, Tensor) or outputs.shape != wanted:
            got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise InputError(f"the network returned {got}, and not scores of the tags of each token, {wanted}.")
        return outputs.float().cpu()

    def results(self, outputs: Tensor, places: Sequence[Any]) -> list[Tags]:
        """Return the tags of each sentence."""
        found = []
        for (file, row, *note), scores in zip(places, outputs, strict=True):
            best = scores[scores.ne(0).any(-1)].argmax(-1).tolist()
            tokens = note[0] if note else ()
            tags = (*(self.classes[place] for place in best), *[""] * (len(tokens) - len(best)))
            found.append(Tags(file, row, tokens, tags))
        return found

    def source(self) -> str:
        """Return the source of the tags."""
        return (
            "# Inputs are ids of tokens, int64 (n, length): 0 for padding, 1 for unknown ones, and 2, 3, ... for the\n"
            f"# tokens in preprocess.json. Outputs are scores of these tags for each token.\nCLASSES = {self.classes!r}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the content of `preprocess.json`."""
        return {
            "version": 1,
            "kind": self.kind,
            "classes": list(self.classes),
            "length": self.length,
            "encoding": self.encoding,
            "vocabulary": list(self.vocabulary),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TagPreprocess:
        """Return the preprocessing written by `to_json`.

        Raises:
            InputError: The value is not a preprocessing of tokens.
        """
        length = field(data, "length", int)
        if length < 1:
            raise InputError(f"length={length} is not possible.")
        encoding = field({"encoding": "utf-8", **data}, "encoding", str)  # networks of earlier versions have none
        return cls(texts(data, "classes"), texts(data, "vocabulary"), length, encoding)


class _Scored(nn.Module):
    """A network whose scores are zero where there is no token."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor) -> Tensor:
        """Return the scores (n, length, tags) for ids (n, length)."""
        scores: Tensor = self.network(ids)
        return scores * ids.ne(0).unsqueeze(-1)


def shape_of(token: str) -> str:
    """Return the shape of a token: its kinds of characters, each once, and its end.

    Example:
        >>> shape_of("Berlin"), shape_of("1,234"), shape_of("NATO"), shape_of("running")
        ('<Xx>', '<d.d>', '<X>', '<x>ing')
    """
    kinds: list[str] = []
    for each in token:
        kind = "d" if each.isdigit() else "X" if each.isupper() else "x" if each.isalpha() else "."
        if kinds[-1:] != [kind]:
            kinds.append(kind)
    return f"<{''.join(kinds)}>{token[-3:] if kinds == ['x'] else ''}"


def sentences(
    path: Path, gigabytes: float = GIGABYTES, encoding: str = "utf-8"
) -> Iterator[tuple[int, list[list[str]]]]:
    r"""Yield the sentences of a file: the line at which each begins, and the columns of each of its tokens.

    A line has a token and further columns, separated by tabs or else by spaces; an empty line ends a sentence. Lines
    that begin with `-DOCSTART-` are left out.

    Raises:
        InputError: The file cannot be read.

    Example:
        >>> _ = Path("news.conll").write_text("in O\nBerlin B-LOC\n\nHello O\n")
        >>> list(sentences(Path("news.conll")))
        [(1, [['in', 'O'], ['Berlin', 'B-LOC']]), (4, [['Hello', 'O']])]
    """
    begun, rows = 0, list[list[str]]()
    for number, line in enumerate(text_lines(path, gigabytes, encoding), 1):
        text = line.strip()
        if not text:
            if rows:
                yield begun, rows
            rows = []
            continue
        if text.startswith("-DOCSTART-"):
            continue
        cells = [cell.strip() for cell in text.split("\t")] if "\t" in text else text.split()
        begun = begun if rows else number
        rows.append(cells)
    if rows:
        yield begun, rows
