"""Reports of searches: what they say, what they load, and what they overwrite."""

import sys

import pytest
from tests.report.helpers import HOSTILE, SPACE, Page, evaluate

import archwright as aw
from archwright.errors import MissingExtra, StudyError
from archwright.report._searched import number


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A search for two objectives, with failed trials and hostile names."""
    folder = tmp_path_factory.mktemp("runs") / "a & b"
    study = aw.Study(SPACE, strategy="random", objective=["max value", "min cost"], path=folder)
    study.run(evaluate, aw.Budget(trials=50))
    return folder


def test_the_page(run):
    study = aw.load(run)
    file = study.report()
    assert file == run.absolute() / "report.html"
    text = file.read_text(encoding="utf-8")
    page = Page(text)
    assert page.links == []
    assert "script" not in page.tags
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    assert len(text) < 300_000
    best = study.best
    assert f"Best network: trial {best.trial.number}, value {number(best.metrics['value'])}" in page.text
    for name, value in best.architecture.items():
        assert name in page.texts
        assert str(value) in page.text or f"{value:g}" in page.text
    assert "a & b" in page.text
    assert HOSTILE in page.text
    assert "\x1b" not in text
    failed = [trial for trial in study.trials if trial.state == "failed"]
    kinds = [each for each in page.texts if each.startswith("ValueError: <b>broken</b>")]
    assert kinds[0] == failed[0].cause.replace("\x1b", "·")
    assert str(len(failed)) in page.texts
    assert f"the Pareto front has {len(study.front)} networks" in page.text
    assert study.explain().text.splitlines()[1] in page.text
    assert f"archwright verify '{file.parent}' --trials 1" in page.text
    assert study.summary()["fingerprint"] in page.text
    assert len([tag for tag in page.tags if tag == "svg"]) == 7


def test_a_browser_shows_the_page_on_a_desktop_and_a_phone(run, chromium):
    file = aw.load(run).report()
    for width, dark in ((1280, False), (360, True)):
        with chromium.page(file.as_uri(), width=width, dark=dark) as page:
            assert page.title().startswith("a & b: ")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            decisions = page.locator("td.long:last-child")  # wide, as its rows would be tall beside the metrics
            assert decisions.first.bounding_box()["width"] >= (280 if width > 480 else 720)
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert background == ("rgb(13, 17, 23)" if dark else "rgb(255, 255, 255)")


def test_a_report_is_written_over_a_report_alone(run, tmp_path):
    study = aw.load(run)
    file = study.report(tmp_path / "report.html")
    before = file.read_text()
    assert study.report(file).read_text() == before
    file.write_text("<!doctype html>mine")
    with pytest.raises(StudyError, match="archwright did not write it: give another file, or move it"):
        study.report(file)
    assert file.read_text() == "<!doctype html>mine"
    with pytest.raises(StudyError, match=r"whose name ends with \.html"):
        study.report(tmp_path / "report.pdf")
    with pytest.raises(StudyError, match="there is no folder"):
        study.report(tmp_path / "none" / "report.html")
    with pytest.raises(StudyError, match="this study has no run folder: name the file"):
        aw.Study(SPACE).report()


def test_a_search_without_a_complete_trial(tmp_path):
    study = aw.Study(SPACE, strategy="random", path=tmp_path / "run")
    assert "No network yet" in Page(study.report().read_text()).text
    study.tell(study.ask(), ValueError("broken"))
    assert "ValueError: broken" in Page(study.report().read_text()).text


def test_a_space_of_code_that_is_not_there(run, monkeypatch):
    study = aw.load(run)

    def broken(document):
        raise StudyError("the study's space cannot be restored: <class>")

    monkeypatch.setattr("archwright.study._describe.restore_space", broken)
    page = Page(study.report().read_text())
    assert "There is no drawing: the study's space cannot be restored: <class>" in page.text
    with pytest.raises(StudyError, match="cannot be restored"):
        study.plot.importance()
    assert study.plot.history().startswith("<svg")


def test_the_network_and_its_use(few_digits, tmp_path):
    training = aw.Training(aw.data(few_digits), epochs=1, device="cpu")
    options = {"budget": aw.Budget(trials=2), "baseline": True, "ensemble": 2, "path": tmp_path / "run"}
    study = aw.search("mlp", training, strategy="random", **options)
    page = Page(study.report().read_text())
    samples = study.samples
    assert f"study = aw.load('{tmp_path / 'run'}')" in page.text
    assert "archwright export" in page.text
    assert number(study.test["test_accuracy"]) in page.text
    assert all(baseline.name in page.texts for baseline in study.baselines)
    assert f"ensemble of {len(study.ensemble.members)}" in page.texts
    assert number(study.ensemble.metrics["test_loss"]) in page.texts
    accuracy = study.best.metrics["accuracy"]
    half = 1.96 * (accuracy * (1 - accuracy) / samples["validation"]) ** 0.5
    assert f"{number(accuracy)} ± {half:.2g}" in page.texts
    assert study._recorder.document["data"]["checksum"] in page.text
    assert "Linear" in page.text


def test_a_frame_has_a_row_for_each_trial(run, monkeypatch):
    pandas = pytest.importorskip("pandas")
    study = aw.load(run)
    frame = study.frame()
    assert list(frame.columns[:4]) == ["number", "state", "value", "cost"]
    assert set(frame.columns[4:-4]) == {"width", "rate", "kind", "variant", HOSTILE}
    assert list(frame.columns[-4:]) == ["seconds", "fidelity", "share", "error"]
    assert len(frame) == len(study.trials)
    best = frame.loc[frame["value"].idxmax()]
    assert best["number"] == study.best.trial.number
    assert best["width"] == study.best.architecture["width"]
    failed = frame[frame["state"] == "failed"]
    assert failed["value"].isna().all()
    assert failed["error"].str.startswith("ValueError").all()
    assert pandas.api.types.is_float_dtype(frame["value"])
    assert set(frame["fidelity"]) == {"full"}
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match=r"pip install 'archwright\[frames\]'"):
        study.frame()


def test_a_decision_with_the_name_of_a_metric():
    study = aw.Study(
        aw.Space(value=aw.integer(0, 9, name="value"), state=aw.choice(1, 2, name="state")), strategy="grid"
    )
    study.run(lambda candidate: 0.5, aw.Budget(trials=2))
    frame = study.frame()
    assert list(frame["value"]) == [0.5, 0.5]
    assert list(frame["state"]) == ["complete", "complete"]
    assert {"value (decision)", "state (decision)"} <= set(frame.columns)


def test_short_texts_of_studies_and_trials(run):
    study = aw.load(run)
    assert len(repr(study)) < 250
    assert f"best value {study.best.metrics['value']:.4g}, cost" in repr(study)
    trial = study.best.trial
    assert repr(trial).startswith(f"<Trial {trial.number}, complete: value {trial.metrics['value']:.4g}, cost ")
    many = aw.Trial(0, aw.Architecture({"x": 1}), "complete", {f"m{place}": place / 3 for place in range(9)})
    assert repr(many) == "<Trial 0, complete: m0 0, m1 0.3333, m2 0.6667, ...>"
    for shown in (study._repr_html_(), study.best._repr_html_(), trial._repr_html_()):
        page = Page(shown)
        assert HOSTILE in page.text
        assert "script" not in page.tags
