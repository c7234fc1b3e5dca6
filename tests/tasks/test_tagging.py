"""Sequence labelling: spans, reading, and a search from files to predictions."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.processes import run_alone

import archwright as aw
from archwright.datasets import (
    InputError,
    Noted,
    TagPreprocess,
    Tags,
    holds_tags,
    load_preprocess,
    preprocess_from_json,
    read_tags,
    shape_of,
    spans,
)
from archwright.errors import DataError
from archwright.export import export_network
from archwright.tasks import SpanF1, Tagging, fit_within

NAMES, PLACES, PLAIN = ("Ann", "Bob", "Cleo"), ("Oslo", "Rome", "Lima"), ("goes", "runs", "walks", "today", "slowly")


def sentences(count: int, seed: int = 0) -> str:
    """Return sentences of a name of two words and a place behind "to"; `May` may be either."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        place = draw.choice((*PLACES, "May"))
        rows = [(draw.choice(NAMES), "B-PER"), ("May", "I-PER"), (draw.choice(PLAIN), "O"), ("to", "O")]
        rows += [(place, "B-LOC"), *((draw.choice(PLAIN), "O") for _ in range(draw.randrange(3)))]
        found.append("".join(f"{token} x {tag}\n" for token, tag in rows))
    return "\n".join(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tags")
    for part, count in (("train", 60), ("dev", 20), ("test", 20)):
        (root / f"{part}.conll").write_text(sentences(count, len(part)))
    return root


# ---------------------------------------------------------------------- spans and metrics


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        ("B-PER I-PER O B-LOC", {(0, 1, "PER"), (3, 3, "LOC")}),  # IOB2
        ("I-PER I-PER B-PER O I-LOC", {(0, 1, "PER"), (2, 2, "PER"), (4, 4, "LOC")}),  # IOB1
        ("B-PER I-LOC", {(0, 0, "PER"), (1, 1, "LOC")}),  # another kind begins a span
        ("S-PER B-LOC I-LOC E-LOC S-LOC", {(0, 0, "PER"), (1, 3, "LOC"), (4, 4, "LOC")}),  # IOBES
        ("U-PER B-LOC L-LOC I-LOC", {(0, 0, "PER"), (1, 2, "LOC"), (3, 3, "LOC")}),  # BILOU
        ("B-PER B-PER", {(0, 0, "PER"), (1, 1, "PER")}),
        ("O O", set()),
        ("NOUN VERB", set()),
        ("", set()),
    ],
)
def test_spans_are_those_of_conlleval(tags: str, wanted: set[tuple[int, int, str]]) -> None:
    assert spans(tags.split()) == wanted


def scored(tags: list[list[int]], count: int) -> torch.Tensor:
    return torch.eye(count)[torch.tensor(tags)]


def test_f1_is_that_of_whole_spans_over_all_sentences() -> None:
    names = ("O", "B-PER", "I-PER", "B-LOC")
    true = torch.tensor([[1, 2, 0, 3, -100], [0, 3, 0, 0, 1]])
    guess = [[1, 2, 0, 0, 3], [0, 3, 3, 0, 1]]  # of 4 true spans 3 are found, and 1 is made up
    meter = SpanF1(names)
    meter.update(scored(guess, 4)[:1], true[:1])
    meter.update(scored(guess, 4)[1:], true[1:])
    assert meter.compute() == {"accuracy": pytest.approx(7 / 9), "f1": pytest.approx(2 * 3 / (4 + 4))}
    half = SpanF1(names)
    half.update(scored([[1, 0, 0, 3, 0]], 4), true[:1])  # a name of which the end is missing is not found
    assert half.compute()["f1"] == pytest.approx(2 * 1 / (2 + 2))


def test_tags_without_spans_have_accuracy_alone() -> None:
    meter = SpanF1(("NOUN", "VERB"))
    meter.update(scored([[0, 1]], 2), torch.tensor([[0, 0]]))
    assert meter.compute() == {"accuracy": 0.5}


def test_the_loss_is_the_mean_over_tokens(folder: Path) -> None:
    task = aw.task(folder, "tagging")
    targets = task.train.targets[:4]
    outputs = torch.randn(4, targets.shape[1], len(task.classes))
    kept = targets >= 0
    wanted = torch.nn.functional.cross_entropy(outputs[kept], targets[kept])
    torch.testing.assert_close(task.loss(outputs, targets), wanted)


# ---------------------------------------------------------------------- reading


def test_files_of_conll_are_read(folder: Path) -> None:
    task = aw.task(folder)
    assert isinstance(task, Tagging)
    assert task.told[0].startswith("task: tagging, because")
    assert [len(part) for part in (task.train, task.validation, task.test)] == [60, 20, 20]
    assert task.classes == ("O", "B-LOC", "B-PER", "I-PER")
    assert task.train.inputs.shape == task.train.targets.shape == (60, 7)
    assert torch.equal(task.train.inputs.eq(0), task.train.targets.lt(0))
    again = aw.task(**task.spec)
    assert torch.equal(again.train.inputs, task.train.inputs)
    assert [len(part) for part in (again.validation, again.test)] == [20, 20]


