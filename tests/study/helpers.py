"""What the tests of studies share."""

from __future__ import annotations

import archwright as aw

SPACE = aw.Space(**{f"e{i}": aw.choice(*"abcde") for i in range(6)}, name="letters")
SMALL = aw.Space(x=aw.choice(*range(4)), y=aw.choice(*range(3)))


def value(architecture):
    """A number between 0 and 1 that depends on the architecture alone."""
    return int(architecture.id, 16) % 1009 / 1009


def function(candidate):
    return value(candidate.architecture)


def walk(study, trials, value=value):
    for _ in range(trials):
        trial = study.ask()
        study.tell(trial, value(trial.architecture))
    return study


def record(trial):
    """What of a trial has to be the same in a run that was interrupted and in one that was not."""
    return (trial.number, trial.architecture, trial.seed, trial.state, dict(trial.metrics))
