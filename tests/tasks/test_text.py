"""Text classification: reading, vocabulary, baselines, and a search from files to predictions."""

from __future__ import annotations

import gzip
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
    TextPreprocess,
    holds_texts,
    load_preprocess,
    preprocess_from_json,
    read_texts,
    words_of,
)
from archwright.errors import DataError, EvaluationError
from archwright.export import Predictor, export_network
from archwright.tasks import TextClassification, fit_within
from archwright.tasks._text import forgetful, shortened

GOOD, BAD = ("fine", "great", "moving"), ("dull", "weak", "clumsy")


def lines(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return texts whose class is told by one word."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        label = ("bad", "good")[number % 2]
        word = draw.choice(GOOD if label == "good" else BAD)
        found.append((f"this is a {word} film by number {draw.randrange(1000)}" + " indeed" * draw.randrange(4), label))
    return found


def write(path: Path, count: int = 80, seed: int = 0, *, header: bool = True) -> Path:
    rows = [*([("review", "mood")] if header else []), *lines(count, seed)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f'"{text}","{label}"\n' for text, label in rows))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("texts")


@pytest.fixture(scope="module")
def table(folder: Path) -> Path:
    return write(folder / "films.csv")


def loaded(path: Path, **options: object) -> TextClassification:
    task = aw.task(path, "text-classification", **options)
    assert isinstance(task, TextClassification)
    return task


def decoded(task: TextClassification, row: torch.Tensor) -> list[str]:
    return [["", "?", *task.preprocess.vocabulary][each] for each in row.tolist()]


# ---------------------------------------------------------------------- reading


def test_a_table_is_read_with_its_classes(table: Path) -> None:
    task = loaded(table)
    assert task.classes == ("bad", "good")
    assert (task.preprocess.column, task.preprocess.named) == ("review", True)
    assert [len(part) for part in (task.train, task.validation, task.test)] == [56, 8, 16]
    assert task.train.targets.bincount().tolist() == [28, 28]
    assert {"this", "is", "a", "film"} <= set(task.preprocess.vocabulary[:8])
    for inputs, target in zip(task.train.inputs, task.train.targets, strict=True):
        words = set(decoded(task, inputs))
        assert words & set(BAD if target == 0 else GOOD)
        assert not words & set(GOOD if target == 0 else BAD)
    assert any("'review'" in line and "'mood'" in line for line in task.told)


def test_the_vocabulary_is_that_of_the_training_part_alone(tmp_path: Path) -> None:
    rows = [(f"a film of kind {number}", "ab"[number % 2]) for number in range(40)]
    (tmp_path / "train.csv").write_text("".join(f"{text},{label}\n" for text, label in rows))
    (tmp_path / "test.csv").write_text("a film never seen,a\na film never seen,b\n")
    task = loaded(tmp_path, least=1)
    assert "never" not in task.preprocess.vocabulary
    assert (task.test.inputs == 1).sum(1).tolist() == [2, 2]
    assert set(loaded(tmp_path, most=2, least=1).preprocess.vocabulary) == {"a", "film"}
    assert loaded(tmp_path, least=2).preprocess.vocabulary == ("a", "film", "kind", "of")


@pytest.mark.parametrize("between", [" ", "\t"])
def test_lines_may_begin_with_their_class(tmp_path: Path, between: str) -> None:
    path = tmp_path / "reviews.train"
    path.write_text("".join(f"{label}{between}{text}\n" for text, label in lines(40)))
    task = loaded(path, least=1)
    assert task.classes == ("bad", "good")
    assert "good" not in task.preprocess.vocabulary
    assert "this" in task.preprocess.vocabulary


def test_tsv_files_of_the_stanford_treebank_are_read(tmp_path: Path) -> None:
    for part, count in (("train", 40), ("dev", 6), ("test", 8)):
        rows = [f'{text} "quoted\t{int(label == "good")}\n' for text, label in lines(count)]
        (tmp_path / f"{part}.tsv").write_text("".join(rows))
    task = aw.task(tmp_path)
    assert isinstance(task, TextClassification)
    assert [len(part) for part in (task.train, task.validation, task.test)] == [40, 6, 8]
    assert task.classes == ("0", "1")
    assert (task.preprocess.column, task.preprocess.named) == ("1", False)


def test_other_files_may_hold_the_validation_and_the_test_part(tmp_path: Path, table: Path) -> None:
    other = write(tmp_path / "other.csv", 10, seed=1)
    task = loaded(table, test_file=str(other))
    assert len(task.test) == 10
    again = aw.task(**task.spec)
    assert torch.equal(again.test.inputs, task.test.inputs)
    assert len(loaded(table, validation_file=str(other)).validation) == 10


