"""Searches side by side."""

import json

import pytest
from tests.report.helpers import Page, elements

import archwright as aw
from archwright.errors import StudyError

SPACE = aw.Space(x=aw.integer(0, 99, name="x"))


def searched(strategy="random", objective="max value", space=SPACE, trials=6, path=None, value=lambda x: float(x)):
    study = aw.Study(space, strategy=strategy, objective=objective, path=path)
    metric = study.objective.metric
    return study.run(lambda candidate: {"loss": 0.5, metric: value(candidate.settings["x"])}, aw.Budget(trials=trials))


def test_rows_have_the_values_of_the_studies():
    studies = [searched(), searched("grid", trials=4)]
    found = aw.compare(studies)
    assert [row.best for row in found.rows] == [study.best.metrics["value"] for study in studies]
    assert [row.trials for row in found.rows] == [6, 4]
    assert [row.seconds for row in found.rows] == [study.elapsed for study in studies]
    assert [row.cost for row in found.rows] == [6.0, 4.0]
    assert found.rows[1].best == 3.0
    assert "grid" in str(found)
    said = json.loads(json.dumps(found.to_json()))
    assert said["searches"][1]["best_by_trials"] == [[1, 0], [2, 1], [3, 2], [4, 3]]
    lines = elements(found.history(), "path", "line")
    assert len(lines) == 2
    assert len({line.get("d").rpartition("H")[2] for line in lines}) == 1  # both go on to the end


def test_what_differs_is_said(monkeypatch):
    one = searched()
    assert aw.compare([one, one]).differs == (
        "data: not on record for all searches, so whether they are the same is not known",
    )
    other = searched(objective="min loss", space=aw.Space(x=aw.integer(0, 9, name="x")))
    one._recorder.document["data"] = {"train": 10, "checksum": "00"}
    other._recorder.document["data"] = {"train": 10, "checksum": "01"}
    told = aw.compare([one, other]).differs
    assert [line.partition(":")[0] for line in told] == ["data", "objective", "space"]
    assert "different samples and cannot be compared" in told[0]
    with pytest.raises(StudyError, match="the objectives differ"):
        aw.compare([one, other]).history()
    both = searched("nsga2", ["max value", "min loss"], value=lambda x: float(x))
    assert "only the first, max value," in aw.compare([searched(), both]).differs[1]
    again = searched("grid")
    again._recorder.document["data"] = one._recorder.document["data"]
    assert aw.compare([one, again]).differs == ()


def test_several_objectives_are_compared_by_hypervolumes_from_one_point():
    def made(values, **options):
        study = aw.Study(SPACE, strategy="grid", objective=["max gain", "min price"], **options)
        return study.run(
            lambda candidate: dict(zip(("gain", "price"), values[candidate.settings["x"]], strict=True)),
            aw.Budget(trials=len(values)),
        )

    one, other = made([(0.0, 10.0), (10.0, 10.0)]), made([(0.0, 0.0), (5.0, 5.0)])
    found = aw.compare([one, other])
    assert found.reference == {"gain": -1.0, "price": 11.0}
    assert [row.hypervolume for row in found.rows] == pytest.approx([11 * 1, 1 * 11 + 5 * 6])
    for shown in (str(found), found._repr_html_()):
        assert "best: by max gain; all objectives are in the hypervolume, from gain -1, price 11" in shown
    assert json.loads(json.dumps(found.to_json()))["reference"] == {"gain": -1.0, "price": 11.0}
    given = [made([(2.0, 4.0)], reference={"gain": 0.0, "price": 5.0}) for _ in range(2)]
    assert [row.hypervolume for row in aw.compare(given).rows] == [2.0, 2.0]
    for mixed in ([searched(), searched()], [one, searched(objective="max gain")]):
        assert aw.compare(mixed).reference is None
        assert "hypervolume" not in str(aw.compare(mixed))


def test_intervals_are_those_of_accuracies():
    studies = [searched(objective="max accuracy", value=lambda x: 0.9) for _ in range(2)]
    for study in studies:
        study._recorder.document["samples"] = {"validation": 100, "test": 400}
    (row, _) = aw.compare(studies).rows
    assert row.error == pytest.approx(1.96 * 0.03)
    assert "0.9 ± 0.059" in str(aw.compare(studies))
    assert aw.compare([searched(), searched()]).rows[0].error is None


def test_pages(tmp_path):
    folders = [tmp_path / "<b>one", tmp_path / "two"]
    for folder in folders:
        searched(path=folder)
    found = aw.compare(folders)
    assert [row.name for row in found.rows] == ["<b>one", "two"]
    page = Page(found.save(tmp_path / "page.html").read_text())
    assert page.links == []
    assert "b" not in page.tags
    assert "<b>one" in page.text
    assert page.tags.count("svg") == 2
    many = aw.compare([folders[0]] * 9)
    assert Page(many.save(tmp_path / "page.html").read_text()).tags.count("svg") == 9
    with pytest.raises(StudyError, match="9 lines are too many"):
        many.history()
    assert "<b>" not in found._repr_html_()


def test_one_search_is_not_compared(tmp_path):
    with pytest.raises(StudyError, match="two searches or more are compared; 1 search given"):
        aw.compare([searched()])
