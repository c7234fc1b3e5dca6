"""Speech commands: the class of a short recording."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from archwright.datasets import (
    AudioPreprocess,
    InputError,
    Part,
    by_speaker,
    find_recordings,
    holds_transcripts,
    read_recordings,
    three_parts,
)
from archwright.errors import DataError
from archwright.tasks._baseline import ClassicalMethod
from archwright.tasks._classification import ClassTask
from archwright.tasks._registry import register
from archwright.tasks._waves import moved, noise


class SpeechCommands(ClassTask):
    """Classification of short recordings.

    A network takes waveforms (n, samples) within -1..1 and gives a score for each class, shape (n, classes). Loss and
    metrics are those of `Classification`.

    Args:
        train: Waveforms, float32 (n, samples), with the indices of their classes, int64 (n,).
        validation: Likewise.
        test: Likewise; may be empty.
        classes: The names of the classes.
        rate: Samples per second.
        told: What was guessed from the data, a line each.
        name: The name.

    Example:
        >>> from archwright.tasks import SpeechCommands
        >>> part = aw.datasets.Part(torch.rand(12, 4000) - 0.5, torch.arange(12) % 2)
        >>> SpeechCommands(part, part, part.select(torch.arange(0)), ("no", "yes"), rate=8000).objective
        'max accuracy'
    """

    kind = "audio"
    augmentations = ("speed", "shift", "noise")
    batch_size = 64

    def __init__(
        self,
        train: Part,
        validation: Part,
        test: Part,
        classes: tuple[str, ...],
        *,
        rate: int,
        told: tuple[str, ...] = (),
        name: str = "speech commands",
    ) -> None:
        shape = tuple(train.inputs.shape[1:])
        self.classes, self.rate, self.told = classes, rate, told
        self.preprocess = AudioPreprocess(classes, rate, shape[0])
        self.space, self.space_options = "audio", {"input_shape": shape, "classes": len(classes), "rate": rate}
        super().__init__(
            train=train,
            validation=validation,
            test=test,
            loss=F.cross_entropy,
            objective="max accuracy",
            example_input=shape,
            name=name,
        )

    @property
    def baselines(self) -> Sequence[ClassicalMethod]:
        """A support vector machine and logistic regression on cepstral coefficients, of scikit-learn."""
        from archwright.tasks._cepstra import cepstral_classifiers

        return cepstral_classifiers(self)

    def augment(
        self, inputs: Any, targets: Any, names: Collection[str], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return waveforms with random changes, and the targets."""
        if "speed" in names or "shift" in names:
            inputs = moved(inputs, generator, speed="speed" in names, shift="shift" in names)
        return noise(inputs, generator) if "noise" in names else inputs, targets


def _recognise(path: Path) -> str | None:
    try:
        if not path.is_dir() or holds_transcripts(path):
            return None
        found = find_recordings(path)
    except (DataError, InputError, OSError):
        return None
    is_named = any(each.speaker for part in found.values() for each in part)
    return "recordings whose names tell class and speaker" if is_named else "recordings in folders of classes"


@register("speech-commands", recognise=_recognise)
def speech_commands(
    source: Path,
    *,
    pattern: str | None = None,
    test_speakers: Sequence[str] | str | None = None,
    rate: int | None = None,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    max_gigabytes: float = 4.0,
) -> SpeechCommands:
    """Classification of short recordings in folders; where speakers are known, the test is on other speakers.

    Args:
        source: A folder with a folder of recordings for each class, with or without train/, val/ and test/ above them;
            or with recordings whose names tell the class and the speaker.
        pattern: How names tell the class and the speaker: "{label}_{speaker}_{}", the default without class folders;
            "{speaker}_nohash_{}" for Google's Speech Commands, whose folders are the classes.
        test_speakers: The speakers of the test; by default they are drawn.
        rate: Samples per second; by default the most frequent rate.
        validation: Share or number of recordings for validation, or share of the speakers, unless they have a folder.
        test: Likewise for the test.
        seed: Of the split.
        max_gigabytes: The most memory that the recordings may take.
    """
    parts = find_recordings(source, pattern)
    chosen = [test_speakers] if isinstance(test_speakers, str) else test_speakers
    told: tuple[str, ...] = ()
    found = parts.get("", [])
    speakers = [each.speaker for each in found if each.speaker is not None]
    if len(set(speakers)) > 1:
        places, line = by_speaker(speakers, validation=validation, test=test, seed=seed, test_speakers=chosen)
        parts, told = {part: [found[place] for place in held] for part, held in places.items()}, (line,)
    elif chosen is not None:
        raise DataError("test_speakers needs recordings of several speakers, whose names tell the speaker: see pattern")
    elif speakers:
        told = (f"split: at random, as there is one speaker, {speakers[0]}; the test is on a known voice",)
    learnt = parts.get("train", parts.get("", []))
    classes = tuple(sorted({each.label for each in learnt}))
    if len(classes) < 2:
        raise DataError(f"{source} holds recordings of one class, {classes[0]!r}: there is nothing to tell apart")
    strange = [each for part in parts.values() for each in part if each.label not in classes]
    if strange:
        raise DataError(f"{strange[0].path} is of class {strange[0].label!r}, of which there is no training recording")
    strata = np.array([classes.index(each.label) for each in learnt])
    files, split = three_parts(parts, validation=validation, test=test, seed=seed, strata=strata)
    waves, found_rate, lines = read_recordings([each.path for each in files], rate=rate, gigabytes=max_gigabytes)
    targets = torch.tensor([classes.index(each.label) for each in files])
    train, held, final = (Part(waves[places], targets[places]) for places in split)
    return SpeechCommands(train, held, final, classes, rate=found_rate, told=(*lines, *told), name=source.name)
