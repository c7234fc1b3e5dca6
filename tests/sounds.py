"""Recordings for tests: tones, written as wav files."""

from __future__ import annotations

import math
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

RATE = 8000
LETTERS = {"a": 400.0, "b": 900.0, "c": 2000.0}
"""Tones that stand for what is spoken, in hertz."""


def tone(frequency: float, seconds: float = 0.12, *, rate: int = RATE, loud: float = 0.5) -> np.ndarray:
    """Return a tone that swells and fades."""
    time = np.arange(round(seconds * rate)) / rate
    return loud * np.sin(2 * math.pi * frequency * time) * np.sin(math.pi * time / seconds)


def write_wav(path: Path, samples: np.ndarray, *, rate: int = RATE, bits: int = 16, channels: int = 1) -> Path:
    """Write samples within -1..1, the same in each channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = np.clip(np.round(np.repeat(samples, channels) * 2 ** (bits - 1)), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    stored = whole.astype("<i8") + (128 if bits == 8 else 0)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, bits // 8, rate, len(samples), "NONE", ""))
        file.writeframes(stored.view(np.uint8).reshape(-1, 8)[:, : bits // 8].tobytes())
    return path


def write_speakers(folder: Path, speakers: Sequence[str], count: int) -> None:
    """Write LETTER_SPEAKER_NUMBER.wav: each speaker has another pitch, each recording another length."""
    rng = np.random.default_rng(0)
    for place, speaker in enumerate(speakers):
        for letter, frequency in LETTERS.items():
            for number in range(count):
                samples = tone(frequency * (1 + 0.05 * place), 0.1 + 0.05 * rng.random())
                write_wav(folder / f"{letter}_{speaker}_{number}.wav", samples)


def write_words(folder: Path, count: int) -> None:
    """Write recordings of two or three tones, and a table of what they spell."""
    rng = np.random.default_rng(1)
    rows = ["file,text"]
    for number in range(count):
        text = "".join(rng.choice(list("abc "), 3)).strip() or "a"
        samples = np.concatenate([tone(LETTERS.get(one, 0.0)) for one in text])
        rows.append(f"{write_wav(folder / f'{number}.wav', samples).name},{text}")
    (folder / "texts.csv").write_text("\n".join(rows) + "\n")
