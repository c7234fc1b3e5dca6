"""Preprocessing and results of translation and summarisation; a part of the `predict.py` of such networks."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archwright.datasets._preprocess import Noted, Preprocess, Result, Sample, field, texts
from archwright.datasets._reading import GIGABYTES, InputError, check_file, limit_text, read_at_most

__all__ = ["BEGIN", "END", "FIRST", "TranslationPreprocess", "Written", "joined_tokens", "read_lines", "tokens_of"]

_UNKNOWN, BEGIN, END, FIRST = 1, 2, 3, 4
"""Tokens: 0 is padding, then unknown words, the beginning and the end; the words of a vocabulary begin at 4."""

_PART = re.compile(r"\w+(?:['\u2019-]\w+)*|[^\w\s]")
_NO_SPACE_BEFORE = re.compile(r"\s+([,.!?;:%)\]}\u2019'])")
_NO_SPACE_AFTER = re.compile(r"([(\[{])\s+")
_LENGTH = 0.6  # the power of the length by which the score of a beam is divided
_OF_A_LINE = 60  # of memory for a line, besides its characters, about


@dataclass(frozen=True)
class Written(Result):
    """The text that a network writes for another.

    Args:
        text: The text.

    Example:
        >>> Written("a.de", 1, "A dog runs.").cells()
        {'text': 'A dog runs.'}
    """

    text: str

    def cells(self) -> dict[str, str]:
        """Return the text."""
        return {"text": self.text}


@dataclass(frozen=True)
class TranslationPreprocess(Preprocess):
    """Preprocessing of pairs of texts as tokens of words and marks.

    Args:
        read_words: The words of the source, from token 4 on.
        written_words: Those of the target.
        lengths: The tokens of a source and of a target, at most; longer texts are cut.
        beams: Texts that are followed side by side; 1 for the most probable token each time.

    Example:
        >>> preprocess = TranslationPreprocess(("ein", "Hund"), ("a", "dog"), (4, 4))
        >>> preprocess.item({"text": "ein Hund"}), preprocess.text([4, 5, 3])
        (tensor([4, 5, 3, 0]), 'a dog')
    """

    kind = "translation"
    takes = 'text files with a text in each line, or mappings such as {"text": "Ein Hund rennt."}'
    suffixes = (".txt",)
    is_numbered = True
    classes = ()
    targets = ()

    read_words: tuple[str, ...]
    written_words: tuple[str, ...]
    lengths: tuple[int, int]
    beams: int = 4

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample: the tokens of the source."""
        return (self.lengths[0],)

    def encode(self, texts: Iterable[str], *, is_source: bool = True) -> Tensor:
        """Return the tokens of texts, int64 (n, length), each with its end, and padding behind it."""
        vocabulary, length = (self.read_words, self.lengths[0]) if is_source else (self.written_words, self.lengths[1])
        places = {word: place for place, word in enumerate(vocabulary, start=FIRST)}
        rows = [[*[places.get(word, _UNKNOWN) for word in tokens_of(text)][: length - 1], END] for text in texts]
        return torch.tensor([row + [0] * (length - len(row)) for row in rows], dtype=torch.int64).reshape(-1, length)

    def text(self, tokens: Iterable[int]) -> str:
        """Return the text of tokens of the target, up to its end."""
        found = []
        for token in tokens:
            if token in (0, END):
                break
            if token >= FIRST:
                found.append(self.written_words[token - FIRST])
        return joined_tokens(found)

    def read(self, path: str | os.PathLike[str], *, gigabytes: float = GIGABYTES) -> Iterator[Sample]:
        """Yield the tokens of each line of a file, or the error."""
        lines = read_lines(Path(path), gigabytes)
        if not lines:
            raise InputError(f"{path} is empty.")
        for number, line in enumerate(lines, start=1):
            try:
                yield number, self.item({"text": line})
            except InputError as error:
                yield number, InputError(f"{path}, line {number}: {error}")

    def item(self, given: Any) -> Tensor | Noted:
        """Return the tokens of a text, int64 (length,)."""
        if not isinstance(given, Mapping) or set(given) != {"text"}:
            return super().item(given)
        if not str(given["text"]).strip():
            raise InputError("the text is empty.")
        return self.encode([str(given["text"])])[0]

    def batch(self, raw: Tensor) -> Tensor:
        """Return tokens (n, length), after a check."""
        if raw.ndim != 2 or raw.shape[1] != self.lengths[0] or raw.is_floating_point():
            raise InputError(
                f"the network takes whole numbers of shape (n, {self.lengths[0]}), not {raw.dtype} of shape "
                f"{tuple(raw.shape)}."
            )
        if len(raw) and not (int(raw.min()) >= 0 and int(raw.max()) < len(self.read_words) + FIRST):
            raise InputError(f"tokens are 0 to {len(self.read_words) + FIRST - 1}.")
        return raw.long()

    def run(self, network: nn.Module, batch: Tensor) -> Tensor:
        """Return the tokens of the targets, (n, length), by a beam search.

        The score of a text is the sum of the logarithms of its tokens' probabilities, over the 0.6th power of its
        length.
        """
        count, beams, most = len(batch), self.beams, self.lengths[1]
        batch = batch[:, : max(1, int(batch.ne(0).sum(1).max()))]
        source = batch.repeat_interleave(beams, 0)
        written = torch.full((count * beams, 1), BEGIN, device=batch.device)
        scores = torch.full((count, beams), -torch.inf, device=batch.device)
        scores[:, 0] = 0.0  # all beams are the same at first
        ended = torch.zeros(count * beams, dtype=torch.bool, device=batch.device)
        for _ in range(most):
            following = network(source, written)[:, -1].float()
            following[:, :END] = -torch.inf  # no padding, no unknown word, no second beginning
            following = following.log_softmax(-1)
            following[ended] = -torch.inf
            following[ended, 0] = 0.0  # a text that has ended stays as it is
            total = (scores.view(-1, 1) + following).view(count, -1)
            scores, places = total.topk(beams, 1)
            origin = (
                torch.arange(count, device=batch.device)[:, None] * beams + places // following.shape[1]
            ).flatten()
            tokens = (places % following.shape[1]).flatten()
            written = torch.cat([written[origin], tokens[:, None]], 1)
            ended = ended[origin] | (tokens == END)
            if bool(ended.all()):
                break
        lengths = (written > 0).sum(1).view(count, beams)
        best = (scores / lengths**_LENGTH).argmax(1)
        return written.view(count, beams, -1)[torch.arange(count, device=batch.device), best][:, 1:]

    def source(self) -> str:
        """Return the source of the vocabularies."""
        first = '("", "?", "<", ">", *{!r})  # padding, unknown, beginning, end'
        return f"SOURCE_WORDS = {first.format(self.read_words)}\nTARGET_WORDS = {first.format(self.written_words)}"

    def checked(self, outputs: Any, size: int) -> Any:
        """Return the tokens of `run` on the CPU."""
        return outputs.cpu()

    def results(self, outputs: Any, places: Sequence[Any]) -> list[Written]:
        """Return the text of each sample."""
        return [
            Written(place[0], place[1], self.text(row)) for place, row in zip(places, outputs.tolist(), strict=True)
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the content of `preprocess.json`."""
        return {
            "version": 1,
            "kind": self.kind,
            "source": list(self.read_words),
            "target": list(self.written_words),
            "lengths": list(self.lengths),
            "beams": self.beams,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TranslationPreprocess:
        """Return the preprocessing written by `to_json`.

        Raises:
            InputError: The value is not a preprocessing of texts.
        """
        lengths, beams = field(data, "lengths", list), field(data, "beams", int)
        if len(lengths) != 2 or any(type(each) is not int or not 1 < each < 2**20 for each in lengths):
            raise InputError(f"lengths={lengths!r} should be two whole numbers above 1.")
        if not 1 <= beams <= 1000:
            raise InputError(f"beams={beams} should be 1 to 1000.")
        return cls(texts(data, "source"), texts(data, "target"), (lengths[0], lengths[1]), beams)


def tokens_of(text: str) -> list[str]:
    """Return the words and marks of a text.

    Example:
        >>> tokens_of("A dog's toy, red.")
        ['A', "dog's", 'toy', ',', 'red', '.']
    """
    return _PART.findall(text)


def joined_tokens(parts: Iterable[str]) -> str:
    """Return a text of words and marks.

    Example:
        >>> joined_tokens(["A", "dog", "(", "red", ")", "."])
        'A dog (red).'
    """
    return _NO_SPACE_AFTER.sub(r"\1", _NO_SPACE_BEFORE.sub(r"\1", " ".join(parts)))


def read_lines(path: Path, gigabytes: float = GIGABYTES) -> list[str]:
    r"""Return the lines of a text file in UTF-8, compressed where its name ends in `.gz`.

    Raises:
        InputError: It cannot be read, or takes more than a sixteenth of the limit, or its lines take an eighth.

    Example:
        >>> _ = Path("lines.txt").write_text("one\ntwo\n")
        >>> read_lines(Path("lines.txt"))
        ['one', 'two']
    """
    check_file(path)
    most = int(gigabytes / 16 * 1e9)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = read_at_most(file, most + 1)
        if len(content) > most:
            raise InputError(f"{path} takes more than a sixteenth of {limit_text(gigabytes)}")
        if len(content) + _OF_A_LINE * content.count(b"\n") > 2 * most:
            raise InputError(f"{path} takes, as lines in memory, more than an eighth of {limit_text(gigabytes)}")
        text = content.decode("utf-8-sig").replace("\r\n", "\n").removesuffix("\n")
        return text.split("\n") if text else []  # `splitlines` would also split at U+2028 and the like, within a text
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a text in UTF-8: {error}") from error
