"""Forecasting: splits by time, metrics, files, and networks that are shipped."""

from __future__ import annotations

import json
import math
import tarfile
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, mean_squared_error
from tests.processes import run_alone

import archwright as aw
from archwright.datasets import (
    Forecast,
    InputError,
    SeriesPreprocess,
    Spacing,
    Target,
    Windows,
    looks_like_series,
    preprocess_from_json,
    read_series,
    spacing_of,
    windows_between,
)
from archwright.datasets._series_table import to_stamp
from archwright.errors import DataError, EvaluationError, UnknownName
from archwright.evaluate import Feed, Setup
from archwright.evaluate._stages import fidelities, keep_back
from archwright.export import export_network
from archwright.tasks import Forecasting, fit_within

HOUR = timedelta(hours=1)
START = datetime(2024, 3, 1)

PREDICT = """
import json
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import predict
found = list(predict.load(sys.argv[1]).predict(sys.argv[2]))
print(json.dumps([[each.to_json(), [path.name for path in each.save(Path(sys.argv[3]))]] for each in found]))
"""


def waves(count: int, columns: int = 2, *, seed: int = 0) -> np.ndarray:
    """Return noisy waves of 24 steps, in units of their own."""
    rng = np.random.default_rng(seed)
    steps = np.arange(count)[:, None]
    phase = np.arange(columns)
    return 100 * (phase + 1) + 5 * np.sin(2 * np.pi * steps / 24 + phase) + 0.3 * rng.standard_normal((count, columns))


def written(path: Path, values: np.ndarray, *, step: timedelta = HOUR) -> Path:
    """Write a series by the hour."""
    names = [f"load {place}" for place in range(values.shape[1])]
    lines = [",".join(["date", *names])]
    for place, row in enumerate(values):
        lines.append(",".join([str(START + place * step), *(f"{each:.6f}" for each in row)]))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def hourly(tmp_path: Path) -> Path:
    return written(tmp_path / "hourly.csv", waves(400))


def test_windows_are_views_of_the_series_and_hold_what_follows() -> None:
    series = torch.arange(40.0).view(20, 2)
    part = windows_between(series, 8, 20, lookback=5, horizon=3, forecast=1)
    assert len(part) == 12 - 3 + 1
    assert part.inputs.shape == (10, 5, 2)
    assert part.targets.shape == (10, 3, 1)
    assert part.inputs.untyped_storage().data_ptr() == series.untyped_storage().data_ptr()
    for place in range(len(part)):
        assert torch.equal(part.inputs[place], series[3 + place : 8 + place])
        assert torch.equal(part.targets[place], series[8 + place : 11 + place, :1])
    chosen = torch.tensor([7, 0, 3])
    inputs, targets = part.at(chosen)
    assert torch.equal(inputs, part.inputs[chosen])
    assert torch.equal(targets, part.targets[chosen])
    joined = part.select(chosen) + part.select(torch.tensor([9]))
    assert torch.equal(joined.targets, part.targets[[7, 0, 3, 9]])
    with pytest.raises(TypeError, match="different series"):
        part + windows_between(series.clone(), 8, 20, lookback=5, horizon=3)


def test_the_parts_follow_each_other_and_every_window_counts(hourly: Path) -> None:
    task = aw.task(hourly, "forecasting", horizon=6, lookback=24, validation=50, test=80)
    train, validation, test = (part.starts + part.lookback for part in (task.train, task.validation, task.test))
    assert (int(train.min()), int(train.max()) + 6) == (24, 270)
    assert (int(validation.min()), int(validation.max()) + 6) == (270, 320)
    assert (int(test.min()), int(test.max()) + 6) == (320, 400)
    assert len(task.test) == 80 - 6 + 1
    sizes = [len(targets) for _, targets in Feed(task, task.test, Setup("cpu")).in_order(32)]
    assert sum(sizes) == len(task.test)
    assert "splits" not in fidelities(task, 10, 32)
    kept, others = keep_back(task.validation, is_ordered=task.is_ordered)
    assert others.starts.max() < kept.starts.min()
    mean, std = waves(400)[:270].mean(0), waves(400)[:270].std(0)
    assert task.series.mean == pytest.approx(mean.tolist(), abs=1e-3)
    assert task.series.std == pytest.approx(std.tolist(), abs=1e-3)