def test_one_file_is_split(folder: Path) -> None:
    task = aw.task(folder / "train.conll")
    assert [len(part) for part in (task.train, task.validation, task.test)] == [42, 6, 12]


def test_documents_and_columns_are_seen_through(tmp_path: Path) -> None:
    path = tmp_path / "news.txt"
    path.write_text("-DOCSTART- -X- O O\n\nU.N. NNP I-ORG\nofficial NN O\n\n\nNew York\tNNP\tB-LOC\n")
    found = read_tags(path)
    assert [each.tokens for each in found] == [("U.N.", "official"), ("New York",)]
    assert [each.tags for each in found] == [("I-ORG", "O"), ("B-LOC",)]
    assert holds_tags(path) is None  # any text may be called .txt


def test_a_file_without_empty_lines_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("in O\n" * 50_000)
    (sentence,) = read_tags(tmp_path / "a.conll")
    assert sentence.tokens == ("in",) * 50_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("in O\nBerlin\n", r"a.conll, row 2: the token 'Berlin' has no tag"),
        ("\n\n", r"a.conll is empty"),
        ("in O\nat O\n\n" * 20, r"one tag only, 'O'"),
        (
            "# sent_id = 1\n1 in ADP _\n\n" * 9,
            r"a\.conll, row 1: a comment as in files of CoNLL-U, whose last column is no tag",
        ),
        ("".join(f"token tag{n}\n\n" for n in range(2000)), r"a\.conll, row \d+: there are 1,400 different tags"),
    ],
)
def test_bad_files_are_refused_by_name_and_row(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.conll").write_text(content)
    with pytest.raises(DataError, match=message):
        aw.task(tmp_path / "a.conll", "tagging")


def test_a_token_without_a_tag_makes_no_other_task(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("in O\nBerlin B-LOC\n\n" * 9 + "Hello\nAnn B-PER\n")
    with pytest.raises(DataError, match=r"a\.conll, row 28: the token 'Hello' has no tag"):
        aw.task(path)


def test_files_of_another_encoding_are_learnt_from_and_predicted(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_bytes("caf\xe9 B-LOC\nin O\n\n".encode("latin-1") * 20)
    with pytest.raises(DataError, match=r"a\.conll, line 1: .* is not UTF-8"):
        aw.task(path, "tagging")
    with pytest.raises(DataError, match="encoding='nothing' is no encoding"):
        aw.task(path, "tagging", encoding="nothing")
    preprocess = aw.task(path, "tagging", encoding="latin-1").preprocess
    assert "caf\xe9" in preprocess.vocabulary
    (_, found), *_ = preprocess_from_json(json.loads(json.dumps(preprocess.to_json()))).read(path)
    assert found.note == ("caf\xe9", "in")
    before = {name: value for name, value in preprocess.to_json().items() if name != "encoding"}
    assert preprocess_from_json(before).encoding == "utf-8"


def test_a_tag_of_the_test_part_alone_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other.conll").write_text("in O\n\nBerlin B-CITY\n")
    with pytest.raises(DataError, match=r"other.conll, row 3: the training part has no tag 'B-CITY'"):
        aw.task(folder / "train.conll", "tagging", test_file=str(tmp_path / "other.conll"))
    with pytest.raises(DataError, match=r"holds no train.conll"):
        aw.task(tmp_path, "tagging")


def test_parts_of_speech_are_judged_by_accuracy(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("a DET\ncat NOUN\n\n" * 20)
    task = aw.task(tmp_path / "a.conll")
    assert (task.objective, task.metrics) == ("max accuracy", {"loss", "accuracy"})


def test_unknown_tokens_are_known_by_their_shape() -> None:
    preprocess = TagPreprocess(("O", "B-LOC"), ("in", "<Xx>", "<x>ing", "Oslo"), 6)
    assert preprocess.encode(["Oslo", "IN", "Berlin", "singing", "1,234"]).tolist() == [5, 2, 3, 4, 1, 0]
    assert [shape_of(token) for token in ("Mc-Donald", "3rd", "B2B", "!?")] == ["<Xx.Xx>", "<dx>", "<XdX>", "<.>"]


def test_preprocessing_is_the_same_after_a_way_through_json(folder: Path, tmp_path: Path) -> None:
    preprocess = aw.task(folder).preprocess
    (tmp_path / "preprocess.json").write_text(json.dumps(preprocess.to_json()))
    assert load_preprocess(tmp_path / "preprocess.json") == preprocess


def test_long_sentences_are_cut_and_that_is_said(folder: Path) -> None:
    task = aw.task(folder, length=4)
    assert task.train.inputs.shape == (60, 4)
    assert any("100 sentences of more than 4 tokens cut" in line for line in task.told)
    assert any(line.endswith("length: 4") for line in task.told)


def test_the_rest_of_a_long_sentence_is_printed_without_tags(tmp_path: Path) -> None:
    preprocess = TagPreprocess(("O", "B-LOC"), ("in",), 2)
    path = tmp_path / "new.txt"
    path.write_text("in\n\nin\nBerlin\nand\nRome\n")
    with pytest.warns(UserWarning, match=r"new\.txt, row 3: the sentence has 4 tokens; the first 2 are tagged"):
        samples = [(row, sample) for row, sample in preprocess.read(path) if isinstance(sample, Noted)]
    scores = torch.tensor([[[2.0, 1.0], [0.0, 0.0]], [[2.0, 1.0], [1.0, 2.0]]])
    found = preprocess.results(scores, [(str(path), row, sample.note) for row, sample in samples])
    assert [each.cells()["tags"] for each in found] == ["in", "in Berlin/B-LOC and Rome"]
    assert found[1].to_json()["tags"] == ["O", "B-LOC", "", ""]


# ---------------------------------------------------------------------- baseline, search, prediction


def test_the_most_frequent_tag_is_a_baseline(folder: Path) -> None:
    task = aw.task(folder)
    (method,) = task.baselines
    metrics = fit_within(task, method, seconds=10).metrics
    # Each token but `May`, which is more often part of a name, has the tag that it always has.
    outputs = method.fit(task.train, 1.0)(task.test.inputs).argmax(-1)
    wrong = (outputs != task.test.targets) & task.test.targets.ge(0)
    may = task.preprocess.ids["May"]
    assert set(task.test.inputs[wrong].tolist()) == {may}
    assert 0.5 < metrics["test_f1"] < 0.95


@pytest.fixture(scope="module")
def study(folder: Path) -> aw.Study:
    task = aw.task(folder)
    space = aw.spaces.create("tagger", **task.space_options, widths=(32,))
    training = aw.Training(task, epochs=10, lr=0.01, final_epochs=10, device="cpu")
    starts = aw.spaces.starts(space)[:1]
    return aw.search(space, training, starts=starts, budget=aw.Budget(trials=1), path=folder / "run")


def test_a_search_finds_what_the_neighbours_tell(study: aw.Study) -> None:
    assert study.test["test_f1"] > 0.97


def test_predictions_show_the_tokens(study: aw.Study, folder: Path) -> None:
    (folder / "new.txt").write_text("Ann\nMay\nruns\nto\nMay\n\nCleo\nMay\nwalks\nto\nOslo\n")
    first, second = study.predict(folder / "new.txt")
    assert (first.row, first.tokens) == (1, ("Ann", "May", "runs", "to", "May"))
    assert first.tags == ("B-PER", "I-PER", "O", "O", "B-LOC")
    assert second.row == 7
    assert first.cells() == {"tags": "Ann/B-PER May/I-PER runs to May/B-LOC"}
    (given,) = study.predict({"tokens": ["Ann", "May", "runs", "to", "May"]})
    assert (given.tokens, given.tags) == (first.tokens, first.tags)
    raw = study.predictor().preprocess.encode(["Ann", "May", "runs", "to", "May"])[None]
    (found,) = study.predict(raw)
    assert found == Tags(None, 0, (), first.tags)
    with pytest.raises(DataError, match="a sentence is a list of tokens"):
        study.predict({"text": "Ann runs"})


def test_an_exported_network_predicts_alone(study: aw.Study, folder: Path) -> None:
    export_network(folder / "run", folder / "export")
    (folder / "more.txt").write_text("Bob\nMay\nruns\nto\nLima\n")
    ran = run_alone(folder / "export" / "predict.py", "--json", folder / "more.txt")
    (wanted,) = study.predict(folder / "more.txt")
    assert json.loads(ran.stdout)["predictions"] == [json.loads(json.dumps(wanted.to_json()))]


def test_the_onnx_file_takes_ids(study: aw.Study, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from archwright.build import write_onnx

    task = study.evaluator.task
    space = aw.spaces.create("tagger", **task.space_options, widths=(32,))
    for start in aw.spaces.starts(space):
        network = space.build(start).eval()
        write_onnx(network, [task.example_input], tmp_path / "tagger.onnx")
        session = runtime.InferenceSession(str(tmp_path / "tagger.onnx"))
        inputs = task.test.inputs[:3]
        (found,) = session.run(None, {"input": inputs.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(found, network(inputs).numpy(), atol=1e-4)


def test_empty_files_are_refused(study: aw.Study, folder: Path) -> None:
    (folder / "empty.txt").write_text("\n")
    errors: list[InputError] = []
    assert not list(study.predictor().predict(folder / "empty.txt", on_error=errors.append))
    assert "empty.txt is empty" in str(errors[0])