def test_folders_of_classes_are_read(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        for number, (text, label) in enumerate(lines(20)):
            file = tmp_path / part / label / f"{number}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    task = aw.task(tmp_path)
    assert isinstance(task, TextClassification)
    assert [len(part) for part in (task.train, task.validation, task.test)] == [20, 20, 20]
    assert "folders of texts" in task.told[0]


def test_columns_are_guessed_or_named(tmp_path: Path) -> None:
    path = tmp_path / "news.csv"
    path.write_text(
        "id,kind,title,body\n"
        + "".join(f'{n},{"xy"[n % 2]},short title {n},"a long, long body of text {n}"\n' for n in range(30))
    )
    task = loaded(path, least=1)
    assert (task.preprocess.column, task.classes) == ("body", ("x", "y"))
    named = loaded(path, text="title", target="2", least=1)
    assert (named.preprocess.column, named.classes) == ("title", ("x", "y"))
    with pytest.raises(DataError, match=r"news.csv has no column 'headline'.*'title'"):
        loaded(path, text="headline")
    with pytest.raises(DataError, match=r"column 'id' has 30 different values in 30 rows"):
        loaded(path, target="id", header=True)


def test_plain_tables_are_not_taken_for_texts(tmp_path: Path, table: Path) -> None:
    assert holds_texts(table) == "texts with classes"
    tables = {
        "numbers.csv": "".join(f"{n},{n % 2}\n" for n in range(30)),
        "words.csv": "".join(f"{'red' if n % 3 else 'dark blue'},{n % 2}\n" for n in range(30)),
        "kinds.csv": "".join(f"one of {n % 3} kinds,{n % 2}\n" for n in range(30)),
        "rated.csv": "".join(f"a film of number {n},{n / 7:.3f}\n" for n in range(30)),
        "wide.csv": "".join(f"a film of number {n},{n},{n % 2}\n" for n in range(30)),
    }
    for name, content in tables.items():
        (tmp_path / name).write_text(content)
        assert holds_texts(tmp_path / name) is None, name
    assert holds_texts(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,label\nfine film,1\n ,0\n", r"a.csv, row 3: the text is empty: there is no word in"),
        ("a.csv", "text,label\nfine film,1\ndull film,\n", r"a.csv, row 3: the text has no class"),
        ("a.csv", "text,label\nfine, film,1\n", r"a.csv: row 2 has 3 cells, but row 1 has 2"),
        ("a.csv", "", r"a.csv is empty"),
        ("a.csv", "one\ntwo\n", r"a.csv has one column"),
        ("a.all", "1 fine film\n0\n", r"a.all, row 2: '0' is a class without a text"),
        ("a.csv", "text,label\nfine film,1\nfine film,1\n", r"a.csv, row 2: there is one class only, '1'"),
        ("a.csv", f"text,label\nfine film,1\ngood film,{'x' * 300}\n", r"a.csv, row 3\) has 300 characters"),
    ],
)
def test_bad_files_are_refused_by_name_and_row(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises((DataError, InputError), match=message):
        loaded(tmp_path / name)


def test_short_lines_count_with_what_they_take(tmp_path: Path) -> None:
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(b"a\tb\n" * 10_000))
    with pytest.raises(DataError, match=r"as texts in memory, more than the limit of 0\.001"):
        loaded(tmp_path / "a.tsv.gz", max_gigabytes=0.001)


def test_other_encodings_are_named(tmp_path: Path) -> None:
    path = tmp_path / "cafe.csv"
    path.write_bytes("".join(f"une caf\xe9 de {n},{n % 2}\n" for n in range(30)).encode("latin-1"))
    with pytest.raises((DataError, InputError), match=r"cafe.csv, line 1: .* is not UTF-8.*encoding='latin-1'"):
        loaded(path)
    preprocess = loaded(path, encoding="latin-1").preprocess
    assert "caf\xe9" in preprocess.vocabulary
    again = preprocess_from_json(json.loads(json.dumps(preprocess.to_json())))
    assert preprocess.ids["caf\xe9"] in next(again.read(path))[1]
    (tmp_path / "one.txt").write_bytes(b"le caf\xe9")
    assert preprocess.ids["caf\xe9"] in next(again.read(tmp_path / "one.txt"))[1]
    before = {name: value for name, value in preprocess.to_json().items() if name != "encoding"}
    assert preprocess_from_json(before).encoding == "utf-8"
    with pytest.raises(DataError, match="encoding='nothing'"):
        loaded(path, encoding="nothing")


def test_a_table_of_names_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n")
    with pytest.raises(DataError, match=r"a\.csv holds a row of names and no texts"):
        loaded(tmp_path / "a.csv", target="label")
    with pytest.raises(DataError, match="no training sample"):
        read_texts({"": []})