def test_the_usual_protocol_leaves_out_what_comes_after(hourly: Path) -> None:
    task = aw.task(hourly, "forecasting", horizon=6, lookback=24, train=200, validation=50, test=50)
    assert int(task.test.starts.max()) + 24 + 6 == 300
    assert any("the last 100 steps" in line for line in task.told)


def test_metrics_are_those_of_scikit_learn(hourly: Path) -> None:
    task = aw.task(hourly, "forecasting", horizon=6, lookback=24)
    assert isinstance(task, Forecasting)
    outputs = torch.randn(40, 6, 2, generator=torch.Generator().manual_seed(0))
    inputs, targets = task.test.at(slice(0, 40))
    meter = task.meter()
    meter.update(outputs[:30], targets[:30])
    meter.update(outputs[30:], targets[30:])
    found = meter.compute()
    wanted = ((targets - task.mean) / task.std).flatten(0, 1).numpy()
    got = outputs.flatten(0, 1).numpy()
    assert found["mse"] == pytest.approx(mean_squared_error(wanted, got), rel=1e-5)
    assert found["mae"] == pytest.approx(mean_absolute_error(wanted, got), rel=1e-5)
    assert task.loss(outputs, targets).item() == pytest.approx(found["mse"], rel=1e-5)
    train = ((task.train.span - task.mean) / task.std).numpy()
    assert task.season == 24
    naive = [mean_absolute_error(train[24:, column], train[:-24, column]) for column in range(2)]
    errors = mean_absolute_error(wanted, got, multioutput="raw_values")
    assert found["mase"] == pytest.approx(np.mean(errors / naive), rel=1e-5)
    perfect = task.meter()
    perfect.update((targets - task.mean) / task.std, targets)
    assert max(perfect.compute().values()) == pytest.approx(0, abs=1e-6)
    assert torch.allclose(task.decode(task.standardised(targets))[0], targets[0], atol=1e-3)
    assert inputs.shape == (40, 24, 2)


def test_the_baselines_are_a_ridge_regression_and_the_value_of_a_season_ago(tmp_path: Path) -> None:
    path = written(tmp_path / "series.csv", waves(300))
    task = aw.task(path, "forecasting", horizon=30, lookback=24)
    linear, naive = task.baselines
    predict = linear.fit(task.train, 1.0)
    x = task.prepare(task.train.inputs).transpose(1, 2).flatten(0, 1).numpy()
    y = task.standardised(task.train.targets).transpose(1, 2).flatten(0, 1).numpy()
    model = Ridge(alpha=1e-3 * len(x)).fit(x, y)
    inputs, _ = task.test.at(slice(0, 5))
    wanted = model.predict(task.prepare(inputs).transpose(1, 2).flatten(0, 1).numpy()).reshape(5, 2, 30)
    assert predict(inputs).transpose(1, 2).numpy() == pytest.approx(wanted, abs=1e-3)
    repeated = naive.fit(task.train, 1.0)(inputs)
    assert torch.equal(repeated[:, :24], task.prepare(inputs))
    assert torch.equal(repeated[:, 24:], task.prepare(inputs)[:, :6])
    outcome = fit_within(task, linear, seconds=60)
    assert not isinstance(outcome, float)
    assert outcome.metrics["test_mse"] < 0.05  # the noise is a hundredth


def test_a_linear_model_has_the_known_error_on_etth1(data_file: Callable[[str], Path], tmp_path: Path) -> None:
    with tarfile.open(data_file("train/ett.tar.xz")) as archive:
        member = next(each for each in archive.getmembers() if each.name.endswith("ETTh1.csv"))
        archive.extract(member, tmp_path, filter="data")
    path = tmp_path / member.name
    task = aw.task(path, "forecasting", horizon=96, lookback=96, train=8640, validation=2880, test=2880)
    assert len(task.test) == 2785
    predict = task.baselines[0].fit(task.train, 1.0)
    meter = task.meter()
    for inputs, targets in task.test.batches(torch.split(torch.arange(2785), 500)):
        meter.update(predict(inputs), targets)
    assert meter.compute()["mse"] == pytest.approx(0.383, abs=0.01)
    assert looks_like_series(path)


