"""What the callbacks record, read by the libraries themselves, without a network."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import struct
import sys

import pytest

import archwright as aw
from archwright.cli._named import parse_trackers
from archwright.errors import MissingExtra, StudyError, UnknownName

SPACE = aw.Space(
    rate=aw.real(1e-3, 1.0),
    x=aw.integer(1, 9),
    kind=aw.choice("plain", "odd name"),
    flag=aw.choice(True, False),
    several=aw.subset("a", "b", k=(1, 2)),
    _hidden=aw.choice(1, 2),
)


class Curved(aw.Evaluator):
    """Reports twice, fails for one of the trials, and has a final training."""

    def evaluate(self, candidate):
        x = candidate.architecture["x"]
        candidate.report(1, value=x / 10, loss=math.nan)
        candidate.report(2, value=x / 5, loss=1.0)
        if candidate.architecture["kind"] == "odd name":
            raise ValueError("odd")
        return {"value": float(x), "loss": 0.5, "acc@1": 0.25}

    def retrain(self, candidate):
        candidate.report(1, value=1.0)
        return {"test_value": 2.5}


def search(callback, workers=1, trials=6, **options):
    study = aw.Study(SPACE, strategy="random", seed=1, **options)
    study.run(Curved(), aw.Budget(trials=trials), callbacks=[callback], workers=workers)
    assert {trial.state for trial in study.trials} == {"complete", "failed"}
    return study


def decisions(trial):
    """The decisions of a trial as a tool that knows plain values has them."""
    return {name: str(value) if isinstance(value, tuple) else value for name, value in trial.architecture.items()}


def expected(trial):
    """The points of a trial's value, by step."""
    x = trial.architecture["x"]
    return [(1, x / 10), (2, x / 5), *([(2, float(x))] if trial.state == "complete" else [])]


# --------------------------------------------------------------------------- TensorBoard


@pytest.mark.parametrize("workers", [1, 2])
def test_tensorboard(tmp_path, workers):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    study = search(aw.callbacks.TensorBoard(tmp_path / "board"), workers)
    assert len(list((tmp_path / "board").iterdir())) == 7
    for trial in study.trials:
        read = EventAccumulator(str(tmp_path / "board" / f"trial-{trial.number}")).Reload()
        points = [(point.step, point.value) for point in read.Scalars("value")]
        assert points == [(step, pytest.approx(value)) for step, value in expected(trial)]
        assert math.isnan(read.Scalars("loss")[0].value)
        content = read.summary_metadata["_hparams_/session_start_info"].plugin_data.content
        hparams = HParamsPluginData.FromString(content).session_start_info.hparams
        found = {name: getattr(each, each.WhichOneof("kind")) for name, each in hparams.items()}
        assert found == {**decisions(trial), "trial.seed": trial.seed}
        (state,) = read.Tensors("state/text_summary")
        assert state.tensor_proto.string_val[0].decode() == trial.state
    final = EventAccumulator(str(tmp_path / "board" / f"final-{study.best.trial.number}")).Reload()
    assert [point.value for point in final.Scalars("test_value")] == [2.5]
    assert [point.value for point in final.Scalars("value")] == [1.0]