def test_a_class_of_the_test_part_alone_is_refused(tmp_path: Path, table: Path) -> None:
    (tmp_path / "other.csv").write_text("review,mood\na fine film,good\na film,unheard\n")
    with pytest.raises(DataError, match=r"other.csv, row 3: class 'unheard' has no training text"):
        loaded(table, test_file=str(tmp_path / "other.csv"))
    (tmp_path / "bare.csv").write_text("a fine film,good\n")
    with pytest.raises(DataError, match=r"bare.csv has other columns"):
        loaded(table, test_file=str(tmp_path / "bare.csv"))


def test_bad_options_are_refused(table: Path) -> None:
    for options, message in (
        ({"length": 0}, "length=0"),
        ({"least": 0}, "least=0"),
        ({"least": 1000}, "no word occurs 1000 times"),
        ({"validation": 2.0}, "validation=2.0"),
    ):
        with pytest.raises(DataError, match=message):
            loaded(table, **options)
    with pytest.raises(EvaluationError, match="no option 'depth'"):
        loaded(table, depth=3)


# ---------------------------------------------------------------------- words and ids


def test_words_and_marks_are_told_apart() -> None:
    assert words_of("It's  a FINE,\tna\xefve\n film --!") == [
        "it's",
        "a",
        "fine",
        ",",
        "na\xefve",
        "film",
        "-",
        "-",
        "!",
    ]
    assert words_of(" \n\t") == []


def test_long_texts_are_cut_and_that_is_said(table: Path) -> None:
    task = loaded(table, length=4)
    assert task.train.inputs.shape[1] == 4
    assert any("80 texts of 80 longer than 4 words" in line for line in task.told)
    assert task.space_options["input_shape"] == (4,)
    with pytest.warns(UserWarning, match="the text has 5 words; the first 4 are read"):
        assert (
            task.preprocess.item({"text": "this is a fine film"}).tolist()
            == task.preprocess.item({"review": "this is a fine"}).tolist()
        )
    new = table.with_name("new.csv")
    new.write_text("review\nfine\nthis is a fine film\nthis is it\na b c d e f\n")
    with pytest.warns(UserWarning, match=r"new\.csv: more than 4 words, .* in 2 rows, the first of them row 3"):
        assert [row for row, _ in task.preprocess.read(new)] == [2, 3, 4, 5]


def test_the_usual_length_is_that_of_most_texts(tmp_path: Path) -> None:
    path = tmp_path / "lengths.csv"
    path.write_text("".join(f"{'word ' * (3 if n < 96 else 50)}{n},{n % 2}\n" for n in range(100)))
    assert loaded(path, validation=1, test=1, least=1).example_input.shape == (4,)


def test_batches_are_cut_to_their_longest_text() -> None:
    assert shortened(torch.tensor([[2, 3, 0, 0], [2, 0, 4, 0]])).shape == (2, 3)
    assert shortened(torch.zeros(2, 5, dtype=torch.int64)).shape == (2, 1)


def test_the_augmentation_forgets_a_tenth_of_the_words_and_no_padding() -> None:
    ids = torch.full((200, 50), 7)
    ids[:, 40:] = 0
    changed = forgetful(ids, torch.Generator().manual_seed(0))
    assert changed[:, 40:].eq(0).all()
    assert 0.08 < changed[:, :40].eq(1).float().mean() < 0.12
    assert torch.equal(changed, forgetful(ids, torch.Generator().manual_seed(0)))


def test_preprocessing_is_the_same_after_a_way_through_json(table: Path, tmp_path: Path) -> None:
    preprocess = loaded(table).preprocess
    (tmp_path / "preprocess.json").write_text(json.dumps(preprocess.to_json()))
    assert load_preprocess(tmp_path / "preprocess.json") == preprocess
    for change in ({"length": 0}, {"vocabulary": ["a", "a"]}, {"column": "x", "named": False}):
        (tmp_path / "preprocess.json").write_text(json.dumps({**preprocess.to_json(), **change}))
        with pytest.raises(InputError):
            load_preprocess(tmp_path / "preprocess.json")


def test_ids_are_checked() -> None:
    preprocess = TextPreprocess(("a", "b"), ("word",), 3)
    assert preprocess.batch(torch.tensor([[2, 1, 0]], dtype=torch.uint8)).dtype == torch.int64
    for raw, message in (
        (torch.zeros(2, 4, dtype=torch.int64), r"\(n, 3\)"),
        (torch.zeros(2, 3), "float32"),
        (torch.tensor([[3, 0, 0]]), "from 0 to 2"),
        (torch.tensor([[-1, 0, 0]]), "from 0 to 2"),
    ):
        with pytest.raises(InputError, match=message):
            preprocess.batch(raw)


