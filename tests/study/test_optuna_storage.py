"""Studies as Optuna reads them: live, and as copies."""

from __future__ import annotations

import io
import json
import math

import pytest

import archwright as aw
from archwright.errors import StudyError
from archwright.evaluate import Fidelity

optuna = pytest.importorskip("optuna")
State = optuna.trial.TrialState


def space():
    inner = aw.choice({"no": 0, "yes": aw.integer(2, 6, step=2, name="width")}, name="wide")
    return aw.Space(
        wide=inner,
        rate=aw.real(1e-4, 1e-1, log=True),
        units=aw.integer(1, 64, log=True),
        parts=aw.subset("a", "b", k=(1, 2), name="parts"),
    )


def evaluate(candidate):
    found = candidate.architecture
    for step in range(3):
        candidate.report(step, loss=found["rate"] * (3 - step))
    if found["units"] > 12:
        raise ValueError("too many")
    return {"loss": found["rate"], "size": float(found["units"])}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    study = aw.Study(
        space(),
        strategy="random",
        objective=["min loss", "max size"],
        constraints=["size >= 3"],
        path=folder / "group" / "first",
    )
    study.run(evaluate, aw.Budget(trials=24))
    study.close()
    return folder


def test_trials_are_those_of_the_study(folder):
    ours = aw.load(folder / "group" / "first")
    theirs = optuna.load_study(study_name="group/first", storage=aw.optuna_storage(folder))
    assert [each.name for each in theirs.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert len(theirs.trials) == len(ours.trials) == 24
    states = {"complete": State.COMPLETE, "failed": State.FAIL, "infeasible": State.COMPLETE}
    assert {trial.state for trial in ours.trials} == states.keys()
    for trial, other in zip(ours.trials, theirs.trials, strict=True):
        other._validate()
        assert other.state is states[trial.state]
        expected = {name: value for name, value in trial.architecture.items() if name != "parts"}
        expected |= {f"parts[{label!r}]": label in trial.architecture["parts"] for label in ("a", "b")}
        assert other.params == expected  # those that are active, and no others
        assert ("width" in other.params) == (other.params["wide"] == "yes")
        assert other.intermediate_values == {row["step"]: row["loss"] for row in trial.curve}
        if trial.state != "failed":
            assert other.values == [trial.metrics["loss"], trial.metrics["size"]]
            assert [bound <= 0 for bound in other.constraints.values()] == [trial.state == "complete"]
    assert [each.trial.number for each in ours.front] == sorted(
        (each.number for each in theirs.best_trials), key=lambda number: theirs.trials[number].values[0]
    )
    distributions = theirs.trials[0].distributions
    assert distributions["rate"] == optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True)
    assert distributions["units"] == optuna.distributions.IntDistribution(1, 64, log=True)
    assert distributions["wide"] == optuna.distributions.CategoricalDistribution(("no", "yes"))
    width = next(trial.distributions["width"] for trial in theirs.trials if "width" in trial.params)
    assert width == optuna.distributions.IntDistribution(2, 6, step=2)


def test_a_storage_follows_a_search_and_is_not_written_to(tmp_path):
    study = aw.Study(
        aw.Space(x=aw.integer(0, 9)), strategy="grid", objective="max value", store=tmp_path / "s.db", name="n"
    )
    storage = aw.optuna_storage(tmp_path / "s.db")
    live = optuna.load_study(study_name="n", storage=storage)
    assert live.trials == []
    first = study.ask()
    second = study.ask()
    assert [trial.state for trial in live.get_trials()] == [State.RUNNING, State.RUNNING]
    study.tell(second, 3.0)
    assert [trial.state for trial in live.get_trials()] == [State.RUNNING, State.COMPLETE]
    study.tell(first, math.nan)
    third = study.ask()
    study.tell(third, 5.0)
    study.ask()
    study.close()
    assert [trial.state for trial in live.get_trials()] == [State.FAIL, State.COMPLETE, State.COMPLETE, State.WAITING]
    assert live.best_value == 5.0
    times = [(trial.datetime_start, trial.datetime_complete) for trial in live.get_trials()[:3]]
    assert all(start <= end for start, end in times)
    calls = [
        live.ask,
        lambda: live.set_user_attr("a", 1),
        lambda: optuna.delete_study(study_name="n", storage=storage),
        lambda: optuna.create_study(study_name="other", storage=storage),
        lambda: live.add_trial(live.trials[1]),
    ]
    for call in calls:
        with pytest.raises(StudyError, match="read-only"):
            call()
    assert [trial.state for trial in live.get_trials()].count(State.COMPLETE) == 2


def test_copies_are_studies_of_optuna_and_overwrite_nothing(folder, tmp_path):
    ours = aw.load(folder / "group" / "first")
    assert ours.to_optuna(tmp_path / "journal.log") == "first"
    journal = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal.log")))
    copy = optuna.load_study(study_name="first", storage=journal)
    live = optuna.load_study(study_name="group/first", storage=aw.optuna_storage(folder))
    for one, other in zip(copy.trials, live.trials, strict=True):
        for field in ("state", "values", "params", "distributions", "user_attrs", "intermediate_values", "constraints"):
            assert getattr(one, field) == getattr(other, field)
    shares = optuna.importance.get_param_importances(copy, target=lambda trial: trial.values[0])
    assert max(shares, key=shares.get) == "rate"  # the loss is nothing else
    with pytest.raises(StudyError, match="has a study 'first'"):
        ours.to_optuna(journal)
    copy.ask()  # a copy goes on in Optuna
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    with pytest.raises(StudyError, match="not overwritten"):
        ours.to_optuna(other)
    assert other.read_text() == "mine"


def test_a_trial_of_a_lower_fidelity_is_not_the_best_of_optuna(tmp_path):
    class Epochs(aw.Evaluator):
        objective = aw.Objective("value")
        fidelities = {"epochs": Fidelity(1, 4)}  # noqa: RUF012

        def evaluate(self, candidate):
            return {"value": candidate.architecture["x"] / candidate.fidelity["epochs"]}  # cheap ones look better

    study = aw.Study(
        aw.Space(x=aw.integer(1, 99)),
        strategy="random",
        scheduler="asha",
        fidelity={"epochs": (1, 4)},
        objective="max value",
        path=tmp_path / "run",
    )
    study.run(Epochs(), aw.Budget(trials=6), final=False)
    study.close()
    theirs = optuna.load_study(study_name="run", storage=aw.optuna_storage(tmp_path))
    assert theirs.best_trial.number == study.best.trial.number
    below = [trial for trial in theirs.trials if study.trials[trial.number].share < 1]
    assert below
    assert {trial.state for trial in below} == {State.PRUNED}
    assert all(trial.user_attrs["fidelity"] == study.trials[trial.number].fidelity for trial in below)


def test_optuna_dashboard_shows_a_folder_of_runs(folder):
    dashboard = pytest.importorskip("optuna_dashboard")
    application = dashboard.wsgi(aw.optuna_storage(folder))

    def get(path):
        told = []
        asked = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_NAME": "x", "SERVER_PORT": "80"}
        asked |= {"wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO(), "wsgi.url_scheme": "http"}
        body = b"".join(application(asked, lambda status, headers, *rest: told.append(status)))
        assert told == ["200 OK"], body
        return json.loads(body)

    (listed,) = get("/api/studies")["study_summaries"]
    assert listed["study_name"] == "group/first"
    assert listed["directions"] == ["minimize", "maximize"]
    shown = get(f"/api/studies/{listed['study_id']}")
    assert len(shown["trials"]) == 24
    assert {trial["state"] for trial in shown["trials"]} == {"Complete", "Fail"}
