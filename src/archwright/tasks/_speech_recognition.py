"""Speech recognition: the text that is spoken in a recording."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from archwright.datasets import (
    AudioPreprocess,
    Part,
    SpeechPreprocess,
    find_transcripts,
    holds_transcripts,
    read_recordings,
    spoken,
    three_parts,
)
from archwright.errors import DataError, EvaluationError
from archwright.tasks._classification import check_floats
from archwright.tasks._registry import register
from archwright.tasks._task import Task
from archwright.tasks._waves import noise

_FASTEST = 50  # characters of a second, for each of which a network of the space "speech" has a frame


class SpeechRecognition(Task):
    """Recognition of the characters that are spoken in recordings.

    A network takes waveforms (n, samples) within -1..1 and gives a score for each class and frame, shape (n, classes,
    frames): class 0 is the blank, the others are the characters. The loss is the CTC loss (Graves et al.,
    "Connectionist temporal classification", ICML 2006). Metrics are "wer" and "cer", the word and the character error
    rate: the least number of substitutions, deletions and insertions that make the spoken text of the best class of
    each frame, over the words or characters of the true one, summed up over the part.

    Args:
        train: Waveforms, float32 (n, samples), with the classes of their characters, int64 (n, characters), padded
            with 0.
        validation: Likewise.
        test: Likewise; may be empty.
        characters: The characters, of which the first is class 1.
        rate: Samples per second.
        told: What was guessed from the data, a line each.
        name: The name.

    Example:
        >>> from archwright.tasks import SpeechRecognition
        >>> part = aw.datasets.Part(torch.rand(12, 4000) - 0.5, torch.randint(1, 3, (12, 4)))
        >>> SpeechRecognition(part, part, part.select(torch.arange(0)), ("a", "b"), rate=8000).objective
        'min wer'
    """

    kind = "audio"
    augmentations = ("noise",)
    space = "speech"
    metrics = frozenset(("loss", "wer", "cer"))
    batch_size = 16
    least_steps = 2_000

    def __init__(
        self,
        train: Part,
        validation: Part,
        test: Part,
        characters: tuple[str, ...],
        *,
        rate: int,
        told: tuple[str, ...] = (),
        name: str = "speech recognition",
    ) -> None:
        shape = tuple(train.inputs.shape[1:])
        self.characters, self.told = characters, told
        self.preprocess = SpeechPreprocess(AudioPreprocess(characters, rate, shape[0]))
        self.space_options = {"input_shape": shape, "classes": len(characters) + 1, "rate": rate}
        both = train.targets[:, 1:]
        repeated = (both == train.targets[:, :-1]) & (both > 0)  # between which a blank is needed
        self._frames = int((train.targets.ne(0).sum(1) + repeated.sum(1)).max())
        super().__init__(
            train=train,
            validation=validation,
            test=test,
            loss=_ctc_loss,
            objective="min wer",
            example_input=shape,
            name=name,
        )

    def augment(
        self, inputs: Any, targets: Any, names: Collection[str], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return waveforms with noise, and the targets."""
        return noise(inputs, generator) if "noise" in names else inputs, targets

    def check_outputs(self, outputs: Any, size: int) -> None:
        """Check that the outputs are floating-point scores for each class and frame, and that the frames suffice.

        Raises:
            EvaluationError: The shape or type is wrong.
        """
        shape = (size, len(self.characters) + 1, "frames")
        check_floats(outputs, shape, "a score for the blank and each of the characters")
        if outputs.shape[2] < self._frames:
            raise EvaluationError(
                f"the network gives {outputs.shape[2]} frames, and the longest text needs {self._frames}: use smaller "
                "strides"
            )

    def meter(self, device: str = "cpu") -> ErrorRates:
        """Return the metrics of a part."""
        return ErrorRates(self.characters)

    def decode(self, outputs: Tensor) -> list[str]:
        """Return the text of each recording: the best class of each frame, without repetitions and blanks."""
        return spoken(outputs.argmax(1), self.characters)


class ErrorRates:
    """Word and character error rates.

    Args:
        characters: The characters, of which the first is class 1.
    """

    def __init__(self, characters: Sequence[str]) -> None:
        self._characters = characters
        self._wrong = {"wer": 0, "cer": 0}
        self._all = {"wer": 0, "cer": 0}

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Compare the texts of scores (n, classes, frames) with targets (n, characters)."""
        texts = ["".join(self._characters[one - 1] for one in row if one) for row in targets.tolist()]
        for found, text in zip(spoken(outputs.argmax(1), self._characters), texts, strict=True):
            for name, one, other in (("wer", found.split(), text.split()), ("cer", found, text)):
                self._wrong[name] += edits(one, other)
                self._all[name] += len(other)

    def compute(self) -> dict[str, float]:
        """Return "wer" and "cer"; above 1 where more is wrong than there is."""
        return {name: self._wrong[name] / max(1, count) for name, count in self._all.items()}


def edits(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the least number of substitutions, deletions and insertions between sequences (Levenshtein 1966)."""
    row = list(range(len(other) + 1))
    for place, first in enumerate(one, start=1):
        before, row[0] = row[0], place
        for column, second in enumerate(other, start=1):
            before, row[column] = row[column], min(before + (first != second), row[column] + 1, row[column - 1] + 1)
    return row[-1]


def _ctc_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    frames = torch.full((len(outputs),), outputs.shape[2])
    scores = outputs.float().log_softmax(1).permute(2, 0, 1)  # (frames, n, classes)
    return F.ctc_loss(scores, targets, frames, targets.ne(0).sum(1), zero_infinity=True)


def _recognise(path: Path) -> str | None:
    return "recordings with texts" if holds_transcripts(path) else None


@register("speech-recognition", recognise=_recognise)
def speech_recognition(
    source: Path,
    *,
    rate: int | None = None,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    max_gigabytes: float = 4.0,
) -> SpeechRecognition:
    """Recognition of the characters that are spoken in recordings.

    Args:
        source: A folder of recordings with a table of files and texts, with a NAME.txt beside each NAME.wav, or with
            *.trans.txt files as LibriSpeech; or with such folders train/, val/ and test/.
        rate: Samples per second; by default the most frequent rate.
        validation: Share or number of recordings for validation, unless they have a folder.
        test: Likewise for the test.
        seed: Of the split.
        max_gigabytes: The most memory that the recordings may take.
    """
    parts = find_transcripts(source, gigabytes=max_gigabytes)
    if parts is None:
        raise DataError(
            f"{source} holds no texts of recordings: give a table with the columns file and text, a NAME.txt beside "
            "each NAME.wav, or *.trans.txt files"
        )
    files, split = three_parts(parts, validation=validation, test=test, seed=seed)
    waves, found_rate, told = read_recordings(
        [path for path, _ in files], rate=rate, longest=True, gigabytes=max_gigabytes
    )
    most = waves.shape[1] / found_rate
    for path, text in files:
        if len(text) > _FASTEST * most + 1:
            raise DataError(
                f"the text of {path} has {len(text):,} characters, more than {_FASTEST} for each second of the longest "
                f"recording, {most:.3g} s: correct it, or leave the recording out"
            )
    characters = tuple(sorted({one for _, text in files for one in text}))
    encoded = [torch.tensor([characters.index(one) + 1 for one in text]) for _, text in files]
    targets = pad_sequence(encoded, batch_first=True)
    train, held, final = (Part(waves[places], targets[places]) for places in split)
    return SpeechRecognition(train, held, final, characters, rate=found_rate, told=told, name=source.name)
