"""Folders of recordings, their classes and speakers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from archwright._scalars import is_whole, scalar
from archwright._words import counted
from archwright.datasets._audio import RECORDINGS, fitted, read_recording, resampled
from archwright.datasets._pairs import PARTS
from archwright.datasets._reading import GIGABYTES, InputError, limit_text
from archwright.datasets._split import to_seed, to_share
from archwright.errors import DataError

PATTERN = "{label}_{speaker}_{}"
"""How names of files are read where a folder has no class folders."""

_LENGTH = 0.95  # quantile of the lengths, to which all are brought
_LAYOUT = (
    "recordings lie in FOLDER/class/NAME.wav, in FOLDER/train/class/NAME.wav with val/ and test/ beside train/, or as "
    f"FOLDER/LABEL_SPEAKER_NUMBER.wav; other names are read by a pattern such as {PATTERN!r}"
)


@dataclass(frozen=True)
class Recording:
    """A recording with its label, and its speaker where that is known.

    Example:
        >>> Recording(Path("7_anna_0.wav"), "7", "anna").speaker
        'anna'
    """

    path: Path
    label: str
    speaker: str | None = None


def find_recordings(root: Path, pattern: str | None = None) -> dict[str, list[Recording]]:
    """Return labelled recordings by part, "" where they are not divided.

    Args:
        root: The folder.
        pattern: How file names, without the suffix, tell the label and the speaker, such as "{label}_{speaker}_{}";
            without "{label}" the folder is the label.

    Raises:
        DataError: There are none, or a name does not follow the pattern.

    Example:
        >>> Path("7_anna_0.wav").touch()
        >>> find_recordings(Path("."))[""][0].label
        '7'
    """
    if not root.is_dir():
        raise DataError(f"{root} is no folder; {_LAYOUT}")
    parts: dict[str, list[Recording]] = {}
    for folder in folders_in(root):
        part = PARTS.get(folder.name.lower())
        if part is not None:
            parts.setdefault(part, []).extend(_labelled(folder, pattern))
    return parts if "train" in parts else {"": _labelled(root, pattern)}


def recordings_in(folder: Path) -> list[Path]:
    """Return the recordings that lie in a folder, by name.

    Example:
        >>> Path("quiet").mkdir()
        >>> recordings_in(Path("quiet"))
        []
    """
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in RECORDINGS and path.name[0] != ".")


def read_recordings(
    paths: Sequence[Path], *, rate: int | None = None, longest: bool = False, gigabytes: float = GIGABYTES
) -> tuple[Tensor, int, tuple[str, ...]]:
    """Return recordings at one rate and in one length.

    Args:
        paths: The files.
        rate: Samples per second; by default the most frequent rate.
        longest: Whether the length is that of the longest; else it is the 95th percentile, and longer ones are cut.
        gigabytes: The most memory that they may take.

    Returns:
        Waveforms, float32 (n, samples) within -1..1; samples per second; and what was done, in lines.

    Raises:
        DataError: The rate is no whole number.
        InputError: A file cannot be read, or they take too much memory.

    Example:
        >>> import wave
        >>> for name, count in (("a.wav", 4), ("b.wav", 2)):
        ...     with wave.open(name, "wb") as file:
        ...         file.setparams((1, 2, 8000, count, "NONE", ""))
        ...         file.writeframes(bytes(2 * count))
        >>> read_recordings([Path("a.wav"), Path("b.wav")], longest=True)[0].shape
        torch.Size([2, 4])
    """
    rate = scalar(rate)
    if rate is not None and not (is_whole(rate) and rate >= 1):
        raise DataError(f"rate={rate!r} must be a whole number of samples per second, or None for the most frequent")
    values, found = 0, list[tuple[Tensor, int]]()
    for path in paths:
        found.append(read_recording(path, gigabytes))
        values += len(found[-1][0])
        _check_memory(len(paths), values, gigabytes)
    rates = Counter(each for _, each in found)
    common = rate or rates.most_common(1)[0][0]
    _check_memory(len(paths), sum(len(samples) * common // each for samples, each in found), gigabytes)
    waves = [resampled(samples, each, common) for samples, each in found]
    lengths = np.array([len(each) for each in waves])
    length = int(lengths.max() if longest else np.quantile(lengths, _LENGTH, method="higher"))
    _check_memory(len(paths), length * len(waves), gigabytes)
    told = [f"length: {length / common:.3g} s, that of the longest recording"]
    if not longest:
        cut = int((lengths > length).sum())
        longer = counted(cut, "longer recording")
        told = [f"length: {length / common:.3g} s, the 95th percentile; {longer} cut at both ends"]
    if other := len(waves) - rates[common]:
        told.append(f"rate: {common} Hz; {counted(other, 'recording')} of another rate resampled")
    return torch.stack([fitted(each, length) for each in waves]), common, tuple(told)


def by_speaker(
    speakers: Sequence[str], *, validation: float, test: float, seed: int, test_speakers: Iterable[str] | None = None
) -> tuple[dict[str, list[int]], str]:
    """Return the places of recordings by part, so that no test speaker is in another part, and a line on it.

    Args:
        speakers: The speaker of each recording.
        validation: Share of the speakers for validation, one at least; with two speakers there is no such part.
        test: Likewise for the test.
        seed: Of the choice of speakers.
        test_speakers: The speakers of the test; by default they are drawn.

    Raises:
        DataError: There are fewer than two speakers, or a test speaker is unknown or leaves none to learn from.

    Example:
        >>> by_speaker(["ann", "bob", "ann", "eve"], validation=0.3, test=0.3, seed=0, test_speakers=["eve"])[0]["test"]
        [3]
    """
    names = sorted(set(speakers))
    order = [names[place] for place in np.random.default_rng(to_seed(seed)).permutation(len(names))]
    tested = order[: _count(to_share("test", test), len(names))] if test_speakers is None else list(test_speakers)
    unknown = [name for name in tested if name not in names]
    rest = [name for name in order if name not in tested]
    if unknown or not rest or not tested:
        raise DataError(
            f"test_speakers={tested!r} must be some of the speakers, and not all of them: {', '.join(map(repr, names))}"
        )
    held = rest[: _count(to_share("validation", validation), len(names))] if len(rest) > 1 else []
    held = held[: len(rest) - 1]
    parts = dict.fromkeys(tested, "test") | dict.fromkeys(held, "validation")
    places: dict[str, list[int]] = {}
    for place, name in enumerate(speakers):
        places.setdefault(parts.get(name, "train"), []).append(place)
    told = f"test speaker {', '.join(sorted(tested))}"
    return places, f"split: by speaker, {told}" + (f"; validation speaker {', '.join(sorted(held))}" if held else "")


def _count(share: float, speakers: int) -> int:
    """Return how many speakers a share means; a number of samples is no number of speakers."""
    return max(1, round(share * speakers)) if share < 1 else 1


def _labelled(folder: Path, pattern: str | None) -> list[Recording]:
    """Return the recordings in a folder by its class folders, or by their names."""
    inside, lying = folders_in(folder), recordings_in(folder)
    files = [(path, each.name) for each in inside for path in recordings_in(each)]
    if files and lying:
        raise DataError(f"{folder} holds {lying[0].name} beside its class folders; move it into one")
    if not files and not lying:
        raise DataError(f"{folder} holds no recordings ({', '.join(RECORDINGS)}); {_LAYOUT}")
    given = pattern if pattern is not None or files else PATTERN
    if given is None:
        return [Recording(path, name) for path, name in files]
    expression = compiled(given)
    if lying and "label" not in expression.groupindex:
        raise DataError(f"pattern={given!r} names no {{label}}, and {folder} has no class folders to take it from")
    found = []
    for path, name in files or [(path, "") for path in lying]:
        match = expression.fullmatch(path.stem)
        if match is None:
            raise DataError(f"the name of {path} does not follow {given!r}; {_LAYOUT}")
        read = match.groupdict()
        found.append(Recording(path, read.get("label", name), read.get("speaker")))
    return found


def compiled(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern of file names.

    Raises:
        DataError: It is no such pattern.

    Example:
        >>> compiled("{label}_{speaker}_{}").fullmatch("7_anna_0").groupdict()
        {'label': '7', 'speaker': 'anna'}
    """
    text, known = "", {"": ".+?", "label": "(?P<label>.+?)", "speaker": "(?P<speaker>.+?)"}
    for place, piece in enumerate(re.split(r"\{(.*?)\}", pattern)):
        is_twice = piece in ("label", "speaker") and known[piece] in text
        if place % 2 and (piece not in known or is_twice):
            raise DataError(f"pattern={pattern!r} may hold {{label}} and {{speaker}} once each, and {{}} for the rest")
        text += known[piece] if place % 2 else re.escape(piece)
    if "(?P<" not in text:
        raise DataError(f"pattern={pattern!r} names neither {{label}} nor {{speaker}}")
    return re.compile(text)


def _check_memory(count: int, values: int, gigabytes: float) -> None:
    if 4 * values > gigabytes * 1e9:
        size = f"{4 * values / 1e9:.3g} gigabytes"
        raise InputError(f"{count:,} recordings of {size} or more take more than {limit_text(gigabytes)}")


def folders_in(root: Path) -> list[Path]:
    """Return the folders in a folder that are not hidden, by name."""
    return sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