# ---------------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("date,a\n2024-01-01,1\n", "holds 1 rows"),
        ("date\n2024-01-01\n", "needs|columns"),
        ("date,a\n2024-01-01,1\nsoon,2\n", "row 3: the time stamp 'soon'"),
        ("date,a\n2024-01-02,1\n2024-01-01,2\n", "row 3.*before that of the row above"),
        ("date,a\n2024-01-01,1\n2024-01-01,2\n", "row 3.*twice"),
        ("date,a\n2024-01-01,1\n7,2\n", "row 3.*another kind"),
        ("date,a\n2024-01-01,1\n2024-01-02 00:00+01:00,2\n", "row 3.*another kind"),
        ("date,a\n2024-01-01,1\n2024-01-02,x\n2024-01-03,2\n", "row 3: column 'a' holds 'x'"),
        ("date,a\n2024-01-01,1\n2024-01-02,inf\n2024-01-03,2\n", "row 3: column 'a' is infinite"),
        ("date,a\n2024-01-01,1\n2024-01-02,\n2024-01-03,2\n", "row 3: column 'a' is missing"),
        (
            "date,a\n2024-01-01,1\n2024-01-02,3\n2024-01-03,3\n2024-01-05,2\n",
            "row 5: 2024-01-05 is 2 steps of 1 day after",
        ),
        ("date,a\n2024-01-01,1\n2024-01-02,3\n2024-01-03,3\n2024-01-03 12:00,2\n", "row 5.*not a whole number"),
        ("date,a,a\n2024-01-01,1,2\n2024-01-02,3,4\n", "two columns are called 'a'"),
        ("date,a\n2024-01-01,b\n2024-01-02,c\n", "no column of numbers"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_row(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "series.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        aw.task(path, "forecasting")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "horizon=0"),
        ({"lookback": 2.5}, "lookback=2.5"),
        ({"horizon": 100, "lookback": 300}, "training part has 280 steps.*give smaller ones"),
        ({"horizon": 45, "lookback": 24}, "validation part has 40 steps"),
        ({"targets": "load 7"}, "no column 'load 7'"),
        ({"targets": ["load 0", "load 0"]}, "different columns"),
        ({"validation": 0}, "validation=0"),
        ({"test": 1.5}, "test=1.5"),
        ({"test": 400}, "leave"),
        ({"train": 399}, "not train=399"),
        ({"time": "hour"}, "no column 'hour'"),
    ],
)
def test_options_are_checked(hourly: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        aw.task(hourly, "forecasting", **options)
    with pytest.raises(UnknownName, match="way to deal with gaps"):
        aw.task(hourly, "forecasting", gaps="interpolat")
    with pytest.raises(EvaluationError, match="no option 'horizn'"):
        aw.task(hourly, "forecasting", horizn=3)


def test_a_series_that_does_not_change_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="do not change"):
        aw.task(written(tmp_path / "flat.csv", np.ones((100, 1))), "forecasting")


def test_gaps_are_interpolated_or_ignored_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    rows = [f"{START + place * HOUR},{3 * place}" for place in range(100) if place not in (10, 11, 50)]
    rows[20] = rows[20].rpartition(",")[0] + ","
    path.write_text("\n".join(["date,a", *rows]) + "\n")
    task = aw.task(path, "forecasting", gaps="interpolate")
    assert torch.allclose(task.train.series[:, 0], 3 * torch.arange(100.0))
    assert any("3 missing steps and 1 missing cell" in line for line in task.told)
    with pytest.raises(DataError, match="row 22: column 'a' is missing"):
        aw.task(path, "forecasting", gaps="ignore")
    rows[20] += "5"
    path.write_text("\n".join(["date,a", *rows]) + "\n")
    assert len(aw.task(path, "forecasting", gaps="ignore").train.series) == 97


