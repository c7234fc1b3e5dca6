"""Reading and preprocessing of recordings; a part of the `predict.py` of networks that take them."""

from __future__ import annotations

import importlib
import math
import os
import wave
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archwright.datasets._preprocess import Preprocess, Sample, check_numbers, field, texts
from archwright.datasets._reading import GIGABYTES, InputError, check_file, limit_text

__all__ = ["RECORDINGS", "AudioPreprocess", "fitted", "read_at", "read_recording", "resampled"]

RECORDINGS = (".wav", ".flac", ".ogg")

_LOUDEST = 2.0  # resampling may exceed 1 a little
_CROSSINGS, _PASSED = 16, 0.95  # of the sinc on each side, and the share of the frequencies that it lets pass
_BLOCK = 2**21  # values of which samples are interpolated at a time
_MOST_SAMPLES = 2**28  # of one recording, so that a damaged file asks for no terabytes
_SLOWEST, _FASTEST = 100, 1_000_000  # samples per second; a damaged file may say anything


@dataclass(frozen=True)
class AudioPreprocess(Preprocess):
    """Preprocessing of recordings that are classified.

    Args:
        classes: Names of the classes, in the order of the network's scores.
        rate: Samples per second; recordings of another rate are resampled.
        length: Samples; recordings of another length get zeros on both sides, or lose both ends.

    Example:
        >>> preprocess = AudioPreprocess(("no", "yes"), rate=8000, length=4)
        >>> preprocess.batch(torch.tensor([[0.0, 0.5, -0.5, 0.0]])).shape
        torch.Size([1, 4])
    """

    kind = "audio"
    takes = "recordings (wav, flac, ogg) or folders of them"
    suffixes = RECORDINGS
    targets = ()

    classes: tuple[str, ...]
    rate: int
    length: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return (self.length,)

    def read(self, path: str | os.PathLike[str], *, gigabytes: float = GIGABYTES) -> Iterator[Sample]:
        """Yield the recording in a file as float32 (samples,), or the error."""
        try:
            yield None, fitted(read_at(Path(path), self.rate, gigabytes), self.length)
        except InputError as error:
            yield None, error

    def batch(self, raw: Tensor) -> Tensor:
        """Return waveforms (n, samples) as float32, after a check.

        Raises:
            InputError: Their length differs from the training data, or their values are not within -1..1.
        """
        if raw.ndim != 2 or raw.shape[1] != self.length:
            raise InputError(
                f"the network takes waveforms of shape (n, {self.length}), {self.rate} samples per second, not "
                f"{tuple(raw.shape)}."
            )
        check_numbers(raw)
        loudest = float(raw.abs().max()) if raw.numel() else 0.0
        if not raw.is_floating_point() or loudest > _LOUDEST:
            raise InputError(
                f"the network takes floating-point waveforms within -1..1; these are {raw.dtype} up to {loudest:g}: "
                "divide those of 16 bits by 32768."
            )
        return raw.float()

    def source(self) -> str:
        """Return the source of the constants."""
        return f"CLASSES = {self.classes!r}\nRATE = {self.rate}\nLENGTH = {self.length}\n"

    def to_json(self) -> dict[str, Any]:
        """Return the content of `preprocess.json`."""
        return {
            "version": 1,
            "kind": self.kind,
            "classes": list(self.classes),
            "rate": self.rate,
            "length": self.length,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AudioPreprocess:
        """Return the preprocessing written by `to_json`.

        Raises:
            InputError: The value is not a preprocessing of recordings.
        """
        rate, length = field(data, "rate", int), field(data, "length", int)
        if rate < 1 or not 1 <= length <= _MOST_SAMPLES:
            raise InputError(f"recordings of {length} samples, {rate} per second, are not possible.")
        return cls(texts(data, "classes"), rate, length)


def read_recording(path: Path, gigabytes: float = GIGABYTES) -> tuple[Tensor, int]:
    """Return a recording as float32 (samples,) within -1..1, the mean of its channels, and its samples per second.

    Wav files of 8, 16, 24 and 32 bits are read as they are; flac, ogg, and wav files of floats by soundfile. It may
    take a sixteenth of the limit.

    Raises:
        InputError: The file cannot be read.
    """
    check_file(path)
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate, count, *_ = file.getparams()
            size, there = count * channels * width, path.stat().st_size
            if size > there:
                raise InputError(
                    f"{path} is cut short: {size:,} bytes of samples should be in it, and it has {there:,}. Programs "
                    "that write into a pipe, such as ffmpeg, do not know the length: let them write into a file."
                )
            _check_size(path, count * channels, rate, gigabytes)
            content = file.readframes(count)
    except (wave.Error, EOFError, RuntimeError) as error:  # the last of a chunk that is longer than the file
        return _by_soundfile(path, gigabytes, error)
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error}") from error
    if width > 4:
        raise InputError(f"{path} has {8 * width} bits for a sample; up to 32 are possible.")
    if len(content) < size:
        raise InputError(f"{path} is cut short: {size} bytes should follow, {len(content)} do.")
    raw = torch.frombuffer(bytearray(content), dtype=torch.uint8).view(-1, width)
    padded = torch.zeros((len(raw), 4), dtype=torch.uint8)  # the high bytes of 32 bits
    padded[:, 4 - width :] = raw ^ 128 if width == 1 else raw  # 8 bits have no sign
    samples = padded.view(torch.int32).view(-1, channels)
    return samples.double().mean(1).div(2**31).float(), rate


