"""Histories whose architectures can be told from their children."""

from __future__ import annotations

from collections import Counter

import numpy as np

import archwright as aw
from archwright.trials import History, Objective, Trial

PLACES = 8
SPACE = aw.Space(**{f"e{i}": aw.choice(*range(60)) for i in range(PLACES)})


def architecture(digit):
    """All decisions alike: a mutant or two later the digit can still be told."""
    return SPACE.canonical({f"e{i}": digit for i in range(PLACES)})


def digit(child):
    """The digit of the parent of a child."""
    return Counter(child.values()).most_common(1)[0][0]


def distance(first, second):
    return sum(first[name] != second[name] for name in first)


def add(history, architecture, state="complete", seed=0, **metrics):
    number = len(history.trials)
    history.add(Trial(number, architecture, seed=seed))
    history.add(Trial(number, architecture, state, metrics, seed=seed))


def told(scores, seeds=None, **more):
    """A history in which trial i has the digit i and the i-th score."""
    history = History(Objective("a"))
    for i, score in enumerate(scores):
        metrics = {name: values[i] for name, values in more.items()}
        add(history, architecture(i), seed=i if seeds is None else seeds[i], a=score, **metrics)
    return history


def parents(strategy, history, count=200, space=SPACE):
    """How often each trial is the parent of a proposal, by its digit."""
    return Counter(digit(strategy.propose(space, history, np.random.default_rng(seed))) for seed in range(count))


def is_random(strategy, history, space=SPACE):
    """Whether proposals are samples of the space, and nothing else."""
    return all(
        strategy.propose(space, history, np.random.default_rng(seed)) == space.sample(np.random.default_rng(seed))
        for seed in range(5)
    )