def test_interpolation_is_that_of_numpy(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal(60)
    known = rng.random(60) < 0.4
    path = tmp_path / "series.csv"
    cells = [str(value) if is_known else "NaN" for value, is_known in zip(values, known, strict=True)]
    path.write_text("step,a\n" + "".join(f"{place},{cell}\n" for place, cell in enumerate(cells)))
    table = read_series(path)
    complete, added, filled = table.complete(spacing_of(table), "interpolate")
    assert (added, filled) == (0, int((~known).sum()))
    places = np.arange(60)
    assert complete.values[:, 0].numpy() == pytest.approx(np.interp(places, places[known], values[known]))


@pytest.mark.parametrize(
    ("stamps", "spacing", "after"),
    [
        (["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 02:00"], ("seconds", 3600), "2024-01-01 03:00:00"),
        (["2024-02-27", "2024-02-28", "2024-02-29"], ("seconds", 86_400), "2024-03-01"),
        (["2023-11-30", "2023-12-31", "2024-01-31"], ("months", 1), "2024-02-29"),
        (["2023-01-01", "2023-04-01", "2023-07-01"], ("months", 3), "2023-10-01"),
        (["2021-01-01", "2022-01-01", "2023-01-01", "2024-01-01"], ("months", 12), "2025-01-01"),
        (["1949/1", "1949/2", "1949/3"], ("months", 1), "1949-04-01"),
        (["1", "3", "5"], ("numbers", 2), "7"),
        (["0.1", "0.2", "0.3"], ("numbers", 0.1), "0.4"),
    ],
)
def test_the_spacing_of_time_stamps_is_found(
    tmp_path: Path, stamps: list[str], spacing: tuple[str, float], after: str
) -> None:
    path = tmp_path / "series.csv"
    path.write_text("when,a\n" + "".join(f"{stamp},{place}\n" for place, stamp in enumerate(stamps)))
    table = read_series(path)
    found = spacing_of(table)
    assert found == Spacing(spacing[0], pytest.approx(spacing[1]))
    day = max(stamp.day for stamp in table.stamps) if found.unit == "months" else 0
    assert found.written(found.after(table.stamps[-1], 1, day)) == after
    assert table.complete(found, "refuse")[1:] == (0, 0)


@pytest.mark.parametrize(
    ("stamps", "unit"),
    [(["9999-12-29", "9999-12-30", "9999-12-31"], "seconds"), (["9999-10", "9999-11", "9999-12"], "months")],
)
def test_dates_end_with_the_year_9999(tmp_path: Path, stamps: list[str], unit: str) -> None:
    path = tmp_path / "late.csv"
    path.write_text("day,a\n" + "".join(f"{stamp},{place}\n" for place, stamp in enumerate(stamps)))
    spacing = spacing_of(read_series(path))
    assert spacing.unit == unit
    preprocess = SeriesPreprocess((Target("a", mean=0.0, std=1.0),), 1, 3, 2, spacing, "day")
    with pytest.raises(InputError, match=r"late\.csv, row 4: 9999-12-.. and 1 steps of 1 (day|month) are beyond"):
        next(preprocess.read(path))


def test_numbers_that_are_far_apart_are_not_evenly_spaced(tmp_path: Path) -> None:
    path = tmp_path / "far.csv"
    path.write_text("t,a\n" + "".join(f"{stamp},1\n" for stamp in ("0", "1e-300", "2e-300", "1e200")))
    with pytest.raises(DataError, match=r"far\.csv, row 5: the time stamp .* is not a whole number of steps"):
        aw.task(path, "forecasting")


def test_dollars_in_the_name_of_a_column_are_drawn_as_they_are(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    written = Forecast(None, 0, ["1", "2"], {"$x^$": [1.0, 2.0], r"\frac$ $": [2.0, 1.0]}).save(tmp_path)
    assert [path.suffix for path in written] == [".csv", ".png"]


@pytest.mark.parametrize("cell", ["", "date", "13/01/2024", "2024-13-01", "nan", "inf", "tomorrow"])
def test_other_texts_are_no_time_stamps(cell: str) -> None:
    assert to_stamp(cell) is None


def test_only_what_is_surely_a_series_is_recognised(hourly: Path, tmp_path: Path) -> None:
    told = aw.task(hourly).told
    assert told[0].startswith("task: forecasting, because hourly.csv holds dates")
    lines = hourly.read_text().splitlines()
    other = tmp_path / "other.csv"
    rest = [line.partition(",")[2] for line in lines]
    for changed in (
        [lines[0], *(f"{place},{each}" for place, each in enumerate(rest[1:]))],  # numbers may identify rows
        [lines[0], *reversed(lines[1:])],
        [lines[0], *lines[1:30], *lines[31:]],
        [f"{line},{'kind' if not place else 'ab'[place % 2]}" for place, line in enumerate(lines)],
        lines[:10],
    ):
        other.write_text("\n".join(changed) + "\n")
        assert not looks_like_series(other)
    assert not looks_like_series(tmp_path)


# ---------------------------------------------------------------------- networks


@pytest.fixture(scope="module")
def forecast(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, aw.Study]:
    """A file, the run folder of a search on it for one of its columns, and the study."""
    root = tmp_path_factory.mktemp("forecast")
    path = written(root / "hourly.csv", waves(400, 3))
    task = aw.task(path, "forecasting", horizon=6, lookback=30, targets="load 1")
    training = aw.Training(task, epochs=3, final_epochs=3, device="cpu")
    return path, root / "run", aw.search("forecaster", training, budget=aw.Budget(trials=2), path=root / "run")


def test_a_search_beats_the_mean_and_goes_on(forecast: tuple[Path, Path, aw.Study]) -> None:
    _, run, study = forecast
    assert study.test["test_mse"] < 1
    assert [each.name for each in study.baselines] == ["linear regression", "seasonal naive"]
    loaded = aw.load(run)
    assert loaded.evaluator.task.series == study.evaluator.task.series
    assert loaded.evaluator.task.names == ("load 1",)


def test_a_forecast_is_that_of_the_network_in_the_units_of_the_data(
    forecast: tuple[Path, Path, aw.Study], tmp_path: Path
) -> None:
    path, _, study = forecast
    (found,) = study.predict(path)
    assert found.times == [str(START + (400 + step) * HOUR) for step in range(6)]
    assert list(found.values) == ["load 1"]
    series = torch.tensor(waves(400, 3))[-30:, [1, 0, 2]].float()
    network = study.predictor().network.network
    with torch.no_grad():
        outputs = network(study.evaluator.task.prepare(series[None]))[0, :, 0]
    task = study.evaluator.task
    wanted = outputs * task.std + task.mean
    assert found.values["load 1"] == pytest.approx(wanted.tolist(), abs=1e-3)
    given = {f"load {place}": series[:, index].tolist() for index, place in enumerate((1, 0, 2))}
    (other,) = study.predict([given])
    assert other.values["load 1"] == pytest.approx(found.values["load 1"], abs=1e-3)
    assert other.times == ["1", "2", "3", "4", "5", "6"]
    (tmp_path / "hourly-forecast.csv").write_text("mine")
    names = [path.name for path in found.save(tmp_path)]
    assert names[0] == "hourly-forecast-2.csv"
    assert (tmp_path / "hourly-forecast.csv").read_text() == "mine"
    table = read_series(tmp_path / names[0])
    assert table.values[:, 0].tolist() == pytest.approx(found.values["load 1"])


def test_the_test_metrics_come_from_raw_windows(forecast: tuple[Path, Path, aw.Study]) -> None:
    _, _, study = forecast
    task = study.evaluator.task
    predictor = study.predictor()
    error = (predictor.scores(task.test.inputs) - task.test.targets) / task.std
    assert error.square().mean().item() == pytest.approx(study.test["test_mse"], rel=1e-3)


def test_the_exported_network_forecasts_where_there_is_torch_alone(
    forecast: tuple[Path, Path, aw.Study], tmp_path: Path
) -> None:
    path, run, study = forecast
    export_network(run, tmp_path / "network", space=study.space, onnx=find_spec("onnxscript") is not None)
    done = run_alone(PREDICT, tmp_path / "network", path, tmp_path)
    ((found, saved),) = json.loads(done.stdout)
    (wanted,) = study.predict(path)
    assert found["times"] == wanted.times
    assert found["values"]["load 1"] == pytest.approx(wanted.values["load 1"], rel=1e-5)
    assert saved == ["hourly-forecast.csv"]
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(tmp_path / "network" / "model.onnx")
    raw = torch.tensor(waves(400, 3))[None, -30:, [1, 0, 2]].float()
    (values,) = session.run(None, {session.get_inputs()[0].name: raw.numpy()})
    assert values[0, :, 0].tolist() == pytest.approx(wanted.values["load 1"], rel=1e-4)


def test_files_that_do_not_go_on_as_the_training_data_are_refused(
    forecast: tuple[Path, Path, aw.Study], tmp_path: Path
) -> None:
    _, _, study = forecast
    for changed, message in (
        (written(tmp_path / "short.csv", waves(20, 3)), "has 20 rows.*looks back over 30"),
        (written(tmp_path / "daily.csv", waves(60, 3), step=24 * HOUR), "is 24 steps of 1 hour after"),
        (written(tmp_path / "minutes.csv", waves(60, 3), step=HOUR / 2), "not a whole number of steps of 1 hour"),
        (written(tmp_path / "narrow.csv", waves(60, 2)), "no column 'load 2'"),
    ):
        with pytest.raises(DataError, match=message):
            study.predict(changed)
    with pytest.raises(DataError, match="series of shape"):
        study.predict(torch.zeros(2, 30, 2))
    with pytest.raises(DataError, match="has 0 values"):
        study.predict([{"load 1": [1.0] * 30}])
    for given in (5, None, np.array(5.0)):
        with pytest.raises(DataError, match=r"column 'load 1' is .*; give a list of its last 30 values"):
            study.predict([{"load 1": given}])


def test_preprocessing_is_read_back(forecast: tuple[Path, Path, aw.Study]) -> None:
    _, _, study = forecast
    series = study.evaluator.task.series
    written = json.loads(json.dumps(series.to_json()))
    assert preprocess_from_json(written) == series
    for name, value in (("columns", []), ("forecast", 9), ("lookback", 0), ("spacing", None), ("gaps", "?")):
        with pytest.raises(InputError):
            SeriesPreprocess.from_json({**written, name: value})


def test_a_series_in_memory_that_repeats_itself_is_scaled_by_its_steps() -> None:
    series = torch.tensor([0.0, 1.0, 3.0, 2.0], dtype=torch.float64).repeat(50)[:, None]
    task = Forecasting.of_series(series, horizon=4, lookback=8, season=4)
    assert (len(task.train), len(task.validation), len(task.test)) == (180 - 11, 20 - 3, 0)
    assert len(task.train + task.validation) == 186
    spread = series[:180].std(correction=0)
    assert task.scale.item() == pytest.approx(series[:180].diff(dim=0).abs().mean().item() / spread.item())
    with pytest.raises(DataError, match="give a longer series"):
        Forecasting.of_series(series[:30], horizon=4, lookback=8)
    with pytest.raises(DataError, match="do not change"):
        Forecasting.of_series(torch.ones(200, 1), horizon=4, lookback=8)


def test_the_outputs_of_networks_are_checked(hourly: Path) -> None:
    task = aw.task(hourly, "forecasting", horizon=6, lookback=24)
    with pytest.raises(EvaluationError, match=r"\(4, 6, 2\)"):
        task.check_outputs(torch.zeros(4, 6), 4)


def test_windows_are_learnt_from_on_their_device(hourly: Path) -> None:
    task = aw.task(hourly, "forecasting", horizon=6, lookback=24)
    feed = Feed(task, task.train, Setup("cpu"))
    seen = sum(len(targets) for _, targets in feed.shuffled(50, torch.Generator().manual_seed(0)))
    assert seen == len(task.train)
    assert isinstance(task.train, Windows)
    assert math.isfinite(task.prepare(task.train.inputs).sum())


def test_columns_that_are_not_printed_are_counted() -> None:
    forecast = Forecast(None, 0, ["a", "b"], {f"c{place}": [0.0, 1.0] for place in range(8)})
    assert forecast.cells()["2 more"] == "see --out"
