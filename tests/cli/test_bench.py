"""`archwright bench` as a user meets it."""

import gzip
import json
from importlib import resources

import pytest

from archwright import strategies
from archwright.cli._named import parse_strategies
from archwright.errors import SchedulerError, StrategyError, UnknownName
from archwright.schedulers import ASHA, Hyperband
from archwright.strategies import Evolution, LocalSearch, Random


def test_the_table_that_ships_needs_no_data(tmp_path, command):
    done = command(
        "bench", "digits-cells", "--strategy", "random,local-search", "--trials", 30, "--seeds", 3,
        "--out", tmp_path / "out", env={"COLUMNS": "80", "ARCHWRIGHT_DATA": str(tmp_path), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "digits-cells, digits: 30 evaluations, 3 seeds"
    assert "test regret" in lines[1].lower()
    assert "percentage points" in lines[1]
    rows = {line.split()[0]: line.split()[1:] for line in lines[2:5]}
    assert rows["strategy"][:2] == ["25", "30"]
    assert rows.keys() == {"strategy", "random", "local-search"}
    assert all(0 <= float(number) < 100 for number in rows["random"][:2])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "results.json",
        "runs.csv",
        "curves.png",
        "curves.svg",
        "report.html",
    }


def test_json_is_one_document_with_the_names_that_scripts_rely_on(in_process):
    arguments = ["--strategy", "random,evolution", "--trials", 60, "--seeds", 2, "--json"]
    status, out, err = in_process("bench", "digits-cells", *arguments)
    assert status == 0, err
    written = json.loads(out)
    assert written.keys() >= {"table", "dataset", "trials", "seeds", "results"}
    assert (written["table"], written["dataset"], written["trials"], written["seeds"]) == (
        "digits-cells",
        "digits",
        60,
        2,
    )
    for result in written["results"].values():
        assert result["test_regret"].keys() == result["val_regret"].keys() == {"25", "50", "60"}
        assert result.keys() >= {"median_to_best", "share_found", "duplicates", "ms_per_trial"}
    assert written["results"].keys() == {"random", "evolution"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nasbench20"], "unknown table 'nasbench20'. Did you mean 'nasbench201'"),
        (["digits-cells", "--dataset", "cifar10"], "data set of the table 'digits-cells': 'cifar10'"),
        (["digits-cells", "--strategy", "evolutoin"], "Did you mean 'evolution'"),
        (["digits-cells", "--strategy", "random,random"], "'random' is named twice"),
        (["digits-cells", "--seeds", "0"], "at least one trial, worker, seed and strategy"),
        (["nasbench201", "--data", "nowhere"], "nasbench201.csv.gz was not found in nowhere"),
    ],
)
def test_a_mistake_is_told_in_one_line(arguments, said, in_process):
    status, out, err = in_process("bench", *arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_an_altered_table_is_refused_and_one_of_ones_own_is_taken_on_request(tmp_path, in_process):
    whole = gzip.decompress(resources.files("archwright.bench").joinpath("digits_cells.csv.gz").read_bytes()).decode()
    own = tmp_path / "digits_cells.csv.gz"
    own.write_bytes(gzip.compress(whole.replace("0.97", "0.98").encode()))
    arguments = ["bench", "digits-cells", "--strategy", "random", "--trials", "3", "--seeds", "1", "--data", own]
    status, _, err = in_process(*arguments)
    assert status == 2
    assert "is not the table that is known: its SHA256 is" in err
    assert "--no-verify" in err
    assert in_process(*arguments, "--no-verify")[0] == 0


def test_settings_of_a_strategy_are_written_behind_it():
    found = parse_strategies("random, evolution:population=20, sample=5 ,local-search:improvement=best")
    assert found == {
        "random": Random(),
        "evolution:population=20, sample=5": Evolution(population=20, sample=5),
        "local-search:improvement=best": LocalSearch(improvement="best"),
    }
    assert parse_strategies("evolution:population=20;sample=5").popitem()[1] == Evolution(population=20, sample=5)
    with pytest.raises(StrategyError, match="'sample' is given twice"):
        parse_strategies("evolution:sample=3,sample=5")
    with pytest.raises(StrategyError, match="reads name=value, not 'population'"):
        parse_strategies("evolution:population")
    with pytest.raises(StrategyError, match="population must be an integer of 1 or more, not 'many'"):
        parse_strategies("evolution:population=many")
    with pytest.raises(StrategyError, match="no option 'size'"):
        parse_strategies("evolution:size=3")
    with pytest.raises(StrategyError, match="names no strategy"):
        parse_strategies(" , ")
    with pytest.raises(UnknownName, match="'grids'"):
        parse_strategies("grids")


def test_schedulers_stand_behind_a_plus_sign():
    found = parse_strategies("random, random+asha,evolution:population=20,sample=5 + hyperband:eta=1e+1")
    assert list(found) == ["random", "random+asha", "evolution:population=20,sample=5 + hyperband:eta=1e+1"]
    assert list(found.values()) == [
        Random(),
        (Random(), ASHA()),
        (Evolution(population=20, sample=5), Hyperband(eta=10.0)),
    ]
    hot = "annealing:temperature=1e+1"  # this plus sign belongs to a number
    assert parse_strategies(hot) == {hot: strategies.create("annealing", temperature=10.0)}
    with pytest.raises(UnknownName, match="'asha'"):
        parse_strategies("random+asah")
    with pytest.raises(SchedulerError, match="eta"):
        parse_strategies("random+asha:eta=1")
    with pytest.raises(StrategyError, match="named twice"):
        parse_strategies("random+asha,random+asha")


def test_schedulers_are_compared_by_simulated_time(in_process):
    arguments = ["--strategy", "random,random+asha", "--trials", 30, "--seeds", 2]
    status, out, err = in_process("bench", "digits-cells", *arguments)
    assert status == 0, err
    lines = out.splitlines()
    assert lines[0] == "digits-cells, digits: the time of 30 full trainings, 2 seeds"
    assert "mean after the number of full trainings, as simulated time" in lines[1]
    rows = {line.split()[0]: line.split()[1:] for line in lines[2:5]}
    assert rows["strategy"][:2] == ["25", "30"]
    assert float(rows["random+asha"][-3]) > 2 * float(rows["random"][-3])  # evaluations
