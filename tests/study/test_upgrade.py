"""Databases of the first version, which knew no schedulers."""

from __future__ import annotations

import json
import sqlite3

import pytest
from tests.study.helpers import SPACE, function, record, value, walk

import archwright as aw
from archwright.errors import StudyError
from archwright.schedulers import Full, Ladder

STUDY = (
    "created", "versions", "space", "fingerprint", "strategy", "objective", "seed", "evaluator", "budget", "final",
    "results",
)  # fmt: skip
TRIALS = {
    "number": "INTEGER NOT NULL PRIMARY KEY",
    "architecture": "TEXT NOT NULL",
    "state": "VARCHAR(16) NOT NULL",
    "metrics": "TEXT NOT NULL",
    "curve": "TEXT NOT NULL",
    "seconds": "DOUBLE NOT NULL",
    "seed": "BIGINT NOT NULL",
    "fidelity": "INTEGER",
    "worker": "TEXT NOT NULL",
    "error": "TEXT",
    "attempts": "INTEGER NOT NULL",
    "elapsed": "DOUBLE NOT NULL",
    "ended": "INTEGER",
}


@pytest.fixture
def old(tmp_path):
    """A run folder as the first version left it, after 12 trials and inside the 13th."""
    strategy = {"name": "evolution", "class": "archwright.strategies._evolution:Evolution"}
    strategy["options"] = aw.strategies.options(aw.strategies.create("evolution"))
    document = {
        "created": "2025-01-01T00:00:00+00:00",
        "versions": {"python": "3.11.9", "archwright": "0.1.0"},
        "space": SPACE.to_json(),
        "fingerprint": SPACE.fingerprint,
        "strategy": strategy,
        "objective": "max value",
        "seed": 5,
        "evaluator": None,
        "budget": {"trials": 20},
        "final": 1,
        "results": {},
    }
    assert tuple(document) == STUDY
    study = walk(aw.Study(SPACE, strategy="evolution", seed=5), 12)
    running = study.ask()
    with sqlite3.connect(tmp_path / "study.db") as connection:
        columns = ", ".join(f"{name} TEXT" for name in STUDY)
        connection.execute(f"CREATE TABLE study (id INTEGER NOT NULL PRIMARY KEY, format INTEGER NOT NULL, {columns})")
        connection.execute(
            f"INSERT INTO study VALUES (1, 1, {', '.join('?' * len(STUDY))})", list(map(json.dumps, document.values()))
        )
        connection.execute(f"CREATE TABLE trials ({', '.join(' '.join(column) for column in TRIALS.items())})")
        for trial in [*study.trials[:12], running]:
            row = trial.to_json() | {"elapsed": 1.5 * trial.number, "ended": trial.number if trial.ended else None}
            row |= {name: json.dumps(row[name]) for name in ("architecture", "metrics", "curve")}
            connection.execute(
                f"INSERT INTO trials VALUES ({', '.join('?' * len(TRIALS))})", [row[name] for name in TRIALS]
            )
    connection.close()
    return tmp_path


def names(folder, table):
    with sqlite3.connect(folder / "study.db") as connection:
        found = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    connection.close()
    return found


def test_it_is_read_and_left_as_it_is(old):
    before = (old / "study.db").read_bytes()
    study = aw.load(old)
    walked = walk(aw.Study(SPACE, strategy="evolution", seed=5), 12)
    assert [record(trial) for trial in study.trials[:12]] == [record(trial) for trial in walked.trials]
    assert study.trials[12].state == "running"
    assert {(trial.share, trial.origin, trial.fidelity) for trial in study.trials} == {(1.0, None, None)}
    assert (study.scheduler, study.ladder, study.why, study.constraints) == (Full(), Ladder(), (), ())
    assert (study.elapsed, study.budget, study.history.spent) == (18.0, aw.Budget(trials=20), 12)
    assert study.summary()["trials"]["complete"] == 12
    assert study.best.metrics["value"] == max(value(trial.architecture) for trial in study.trials[:12])
    assert (old / "study.db").read_bytes() == before
    assert not {"scheduler", "checkpoints", "why", "learned"} & set(names(old, "study"))


def test_it_is_shown_and_shown_as_json(old, monkeypatch, capsys):
    from archwright.cli import main

    for more in ((), ("--json",)):
        monkeypatch.setattr("sys.argv", ["archwright", "show", str(old), *more])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        out = capsys.readouterr().out
        assert "evolution" in out
        assert not more or json.loads(out)["trials"]["complete"] == 12


def test_it_goes_on_as_it_would_have_then(old):
    unbroken = aw.Study(SPACE, strategy="evolution", seed=5).run(function, aw.Budget(trials=20))
    study = aw.load(old, evaluator=function).resume()
    assert [record(trial) for trial in study.trials] == [record(trial) for trial in unbroken.trials]
    assert study.trials[12].attempts == 2
    assert {"share", "origin", "seen"} <= set(names(old, "trials"))
    assert not names(old, "study")
    again = aw.load(old)
    assert again.trials == study.trials
    assert again.scheduler == Full()


def test_it_goes_on_by_hand(old):
    with aw.load(old) as study:
        trial = study.ask()
        assert (trial.number, trial.attempts) == (12, 2)
        study.tell(trial, 0.5)
        assert study.ask().number == 13
    assert aw.load(old).trials[12].metrics == {"value": 0.5}


def test_search_goes_on_with_it_and_refuses_another_way(old):
    options = {"seed": 5, "path": old, "resume": True, "budget": aw.Budget(trials=15)}
    with pytest.raises(StudyError, match=r"scheduler: full\(\) over full evaluations is on record, asha\(eta=3.0\)"):
        aw.search(SPACE, function, scheduler="asha", fidelity={"n": (1, 9)}, **options)
    with pytest.raises(StudyError, match=r"full\(\) over full evaluations, inherit=True was given"):
        aw.search(SPACE, function, inherit=True, **options)
    study = aw.search(SPACE, function, **options)
    assert len(study.history.complete) == 15
    assert study.strategy == aw.strategies.create("evolution")
