"""Recordings are read as they were written; names tell classes and speakers; transcripts are found."""

from __future__ import annotations

import json
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.sounds import RATE, tone, write_wav

from archwright.datasets import (
    AudioPreprocess,
    InputError,
    by_speaker,
    find_recordings,
    find_transcripts,
    preprocess_from_json,
    read_recordings,
)
from archwright.datasets._audio import read_recording, resampled
from archwright.datasets._recordings import compiled
from archwright.errors import DataError


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_wav_file_is_read_as_it_was_written(tmp_path, bits, channels):
    samples = np.array([0.0, 0.5, -0.5, -1.0, 0.123])
    read, rate = read_recording(write_wav(tmp_path / "a.wav", samples, bits=bits, channels=channels, rate=11025))
    assert rate == 11025
    assert read.dtype == torch.float32
    assert read.numpy() == pytest.approx(samples, abs=2.0 ** (1 - min(bits, 24)))


def test_the_channels_of_a_recording_are_averaged(tmp_path):
    path = write_wav(tmp_path / "a.wav", np.array([0.5, -0.25]))
    content = bytearray(path.read_bytes())
    content[22:24], content[32:34] = b"\x02\x00", b"\x04\x00"  # the same two samples as one of two channels
    path.write_bytes(content)
    assert read_recording(path)[0].tolist() == [0.125]


