"""Past runs from which a search on similar data begins."""

from __future__ import annotations

import numpy as np
import pytest

import archwright as aw
from archwright.errors import StudyError
from archwright.study import KnowledgeBase
from archwright.tasks import meta_features


def blobs(seed, apart=3.0, classes=3, size=4):
    """Samples around a centre for each class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(240) % classes
    inputs = rng.normal(size=(240, size)) + apart * rng.normal(size=(classes, size))[labels]
    return aw.Training(aw.data((inputs.astype("float32"), labels)), epochs=1, device="cpu")


def run(path, seed=0, **settings):
    options = {"strategy": "random", "objective": "max accuracy", "budget": aw.Budget(trials=3), "final": False}
    return aw.search("mlp", blobs(seed), path=path, progress=False, **(options | settings))


@pytest.fixture
def base(tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHWRIGHT_KB", str(tmp_path / "kb.json"))
    return KnowledgeBase()


def test_meta_features_of_known_data():
    found = meta_features(blobs(0, apart=20.0).task)
    assert found["inputs"] == pytest.approx(np.log10(4))
    assert found["classes"] == pytest.approx(np.log10(3))
    assert found["balance"] == pytest.approx(1, abs=0.01)
    assert found["nearest_mean"] > 0.95
    assert meta_features(blobs(0, apart=0.0).task)["nearest_mean"] < 0.6


def test_auto_begins_with_a_run_on_similar_data(base, tmp_path):
    known = run(tmp_path / "first")
    base.add(known)
    study = run(tmp_path / "second", seed=1, strategy="auto", starts=[])
    assert any(line.startswith(f"knowledge base: {tmp_path / 'first'} has similar data") for line in study.why)
    assert study.trials[0].architecture == known.best.architecture
    given = run(tmp_path / "third", seed=1)
    assert not any(line.startswith("knowledge base") for line in given.why)


def test_other_objectives_and_data_are_left_out(base, tmp_path):
    base.add(run(tmp_path / "first"))
    space = aw.load(tmp_path / "first").space
    accuracy, loss = aw.Objective.parse("max accuracy"), aw.Objective.parse("min loss")
    assert len(base.similar(blobs(1).task, space, [accuracy])) == 1
    assert base.similar(blobs(1).task, space, [loss]) == []
    assert base.similar(blobs(1).task, aw.Space(x=aw.integer(0, 9)), [accuracy]) == []
    assert base.similar(aw.Training(aw.data("digits")).task, space, [accuracy]) == []


def test_wrong_runs_and_files_are_refused(base, tmp_path):
    with pytest.raises(StudyError, match="run folder"):
        base.add(aw.Study(aw.Space(x=aw.integer(0, 9))))
    aw.search(aw.Space(x=aw.integer(0, 9)), lambda one: 1.0, budget=aw.Budget(trials=1), path=tmp_path / "function")
    with pytest.raises(StudyError, match=r"search by a function.*warm_start="):
        base.add(aw.load(tmp_path / "function"))
    (tmp_path / "kb.json").write_text("[]")
    with pytest.raises(StudyError, match="no knowledge base"):
        KnowledgeBase()
