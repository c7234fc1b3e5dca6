"""Models of earlier runs, and their weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from archwright.space import Architecture, Space
from archwright.surrogates import (
    EarlierModel,
    Posterior,
    Rows,
    Term,
    fit_parameters,
    kernel_for,
    rank_weights,
    squash,
)
from archwright.trials import History, Trial

Array = NDArray[np.float64]

_COMPARED = 60  # trials that are compared in pairs, at most: the latest
_SAMPLES = 256  # of the order of these
_RELEVANT = 0.1  # weight of a run, from which its trials are learnt from
_FEWEST = 4  # trials, below which no earlier run is judged


@dataclass
class EarlierModels:
    """Gaussian processes of the earlier runs of a history, fitted once."""

    terms: Sequence[Term] = ()
    seen: Callable[[Array], Array] = squash  # what they see in place of scores
    models: list[EarlierModel] = field(default_factory=list)

    def fit(self, history: History) -> None:
        """Fit a model to each earlier run."""
        for run in history.background.runs[len(self.models) :]:
            scores = np.array([history.objective.score(metrics) for metrics in run.metrics])
            rows = [term.inputs(run.architectures) for term in self.terms]
            self.models.append(EarlierModel.fit(self.terms, rows, self.seen(scores)))

    def weights(self, rows: Sequence[Rows], scores: Array, parameters: Array) -> Array:
        """Return the weights of the earlier models, and at last of the own one, by the latest trials.

        Args:
            rows: For each term (n, features) rows of the trials.
            scores: (n,) scores of the trials, as the model sees them.
            parameters: Those of the own model.
        """
        latest = slice(max(0, len(scores) - _COMPARED), len(scores))
        rows, scores = [part[latest] for part in rows], scores[latest]
        rng = np.random.default_rng(len(scores))
        own = Posterior(self.terms, parameters, rows)
        own.observe(rows, len(scores))
        mean, deviation = own.leave_one_out(scores)
        drawn = mean + deviation * rng.normal(size=(_SAMPLES, len(scores)))
        return rank_weights([model.draw(rows, _SAMPLES, rng) for model in self.models], drawn, scores)


def relevant(space: Space, history: History, count: int, earlier: EarlierModels) -> tuple[list[Architecture], Array]:
    """Return the architectures of earlier runs that rank the first trials of a history well, with squashed scores.

    Args:
        space: The space.
        history: The trials.
        count: How many of the complete trials the runs are judged by.
        earlier: The models that are kept for the history.
    """
    runs = history.background.runs
    if not runs or count < _FEWEST:
        return [], np.zeros(0)
    earlier.terms = earlier.terms or kernel_for(space, "decisions")
    earlier.fit(history)
    rows = [term.inputs([trial.architecture for trial in history.complete[:count]]) for term in earlier.terms]
    scores = squash(np.asarray(history.scores[:count]))
    weights = earlier.weights(rows, scores, fit_parameters(earlier.terms, rows, scores))
    kept = [place for place in range(len(runs)) if weights[place] >= _RELEVANT]
    listed = [each for place in kept for each in runs[place].architectures]
    return listed, np.concatenate([np.zeros(0), *(earlier.models[place].scores for place in kept)])


def earlier_histories(history: History) -> Iterator[History]:
    """Iterate over the earlier runs as histories of their own, from which an agent learns before the first trial."""
    for run in history.background.runs:
        found = History(history.objectives)
        pairs = zip(run.architectures, run.metrics, strict=True)
        trials = [
            Trial(number, architecture, "complete", metrics, seed=number)
            for number, (architecture, metrics) in enumerate(pairs)
        ]
        found.restore(trials, trials)
        yield found