# --------------------------------------------------------------------------- MLflow


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A database without experiments, which takes seconds to make."""
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
@pytest.mark.parametrize("workers", [1, 2])
def test_mlflow(tmp_path, workers, empty):
    from mlflow import MlflowClient

    uri = f"sqlite:///{shutil.copy(empty, tmp_path / 'flow.db')}"
    study = search(aw.callbacks.MLflow("letters", uri=uri), workers)
    client = MlflowClient(tracking_uri=uri)
    (experiment,) = (each for each in client.search_experiments() if each.name == "letters")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert len(runs) == 7
    for trial in study.trials:
        run = runs[f"trial-{trial.number}"]
        settings = {**trial.architecture, "trial.seed": trial.seed}
        assert run.data.params == {name: str(value) for name, value in settings.items()}
        assert run.data.tags["state"] == trial.state
        assert run.info.status == ("FAILED" if trial.state == "failed" else "FINISHED")
        points = client.get_metric_history(run.info.run_id, "value")
        assert sorted((point.step, point.value) for point in points) == sorted(expected(trial))
        if trial.state == "complete":
            assert run.data.metrics["value"] == trial.metrics["value"]
            assert run.data.metrics["acc_1"] == 0.25
    assert runs[f"final-{study.best.trial.number}"].data.metrics == {"value": 1.0, "test_value": 2.5}
    search(aw.callbacks.MLflow("letters", uri=uri))  # the experiment goes on
    assert len(client.search_runs([experiment.experiment_id])) == 14


def test_mlflow_takes_many_decisions(tmp_path, empty):
    space = aw.Space(**{f"x{number}": aw.choice(1, 2) for number in range(230)}, long=aw.choice("y" * 7_000))
    flow = aw.callbacks.MLflow("many", uri=f"sqlite:///{shutil.copy(empty, tmp_path / 'flow.db')}")
    aw.search(space, lambda candidate: 1.0, budget=aw.Budget(trials=1), callbacks=[flow])
    (run,) = flow.client.search_runs([flow.experiment])
    assert len(run.data.params) == 232
    assert run.data.params["long"] == "y" * 6_000


# --------------------------------------------------------------------------- Weights & Biases


def wandb_records(content):
    """The records of an offline run: messages of the library's own, in the format of LevelDB's log."""
    from wandb.proto.wandb_internal_pb2 import Record

    assert content.startswith(b":W&B")
    records, place, parts = [], 7, b""
    while place < len(content):
        if 32_768 - place % 32_768 < 7:
            place += 32_768 - place % 32_768
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # all of a record, or the last part
            records.append(Record.FromString(parts))
            parts = b""
    return records


@pytest.mark.parametrize("workers", [1, 2])
def test_wandb(tmp_path, workers, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    study = search(aw.callbacks.WandB("letters", mode="offline", folder=tmp_path), workers)
    wandb.teardown()  # another process writes the files
    found = {}
    for file in tmp_path.glob("wandb/offline-run-*/*.wandb"):
        records = wandb_records(file.read_bytes())
        (name,) = (record.run.display_name for record in records if record.WhichOneof("record_type") == "run")
        found[name] = records
    assert sorted(found) == sorted([f"final-{study.best.trial.number}", *(f"trial-{n}" for n in range(6))])
    for trial in study.trials:
        records = found[f"trial-{trial.number}"]
        rows = [
            {item.key or item.nested_key[0]: item.value_json for item in record.history.item}
            for record in records
            if record.WhichOneof("record_type") == "history"
        ]
        assert [(float(row["step"]), float(row["value"])) for row in rows] == expected(trial)
        config = {}
        for record in records:
            updates = record.run.config.update if record.WhichOneof("record_type") == "run" else record.config.update
            config |= {each.key or each.nested_key[0]: json.loads(each.value_json) for each in updates}
        assert config.items() >= {**decisions(trial), "trial.seed": trial.seed}.items()
        (exit_code,) = (record.exit.exit_code for record in records if record.WhichOneof("record_type") == "exit")
        assert exit_code == int(trial.state == "failed")


# --------------------------------------------------------------------------- Trackio


@pytest.mark.parametrize("workers", [1, 2])
def test_trackio(tmp_path, workers, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
    pytest.importorskip("trackio")
    study = search(aw.callbacks.Trackio(f"letters{workers}"), workers)
    from trackio.sqlite_storage import SQLiteStorage

    for trial in study.trials:
        rows = SQLiteStorage.get_logs(f"letters{workers}", f"trial-{trial.number}")
        assert [(row["epoch"], row["value"]) for row in rows if "value" in row] == expected(trial)
        assert rows[-1]["state"] == trial.state
        config = SQLiteStorage.get_run_config(f"letters{workers}", f"trial-{trial.number}")
        settings = {**decisions(trial), "trial.seed": trial.seed}
        settings["hidden"] = settings.pop("_hidden")
        assert config.items() >= settings.items()


# --------------------------------------------------------------------------- without one


@pytest.mark.parametrize(
    ("name", "module"),
    [("TensorBoard", "tensorboard"), ("MLflow", "mlflow"), ("WandB", "wandb"), ("Trackio", "trackio")],
)
def test_a_library_that_is_missing_is_named(name, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    told = rf"archwright\.callbacks\.{name} needs {module}.* pip install 'archwright\[{module}\]'"
    with pytest.raises(MissingExtra, match=told):
        getattr(aw.callbacks, name)("here")


def test_the_command_line_names_tools(tmp_path):
    pytest.importorskip("tensorboard")
    (made,) = parse_trackers([f"tensorboard:{tmp_path}"])
    assert made.folder == tmp_path
    with pytest.raises(UnknownName, match=r"unknown tool 'tensorbord'\. Did you mean 'tensorboard'\?"):
        parse_trackers(["tensorbord:here"])
    with pytest.raises(StudyError, match="--track mlflow: name the folder, experiment or project, such as mlflow:mine"):
        parse_trackers(["mlflow"])


class Listed(aw.callbacks.Tracker):
    """Keeps what it is told."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def begin(self, name, settings):
        self.lines.append(("begin", name))
        return name

    def log(self, run, step, metrics):
        self.lines.append(("log", run, step))

    def end(self, run, state, settings, metrics):
        self.lines.append(("end", run, state))


@pytest.mark.filterwarnings("ignore:the process of the trial")
def test_a_trial_that_is_started_again_is_a_new_run(tmp_path):
    def evaluate(candidate):
        candidate.report(1, value=0.5)
        if not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os._exit(1)
        return 1.0

    listed = Listed()
    aw.Study(SPACE).run(evaluate, aw.Budget(trials=1), workers=2, callbacks=[listed])
    once = [("begin", "trial-0"), ("log", "trial-0", 1)]
    assert listed.lines == [
        *once,
        ("end", "trial-0", "interrupted"),
        *once,
        ("log", "trial-0", 1),
        ("end", "trial-0", "complete"),
    ]


def test_what_is_interrupted_is_ended():
    def evaluate(candidate):
        candidate.report(1, value=0.5)
        raise KeyboardInterrupt

    class Interrupts(aw.Callback):
        def on_report(self, study, trial, step, metrics):
            signal.raise_signal(signal.SIGINT)

    listed = Listed()
    study = aw.Study(SPACE).run(evaluate, aw.Budget(trials=1), callbacks=[listed, Interrupts()])
    assert study.stopped_by == "interrupt"
    assert listed.lines[-1] == ("end", "trial-0", "interrupted")