@pytest.mark.parametrize(("rate", "wanted"), [(44100, 8000), (8000, 16000), (11025, 8000), (8000, 8000)])
def test_a_resampled_tone_is_the_tone_at_the_other_rate(rate, wanted):
    def sine(each):
        return torch.sin(2 * math.pi * 440 * torch.arange(each // 2) / each)

    found = resampled(sine(rate), rate, wanted)
    assert len(found) == math.ceil(len(sine(rate)) * wanted / rate)
    middle = slice(wanted // 10, wanted // 3)
    torch.testing.assert_close(found[middle], sine(wanted)[middle], atol=2e-3, rtol=0)


def test_what_is_above_half_the_rate_is_taken_out():
    high = torch.sin(2 * math.pi * 6000 * torch.arange(8000) / 16000)
    assert resampled(high, 16000, 8000)[500:-500].abs().max() < 0.01


def test_a_recording_of_a_far_higher_rate_is_resampled_in_blocks():
    found = resampled(torch.ones(200_000), 1_000_000, 1_000)
    assert len(found) == 200
    torch.testing.assert_close(found[30:170], torch.ones(140), atol=1e-2, rtol=0)


def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    path = write_wav(tmp_path / "a.wav", tone(440))
    content = path.read_bytes()
    for text, wrong in (
        ("cut short", content[:-100]),
        ("soundfile: pip install soundfile", b"fLaC" + content),
        ("soundfile: pip install soundfile", b""),
        ("soundfile: pip install soundfile", content[:20] + b"\x03" + content[21:]),  # of floats
        ("empty or damaged", content[:40] + bytes(4)),
        ("empty or damaged", content[:24] + bytes(4) + content[28:]),
        ("1 per second: it is empty or damaged", content[:24] + b"\x01\x00\x00\x00" + content[28:]),
        ("empty or damaged", content[:24] + b"\x00\x00\x00\x70" + content[28:]),
    ):
        path.write_bytes(wrong)
        with pytest.raises(InputError, match=rf"a\.wav.*{text}"):
            read_recording(path)
    with pytest.raises(InputError, match="a folder, not a file"):
        read_recording(tmp_path)
    path.write_bytes(content)
    with pytest.raises(InputError, match="samples; one recording may take a sixteenth of the limit"):
        read_recording(path, gigabytes=1e-5)


def test_a_length_that_was_not_known_is_told_as_such(tmp_path):
    path = write_wav(tmp_path / "a.wav", tone(440))
    content = path.read_bytes()
    path.write_bytes(content[:4] + b"\xff" * 4 + content[8:40] + b"\xff" * 4 + content[44:])  # as ffmpeg into a pipe
    with pytest.raises(InputError, match=r"a\.wav is cut short: 4,294,967,294 bytes .* let them write into a file"):
        read_recording(path)


def test_other_kinds_are_read_by_soundfile(tmp_path, monkeypatch):
    class Opened:
        frames, channels, samplerate = 3, 2, 22050

        def __init__(self, path):
            assert path == str(tmp_path / "a.flac")

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def read(self, dtype, always_2d):
            assert dtype == "float32"
            assert always_2d
            return np.array([[0, 1], [0.5, 0.5], [-1, 0]], dtype=np.float32)

    monkeypatch.setitem(sys.modules, "soundfile", SimpleNamespace(SoundFile=Opened))
    (tmp_path / "a.flac").write_bytes(b"fLaC")
    read, rate = read_recording(tmp_path / "a.flac")
    assert (read.tolist(), rate) == ([0.5, 0.5, -0.5], 22050)


def test_recordings_are_brought_to_one_rate_and_length(tmp_path):
    paths = [write_wav(tmp_path / f"{place}.wav", tone(440, 0.1)) for place in range(19)]
    paths.append(write_wav(tmp_path / "long.wav", tone(440, 1.0)))
    paths.append(write_wav(tmp_path / "fast.wav", tone(440, 0.1, rate=16000), rate=16000))
    waves, rate, told = read_recordings(paths)
    assert (tuple(waves.shape), rate) == ((21, 800), RATE)
    assert [line.partition(":")[0] for line in told] == ["length", "rate"]
    assert "1 longer recording" in told[0]
    torch.testing.assert_close(waves[-1], waves[0], atol=5e-3, rtol=0)
    assert read_recordings(paths, longest=True)[0].shape[1] == 8000
    with pytest.raises(InputError, match=r"21 recordings of .* gigabytes or more take more than the limit"):
        read_recordings(paths, gigabytes=0.001, longest=True, rate=200_000)


def test_recordings_are_limited_at_the_other_rate_before_they_take_memory(tmp_path, monkeypatch):
    path = write_wav(tmp_path / "a.wav", tone(440, 1.0))
    for module in ("_audio", "_recordings"):
        monkeypatch.setattr(f"archwright.datasets.{module}.resampled", None)
    ((_, error),) = AudioPreprocess(("no", "yes"), 800_000, 10).read(path, gigabytes=0.01)
    assert "a.wav has 800,000 samples at 800000 per second; one recording may take a sixteenth" in str(error)
    with pytest.raises(InputError, match=r"1 recordings of 0\.0032 gigabytes or more take more than the limit"):
        read_recordings([path], rate=800_000, gigabytes=0.001)


@pytest.mark.parametrize(
    ("pattern", "stem", "wanted"),
    [
        ("{label}_{speaker}_{}", "7_anna_12", {"label": "7", "speaker": "anna"}),
        ("{speaker}_nohash_{}", "0a7c_nohash_1", {"speaker": "0a7c"}),
        ("{}-{label}", "take.1-yes", {"label": "yes"}),
    ],
)
def test_names_are_read_by_a_pattern(pattern, stem, wanted):
    assert compiled(pattern).fullmatch(stem).groupdict() == wanted


@pytest.mark.parametrize("pattern", ["{name}_{}", "{label}_{label}", "{}", ""])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(DataError, match="pattern="):
        compiled(pattern)


def test_folders_of_recordings(tmp_path):
    for part in ("train", "val", "test"):
        for name in ("no", "yes"):
            write_wav(tmp_path / part / name / "ann_nohash_0.wav", tone(440))
    found = find_recordings(tmp_path, "{speaker}_nohash_{}")
    assert set(found) == {"train", "validation", "test"}
    assert [(each.label, each.speaker) for each in found["test"]] == [("no", "ann"), ("yes", "ann")]
    with pytest.raises(DataError, match=r"ann_nohash_0.wav does not follow '{label}-{}'"):
        find_recordings(tmp_path, "{label}-{}")
    with pytest.raises(DataError, match="is no folder"):
        find_recordings(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no recordings"):
        find_recordings(tmp_path / "empty")
    write_wav(tmp_path / "mixed" / "a_b_c.wav", tone(440))
    assert find_recordings(tmp_path / "mixed")[""][0].speaker == "b"
    with pytest.raises(DataError, match=r"names no {label}"):
        find_recordings(tmp_path / "mixed", "{speaker}_{}")
    write_wav(tmp_path / "mixed" / "class" / "a.wav", tone(440))
    with pytest.raises(DataError, match=r"a_b_c.wav beside its class folders"):
        find_recordings(tmp_path / "mixed")


@given(st.lists(st.sampled_from("abcdef"), min_size=2, max_size=30), st.integers(0, 5))
def test_no_speaker_is_in_two_parts(speakers, seed):
    if len(set(speakers)) < 2:
        return
    places, told = by_speaker(speakers, validation=0.1, test=0.2, seed=seed)
    voices = {part: {speakers[place] for place in held} for part, held in places.items()}
    assert sorted(place for held in places.values() for place in held) == list(range(len(speakers)))
    assert all(voices.values())
    assert sum(map(len, voices.values())) == len(set(speakers))
    assert all(f"test speaker {', '.join(sorted(voices['test']))}" in line for line in [told])


def test_test_speakers_have_to_be_some_of_the_speakers():
    for given_speakers in (["eve"], ["ann", "bob"], []):
        with pytest.raises(DataError, match=r"test_speakers=.*'ann', 'bob'"):
            by_speaker(["ann", "bob", "bob"], validation=0.1, test=0.2, seed=0, test_speakers=given_speakers)


def test_texts_are_found_in_tables_lists_and_beside_recordings(tmp_path):
    for name in ("a", "b"):
        for folder in ("table", "beside", "libri/19/198"):
            write_wav(tmp_path / folder / f"{name}.wav", tone(440))
    (tmp_path / "table" / "texts.tsv").write_text("path\tsentence\na.wav\tseven  one\nb.wav\tzwölf\n")
    (tmp_path / "beside" / "a.txt").write_text("seven one\n")
    (tmp_path / "beside" / "b.txt").write_text("zwo\u0308lf")
    (tmp_path / "libri" / "19" / "198" / "19-198.trans.txt").write_text("a seven one\nb zwölf\n")
    for folder in ("table", "beside", "libri"):
        (found,) = find_transcripts(tmp_path / folder).values()
        assert [(path.name, text) for path, text in found] == [("a.wav", "seven one"), ("b.wav", "zwölf")]
    assert find_transcripts(tmp_path) is None
    for part in ("train", "test"):
        write_wav(tmp_path / "parts" / part / "a.wav", tone(440))
        (tmp_path / "parts" / part / "a.txt").write_text(part)
    assert {part: held[0][1] for part, held in find_transcripts(tmp_path / "parts").items()} == {
        "train": "train",
        "test": "test",
    }


def test_texts_and_recordings_that_do_not_belong_together_are_named(tmp_path):
    write_wav(tmp_path / "a.wav", tone(440))
    table = tmp_path / "t.csv"
    for content, wrong in (
        ("a.wav,one\nc.wav,two\n", r"t\.csv, row 2: there is no recording .*c\.wav"),
        ("file,text\na.wav, \n", r"t\.csv, row 2: the text is empty"),
        ("file,text\na.wav,one,two\n", r"t\.csv: row 2 has 3 cells"),
    ):
        table.write_text(content)
        with pytest.raises((DataError, InputError), match=wrong):
            find_transcripts(tmp_path)
    table.unlink()
    write_wav(tmp_path / "b.wav", tone(440))
    (tmp_path / "a.txt").write_text("one")
    with pytest.raises(DataError, match=r"b\.wav has no b\.txt beside it"):
        find_transcripts(tmp_path)
    (tmp_path / "x.trans.txt").write_text("a one\nd two\n")
    with pytest.raises(DataError, match=r"x\.trans\.txt, line 2: there is no recording d"):
        find_transcripts(tmp_path)


def test_texts_stay_within_their_folder_and_their_limits(tmp_path):
    folder = tmp_path / "in"
    write_wav(folder / "a.wav", tone(440))
    write_wav(tmp_path / "b.wav", tone(440))
    for name, content, wrong in (
        ("t.csv", "a.wav,one\n../b.wav,two\n", r"t\.csv, row 2: .*b\.wav lies outside of .*in"),
        ("t.csv", f"a.wav,one\n{tmp_path / 'b.wav'},two\n", r"t\.csv, row 2: .*b\.wav lies outside of .*in"),
        ("t.csv", "a.wav,one\n./a.wav,two\n", r"t\.csv, row 2: .*a\.wav has a text already"),
        ("t.csv", f"a.wav,{'x' * 10_001}\n", r"t\.csv, row 1: the text has 10,001 characters; up to 10,000"),
        ("x.trans.txt", "a one\n../b two\n", r"x\.trans\.txt, line 2: there is no recording \.\./b"),
        ("x.trans.txt", "a one\na two\n", r"x\.trans\.txt, line 2: .*a\.wav has a text already"),
        ("a.txt", "x" * 20_000, r"a\.txt: the text has 20,000 characters"),
    ):
        (folder / name).write_text(content)
        with pytest.raises(DataError, match=wrong):
            find_transcripts(folder)
        if name != "a.txt":
            (folder / name).unlink()
    with pytest.raises(InputError, match=r"a\.txt takes, as texts in memory, more than the limit of 1e-05"):
        find_transcripts(folder, gigabytes=1e-5)
    (folder / "a.txt").write_bytes("zwölf".encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.txt, line 1: .* is not UTF-8"):
        find_transcripts(folder)


def test_cells_that_are_no_names_of_files_are_passed_over_or_named(tmp_path):
    write_wav(tmp_path / "a.wav", tone(440))
    (tmp_path / "t.csv").write_text(f"{'x' * 300},one\n")
    assert find_transcripts(tmp_path) is None
    (tmp_path / "t.csv").write_text(f"a.wav,one\n{'x' * 300},two\n")
    with pytest.raises(DataError, match=r"t\.csv, row 2: there is no recording .*xxx"):
        find_transcripts(tmp_path)
    (tmp_path / "t.csv").unlink()
    (tmp_path / "x.trans.txt").write_text(f"{'x' * 300} one\n")
    with pytest.raises(DataError, match=r"x\.trans\.txt, line 1: there is no recording xxx"):
        find_transcripts(tmp_path)


@pytest.mark.parametrize("name", ["a.txt", "x.trans.txt"])
def test_texts_of_another_encoding_are_named(tmp_path, name):
    write_wav(tmp_path / "a.wav", tone(440))
    (tmp_path / name).write_bytes("a zwölf".encode("utf-16"))
    with pytest.raises(InputError, match=rf"{name}, line 1: .* is not UTF-8"):
        find_transcripts(tmp_path)


def test_preprocessing_survives_json_and_refuses_other_waveforms():
    preprocess = AudioPreprocess(("no", "yes"), 8000, 400)
    assert preprocess_from_json(json.loads(json.dumps(preprocess.to_json()))) == preprocess
    for raw, wrong in (
        (torch.zeros(2, 300), r"\(n, 400\)"),
        (torch.zeros(400), r"\(n, 400\)"),
        (torch.full((1, 400), 20000, dtype=torch.int16), "divide those of 16 bits by 32768"),
        (torch.full((1, 400), 9.0), "within -1..1"),
        (torch.full((1, 400), math.nan), "NaN"),
    ):
        with pytest.raises(InputError, match=wrong):
            preprocess.batch(raw)
    for changed in ({"rate": 0}, {"length": 2**40}, {"classes": []}, {"rate": "8000"}):
        with pytest.raises(InputError):
            preprocess_from_json({**preprocess.to_json(), **changed})