def _by_soundfile(path: Path, gigabytes: float, error: Exception) -> tuple[Tensor, int]:
    try:
        library: Any = importlib.import_module("soundfile")
    except (ImportError, OSError):  # the library in C may be missing alone
        raise InputError(
            f"{path} is no wav file of whole numbers ({str(error) or 'it ends early'}). Other recordings need "
            "soundfile: pip install soundfile, or archwright[audio]. Or convert it, such as with ffmpeg."
        ) from error
    try:
        with library.SoundFile(str(path)) as file:
            rate = int(file.samplerate)
            _check_size(path, file.frames * file.channels, rate, gigabytes)
            samples = torch.from_numpy(file.read(dtype="float32", always_2d=True))
    except (OSError, RuntimeError) as failure:  # what soundfile raises for a damaged file is a RuntimeError
        raise InputError(f"the recording {path} cannot be decoded: {failure}") from failure
    return samples.mean(1), rate


def _check_size(path: Path, values: int, rate: int, gigabytes: float) -> None:
    if values < 1 or not _SLOWEST <= rate <= _FASTEST:
        raise InputError(f"{path} holds {values} samples, {rate} per second: it is empty or damaged.")
    if 4 * values > gigabytes / 16 * 1e9:
        raise InputError(
            f"{path} has {values:,} samples; one recording may take a sixteenth of {limit_text(gigabytes)}"
        )


def read_at(path: Path, rate: int, gigabytes: float = GIGABYTES) -> Tensor:
    """Return a recording as `read_recording` does, at a rate; there it may take a sixteenth of the limit, too.

    Raises:
        InputError: The file cannot be read, or takes too much memory.
    """
    samples, found = read_recording(path, gigabytes)
    if 4 * len(samples) * rate > gigabytes / 16 * 1e9 * found:
        raise InputError(
            f"{path} has {len(samples) * rate // found:,} samples at {rate} per second; one recording may take a "
            f"sixteenth of {limit_text(gigabytes)}"
        )
    return resampled(samples, found, rate)


def resampled(samples: Tensor, rate: int, wanted: int) -> Tensor:
    """Return a recording (samples,) at another rate, by a sinc under a Hann window.

    Example:
        >>> resampled(torch.zeros(441), 44100, 8000).shape
        torch.Size([80])
    """
    if rate == wanted:
        return samples
    ratio = wanted / rate
    passed = _PASSED * min(1.0, ratio)
    half = math.ceil(_CROSSINGS / passed)
    padded = nn.functional.pad(samples, (half, half + 1))
    count, step = math.ceil(len(samples) * ratio), max(1, _BLOCK // (2 * half))
    found = []
    for start in range(0, count, step):
        places = torch.arange(start, min(start + step, count)).double() / ratio
        taps = places.floor().long()[:, None] + torch.arange(1 - half, half + 1)
        away = (places[:, None] - taps).float()
        weights = passed * torch.sinc(passed * away) * torch.cos(math.pi / 2 * away / half).square()
        found.append((padded[taps + half] * weights).sum(1))
    return torch.cat(found)


def fitted(samples: Tensor, length: int) -> Tensor:
    """Return a recording (samples,) in a length: with zeros on both sides, or without its ends.

    Example:
        >>> fitted(torch.ones(2), 5), fitted(torch.arange(5), 3)
        (tensor([0., 1., 1., 0., 0.]), tensor([1, 2, 3]))
    """
    missing = length - len(samples)
    return nn.functional.pad(samples, (missing // 2, missing - missing // 2))
