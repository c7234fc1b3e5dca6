"""Language models: files, metrics, baselines, and networks that write."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from tests.processes import run_alone

import archwright as aw
from archwright.datasets import Continuation, InputError, LanguagePreprocess, Part, preprocess_from_json
from archwright.errors import DataError, EvaluationError
from archwright.export import export_network
from archwright.tasks import fit_within
from archwright.tasks._language import Perplexity

TEXT = "the cat sat on the mat. the dog sat on the log. " * 40


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "story.txt"
    path.write_text(TEXT)
    return path


def test_a_text_is_recognised_and_split_in_order(file: Path) -> None:
    task = aw.task(file, length=16)
    assert task.told[0].startswith("task: language, because story.txt holds a text")
    assert task.preprocess.vocabulary[0] == " "
    read = "".join(task.preprocess.text(row) for row in task.train.inputs.tolist())
    assert TEXT.startswith(read)
    assert len(read) > 0.75 * len(TEXT)
    assert torch.equal(task.train.inputs[:, 1:], task.train.targets[:, :-1])
    assert task.preprocess.text(task.test.inputs[0].tolist()) == TEXT[round(0.9 * len(TEXT)) :][:16]
    assert torch.equal(aw.task(**task.spec).test.targets, task.test.targets)
    assert preprocess_from_json(json.loads(json.dumps(task.preprocess.to_json()))) == task.preprocess


def test_words_and_files_of_their_own(file: Path, tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text("the bird sat on the mat. " * 9)
    task = aw.task(file, "language", unit="words", length=8, test_file=str(tmp_path / "test.txt"))
    assert set(task.preprocess.vocabulary) == {"the", "cat", "sat", "on", "mat", "dog", "log", "."}
    assert (task.test.inputs == 0).any()  # the bird
    assert task.preprocess.text([1, 0]).endswith("\ufffd")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, r"story\.txt is empty"),
        ("too short", {}, r"the training part of .*story\.txt has 7 characters, and a sequence 128"),
        (TEXT, {"unit": "letters"}, "unit must be one of characters, words, not 'letters'"),
        (TEXT, {"length": 0}, "length=0 must be a whole number of tokens, 1 or more"),
        (TEXT, {"length": 10**9}, "length=1000000000 must be a whole number of tokens"),
        (TEXT, {"length": "abc"}, "length='abc' must be a whole number"),
        (b"\xff\xfe\xfa", {}, r"story\.txt cannot be read as a text in UTF-8"),
    ],
)
def test_what_cannot_be_used_is_said(file: Path, text, options, message: str) -> None:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises((DataError, EvaluationError, InputError), match=message):
        aw.task(file, **options)


def test_files_are_found_again_from_another_folder(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    (file.parent / "test.txt").write_text(TEXT)
    task = aw.task("story.txt", length=16, test_file="test.txt")
    monkeypatch.chdir("/")
    assert torch.equal(aw.task(**task.spec).test.targets, task.test.targets)


def test_a_perplexity_that_is_not_defined_is_null_in_json() -> None:
    found = Continuation(None, 0, "t", "o be", math.nan).to_json()
    assert json.loads(json.dumps(found, allow_nan=False))["perplexity"] is None
    assert Continuation(None, 0, "to", " be", 3.5).to_json()["perplexity"] == 3.5


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([-1, -1, -1], "a text ends with a token of 0 or more"),
        ([1, -1, 2], "-1 was given behind its beginning"),
        ([1, -2, 2], "tokens are 0 to 2, or -1 before a short text; -2 to 2 were given"),
        ([1, 2, 3], "1 to 3 were given"),
        ([1.0, 2.0, 2.0], r"whole numbers of shape \(n, 3\), not torch.float32 of shape \(1, 3\)"),
    ],
)
def test_tokens_are_checked(tokens: list[int], message: str) -> None:
    preprocess = LanguagePreprocess("characters", ("a", "b"), 3)
    preprocess.batch(torch.tensor([[-1, 0, 2], [1, 1, 1]]))
    with pytest.raises(InputError, match=message):
        preprocess.batch(torch.tensor([tokens]))


def test_the_metrics_of_known_scores() -> None:
    scores = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]]).log()
    meter = Perplexity()
    meter.update(scores, torch.tensor([[0, 0]]))
    found = meter.compute()
    mean = -(math.log(0.5) + math.log(0.1)) / 2
    assert found["perplexity"] == pytest.approx(math.exp(mean))
    assert found["bits"] == pytest.approx(mean / math.log(2))
    assert found["accuracy"] == 0.5


def test_the_baseline_is_that_of_witten_and_bell(file: Path) -> None:
    task = aw.task(file, length=16)
    (method,) = task.baselines
    assert method.name == "5-grams"
    fitted = fit_within(task, method, seconds=20)
    assert fitted.metrics["bits"] < 1
    part = Part(torch.tensor([[1, 2, 1, 2]]), torch.tensor([[2, 1, 2, 1]]))
    shares = task.baselines[0].fit(part, 1.0)(torch.tensor([[1, 3]])).exp()
    assert torch.allclose(shares.sum(-1), torch.ones(1, 2), atol=1e-4)
    # After "1" came only "2", twice: (2 + 1 × p(2)) / 3, with p(2) = (2 + 2 / tokens) / (5 + 2).
    least = (2 + 2 / task.tokens) / 7
    assert shares[0, 0, 2].item() == pytest.approx((2 + least) / 3, rel=1e-4)


@pytest.mark.parametrize("place", range(5))
def test_no_token_depends_on_later_ones(place: int) -> None:
    space = aw.spaces.create("language", input_shape=(12,), vocabulary=20)
    network = space.build(aw.spaces.starts(space)[place]).eval()
    tokens = torch.randint(1, 20, (2, 12))
    other = tokens.clone()
    other[:, 7:] = (other[:, 7:] + 5) % 20
    first, second = network(tokens), network(other)
    assert torch.allclose(first[:, :7], second[:, :7], atol=1e-5)
    assert not torch.allclose(first[:, 7:], second[:, 7:], atol=1e-5)
    assert torch.allclose(network(tokens[:, :5]), first[:, :5], atol=1e-5)


def test_a_network_is_searched_and_writes(file: Path, tmp_path: Path) -> None:
    task = aw.task(file, length=16)
    space = aw.spaces.create("language", **task.space_options, widths=(16,), layers=(1, 1))
    training, start = aw.Training(task, epochs=1, final_epochs=1), aw.spaces.starts(space)[:1]
    options = {"budget": aw.Budget(trials=1), "path": tmp_path / "run", "baseline": False}
    study = aw.search(space, training, strategy="random", starts=start, **options)
    assert {"test_perplexity", "test_bits", "test_accuracy"} <= study.test.keys()
    (found,) = study.predict(file)
    assert isinstance(found, Continuation)
    assert found.prompt == TEXT[-16:]
    assert len(found.text) == 100
    (again,) = study.predict([{"text": TEXT}])
    assert again.text == found.text
    # The file is compared with the network, in batches of several sizes, before it is kept.
    export_network(tmp_path / "run", tmp_path / "network", space=study.space, onnx=True)
    assert (tmp_path / "network" / "model.onnx").stat().st_size > 0
    done = run_alone(tmp_path / "network" / "predict.py", file, "--json")
    (told,) = json.loads(done.stdout)["predictions"]
    assert told["text"] == found.text
    assert told["perplexity"] == pytest.approx(found.perplexity, rel=1e-3)
