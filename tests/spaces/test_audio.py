"""Networks on waveforms: the spectrogram, published sizes, and scores for classes and frames."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from archwright import spaces
from archwright.errors import SpaceError
from archwright.space import Space
from archwright.spaces import LogMel
from archwright.spaces._audio import SpectrumMask


def test_the_filters_are_those_of_another_library() -> None:
    audio_utils = pytest.importorskip("transformers.audio_utils", reason="the referee is in transformers")
    bank = audio_utils.mel_filter_bank(129, 40, 0.0, 4000.0, 8000, norm=None, mel_scale="htk")
    torch.testing.assert_close(LogMel(40, 8000).filters(), torch.tensor(bank.T).float(), atol=1e-4, rtol=0)


def test_a_tone_is_in_its_band() -> None:
    wave = torch.sin(2 * math.pi * 1000 * torch.arange(4000) / 8000)[None]
    layer = LogMel(40, 8000)
    bands = layer(wave)
    assert bands.shape == (1, 40, 1 + (4000 - 256) // 80)
    highest = layer.filters()[:, 32].argmax()  # 1,000 Hz is frequency 32 of 8000 / 256 Hz each
    assert (bands.argmax(1) == highest).all()


@pytest.mark.parametrize("normalise", ["utterance", "bins"])
def test_loudness_and_padding_change_nothing(normalise: str) -> None:
    layer = LogMel(20, 8000, normalise)
    noise = torch.randn(2, 3200, generator=torch.Generator().manual_seed(0))
    bands = layer(noise)
    torch.testing.assert_close(layer(noise / 4), bands, atol=2e-3, rtol=0)
    padded = layer(torch.cat([torch.zeros(2, 800), noise, torch.zeros(2, 800)], 1))
    assert not padded[:, :, :6].any()
    assert not padded[:, :, -6:].any()
    axes = (1, 2) if normalise == "utterance" else (2,)
    torch.testing.assert_close(bands.mean(axes), torch.zeros_like(bands.mean(axes)), atol=1e-4, rtol=0)


def test_silence_is_zero() -> None:
    assert not LogMel(20, 8000)(torch.zeros(2, 800)).any()


def test_masks_are_bands_of_zeros_in_training_alone() -> None:
    layer, ones = SpectrumMask(0.5), torch.ones(64, 10, 20)
    assert layer.eval()(ones) is ones
    torch.manual_seed(0)
    masked = layer.train()(ones)
    hidden = masked.eq(0)
    whole_rows, whole_columns = hidden.all(2), hidden.all(1)
    assert torch.equal(hidden, whole_rows[:, :, None] | whole_columns[:, None, :])
    assert 0 < whole_rows.float().mean() < 0.5
    assert whole_columns.sum(1).max() <= 11


def residual(space: Space, blocks: int) -> dict[str, object]:
    plain = {"bins": 40, "normalise": "bins", "mask": 0.0, "width": 16, "kernel": 9, "block": "residual"}
    plain |= {f"stage_{index}.blocks": blocks for index in range(3)}
    return dict(space.canonical({**plain, "recurrent": "none", "dropout": 0.0}))


def test_the_published_networks_are_in_the_space() -> None:
    space = spaces.create("audio", input_shape=(16000,), rate=16000, classes=12)
    sizes = [sum(each.numel() for each in space.build(residual(space, blocks)).parameters()) for blocks in (1, 2)]
    assert sizes[0] == 65_180  # TC-ResNet8: 66 thousand
    assert sizes[1] == pytest.approx(137_000, rel=0.05)  # TC-ResNet14: 137 thousand


def test_known_designs_belong_to_the_spaces() -> None:
    for name in ("audio", "speech"):
        space = spaces.create(name)
        found = spaces.starts(space)
        assert len(found) == 3
        assert all(each in space for each in found)
        assert found[2]["recurrent"] == "gru"


@pytest.mark.parametrize("name", ["audio", "speech"])
@pytest.mark.parametrize("seed", range(3))
def test_networks_score_classes_or_frames(name: str, seed: int) -> None:
    space = spaces.create(name, input_shape=(4001,), classes=3)
    network = space.build(space.sample(np.random.default_rng(seed))).eval()
    scores = network(torch.rand(2, 4001) - 0.5)
    assert scores.shape == ((2, 3) if name == "audio" else (2, 3, 24))


@pytest.mark.parametrize(
    "options",
    [{"rate": 10}, {"widths": (15,)}, {"widths": ()}, {"blocks": (0, 1)}, {"blocks": (2, 1)}, {"input_shape": (100,)}],
    ids=str,
)
def test_options_out_of_range_are_named(options: dict[str, object]) -> None:
    (name,) = options
    with pytest.raises(SpaceError, match=rf"space 'audio'.*\b{name}"):
        spaces.create("audio", **options)
