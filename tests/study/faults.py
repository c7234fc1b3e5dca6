"""What befalls searches in tests: trials whose processes die, and drivers that are killed.

As a program it is such a driver: `python -m tests.study.faults OPTIONS`, a JSON object of the arguments of `drive`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from tests.execute.helpers import wait_for_the_end, write
from tests.processes import start
from tests.study.helpers import SPACE, function, value

import archwright as aw
from archwright.store import _database, _lease
from archwright.trials import History


def dying(folder, *ways):
    """A function whose trials die once in each of some ways, and not the same trial twice; it notes their processes."""

    def evaluate(candidate):
        candidate.report(1, value=0.0)
        mark = folder / f"{candidate.architecture.id}.pid"
        for way in () if mark.exists() else ways:
            try:
                (folder / way).touch(exist_ok=False)
            except FileExistsError:
                continue
            write(mark, os.getpid())
            if way == "exit":
                os._exit(3)
            if way == "abort":
                os.abort()
            os.kill(os.getpid() if way == "process" else os.getppid(), signal.SIGKILL)  # or the one beside it
            time.sleep(600)
        return function(candidate)

    return evaluate


def assert_died(study, folder, ways):
    """Of each way one trial has died, was started again, and its process is gone."""
    marks = list(folder.glob("*.pid"))
    assert len(marks) == ways
    assert sorted(trial.attempts for trial in study.trials) == [1] * (len(study.trials) - ways) + [2] * ways
    for mark in marks:
        wait_for_the_end(int(mark.read_text()))


def assert_whole(study, trials):
    """Each trial has ended once, and is on record as it is in memory."""
    assert sorted(trial.number for trial in study.history.finished) == list(range(trials))
    assert len({trial.architecture for trial in study.trials if trial.origin is None}) == len(
        [trial for trial in study.trials if trial.origin is None]
    )
    if study.path is not None:
        assert aw.load(study.path).trials == study.trials


def replayed(study):
    """The trials that the planner proposes from what each of the recorded ones had seen."""
    records = study._recorder.hold().read().records
    over = sorted((each for each in records if each.ended is not None), key=lambda each: each.ended)
    for each in records:
        history = History(study.objectives)
        for before in records[: each.trial.number]:
            history.add(aw.Trial(before.trial.number, before.trial.architecture, seed=before.trial.seed))
        for ended in over[: each.seen]:
            history.add(ended.trial)
        yield each, study._plan.next(history)


def assert_replayed(study):
    """Each proposal is that which its record tells."""
    for each, again in replayed(study):
        assert (again.architecture, again.seed) == (each.trial.architecture, each.trial.seed)


# --------------------------------------------------------------------------- drivers


def drive(folder, *, done, trials, lease=60.0, ray=None, **options):
    """Search with two workers, whose trials wait for ever once so many are done; on a Ray cluster, if that is given."""
    _lease._LEASE = _database._IDLE = lease
    folder = Path(folder)

    def evaluate(candidate):
        candidate.report(1, value=0.0)
        print("begun", flush=True)  # noqa: T201
        if len(list(folder.glob("done-*"))) >= done:
            write(folder / f"pid-{os.getpid()}", os.getpid())
            while not (folder / "go").exists():
                time.sleep(0.01)
            return 99.0
        write(folder / f"done-{candidate.architecture.id}")
        return value(candidate.architecture)

    study = aw.Study(SPACE, seed=3, **options)
    executor = "processes" if ray is None else aw.Ray(ray)
    try:
        study.run(evaluate, aw.Budget(trials=trials), executor=executor, workers=2)
    except aw.errors.ArchwrightError as error:
        print(type(error).__name__, error, flush=True)  # noqa: T201


def driver(folder, **options):
    """Start a driver, and wait until two of its trials wait; return it with the numbers of their processes."""
    process = start("-m", "tests.study.faults", json.dumps({"folder": str(folder), **options}), cwd=".")
    while len(pids := list(folder.glob("pid-*"))) < 2:
        assert process.returncode is None, process.communicate()
        time.sleep(0.01)
    return process, [int(pid.read_text()) for pid in pids]


def killed_driver(folder, **options):
    """Kill a driver while two of its trials run, which end with it."""
    process, pids = driver(folder, **options)
    process.kill()
    process.wait()
    for pid in pids:
        wait_for_the_end(pid)


if __name__ == "__main__":
    drive(**json.loads(sys.argv[1]))
