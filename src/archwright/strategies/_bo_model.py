"""The surrogate model of Bayesian optimisation for one history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy
from numpy.typing import NDArray

from archwright.space import Architecture, Space
from archwright.strategies._earlier import EarlierModels
from archwright.strategies._pool import everything, positions
from archwright.surrogates import Posterior, RankWeighted, Rows, Term, fit_parameters, squash
from archwright.trials import History

_ENTRIES = 20_000_000  # the most observations x candidates for which a whole space is judged: 160 MB
_OBSERVED = 1000  # the most trials that are observed: the cost of a proposal grows with their square
_GAP = 250  # the most trials between two fits, which are observed too
_PART = 8  # of the workers, so many of whose trials may end between two rankings


@dataclass
class Model:
    """A Gaussian process that follows from the complete trials of a history, whatever it was asked before."""

    terms: tuple[Term, ...]  # the terms of its kernel
    seen: Callable[[NDArray[np.float64]], NDArray[np.float64]] = squash  # what it sees in place of scores
    rows: list[Rows] = field(default_factory=list)  # for each term the (trials, features) rows
    count: int = 0  # how many trials have their rows
    fitted: int = 0  # how many the parameters were fitted to
    parameters: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    kept: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))  # which of those are observed
    posterior: Posterior | None = None  # over all of a small space
    settled: int = 0  # how many complete trials it has observed; those beyond are trials that ran
    open: NDArray[np.bool_] | None = None  # which of all architectures of a small space have not been proposed
    marked: int = 0  # how many trials are marked there
    ranked: tuple[int, int] = (0, 0)  # how many trials had ended at the last ranking, and until the next one
    ranking: Sequence[Architecture] = ()  # candidates, the best first
    earlier: EarlierModels | None = None  # those of earlier runs
    everywhere: list[Posterior] = field(default_factory=list)  # those over all of a small space
    weights: NDArray[np.float64] = field(default_factory=lambda: np.ones(1))  # of the earlier models, and of this one
    weighed: int = 0  # how many trials the weights follow from

    @property
    def observed(self) -> NDArray[np.intp]:
        """Which trials the posterior observes: those kept at the last fit, and all that came after it."""
        return np.concatenate([self.kept, np.arange(self.fitted, self.count)])

    def learn(self, history: History, count: int | None = None, late: int = 1) -> None:
        """Take in complete trials, and fit the parameters where that is due.

        Args:
            history: What has been tried.
            count: How many of the complete trials; by default all.
            late: How many trials end between two rankings.
        """
        count = len(history.complete) if count is None else count
        if count < self.count:  # there are more workers now, and rankings are made at other places
            self.rows = [part[:count] for part in self.rows]
        elif new := [trial.architecture for trial in history.complete[self.count : count]]:
            self.rows = self._joined(self.rows, new)
        self.count = count
        due = _last_fit(count, late)
        if due != self.fitted:
            scores = np.asarray(history.scores[:due])
            self.parameters = fit_parameters(self.terms, [rows[:due] for rows in self.rows], self.seen(scores))
            self.kept = telling(scores)
            self.fitted, self.posterior = due, None
        if history.background.runs and self.weighed != count:
            self.earlier = self.earlier or EarlierModels(self.terms, self.seen)
            self.earlier.fit(history)
            self.weights = self.earlier.weights(
                self.rows, self.seen(np.asarray(history.scores[:count])), self.parameters
            )
            self.weighed = count

    def predict(
        self, space: Space, history: History, draw: Callable[[], Sequence[Architecture]], *, counts_running: bool = True
    ) -> tuple[Sequence[Architecture], Posterior | RankWeighted, NDArray[np.bool_]]:
        """Return candidates, the posterior over them, and which of them have not been proposed.

        Args:
            space: Where to search; all of a small space are candidates.
            history: What has been tried.
            draw: Returns candidates of a large space, none of which has been proposed.
            counts_running: Whether trials that still run are observed too, as such whose outcome is to come.
        """
        observed = self.observed
        rows = [part[observed] for part in self.rows]
        candidates = everything(space)
        if candidates is None or len(observed) * len(candidates) > _ENTRIES:
            candidates = draw()
            posterior = Posterior(self.terms, self.parameters, [term.inputs(candidates) for term in self.terms])
            open_ = np.ones(len(candidates), dtype=bool)
        else:
            if self.posterior is None:
                self.posterior = Posterior(self.terms, self.parameters, self._all(space, candidates))
                # Those kept at once and the others one by one, whenever it is asked: rounding decides between equals.
                self.settled = len(self.kept)
            posterior, open_ = self.posterior, self._open(space, history)
            # Drops the trials that were running when it was last asked.
            posterior.observe(rows, min(self.settled, len(observed)))
            self.settled = len(observed)
        posterior.observe(rows, len(observed))
        if counts_running and (running := [trial.architecture for trial in history.running]):
            posterior.observe(self._joined(rows, running), len(observed) + len(running))
        return candidates, self._mixed(posterior, rows), open_

    def _mixed(self, posterior: Posterior, rows: Sequence[Rows]) -> Posterior | RankWeighted:
        """Return the posterior with those of earlier runs that have a weight."""
        if self.earlier is None or self.weights[-1] == 1:
            return posterior
        models, kept = self.earlier.models, np.flatnonzero(self.weights[:-1])
        if posterior is self.posterior:  # over all of a small space
            if not self.everywhere:
                self.everywhere = [model.posterior(posterior.candidates) for model in models]
            candidates = [(self.everywhere[place], models[place].scores) for place in kept]
        else:
            candidates = [(models[place].posterior(posterior.candidates), models[place].scores) for place in kept]
        observed = [models[place].at(rows)[0] for place in kept]
        return RankWeighted(posterior, candidates, observed, self.weights[[*kept, -1]])

    def _open(self, space: Space, history: History) -> NDArray[np.bool_]:
        """Tell which architectures of a small space have not been proposed; each trial is looked up once."""
        places = positions(space)
        if self.open is None:
            self.open = np.ones(len(places), dtype=bool)
        for trial in history.trials[self.marked :]:
            place = places.get(trial.architecture)
            if place is not None:
                self.open[place] = False
        self.marked = len(history.trials)
        return self.open

    def _all(self, space: Space, architectures: Sequence[Architecture]) -> list[Rows]:
        """Return the rows of all of a small space, made once for each kernel."""
        made: dict[tuple[Term, ...], list[Rows]] = space.memo.setdefault("inputs of kernels", {})
        if self.terms not in made:
            made[self.terms] = [term.inputs(architectures) for term in self.terms]
        return made[self.terms]

    def _joined(self, rows: Sequence[Rows], architectures: Sequence[Architecture]) -> list[Rows]:
        """Return rows with those of more architectures below."""
        more = [term.inputs(architectures) for term in self.terms]
        if not rows:
            return more
        return [
            scipy.sparse.vstack([old, new], format="csr") if scipy.sparse.issparse(old) else np.vstack([old, new])
            for old, new in zip(rows, more, strict=True)
        ]


def lateness(history: History) -> int:
    """Return how many trials end between two rankings: 1 for up to 13 workers, else up to an eighth of the workers.

    A power of two, which rarely changes; fewer at first, when each trial counts.
    """
    many = (history.count_running + 2) // _PART  # whether one is free or none, 2^k workers are not on the edge
    return 1 << max(0, min(many, len(history.finished) // 2).bit_length() - 1)


def _last_fit(count: int, late: int = 1) -> int:
    """Return the number of trials at the last fit: a function of how many there are now, not of when it was asked.

    A fit is due after each trial at first, then after each twentieth more; with rankings after four of them, or when
    there are twice as many trials.
    """
    due = 0
    while (after := due + max(1, min(due // 20, _GAP), min(4 * (late - 1), due))) <= count:
        due = after
    return due


def telling(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return which trials to observe: all of a few; of many the best, and some of the others, evenly spread in time."""
    if len(scores) <= _OBSERVED:
        return np.arange(len(scores))
    order = np.argsort(-scores, kind="stable")
    best, others = order[: _OBSERVED // 2], np.sort(order[_OBSERVED // 2 :])
    return np.sort(np.r_[best, others[np.linspace(0, len(others) - 1, _OBSERVED // 2).astype(int)]])
