"""Rank-weighted ensembles of Gaussian processes."""

from __future__ import annotations

import numpy as np
import pytest

import archwright as aw
from archwright.surrogates import Decisions, EarlierModel, Posterior, RankWeighted, fit_parameters, rank_weights

SPACE = aw.Space(x=aw.integer(0, 19), y=aw.integer(0, 19))
LISTED = list(SPACE.enumerate())
TERM = Decisions(SPACE)
ROWS = TERM.inputs(LISTED)
TRUTH = np.array([np.sin(one["x"] / 4) + one["y"] / 10 for one in LISTED])


def model(scores, seed=0):
    places = np.random.default_rng(seed).choice(len(LISTED), 40, replace=False)
    scores = scores[places]
    return EarlierModel.fit([TERM], [ROWS[places]], (scores - scores.mean()) / scores.std())


def own(count, seed=1):
    places = np.random.default_rng(seed).choice(len(LISTED), count, replace=False)
    scores = TRUTH[places]
    scores = (scores - scores.mean()) / scores.std()
    parameters = fit_parameters([TERM], [ROWS[places]], scores)
    posterior = Posterior([TERM], parameters, [ROWS])
    posterior.observe([ROWS[places]], count)
    return places, scores, parameters, posterior


@pytest.mark.parametrize("count", [6, 15])
def test_the_run_that_ranks_like_this_one_gets_the_weight(count):
    rng = np.random.default_rng(0)
    models = [model(5 * TRUTH + 3), model(-TRUTH), model(rng.normal(size=len(LISTED)))]
    places, scores, _, posterior = own(count)
    mean, deviation = posterior.leave_one_out(scores)
    drawn = mean + deviation * rng.normal(size=(200, count))
    weights = rank_weights([each.draw([ROWS[places]], 200, rng) for each in models], drawn, scores)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] > 0.5
    assert weights[1] == 0


def test_leave_one_out_is_what_the_others_predict():
    places, scores, parameters, posterior = own(8)
    mean, deviation = posterior.leave_one_out(scores)
    for place in range(8):
        others = np.delete(np.arange(8), place)
        without = Posterior([TERM], parameters, [ROWS[places[[place]]]])
        without.observe([ROWS[places[others]]], 7)
        expected, spread = without.expect(scores[others])
        assert mean[place] == pytest.approx(expected[0])
        noise = np.exp(parameters[-1]) + 1e-8
        assert deviation[place] == pytest.approx(np.sqrt(spread[0] ** 2 + noise))


def test_the_mixture_is_the_weighted_sum():
    places, scores, _, posterior = own(8)
    earlier = model(TRUTH)
    over, at = earlier.posterior([ROWS]), earlier.at([ROWS[places]])[0]
    mixed = RankWeighted(posterior, [(over, earlier.scores)], [at], np.array([0.25, 0.75]))
    (first, one), (second, two) = over.expect(earlier.scores), posterior.expect(scores)
    mean, deviation = mixed.expect(scores)
    assert mean == pytest.approx(0.25 * first + 0.75 * second)
    assert deviation == pytest.approx(np.sqrt((0.25 * one) ** 2 + (0.75 * two) ** 2))
    assert mixed.smooth(scores) == pytest.approx(0.25 * at + 0.75 * posterior.smooth(scores))
    assert np.sqrt(np.diag(mixed.covariance(np.arange(5)))) == pytest.approx(deviation[:5], rel=1e-4)
