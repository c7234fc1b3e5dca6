"""What a comparison says, and what it leaves on disk."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import xml.etree.ElementTree as ET

import matplotlib.image
import numpy as np
import pytest

from archwright.bench import Comparison, Run
from archwright.trials import Objective


def run(seed, values, test=None, clock=None):
    return Run(
        seed,
        np.arange(1.0, 5.0) if clock is None else np.array(clock),
        np.array(values),
        None if test is None else np.array(test),
        2 * seed,
        0.001,
    )


RUNS = {
    "good": [run(0, [0.5, 0.9, 1.0, 1.0], [0.4, 0.6, 0.8, 0.8]), run(1, [0.2, 0.2, 0.2, 1.0], [0.1, 0.1, 0.1, 0.8])],
    "bad": [run(0, [0.1, 0.1, 0.2, 0.3], [0.1, 0.1, 0.0, 0.2]), run(1, [0.0, 0.4, 0.4, 0.4], [0.0, 0.3, 0.3, 0.3])],
}


@pytest.fixture
def comparison():
    return Comparison.of(RUNS, Objective("accuracy"), 4, [0, 1], 1, best=1.0, best_test=0.8, scale=100.0)


def test_json_holds_the_means_and_standard_errors(comparison):
    written = json.loads(json.dumps(comparison.to_json()))
    good = written["results"]["good"]
    assert (written["trials"], written["seeds"]) == (4, 2)
    assert good["test_regret"] == {"4": pytest.approx(0.0)}
    assert good["val_regret_se"] == {"4": pytest.approx(0.0)}
    assert good["median_to_best"] == 3.5
    assert good["share_found"] == 1.0
    assert good["duplicates"] == 1.0
    assert good["ms_per_trial"] == pytest.approx(1.0)
    bad = written["results"]["bad"]
    assert bad["test_regret"] == {"4": pytest.approx(55.0)}
    assert bad["test_regret_se"] == {"4": pytest.approx(100 * np.std([0.6, 0.5], ddof=1) / math.sqrt(2))}
    assert bad["median_to_best"] is None
    assert (good["rank"], bad["rank"]) == (1.0, 2.0)
    assert written["tests"]["wilcoxon_p"] == {"good | bad": pytest.approx(0.5)}
    assert good["regret_at_seconds"]["4"] == pytest.approx(0.0)
    assert good["regret_at_seconds"]["0.4"] is None
    assert good["regret_at_seconds"]["2"] == pytest.approx(100 * (0.8 - (0.6 + 0.1) / 2))


def test_round_numbers_of_evaluations_are_shown_and_the_last():
    runs = {"a": [run(0, [0.1] * 4), run(1, [0.2] * 4)]}
    shown = [
        Comparison.of(runs, Objective("a"), trials, [0, 1], 1, None, None, 1.0).checkpoints
        for trials in (4, 25, 60, 150, 400)
    ]
    assert shown == [(4,), (25,), (25, 50, 60), (25, 50, 100, 150), (25, 50, 100, 150, 300, 400)]


def test_as_text_the_best_comes_first(comparison):
    lines = str(comparison).splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["strategy", "good", "bad"]
    assert lines[1].split()[1:] == ["0.000", "0.000", "3.5", "100%", "1.0", "1.00", "1.00"]
    assert lines[2].split()[1:] == ["55.000", "5.000", "-", "0%", "1.0", "1.00", "2.00"]
    assert lines[3].startswith("not told apart from good")
    assert lines[3].endswith(": bad")


def test_one_seed_has_no_standard_error_and_one_strategy_no_test():
    alone = Comparison.of({"a": [run(0, [0.1, 0.2, 0.3, 0.4])]}, Objective("a"), 4, [0], 1, None, None, 1.0)
    written = json.loads(json.dumps(alone.to_json(), allow_nan=False))
    assert written["results"]["a"]["val_regret_se"] is None
    assert written["results"]["a"]["test_regret"] is None
    assert written["tests"] == {
        "ranks": {"a": 1.0},
        "friedman_p": None,
        "critical_difference": None,
        "wilcoxon_p": {},
    }
    assert "not told apart" not in str(alone)


def test_files_hold_every_run_and_a_picture(comparison, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.json").write_text("mine")
    paths = comparison.save(tmp_path / "out", title="A <title>")
    assert (tmp_path / "out" / "results.json.old").read_text() == "mine"
    assert [path.name for path in paths] == ["results.json", "runs.csv", "curves.png", "curves.svg", "report.html"]
    assert json.loads(paths[0].read_text())["results"].keys() == {"good", "bad"}
    with paths[1].open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 4
    assert rows[1] == {
        "strategy": "good",
        "seed": "0",
        "evaluation": "2",
        "clock": "2",
        "val_regret": "10",
        "test_regret": "20",
    }
    pixels = matplotlib.image.imread(paths[2])
    assert pixels.shape[0] > 300
    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 50
    drawn = ET.parse(paths[3])
    assert drawn.getroot().tag.endswith("svg")
    assert "A &lt;title&gt;" in paths[4].read_text()
    assert "55.000" in paths[4].read_text()


def test_regret_without_a_judge_is_that_of_validation(tmp_path):
    runs = {name: [run(one.seed, one.values.tolist()) for one in several] for name, several in RUNS.items()}
    comparison = Comparison.of(runs, Objective("a"), 4, [0, 1], 1, 1.0, None, 1.0)
    assert comparison.results["good"].final is comparison.results["good"].regret
    rows = comparison.save(tmp_path)[1].read_text().splitlines()
    assert rows[1] == "good,0,1,1,0.5,"


@pytest.fixture
def timed():
    """By 8 simulated seconds, the time of 4 full trainings; the runs have 4 evaluations, 2 and none."""
    runs = {
        "good": [run(0, [0.5, 0.9, 1.0, 1.0], [0.4, 0.6, 0.8, 0.8], [1, 3, 5, 8])] * 2,
        "bad": [run(0, [0.1, 0.1], [0.1, 0.2], [2, 7]), run(1, [], [], [])],
    }
    return Comparison.of(runs, Objective("accuracy"), 4, [0, 1], 1, 1.0, 0.8, 100.0, 8.0)


def test_by_time_the_checkpoints_are_times_of_full_trainings(timed):
    many = dataclasses.replace(timed, trials=50)  # a full training takes 0.16 seconds
    assert many.checkpoints == (25, 50)
    written = json.loads(json.dumps(many.to_json()))
    assert written["seconds"] == 8.0
    good, bad = written["results"]["good"], written["results"]["bad"]
    assert good["test_regret"] == {"25": pytest.approx(20.0), "50": pytest.approx(0.0)}  # at 4 seconds, and at 8
    assert good["val_regret"] == {"25": pytest.approx(10.0), "50": pytest.approx(0.0)}
    assert (good["evaluations"], bad["evaluations"]) == (4.0, 1.0)
    assert bad["test_regret"] == {"25": None, "50": None}  # one of the runs has nothing
    assert good["regret_at_seconds"]["0.8"] is None
    assert list(good["regret_at_seconds"])[-1] == "8"
    assert "duplicates" not in good


def test_by_time_what_is_found_is_found_at_a_time(timed):
    assert timed.results["good"].found.tolist() == [2.5, 2.5]  # at 5 seconds; a full training takes 2
    assert timed.results["bad"].found.tolist() == [math.inf] * 2
    lines = str(timed).splitlines()
    assert lines[0].split() == ["strategy", "4", "±", "to", "best", "found", "evaluations", "ms", "rank"]
    assert lines[1].split() == ["good", "0.000", "0.000", "2.5", "100%", "4.0", "1.00", "1.00"]


def test_by_time_the_files_hold_what_was_evaluated(timed, tmp_path):
    paths = timed.save(tmp_path)
    with paths[1].open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["strategy"], row["clock"]) for row in rows] == [
        *[("good", clock) for clock in ("1", "3", "5", "8")] * 2,
        *[("bad", clock) for clock in ("2", "7")],
    ]
    picture = ET.parse(paths[3])
    axes = [
        group.get("id") for group in picture.iter("{http://www.w3.org/2000/svg}g") if "axes_" in group.get("id", "")
    ]
    assert axes == ["axes_1", "axes_2"]  # by time, and ranks


def test_by_number_there_is_no_word_of_time(comparison):
    assert "seconds" not in comparison.to_json()
    assert "evaluations" not in comparison.to_json()["results"]["good"]
    assert str(comparison).splitlines()[0].split()[-3] == "repeats"