# ---------------------------------------------------------------------- baselines, search, prediction


def test_classical_methods_find_what_one_word_tells(table: Path) -> None:
    task = loaded(write(table.parent / "many.csv", 200))
    names = [method.name for method in task.baselines]
    assert names == ["naive Bayes", "naive Bayes + logistic regression"]
    for method in task.baselines:
        fitted = fit_within(task, method, seconds=30)
        assert fitted.metrics["test_accuracy"] == 1.0
        assert fitted.metrics["test_loss"] < 0.4


def test_probabilities_of_classical_methods_are_those_of_scikit_learn(table: Path) -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB

    task = loaded(table, least=1)
    texts = [" ".join(word for word in decoded(task, row) if word) for row in task.train.inputs]
    grams = CountVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), binary=True)
    referee = MultinomialNB().fit(grams.fit_transform(texts), task.train.targets.numpy())
    outputs = task.baselines[0].fit(task.train, 1.0)(task.train.inputs[:5])
    np.testing.assert_allclose(outputs.numpy(), referee.predict_log_proba(grams.transform(texts[:5])), rtol=1e-6)


@pytest.fixture(scope="module")
def study(table: Path, folder: Path) -> aw.Study:
    task = loaded(table)
    space = aw.spaces.create("text", **task.space_options, widths=(16,))
    training = aw.Training(task, epochs=12, lr=0.01, final_epochs=12, device="cpu")
    starts = aw.spaces.starts(space)[:1]
    return aw.search(space, training, starts=starts, budget=aw.Budget(trials=1), path=folder / "run")


def test_a_search_learns_from_files_and_predicts_texts(study: aw.Study, folder: Path) -> None:
    assert study.test["test_accuracy"] > 0.8
    new = write(folder / "new.csv", 10, seed=5)
    from_table = study.predict(new)
    assert [each.row for each in from_table] == list(range(2, 12))
    (folder / "one.txt").write_text(lines(10, 5)[0][0])
    (from_file,) = study.predict(folder / "one.txt")
    given = [{"text": text} for text, _ in lines(10, 5)]
    for one, other in zip(study.predict(given), from_table, strict=True):
        assert one.label == other.label
        assert one.probability == pytest.approx(other.probability, abs=1e-5)
    assert from_file.probability == pytest.approx(from_table[0].probability, abs=1e-5)
    assert study.predict({"text": "words never heard"})[0].label in ("bad", "good")
    with pytest.raises(DataError, match=r"text is empty"):
        study.predict({"text": "  "})
    (folder / "other.csv").write_text("a,b\nfine film,x\n")
    with pytest.raises(DataError, match=r"other.csv has no column 'review'"):
        study.predict(folder / "other.csv")


def test_the_study_loads_its_task_again(study: aw.Study, folder: Path) -> None:
    again = aw.load(folder / "run").resume(aw.Budget(trials=2), final=False)
    assert len(again.trials) == 2


def test_an_exported_network_predicts_alone(study: aw.Study, folder: Path) -> None:
    export_network(folder / "run", folder / "export")
    files = [folder / "new.csv", folder / "one.txt"]
    write(files[0], 10, seed=5)
    files[1].write_text("a fine film")
    ran = run_alone(folder / "export" / "predict.py", "--json", *files)
    found = json.loads(ran.stdout)["predictions"]
    wanted = study.predict(files)
    assert [each["label"] for each in found] == [each.label for each in wanted]
    assert [each["probability"] for each in found] == pytest.approx([each.probability for each in wanted], abs=1e-5)


def test_the_onnx_file_takes_ids(study: aw.Study, folder: Path, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from archwright.build import write_onnx

    task = study.evaluator.task
    space = aw.spaces.create("text", **task.space_options, widths=(16,))
    for start in aw.spaces.starts(space):
        network = space.build(start).eval()
        write_onnx(network, [task.example_input], tmp_path / "text.onnx")
        session = runtime.InferenceSession(str(tmp_path / "text.onnx"))
        inputs = task.test.inputs[:3]
        (found,) = session.run(None, {"input": inputs.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(found, network(inputs).numpy(), atol=1e-4)


def test_bad_rows_are_skipped_and_told(study: aw.Study, folder: Path) -> None:
    path = folder / "gaps.csv"
    path.write_text('review,mood\n"a fine film",x\n"",x\n"a dull film",x\n')
    errors: list[InputError] = []
    predictor: Predictor = study.predictor()
    assert [each.row for each in predictor.predict(path, on_error=errors.append)] == [2, 4]
    assert "gaps.csv, row 3: the text is empty" in str(errors[0])
