"""Schedulers in play, without a study: architectures are numbered in the order in which they come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import archwright as aw
from archwright.schedulers import Ladder
from archwright.trials import History, Objective, Trial

LADDER = Ladder.of({"epochs": (1, 27)}, eta=3)
SPACE = aw.Space(number=aw.integer(0, 9999))


class Play:
    """A history that a scheduler makes."""

    def __init__(self, scheduler, ladder=LADDER, objective="max a"):
        self.scheduler, self.ladder = scheduler, ladder
        self.history = History(Objective.parse(objective))

    def ask(self, more=True):
        """The next trial; None where there is none."""
        rng = np.random.default_rng(len(self.history.trials))
        job = self.scheduler.assign(self.ladder, self.history, rng, more=more)
        return None if job is None else self.begin(job.level, job.origin)

    def begin(self, level=None, origin=None):
        number = len(self.history.trials)
        trial = Trial(number, SPACE.canonical({"number": number}), seed=number)
        if origin is not None:
            trial = replace(trial, architecture=origin.architecture, seed=origin.seed, origin=origin.number)
        if level is not None:
            trial = replace(trial, share=self.ladder.costs[level], fidelity=self.ladder.rungs[level])
        self.history.add(trial)
        return trial

    def tell(self, trial, value, curve=()):
        """End a trial with a value, or None where it fails."""
        rows = tuple({"step": float(step), "a": score} for step, score in curve)
        state, metrics = ("failed", {}) if value is None else ("complete", {"a": float(value)})
        ended = replace(trial, state=state, metrics=metrics, curve=rows)
        self.history.add(ended)
        return ended

    def level(self, trial):
        return self.ladder.level(trial.share)

    def step(self, value, more=True):
        """Ask and tell at once; return the rung and the number that it goes on from."""
        trial = self.ask(more)
        self.tell(trial, value(trial) if callable(value) else value)
        return self.level(trial), trial.origin

    def checkpoints(self):
        return self.scheduler.checkpoints(self.ladder, self.history)
