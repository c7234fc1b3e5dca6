"""Speech recognition: error rates, the CTC loss, and from files to a network that is shipped."""

from __future__ import annotations

import ast
import json
import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.processes import run_alone
from tests.sounds import tone, write_wav, write_words
from torchmetrics.functional.text import char_error_rate, word_error_rate

import archwright as aw
from archwright.datasets import AudioPreprocess, SpeechPreprocess
from archwright.errors import DataError, EvaluationError
from archwright.export import export_network
from archwright.export._preprocess import preprocess_files
from archwright.tasks import SpeechRecognition
from archwright.tasks._speech_recognition import ErrorRates, _ctc_loss, edits

CHARACTERS = (" ", "a", "b")
TEXTS = st.text("ab ", min_size=1, max_size=8).filter(str.strip)


def scores_of(text, frames):
    """Return scores whose best classes spell a text: a blank after each character."""
    classes = [one for each in text for one in (CHARACTERS.index(each) + 1, 0)]
    return torch.eye(4)[classes + [0] * (frames - len(classes))].T


def targets_of(texts):
    rows = [torch.tensor([CHARACTERS.index(each) + 1 for each in text]) for text in texts]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0), ("flaw", "lawn", 2)],
)
def test_the_edits_between_words(one, other, wanted):
    assert edits(one, other) == edits(other, one) == wanted


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_error_rates_agree_with_torchmetrics(pairs):
    found, texts = zip(*pairs, strict=True)
    rates = ErrorRates(CHARACTERS)
    for one, other in pairs:
        rates.update(scores_of(one, 20)[None], targets_of([other]))
    assert rates.compute() == pytest.approx(
        {"wer": float(word_error_rate(found, texts)), "cer": float(char_error_rate(found, texts))}
    )


def test_the_loss_is_that_of_all_alignments():
    scores = torch.randn(1, 4, 2, generator=torch.Generator().manual_seed(0))
    blank, letter = scores.softmax(1)[0, 0], scores.softmax(1)[0, 2]
    likely = letter[0] * letter[1] + letter[0] * blank[1] + blank[0] * letter[1]
    assert float(_ctc_loss(scores, torch.tensor([[2, 0, 0]]))) == pytest.approx(-math.log(likely), rel=1e-5)


def test_outputs_are_checked():
    part = aw.datasets.Part(torch.rand(4, 800), targets_of(["aab", "a", "b", "ab"]))
    task = SpeechRecognition(part, part, part, CHARACTERS, rate=8000)
    task.check_outputs(torch.zeros(3, 4, 4), 3)
    with pytest.raises(EvaluationError, match=r"expected is shape \(3, 4, frames\)"):
        task.check_outputs(torch.zeros(3, 5, 4), 3)
    with pytest.raises(EvaluationError, match="3 frames, and the longest text needs 4"):
        task.check_outputs(torch.zeros(3, 4, 3), 3)
    assert task.decode(torch.stack([scores_of("aab", 9), scores_of(" b", 9)])) == ["aab", " b"]


def test_a_folder_without_texts_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no texts of recordings"):
        aw.task(tmp_path, "speech-recognition")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("words")
    write_words(root, 30)
    return root


def test_a_search_and_its_network_alone(folder, tmp_path):
    task = aw.task(folder)
    assert isinstance(task, SpeechRecognition)
    assert task.characters == (" ", "a", "b", "c")
    assert [len(part) for part in (task.train, task.validation, task.test)] == [21, 3, 6]
    assert torch.equal(aw.task(**task.spec).train.targets, task.train.targets)
    space = aw.spaces.create("speech", **task.space_options, widths=(8,), blocks=(1, 1))
    training = aw.Training(task, epochs=1, final_epochs=1)
    found = aw.search(space, training, budget=aw.Budget(trials=1), strategy="random", path=tmp_path / "run")
    assert {"test_wer", "test_cer", "test_loss"} <= set(found.test)
    export_network(tmp_path / "run", tmp_path / "network", space=space, onnx=True)
    files = sorted(map(str, folder.glob("*.wav")))[:5]
    here = [each.text for each in aw.load(tmp_path / "run").predict(files)]
    done = run_alone(tmp_path / "network" / "predict.py", *files, "--json")
    assert [each["text"] for each in json.loads(done.stdout)["predictions"]] == here


def test_the_script_needs_nothing_but_torch(tmp_path):
    preprocess = SpeechPreprocess(AudioPreprocess(CHARACTERS, 8000, 800))
    source = preprocess_files(preprocess)["predict.py"].decode()
    names = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert len(names) == len(set(names))
    (tmp_path / "predict.py").write_text(source)
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E9,F", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_recording_that_is_too_long_is_refused(folder):
    preprocess = SpeechPreprocess(AudioPreprocess(CHARACTERS, 8000, 100))
    ((_, error),) = preprocess.read(next(folder.glob("*.wav")))
    assert "the network takes up to 0.0125 s" in str(error)


def test_a_text_that_is_too_long_is_refused_with_its_recording(tmp_path):
    for number in range(12):
        write_wav(tmp_path / f"{number}.wav", tone(300.0, 0.5))
        (tmp_path / f"{number}.txt").write_text("no " * (30 if number == 7 else 3))
    with pytest.raises(DataError, match=r"text of .*7\.wav has 89 characters, more than 50 for each second .* 0\.5 s"):
        aw.task(tmp_path)
