"""A search in a process of its own, which waits at a named place until it is killed.

Usage: python -m tests.study.killed FOLDER STRATEGY [PLACE NUMBER]

The strategy "asha" stands for evolution under that scheduler.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from functools import wraps
from itertools import count
from typing import ClassVar

from tests.study.helpers import SPACE, value

import archwright as aw
from archwright.store._database import Database
from archwright.study._best import Artifacts
from archwright.study._recorder import Recorder


def wait(place, number):
    if sys.argv[3:] == [place, str(number)]:
        print("waiting", flush=True)  # noqa: T201
        time.sleep(600)


class Watched(aw.Evaluator):
    """Gives its value to each architecture, and fails for some."""

    def evaluate(self, candidate):
        wait("evaluation", Places.trial)
        candidate.report(1, value=0.0)
        wait("report", Places.trial)
        if value(candidate.architecture) < 0.2:
            raise ValueError("this one fails")
        return {"value": value(candidate.architecture)}

    def retrain(self, candidate):
        wait("final", 0)
        return {"test_value": value(candidate.architecture)}


class Growing(aw.Evaluator):
    """Comes to a value on a way that depends on each of its epochs, and goes on where it was left."""

    fidelities: ClassVar = {"epochs": aw.evaluate.Fidelity(1, 9, whole=True)}

    def evaluate(self, candidate):
        wait("evaluation", Places.trial)
        state = candidate.restore() or {"epochs": 0, "value": 0.5}
        reached = state["value"]
        epochs = int((candidate.fidelity or {"epochs": 9})["epochs"])
        for epoch in range(state["epochs"] + 1, epochs + 1):
            reached = (97 * reached + epoch * value(candidate.architecture) + candidate.seed % 101 / 101) % 1
            candidate.report(epoch, value=reached)
            wait("report", Places.trial)
        candidate.save({"epochs": epochs, "value": reached})
        wait("saved", Places.trial)
        return {"value": reached}


class Places(aw.Callback):
    trial = 0

    def on_trial_start(self, study, trial):
        Places.trial = trial.number
        wait("start", trial.number)

    def on_trial_end(self, study, trial):
        wait("end", trial.number)

    def on_final_end(self, study, trial, metrics):
        wait("after", 0)


def search(strategy, **options):
    if strategy == "asha":
        return aw.search(
            SPACE, Growing(), strategy="evolution", scheduler="asha", budget=aw.Budget(trials=6), **options
        )
    settings = {"population": 4, "sample": 2} if strategy == "evolution" else {}
    made = aw.strategies.create(strategy, **settings)
    return aw.search(SPACE, Watched(), strategy=made, budget=aw.Budget(trials=20), **options)


def watch_transactions():
    """Wait between the change and the commit, counting from 1."""
    transaction, numbers = Database.transaction, count(1)

    @contextmanager
    def watched(self):
        with transaction(self) as connection:
            yield connection
            wait("transaction", next(numbers))

    Database.transaction = watched


def watch(owner, name, place, *, after):
    method = getattr(owner, name)

    @wraps(method)
    def watched(*args, **kwargs):
        if after:
            done = method(*args, **kwargs)
            wait(place, Places.trial)
            return done
        wait(place, Places.trial)
        return method(*args, **kwargs)

    setattr(owner, name, watched)


if __name__ == "__main__":
    watch_transactions()
    watch(Recorder, "end", "untold", after=False)
    watch(Artifacts, "keep", "kept", after=True)
    search(sys.argv[2], path=sys.argv[1], callbacks=[Places()], resume=True)
    print("done", flush=True)  # noqa: T201
