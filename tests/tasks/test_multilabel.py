"""Multi-label classification: metrics with scikit-learn as the referee, and from a file to predictions."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
from tests.processes import run_alone

import archwright as aw
from archwright.errors import DataError
from archwright.export import export_network
from archwright.tasks import MultiLabel, as_task, fit_within
from archwright.tasks._multilabel import LabelCounts


@given(st.lists(st.tuples(*[st.booleans()] * 3, *[st.integers(-3, 3)] * 3), min_size=4, max_size=40))
def test_metrics_agree_with_scikit_learn(rows) -> None:
    table = torch.tensor(rows, dtype=torch.float32)
    true, scores = table[:, :3], table[:, 3:] / 2
    meter = LabelCounts(3)
    for batch in (slice(0, 3), slice(3, None)):
        meter.update(scores[batch], true[batch])
    found = meter.compute()
    predicted = scores > 0
    present = [label for label in range(3) if true[:, label].any() or predicted[:, label].any()]
    f1 = f1_score(true, predicted, average=None, zero_division=0)
    assert found["f1"] == pytest.approx(np.mean(f1[present]) if present else 0.0)
    assert found["micro_f1"] == pytest.approx(f1_score(true, predicted, average="micro", zero_division=0))
    assert found["subset_accuracy"] == pytest.approx(accuracy_score(true, predicted))
    mixed = [label for label in range(3) if 0 < true[:, label].sum() < len(true)]
    if mixed:
        assert found["auc"] == pytest.approx(np.mean([roc_auc_score(true[:, each], scores[:, each]) for each in mixed]))
    else:
        assert math.isnan(found["auc"])


@pytest.fixture
def songs(tmp_path):
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(150):
        tempo, mood = rng.normal(size=2)
        lines.append(f"{tempo:.3f},{int(tempo > 0)},{mood:.3f},{int(mood + tempo > 0)},{rng.integers(2)}")
    path = tmp_path / "songs.csv"
    path.write_text("\n".join(["tempo,dance,mood,sad,live", *lines]) + "\n")
    return path


def test_several_columns_of_0_and_1_are_labels(songs) -> None:
    data = aw.data(songs, target=["dance", "sad"])
    assert data.classes == ("dance", "sad")
    assert (data.train.targets.dtype, data.train.targets.shape) == (torch.float32, (105, 2))
    assert "2 labels" in str(data)
    assert [each.name for each in data.columns] == ["tempo", "mood", "live"]
    assert torch.equal(data.train.targets[:, 0], (data.train.inputs[:, 0] > 0).float())
    assert data.spec is not None
    assert data.spec["task"] == "multilabel"
    assert torch.equal(aw.data(**json.loads(json.dumps(data.spec))).test.targets, data.test.targets)
    truths = songs.with_name("truths.csv")
    rows = [line.split(",") for line in songs.read_text().splitlines()]
    marks = {"0": "False", "1": "true"}
    written = [rows[0], *([a, marks[b], c, marks[d], e] for a, b, c, d, e in rows[1:])]
    truths.write_text("\n".join(map(",".join, written)))
    assert torch.equal(aw.data(truths, target=["dance", "sad"]).test.targets, data.test.targets)


def test_several_other_columns_are_values(songs) -> None:
    data = aw.data(songs, target=["tempo", "mood"])
    assert [each.name for each in data.targets] == ["tempo", "mood"]
    assert data.train.targets.shape == (105, 2)
    assert aw.data(songs, target=["dance", "sad"], task="regression").targets[0].name == "dance"
    assert aw.data(songs, target=["sad"]).classes == ("0", "1")
    with pytest.raises(DataError, match="a classification has one target"):
        aw.data(songs, target=["dance", "sad"], task="classification")
    with pytest.raises(DataError, match="0 or 1, in two columns or more"):
        aw.data(songs, target=["dance", "mood"], task="multilabel")
    with pytest.raises(DataError, match="0 or 1, in two columns or more"):
        aw.data(songs, task="multilabel")
    with pytest.raises(DataError, match="takes tables, not images"):
        aw.data((torch.rand(40, 1, 8, 8), torch.arange(80).view(40, 2) % 2), task="multilabel")


@pytest.mark.parametrize("named", [True, False])
def test_from_a_file_to_predictions_elsewhere(songs, tmp_path, named) -> None:
    if not named:
        songs.write_text("\n".join(songs.read_text().splitlines()[1:]) + "\n")
    targets = ["dance", "sad"] if named else ["2", "4"]
    task = aw.task(songs, target=targets)
    assert isinstance(task, MultiLabel)
    study = aw.search(
        "mlp",
        aw.Training(task, epochs=20, final_epochs=20),
        strategy="random",
        budget=aw.Budget(trials=1),
        path=tmp_path / "run",
    )
    assert study.test is not None
    assert study.test["test_f1"] > 0.7
    found = aw.load(tmp_path / "run").predict(songs)
    assert all(each.labels == [name for name, p in each.probabilities.items() if p > 0.5] for each in found)
    assert list(found[0].probabilities) == targets
    assert task.decode(study.predictor().scores(task.test.inputs))[0] in ([], targets, targets[:1], targets[1:])
    export_network(tmp_path / "run", tmp_path / "network")
    command = tmp_path / "network" / "predict.py", songs
    done = run_alone(*command, "--json")
    assert [each["labels"] for each in json.loads(done.stdout)["predictions"]] == [each.labels for each in found]
    assert run_alone(*command).stdout.splitlines()[0].split() == ["file", "row", "labels"]


def test_baselines_fit_each_label(songs) -> None:
    task = as_task(aw.data(songs, target=["dance", "sad"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {method.name: fit_within(task, method, seconds=20) for method in task.baselines}
    assert found.keys() == {"logistic regression", "gradient boosting"}
    for each in found.values():
        assert each.metrics["f1"] > 0.8
        assert each.metrics["test_auc"] > 0.8


def test_a_label_that_all_training_samples_have() -> None:
    marks = torch.stack([torch.ones(40), torch.arange(40) % 2], 1)
    task = as_task(aw.data((torch.rand(40, 3), marks), task="multilabel"))
    outputs = task.baselines[0].fit(task.train, 1.0)(task.test.inputs)
    assert (outputs[:, 0] > 10).all()
    assert task.classes == ("1", "2")
