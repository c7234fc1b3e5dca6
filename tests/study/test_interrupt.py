"""Interrupts at many places: in our lines and in SQLAlchemy's, wherever one may come."""

from __future__ import annotations

import signal
import sys

import pytest
from tests.study.helpers import SPACE, record, value

import archwright as aw

pytestmark = pytest.mark.usefixtures("ctrl_c")


class Tested(aw.Evaluator):
    def evaluate(self, candidate):
        candidate.report(1, value=0.0)
        return {"value": value(candidate.architecture)}

    def retrain(self, candidate):
        return {"test_value": 1.0}


def run(study):
    return study.run(Tested(), aw.Budget(trials=5))


def interrupted(study, line):
    """Run until so many lines of the rooms that keep records have been executed; tell whether it came to that."""
    left = line

    def trace(frame, event, argument):
        nonlocal left
        name = frame.f_code.co_filename
        if "archwright" not in name and "sqlalchemy" not in name:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                signal.raise_signal(signal.SIGINT)
        return trace

    sys.settrace(trace)
    try:
        run(study)
    except KeyboardInterrupt:
        pass  # before the search, or after it: there is nothing that could end cleanly
    except AssertionError as error:
        if not isinstance(error.__context__, KeyboardInterrupt):  # SQLAlchemy's own, in its place
            raise
    finally:
        sys.settrace(None)
    return left <= 0


@pytest.mark.parametrize("folder", [True, False])
@pytest.mark.parametrize("start", range(2))
def test_an_interrupt_at_any_line_loses_nothing(tmp_path, monkeypatch, folder, start):
    monkeypatch.setattr("archwright.store._sqlite._PATIENCE", 5.0)  # seconds until a lock that is left behind is found
    strategy = aw.strategies.create("evolution", population=3, sample=2)
    unbroken = run(aw.Study(SPACE, strategy=strategy))
    line, step = 40 + 31 * start, 1601 if folder else 131
    for number in range(1000):
        path = tmp_path / str(number) if folder else None
        study = aw.Study(SPACE, strategy=strategy, path=path)
        came = interrupted(study, line + number * step)
        run(study)
        assert [record(trial) for trial in study.trials] == [record(trial) for trial in unbroken.trials]
        assert [trial.number for trial in study.history.finished] == list(range(5))
        assert study.test == {"test_value": 1.0}
        if path is not None:
            assert aw.load(path).trials == study.trials
        if not came:
            break
    assert number > 5
