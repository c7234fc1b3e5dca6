"""Translation and summarisation: files, tokens, metrics, and networks that write."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch
from tests.processes import run_alone
from torch import nn
from torchmetrics.functional.text.rouge import rouge_score

import archwright as aw
from archwright.datasets import (
    END,
    InputError,
    TranslationPreprocess,
    Written,
    joined_tokens,
    preprocess_from_json,
    read_lines,
    tokens_of,
)
from archwright.errors import ArchwrightError
from archwright.evaluate import Feed, Setup
from archwright.export import export_network
from archwright.tasks import Summarisation, Translation, rouge_l

GERMAN, ENGLISH = ["ein Hund", "eine Katze", "ein Mann"], ["a dog", "a cat", "a man"]
VERBS = {"rennt": "runs", "sitzt": "sits", "schläft": "sleeps", "springt": "jumps"}
PAIRS = [(f"{g} {v}.", f"{e} {VERBS[v]}.") for g, e in zip(GERMAN, ENGLISH, strict=True) for v in VERBS]
SMALL = {"widths": (16,), "encoder_layers": (2, 2), "decoder_layers": (1, 2)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    root.mkdir()
    for part, count in (("train", 6), ("val", 1), ("test_2016", 1)):
        for side, language in enumerate(("de", "en")):
            (root / f"{part}.{language}").write_text("\n".join(pair[side] for pair in PAIRS * count) + "\n")
    (root / "train.fr.gz").write_bytes(gzip.compress(b"un chien\n" * 72))
    return root


def small(task: Translation) -> aw.Space:
    return aw.spaces.create("translator", **task.space_options, **SMALL)


def test_parallel_texts_are_recognised(folder: Path) -> None:
    with pytest.raises(ArchwrightError, match=r"train\.\* end in de, en, fr: give pair= two of them"):
        aw.task(folder)
    task = aw.task(folder, pair="de-en", test_file="test_2016")
    assert task.told[0].startswith("task: translation, because corpus holds parallel texts (de, en, fr)")
    assert [len(part) for part in (task.train, task.validation, task.test)] == [72, 12, 12]
    source, before = task.train.inputs
    assert task.preprocess.text(task.train.targets[0].tolist()) == "a dog runs."
    assert task.decode(nn.functional.one_hot(task.train.targets[:1], task.tokens)) == ["a dog runs."]
    later = task.train.targets[:, 1:] > 0
    assert torch.equal(before[:, 1:][later], task.train.targets[:, :-1][later])
    assert source.eq(END).sum(1).eq(1).all()
    back = aw.task(folder, pair="en-de")
    assert back.preprocess.text(back.train.targets[0].tolist()) in {german for german, _ in PAIRS}
    again = aw.task(**task.spec)
    assert torch.equal(again.test.targets, task.test.targets)
    assert again.references == task.references
    assert preprocess_from_json(json.loads(json.dumps(task.preprocess.to_json()))) == task.preprocess


@pytest.mark.parametrize("name", ["pairs.tsv", "pairs.csv", "pairs.jsonl"])
def test_tables_and_json_lines(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    if name.endswith("jsonl"):
        file.write_text("".join(json.dumps({"text": g, "id": 1, "summary": e}) + "\n" for g, e in PAIRS * 4))
    else:
        mark = "\t" if name.endswith("tsv") else ";"
        file.write_text("".join(f"{a}{mark}{b}\n" for a, b in [("text", "summary"), *PAIRS * 4]))
    task = aw.task(file, "summarisation", pair="text-summary")
    assert type(task) is Summarisation
    assert len(task.train) + len(task.validation) + len(task.test) == 48
    assert "cat" in task.preprocess.written_words
    assert "Katze" in task.preprocess.read_words
    assert task.spec["task"] == "summarisation"
    assert aw.task(**task.spec).references == task.references
    with pytest.raises(ArchwrightError, match="'abstract'"):
        aw.task(file, "summarisation", pair="text-abstract")
    (tmp_path / "corpus").mkdir()
    for part in ("train", "test"):
        (tmp_path / "corpus" / f"{part}{file.suffix}").write_bytes(file.read_bytes())
    assert len(aw.task(tmp_path / "corpus", "translation", pair="text-summary").test) == 48


def test_a_table_without_names_is_read_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in PAIRS * 4))
    task = aw.task(tmp_path / "pairs.tsv", "translation")
    assert len(task.train) + len(task.validation) + len(task.test) == 48
    assert "dog" in task.preprocess.written_words


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_a_line_ends_at_its_end_alone(folder: Path, tmp_path: Path, mark: str) -> None:
    lines = (folder / "train.en").read_text().splitlines()
    (folder / "train.en").write_text("\r\n".join([f"a{mark}dog runs.", *lines[1:]]) + "\r\n", newline="")
    task = aw.task(folder, pair="de-en", test_file="test_2016")
    assert len(task.train) == 72
    assert task.preprocess.text(task.train.targets[1].tolist()) == "a dog sits."
    (tmp_path / "pairs.jsonl").write_text(
        "".join(json.dumps({"a": f"{a}{mark}", "b": b}, ensure_ascii=False) + "\n" for a, b in PAIRS * 4)
    )
    assert len(aw.task(tmp_path / "pairs.jsonl", "translation", validation=4, test=4).train) == 40
    (tmp_path / "new.txt").write_text(f"ein{mark}Hund\nein Mann\n")
    assert [row for row, _ in task.preprocess.read(tmp_path / "new.txt")] == [1, 2]
    (tmp_path / "empty.txt").write_text("")
    assert read_lines(tmp_path / "empty.txt") == []
    with pytest.raises(InputError, match=r"empty\.txt is empty"):
        next(task.preprocess.read(tmp_path / "empty.txt"))


def test_a_part_has_both_files_or_none(folder: Path) -> None:
    (folder / "val.en").unlink()
    with pytest.raises(ArchwrightError, match=r"val\.de has no file ending in \.en beside it"):
        aw.task(folder, pair="de-en")
    (folder / "val.de").unlink()
    assert len(aw.task(folder, pair="de-en", validation=8).validation) == 8


@pytest.mark.parametrize(("content", "message"), [("", r"train\.csv is empty"), ("a,b\n", "training part is empty")])
def test_a_table_without_texts_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "train.csv").write_text(content)
    with pytest.raises(ArchwrightError, match=message):
        aw.task(tmp_path, "translation", pair="a-b" if content else None)


def test_what_is_wrong_is_said(folder: Path, tmp_path: Path) -> None:
    for options, message in (
        ({"pair": "de-es"}, "pair='de-es' is not there"),
        ({"pair": "german"}, "pair='german' is no pair of two names"),
        ({"pair": "de-en", "test_file": "test_2017"}, r"has no files test_2017\.de and test_2017\.en"),
        ({"pair": "de-en", "least": 1000}, "no word occurs 1000 times"),
        ({"pair": "de-en", "longest": 0}, "longest=0 must be a whole number of tokens, 1 or more"),
        ({"pair": "de-en", "longest": -3}, "longest=-3 must be"),
    ):
        with pytest.raises(ArchwrightError, match=message):
            aw.task(folder, "translation", **options)
    lines = (folder / "train.en").read_text().splitlines()
    (folder / "train.en").write_text("\n".join([*lines[:6], " ", *lines[7:]]))
    with pytest.raises(ArchwrightError, match=r"train\.en, line 7: the text is empty"):
        aw.task(folder, pair="de-en")
    (folder / "train.en").write_text("\n".join(lines[:-1]))
    with pytest.raises(ArchwrightError, match=r"train\.de has 72 lines, and .*train\.en 71"):
        aw.task(folder, pair="de-en")
    file = tmp_path / "pairs.jsonl"
    for text, message in (
        ('{"a": "x", "b": "y"}\n{"a": "x", "b": 3}', "line 2: 'b' is no text"),
        ('{"a": "x", "b": "y"}\nnothing', "line 2 is no JSON"),
        ('{"a": "x", "b": "y"}\n[1]', "line 2 is no JSON object"),
        ('{"a": "x", "b": "y", "c": "z"}', "has 3 columns"),
    ):
        file.write_text(text)
        with pytest.raises(ArchwrightError, match=message):
            aw.task(file, "translation")
    with pytest.raises(ArchwrightError, match=r"pairs of texts are FOLDER/train\.de"):
        aw.task(tmp_path, "translation")


def test_what_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv.gz").write_bytes(gzip.compress(b"a b,c d\n" * 5_000))
    with pytest.raises(ArchwrightError, match=r"as a table in memory, more than the limit of 0\.001 gigabytes"):
        aw.task(tmp_path / "pairs.csv.gz", "translation", max_gigabytes=0.001)
    (tmp_path / "pairs.jsonl").write_text(json.dumps({"a": "x" * 20_000, "b": "y"}))
    with pytest.raises(ArchwrightError, match="line 1 has more than 15,625 characters, a sixty-fourth of the limit"):
        aw.task(tmp_path / "pairs.jsonl", "translation", max_gigabytes=0.001)
    for language in ("de", "en"):
        (tmp_path / f"train.{language}.gz").write_bytes(gzip.compress(b"\n" * 5_000))
    with pytest.raises(ArchwrightError, match=r"as lines in memory, more than an eighth of the limit of 0\.001"):
        aw.task(tmp_path, "translation", max_gigabytes=0.001)


def test_a_high_limit_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    for name in ("a.txt", "a.txt.gz"):
        assert read_lines(tmp_path / name, 1e9) == ["one", "two"]


def test_texts_become_tokens_and_back() -> None:
    text = "A dog's toy (red), isn't it?"
    assert joined_tokens(tokens_of(text)) == text
    preprocess = TranslationPreprocess(("ein", "Hund"), ("a", "dog"), (3, 4))
    assert preprocess.encode(["ein alter Hund"]).tolist() == [[4, 1, END]]
    with pytest.raises(InputError, match="empty"):
        preprocess.item({"text": " "})
    with pytest.raises(InputError, match="tokens are 0 to 5"):
        preprocess.batch(torch.full((1, 3), 6))


@pytest.mark.parametrize(
    ("found", "wanted"), [("the cat sat", "The cat, ran"), ("a b c d", "d c b a"), ("a", "b"), ("x y x z", "x x z y")]
)
def test_rouge_is_that_of_torchmetrics(found: str, wanted: str) -> None:
    referee = rouge_score(found, wanted, rouge_keys="rougeL")["rougeL_fmeasure"].item()
    assert rouge_l(found, wanted) == pytest.approx(referee)
    assert rouge_l("", wanted) == 0


def test_padding_changes_neither_loss_nor_metrics(folder: Path) -> None:
    task = aw.task(folder, pair="de-en")
    inputs, targets = task.validation.at(slice(0, 4))
    for start in aw.spaces.starts(small(task)):
        network = small(task).build(start).eval()
        whole, cut = network(*inputs), network(*task.prepare(inputs))
        torch.testing.assert_close(whole[:, : cut.shape[1]][targets[:, : cut.shape[1]] > 0], cut[targets > 0])
        torch.testing.assert_close(task.loss(whole, targets), task.loss(cut, targets))
        wanted = cut.log_softmax(2).gather(2, targets[..., None])[targets > 0].mean()
        assert task.loss(cut, targets).item() == pytest.approx(-wanted.item(), rel=1e-5)
        meter = task.meter()
        meter.update(cut, targets)
        assert meter.compute()["perplexity"] == pytest.approx(wanted.neg().exp().item(), rel=1e-4)


def test_batches_hold_pairs_of_similar_length() -> None:
    pairs = [(" ".join("x" * (1 + place % 9)), " ".join("y" * (1 + place % 7))) for place in range(630)]
    preprocess = TranslationPreprocess(("x",), ("y",), (10, 8))
    task = Translation(pairs, pairs[:2], [], preprocess)
    feed = Feed(task, task.train, Setup("cpu"))
    batches = list(feed.shuffled(10, torch.Generator().manual_seed(0)))
    assert sorted(tuple(row) for _, targets in batches for row in targets.tolist()) == sorted(
        map(tuple, task.train.targets.tolist())
    )
    seen = sum(targets.ne(0).sum().item() for _, targets in batches)
    assert seen > 0.9 * sum(inputs[1].numel() for inputs, _ in batches)
    lengths = [targets.ne(0).sum(1).max().item() for _, targets in batches]
    assert lengths != sorted(lengths)


class Table(nn.Module):
    """Gives the probabilities of a known language: a sequence of tokens after another has a fixed probability."""

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        following = {2: {4: 0.6, 5: 0.4}, 4: {6: 0.36, 7: 0.34, 3: 0.3}, 5: {8: 1.0}}
        scores = torch.full((*target.shape, 9), -30.0)
        for row, tokens in enumerate(target.tolist()):
            for place, token in enumerate(tokens):
                for after, probability in following.get(token, {3: 1.0}).items():
                    scores[row, place, after] = torch.tensor(probability).log()
        return scores


@pytest.mark.parametrize(("beams", "wanted"), [(1, "a c"), (3, "b e")])
def test_a_beam_search_finds_what_greed_does_not(beams: int, wanted: str) -> None:
    words = ("a", "b", "c", "d", "e")
    preprocess = TranslationPreprocess(words, words, (5, 5), beams=beams)
    batch = torch.stack([preprocess.item({"text": text}) for text in ("a b c", "e")])
    written = preprocess.run(Table(), batch)
    assert [found.text for found in preprocess.results(written, [(None, 0)] * 2)] == [wanted] * 2


def test_a_network_is_searched_and_translates(folder: Path, tmp_path: Path) -> None:
    task = aw.task(folder, pair="de-en", test_file="test_2016")
    training = aw.Training(task, epochs=1, final_epochs=30, batch_size=8, lr=4e-3)
    study = aw.search(small(task), training, budget=aw.Budget(trials=1), path=tmp_path / "run")
    assert {"test_bleu", "test_chrf", "test_perplexity"} <= study.test.keys()
    assert study.test["test_bleu"] > 90
    (found,) = study.predict([{"text": "eine Katze springt."}])
    assert isinstance(found, Written)
    assert found.text == "a cat jumps."
    file = tmp_path / "new.txt"
    file.write_text("eine Katze springt.\n\nein Hund rennt.\n")
    export_network(tmp_path / "run", tmp_path / "network", space=study.space)
    done = run_alone(tmp_path / "network" / "predict.py", file, "--json")
    assert "new.txt, line 2: the text is empty" in done.stderr
    told = json.loads(done.stdout)["predictions"]
    assert [(each["row"], each["text"]) for each in told] == [(1, "a cat jumps."), (3, "a dog runs.")]


def test_a_network_is_searched_and_summarises(tmp_path: Path) -> None:
    told = "{} was cold and wet. In the evening there was {} in the {}."
    days, kinds, places = ("Monday", "Tuesday", "Sunday"), ("rain", "snow", "fog"), ("north", "south", "east")
    pairs = [(told.format(a, b, c), f"{b} in the {c}") for a in days for b in kinds for c in places] * 4
    (tmp_path / "news.tsv").write_text("document\tsummary\n" + "".join(f"{a}\t{b}\n" for a, b in pairs))
    task = aw.task(tmp_path / "news.tsv", "summarisation")
    study = aw.search(
        small(task), aw.Training(task, epochs=1, final_epochs=30, batch_size=8, lr=4e-3), budget=aw.Budget(trials=1)
    )
    assert study.test["test_rouge_l"] > 0.9
    assert "test_bleu" not in study.test
    (found,) = study.predict([{"text": told.format("Sunday", "fog", "east")}])
    assert found.text == "fog in the east"
