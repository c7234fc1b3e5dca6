"""Preprocessing and results of speech recognition; a part of the `predict.py` of such networks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from archwright.datasets._audio import RECORDINGS, AudioPreprocess, fitted, read_at
from archwright.datasets._preprocess import Preprocess, Result, Sample
from archwright.datasets._reading import GIGABYTES, InputError

__all__ = ["SpeechPreprocess", "Transcript", "spoken"]


@dataclass(frozen=True)
class Transcript(Result):
    """The text that a network gives for one sample.

    Args:
        file: The file of the sample; `None` for a sample in memory.
        row: Its row in a table, from 1, or its index in memory, from 0; `None` for a file of one sample.
        text: The text.

    Example:
        >>> Transcript("seven.wav", None, "seven").cells()
        {'text': 'seven'}
    """

    text: str

    def cells(self) -> dict[str, str]:
        """Return the text."""
        return {"text": self.text}


@dataclass(frozen=True)
class SpeechPreprocess(Preprocess):
    """Preprocessing of recordings whose text is recognised.

    Args:
        audio: The preprocessing of the recordings, whose classes are the characters; the blank stands before them.

    Example:
        >>> preprocess = SpeechPreprocess(AudioPreprocess(("a", "b"), rate=8000, length=4000))
        >>> scores = torch.eye(3)[[1, 1, 0, 1, 2]].T[None]
        >>> preprocess.results(scores, [(None, 0)])[0].text
        'aab'
    """

    kind = "speech"
    takes = AudioPreprocess.takes
    suffixes = RECORDINGS
    uses = (AudioPreprocess,)
    classes = ()
    targets = ()

    audio: AudioPreprocess

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.audio.shape

    def read(self, path: str | os.PathLike[str], *, gigabytes: float = GIGABYTES) -> Iterator[Sample]:
        """Yield the recording in a file as float32 (samples,), or the error; one that is too long is not cut."""
        try:
            samples = read_at(Path(path), self.audio.rate, gigabytes)
            if len(samples) > self.audio.length:
                seconds, most = len(samples) / self.audio.rate, self.audio.length / self.audio.rate
                raise InputError(f"{path} lasts {seconds:.3g} s; the network takes up to {most:.3g} s. Split it.")
            yield None, fitted(samples, self.audio.length)
        except InputError as error:
            yield None, error

    def batch(self, raw: Tensor) -> Tensor:
        """Return waveforms (n, samples) as float32, after a check."""
        return self.audio.batch(raw)

    def checked(self, outputs: Any, size: int) -> Tensor:
        """Return scores of blank and characters (n, classes, frames), after a check of their shape."""
        wanted = (size, len(self.audio.classes) + 1)
        if not isinstance(outputs, Tensor) or outputs.ndim != 3 or outputs.shape[:2] != wanted:
            got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise InputError(f"the network returned {got}, and not scores of the characters, {(*wanted, 'frames')}.")
        return outputs.float().cpu()

    def results(self, outputs: Tensor, places: Sequence[tuple[str | None, int | None]]) -> list[Transcript]:
        """Return the text of each recording."""
        texts = spoken(outputs.argmax(1), self.audio.classes)
        return [Transcript(*place, text) for place, text in zip(places, texts, strict=True)]

    def source(self) -> str:
        """Return the source of the constants."""
        return f"CHARACTERS = {self.audio.classes!r}  # after the blank\n" + self.audio.source().partition("\n")[2]

    def to_json(self) -> dict[str, Any]:
        """Return the content of `preprocess.json`."""
        return {**self.audio.to_json(), "kind": self.kind}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SpeechPreprocess:
        """Return the preprocessing written by `to_json`."""
        return cls(AudioPreprocess.from_json(data))


def spoken(frames: Tensor, characters: Sequence[str]) -> list[str]:
    """Return the texts of the classes of frames (n, frames): without repetitions, and then without blanks.

    Args:
        frames: Classes: 0 for the blank, then the characters.
        characters: The characters.

    Example:
        >>> from archwright.datasets import spoken
        >>> spoken(torch.tensor([[1, 1, 0, 1, 2, 2, 0]]), "ab")
        ['aab']
    """
    found = []
    for row in frames.tolist():
        kept = [one for one, before in zip(row, [0, *row], strict=False) if one and one != before]
        found.append("".join(characters[one - 1] for one in kept))
    return found
