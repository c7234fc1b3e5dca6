"""Speech commands: from files to a network that is shipped with its preprocessing."""

from __future__ import annotations

import json
import math

import pytest
import torch
from tests.processes import run_alone
from tests.sounds import LETTERS, tone, write_speakers, write_wav

import archwright as aw
from archwright.errors import DataError, EvaluationError
from archwright.export import export_network
from archwright.tasks import SpeechCommands, fit_within
from archwright.tasks._waves import moved, noise


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("tones")
    write_speakers(root, ["ann", "bob", "eve", "joe"], 4)
    return root


def generator():
    return torch.Generator().manual_seed(0)


def test_recordings_are_split_by_speaker(folder):
    task = aw.task(folder)
    assert isinstance(task, SpeechCommands)
    assert task.classes == tuple(LETTERS)
    assert [len(part) for part in (task.train, task.validation, task.test)] == [24, 12, 12]
    assert [line.partition(" ")[0] for line in task.told] == ["task:", "length:", "split:"]
    again = aw.task(**task.spec)
    assert torch.equal(again.test.inputs, task.test.inputs)
    eve = aw.task(folder, "speech-commands", test_speakers="eve")
    joe = aw.task(folder, "speech-commands", test_speakers=["joe"])
    assert "test speaker eve" in eve.told[-1]
    assert not torch.equal(eve.test.inputs, joe.test.inputs)
    assert torch.equal(aw.task(**eve.spec).test.inputs, eve.test.inputs)


@pytest.mark.parametrize("flat", [True, False])
def test_stray_files_make_no_other_task(folder, tmp_path, flat):
    for path in folder.iterdir():
        label, rest = path.stem.split("_", 1)
        place = tmp_path / (path.name if flat else f"{label}/{rest}.wav")
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(path.read_bytes())
        last = place
    for name in (last.with_suffix(".txt"), tmp_path / "notes.txt", *([] if flat else [tmp_path / "notes.csv"])):
        name.write_bytes("who,spoke\nJosé,müde\n".encode("latin-1"))
    task = aw.task(tmp_path)
    assert isinstance(task, SpeechCommands)
    assert task.classes == tuple(LETTERS)


def test_one_speaker_is_said(tmp_path):
    write_speakers(tmp_path, ["ann"], 10)
    task = aw.task(tmp_path, "speech-commands")
    assert "one speaker, ann" in task.told[-1]
    assert [len(part) for part in (task.train, task.validation, task.test)] == [21, 3, 6]
    with pytest.raises(DataError, match="test_speakers needs recordings of several speakers"):
        aw.task(tmp_path, "speech-commands", test_speakers="ann")


def test_classes_that_cannot_be_learned_are_named(tmp_path):
    write_wav(tmp_path / "a_ann_0.wav", tone(440))
    with pytest.raises(DataError, match="one class, 'a'"):
        aw.task(tmp_path, "speech-commands")
    for name in ("a_ann_1", "b_ann_0", "b_ann_1", "c_bob_0"):
        write_wav(tmp_path / f"{name}.wav", tone(440))
    with pytest.raises(DataError, match=r"c_bob_0.wav is of class 'c', of which there is no training recording"):
        aw.task(tmp_path, "speech-commands", test_speakers="bob")
    with pytest.raises(EvaluationError, match="'speech-commands' has no option 'speakers'"):
        aw.task(tmp_path, "speech-commands", speakers="bob")


def test_cepstra_of_another_voice_are_told_apart(folder):
    task = aw.task(folder)
    for method in task.baselines:
        fitted = fit_within(task, method, seconds=30)
        assert fitted.metrics["accuracy"] >= 0.9
        assert fitted.metrics["test_accuracy"] >= 0.9


def test_two_classes_have_a_baseline_too(folder):
    task = aw.task(folder)
    few = task.train.select(torch.arange(len(task.train))[task.train.targets < 2])
    for method in task.baselines:
        outputs = method.fit(few, 1.0)(few.inputs)
        task.check_outputs(outputs, len(few))
        assert torch.equal(outputs.argmax(1), few.targets)


def test_speed_changes_the_pitch():
    wave = torch.sin(2 * math.pi * 1000 * torch.arange(8000) / 8000).repeat(20, 1)
    found = moved(wave, generator(), shift=False)
    peaks = torch.fft.rfft(found).abs().argmax(1)  # hertz
    assert 840 <= peaks.min() < 950
    assert 1050 < peaks.max() <= 1160


def test_shifts_move_the_recording_and_bring_in_zeros():
    wave = torch.arange(1.0, 101.0).repeat(30, 1)
    for found in moved(wave, generator(), speed=False):
        steps = round(float(found[50] - wave[0, 50]))
        assert abs(steps) <= 10
        inside = slice(max(0, -steps), 100 - max(0, steps))
        torch.testing.assert_close(found[inside], wave[0, inside] + steps, atol=1e-3, rtol=0)
        assert int((found.abs() < 1e-3).sum()) == abs(steps)


def test_noise_has_its_level_and_leaves_padding_alone():
    wave = torch.zeros(50, 4000)
    wave[:, 1000:3000] = torch.sin(torch.arange(2000.0))
    added = noise(wave, generator()) - wave
    assert not added[:, :1000].any()
    assert not added[:, 3000:].any()
    decibels = 10 * (added[:, 1000:3000].square().mean(1) / wave[:, 1000:3000].square().mean(1)).log10()
    assert -41 < decibels.min() < -35
    assert -15 < decibels.max() < -9
    assert len(torch.unique(added[:, 2000])) == 50  # each has a noise of its own


def test_augmentation_is_what_was_asked_for(folder):
    task = aw.task(folder)
    inputs, targets = task.train.at(slice(0, 8))
    assert torch.equal(task.augment(inputs, targets, (), generator())[0], inputs)
    for name in task.augmentations:
        changed, same = task.augment(inputs, targets, (name,), generator())
        assert changed.shape == inputs.shape
        assert not torch.equal(changed, inputs)
        assert torch.equal(same, targets)


@pytest.fixture(scope="module")
def study(folder, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    space = aw.spaces.create("audio", **aw.task(folder).space_options, widths=(8,), blocks=(1, 1))
    training = aw.Training(aw.task(folder), epochs=2, final_epochs=12)
    return aw.search(space, training, budget=aw.Budget(trials=1), strategy="random", path=run), run


def test_the_exported_network_gives_the_same_for_files_alone(folder, study, tmp_path):
    found, run = study
    export_network(run, tmp_path / "network", space=found.space, onnx=True)
    files = sorted(map(str, folder.glob("?_eve_*.wav")))
    files.append(str(write_wav(tmp_path / "fast.wav", tone(900, rate=16000), rate=16000)))
    here = [each.label for each in aw.load(run).predict(files)]
    done = run_alone(tmp_path / "network" / "predict.py", *files, "--json")
    assert [each["label"] for each in json.loads(done.stdout)["predictions"]] == here


def test_an_ensemble_and_the_metrics_are_those_of_classification(study):
    found, _ = study
    assert {"test_accuracy", "test_f1", "test_loss"} <= set(found.test)
