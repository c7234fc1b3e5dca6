"""Preprocessing and results of language models; a part of the `predict.py` of such networks."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archwright.datasets._preprocess import Preprocess, Result, Sample, field, texts
from archwright.datasets._reading import GIGABYTES, InputError, check_file, limit_text

__all__ = ["Continuation", "LanguagePreprocess", "read_text", "units_of", "usual_tokens"]

_WORD = re.compile(r"\w+|[^\w\s]|\n")
_TEMPERATURE = 0.8
_MOST_TOKENS = 2**24


@dataclass(frozen=True)
class Continuation(Result):
    """A text, continued by a language model.

    Args:
        prompt: The end of the text, as much as the network takes in.
        text: What comes next.
        perplexity: Of the prompt: the exponential of the mean negative log-likelihood of its tokens but the first; NaN
            for a single one.

    Example:
        >>> Continuation(None, 0, "to be or", " not to be", 3.2).cells()
        {'perplexity': '3.2', 'continuation': ' not to be'}
    """

    prompt: str
    text: str
    perplexity: float

    def cells(self) -> dict[str, str]:
        """Return the perplexity and the continuation in one line."""
        return {"perplexity": f"{self.perplexity:.4g}", "continuation": self.text.replace("\n", " ")}

    def to_json(self) -> dict[str, Any]:
        """Return prompt, continuation and perplexity; `None` in place of NaN, which JSON does not have."""
        return {**super().to_json(), "perplexity": None if math.isnan(self.perplexity) else self.perplexity}


@dataclass(frozen=True)
class LanguagePreprocess(Preprocess):
    """Preprocessing of texts as tokens: characters or words.

    Token 0 is what is not in the vocabulary. A network is given the last `length` tokens of a text.

    Args:
        unit: "characters" or "words".
        vocabulary: The known tokens, from 1 on.
        length: Tokens of a sequence.
        continued: Tokens that a text is continued by.

    Example:
        >>> preprocess = LanguagePreprocess("characters", ("a", "b"), 4)
        >>> preprocess.encode("abba?").tolist(), preprocess.text([1, 2])
        ([1, 2, 2, 1, 0], 'ab')
    """

    kind = "language"
    takes = "text files"
    suffixes = (".txt",)
    classes = ()
    targets = ()

    unit: str
    vocabulary: tuple[str, ...]
    length: int
    continued: int = 100

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return (self.length,)

    @property
    def tokens(self) -> int:
        """The number of different tokens, the unknown one included."""
        return len(self.vocabulary) + 1

    def encode(self, text: str) -> Tensor:
        """Return the tokens of a text, int64 (tokens,)."""
        return self.encode_all(units_of(text, self.unit))

    def encode_all(self, units: Iterable[str]) -> Tensor:
        """Return the tokens of characters or words, int64 (tokens,)."""
        places = {token: place for place, token in enumerate(self.vocabulary, start=1)}
        return torch.tensor([places.get(unit, 0) for unit in units], dtype=torch.int64)

    def text(self, tokens: Iterable[int]) -> str:
        """Return the text of tokens."""
        found = [self.vocabulary[token - 1] if token else "\ufffd" for token in tokens]
        return "".join(found) if self.unit == "characters" else " ".join(found).replace(" \n ", "\n")

    def read(self, path: str | os.PathLike[str], *, gigabytes: float = GIGABYTES) -> Iterator[Sample]:
        """Yield the end of the text in a file, or the error where it is empty."""
        text = read_text(Path(path), gigabytes)
        try:
            yield None, self.item(text)
        except InputError as error:
            yield None, InputError(f"{path}: {error}")

    def item(self, given: Any) -> Tensor:
        """Return the last tokens of a text, int64 (length,), with -1 before a shorter one."""
        if isinstance(given, Mapping) and set(given) == {"text"}:
            given = given["text"]
        if not isinstance(given, str):
            raise InputError(
                f'this network takes text files, or mappings such as {{"text": "To be"}}, not {given!r:.40}'
            )
        tokens = self.encode(given)[-self.length :]
        if not len(tokens):
            raise InputError("the text is empty.")
        return torch.cat([torch.full((self.length - len(tokens),), -1), tokens])

    def batch(self, raw: Tensor) -> Tensor:
        """Return tokens (n, length), after a check."""
        if raw.ndim != 2 or raw.shape[1] != self.length or raw.is_floating_point():
            raise InputError(
                f"the network takes whole numbers of shape (n, {self.length}), not {raw.dtype} of shape "
                f"{tuple(raw.shape)}."
            )
        if len(raw):
            least, most = int(raw.min()), int(raw.max())
            if least < -1 or most >= self.tokens:
                raise InputError(
                    f"tokens are 0 to {self.tokens - 1}, or -1 before a short text; {least} to {most} were given."
                )
            if bool((raw[:, -1] < 0).any() or ((raw[:, :-1] >= 0) & (raw[:, 1:] < 0)).any()):
                raise InputError("a text ends with a token of 0 or more; -1 was given behind its beginning.")
        return raw.long()

    def run(self, network: nn.Module, batch: Tensor) -> list[tuple[Tensor, Tensor, float]]:
        """Return the prompt, the continuation and the perplexity of each text.

        Tokens are drawn with a temperature of 0.8 and the seed 0, and never the unknown one.
        """
        found = []
        for row in batch:
            prompt = row[row >= 0]
            scores = network(prompt[None]).float()[0]
            likelihood = scores[:-1].log_softmax(-1).gather(1, prompt[1:, None])
            generator = torch.Generator().manual_seed(0)
            tokens = prompt
            for _ in range(self.continued):
                last = network(tokens[None, -self.length :]).float()[0, -1].cpu() / _TEMPERATURE
                last[0] = -torch.inf
                tokens = torch.cat([tokens, torch.multinomial(last.softmax(-1), 1, generator=generator).to(tokens)])
            mean = -likelihood.mean().item() if len(prompt) > 1 else math.nan
            found.append((prompt.cpu(), tokens[len(prompt) :].cpu(), math.exp(min(mean, 700.0))))
        return found

    def checked(self, outputs: Any, size: int) -> Any:
        """Return the outputs of `run`."""
        return outputs

    def results(self, outputs: Any, places: Sequence[Any]) -> list[Continuation]:
        """Return the continuation of each text."""
        return [
            Continuation(place[0], place[1], self.text(prompt.tolist()), self.text(tokens.tolist()), perplexity)
            for place, (prompt, tokens, perplexity) in zip(places, outputs, strict=True)
        ]

    def source(self) -> str:
        """Return the source of the vocabulary."""
        return f'UNIT = {self.unit!r}\nVOCABULARY = ("", *{self.vocabulary!r})  # "" for unknown tokens'

    def to_json(self) -> dict[str, Any]:
        """Return the content of `preprocess.json`."""
        return {
            "version": 1,
            "kind": self.kind,
            "unit": self.unit,
            "vocabulary": list(self.vocabulary),
            "length": self.length,
            "continued": self.continued,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LanguagePreprocess:
        """Return the preprocessing written by `to_json`.

        Raises:
            InputError: The value is not a preprocessing of texts.
        """
        unit, length, continued = field(data, "unit", str), field(data, "length", int), field(data, "continued", int)
        if unit not in ("characters", "words") or not 1 <= length <= _MOST_TOKENS or not 0 <= continued <= _MOST_TOKENS:
            raise InputError(f"unit={unit!r}, length={length} and continued={continued} are not possible.")
        return cls(unit, texts(data, "vocabulary"), length, continued)


def units_of(text: str, unit: str) -> list[str]:
    """Return the characters of a text, or its words, marks and line ends.

    Example:
        >>> units_of("To be, or", "words")
        ['To', 'be', ',', 'or']
    """
    return list(text) if unit == "characters" else _WORD.findall(text)


def read_text(path: Path, gigabytes: float = GIGABYTES) -> str:
    """Return the text in a file, in UTF-8.

    Raises:
        InputError: It cannot be read, or takes more than a sixteenth of the limit.

    Example:
        >>> _ = Path("text.txt").write_text("to be")
        >>> read_text(Path("text.txt"))
        'to be'
    """
    check_file(path)
    if path.stat().st_size > gigabytes / 16 * 1e9:
        raise InputError(f"{path} takes more than a sixteenth of {limit_text(gigabytes)}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a text in UTF-8: {error}") from error


def usual_tokens(tokens: Iterable[str], *, least: int, most: int) -> tuple[str, ...]:
    """Return the tokens that occur at least so often, the most frequent ones, sorted by frequency and then by name.

    Example:
        >>> usual_tokens("abracadabra", least=2, most=2)
        ('a', 'b')
    """
    counts = Counter(tokens)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(token for token, count in ranked[:most] if count >= least)
