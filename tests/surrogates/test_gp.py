from __future__ import annotations

import gc
import math
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Kernel, Matern

import archwright as aw
from archwright.surrogates import (
    KERNELS,
    Costs,
    Counts,
    GaussianProcess,
    Posterior,
    cell_features,
    fit_parameters,
    kernel_for,
    squash,
    terms_for,
)
from archwright.surrogates import _gp as module

CELLS = aw.spaces.create("digits-cells")
MIXED = aw.Space(
    kind=aw.choice({"none": None, "some": aw.choice(*"xyz", name="inner")}, name="kind"),
    again=aw.choice(*"xyz"),
    depth=aw.integer(1, 9),
    rate=aw.real(1e-4, 1.0, log=True),
    parts=aw.subset(*"pqr", k=(0, 3)),
)
CASES = [(name, CELLS) for name in KERNELS] + [("decisions", MIXED), ("hamming", MIXED)]
IDS = [f"{name}-{'cells' if space is CELLS else 'mixed'}" for name, space in CASES]
JITTER = module._JITTER


def sampled(space, count, seed=0):
    rng = np.random.default_rng(seed)
    return list(dict.fromkeys(space.sample(rng) for _ in range(3 * count)))[:count]


def parameters_for(terms, seed=0, noise=-5.0):
    """Parameters near the priors' means, and the logarithm of the noise's variance."""
    rng = np.random.default_rng(seed)
    return np.array([mean + 0.5 * rng.standard_normal() for term in terms for mean, _ in term.prior] + [noise])


def rows(terms, architectures):
    return [term.inputs(architectures) for term in terms]


def taken(inputs, places):
    return [part[places] for part in inputs]


def kernel(terms, parameters, first, second):
    """The matrix of the whole kernel, from the terms alone."""
    total, start = 0.0, 0
    for term, one, other in zip(terms, first, second, strict=True):
        total = total + term.value(term.compare(one, other), parameters[start : start + len(term.prior)])
        start += len(term.prior)
    return total


def posterior(terms, parameters, candidates, observed):
    made = Posterior(terms, parameters, candidates)
    made.observe(observed, len(observed[0].toarray() if hasattr(observed[0], "toarray") else observed[0]))
    return made


class _Fixed(Kernel):
    """A kernel of scikit-learn whose parameters stay as they are."""

    def diag(self, rows):
        return np.diag(self(rows)).copy()

    def is_stationary(self):
        return False

    def __sklearn_clone__(self):
        return self


class _Columns(_Fixed):
    """Kernels of scikit-learn, each for some of the columns, added up."""

    def __init__(self, kernels):
        self.kernels = kernels

    def __call__(self, first, second=None, eval_gradient=False):
        second = first if second is None else second
        return sum(kernel(first[:, columns], second[:, columns]) for columns, kernel in self.kernels)


class _Ours(_Fixed):
    """Our kernel as scikit-learn's; the only column says which row is meant."""

    def __init__(self, terms, parameters, inputs):
        self.terms = terms
        self.parameters = parameters
        self.inputs = inputs

    def __call__(self, first, second=None, eval_gradient=False):
        one, other = (taken(self.inputs, (first if x is None else x)[:, 0].astype(int)) for x in (first, second))
        return kernel(self.terms, self.parameters, one, other)


def regressor(kernel, noise, **more):
    return GaussianProcessRegressor(kernel, alpha=math.exp(noise) + JITTER, optimizer=None, **more)


# ---------------------------------------------------------------------- the kernels


@pytest.mark.parametrize(("name", "space"), CASES, ids=IDS)
def test_each_term_is_a_kernel(name, space):
    """Symmetric and positive semi-definite, and the diagonal is the diagonal."""
    architectures = sampled(space, 60)
    for seed, term in enumerate(kernel_for(space, name)):
        inputs = term.inputs(architectures)
        parameters = parameters_for([term], seed)[:-1]
        matrix = term.value(term.compare(inputs, inputs), parameters)
        assert matrix.shape == (60, 60)
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
        assert np.linalg.eigvalsh(matrix).min() > -1e-9 * np.abs(matrix).max()
        np.testing.assert_allclose(term.diagonal(inputs, parameters), np.diag(matrix), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(
            term.value(term.compare(inputs[:7], inputs[20:50]), parameters), matrix[:7, 20:50], atol=1e-9
        )


@pytest.mark.parametrize(("name", "space"), CASES, ids=IDS)
def test_the_gradient_of_each_term_is_that_of_finite_differences(name, space):
    architectures = sampled(space, 12)
    for term in kernel_for(space, name):
        compared = term.compare(term.inputs(architectures), term.inputs(architectures))
        parameters = parameters_for([term])[:-1]
        gradient = term.gradient(compared, parameters)
        assert len(gradient) == len(parameters) == len(term.prior)
        for place, slope in enumerate(gradient):
            step = np.zeros(len(parameters))
            step[place] = 1e-5
            rise = (term.value(compared, parameters + step) - term.value(compared, parameters - step)) / 2e-5
            np.testing.assert_allclose(slope, rise, rtol=1e-6, atol=1e-8)


def test_where_all_decisions_are_unordered_the_kernel_is_exponential_in_how_many_differ():
    space = aw.Space(**{f"e{i}": aw.choice(*"abcd") for i in range(6)})
    (term,) = kernel_for(space, "hamming")
    chain = [space.canonical({f"e{i}": "b" if i < count else "a" for i in range(6)}) for count in range(7)]
    prior = np.array([mean for mean, _ in term.prior])
    values = term.value(term.compare(term.inputs(chain[:1]), term.inputs(chain)), prior)[0]
    falls = np.diff(np.log(values))
    np.testing.assert_allclose(falls, falls[0], rtol=1e-9)
    assert falls[0] < 0
    assert values[0] == pytest.approx(math.exp(prior[0]))
    # Which option it is instead makes no difference.
    other = space.canonical({f"e{i}": "cd"[i % 2] if i < 3 else "a" for i in range(6)})
    assert term.value(term.compare(term.inputs(chain[:1]), term.inputs([other])), prior)[0, 0] == pytest.approx(
        values[3]
    )


def test_counts_see_how_often_an_option_was_taken_and_not_where():
    (term,) = (term for term in kernel_for(CELLS, "decisions") if isinstance(term, Counts))
    labels = ["none", "none", "skip_connect", "nor_conv_3x3", "nor_conv_3x3", "none"]
    names = [name for name in CELLS.decisions if name != "width"]
    listed = [CELLS.canonical({"width": 4, **dict(zip(names, order, strict=True))}) for order in (labels, labels[::-1])]
    first, second = term.inputs(listed)
    np.testing.assert_array_equal(first, second)


def test_costs_hold_the_costs_and_what_is_in_the_cells_each_standardised():
    architectures = sampled(CELLS, 200)
    inputs, features = Costs(CELLS).inputs(architectures), cell_features(CELLS, architectures)
    np.testing.assert_allclose(inputs.mean(0), 0.0, atol=0.3)
    np.testing.assert_allclose(inputs.std(0), 1.0, atol=0.3)
    rows = np.hstack([inputs, np.ones((200, 1))])
    weights = np.linalg.lstsq(rows, features, rcond=None)[0]
    np.testing.assert_allclose(rows @ weights, features, atol=1e-8)


# ---------------------------------------------------------------------- the posterior, against scikit-learn


def test_scikit_learns_kernels_give_the_same_posterior():
    """Matérn and linear terms, written once more with the kernels of another library."""
    architectures = sampled(CELLS, 50)
    terms = [Counts(CELLS), Costs(CELLS)]
    inputs = rows(terms, architectures)
    parameters = np.array([0.3, -0.4, -1.2, -4.0])
    features = inputs[0].shape[1]
    matern = ConstantKernel(math.exp(0.3)) * Matern(length_scale=math.exp(-0.4) * math.sqrt(features), nu=2.5)
    linear = ConstantKernel(math.exp(-1.2)) * DotProduct(sigma_0=0.0)
    columns = [(slice(0, features), matern), (slice(features, None), linear)]
    referee = regressor(_Columns(columns), -4.0)
    scores = np.random.default_rng(1).standard_normal(30)
    referee.fit(np.hstack(inputs)[:30], scores)
    mean, deviation = referee.predict(np.hstack(inputs)[30:], return_std=True)
    ours = posterior(terms, parameters, taken(inputs, slice(30, 50)), taken(inputs, slice(0, 30)))
    found = ours.expect(scores)
    np.testing.assert_allclose(found[0], mean, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found[1], deviation, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("name", "space"), CASES, ids=IDS)
def test_scikit_learn_gives_the_same_posterior_for_every_kernel(name, space):
    terms, architectures = kernel_for(space, name), sampled(space, 40)
    inputs, parameters = rows(terms, architectures), parameters_for(kernel_for(space, name))
    scores = np.random.default_rng(1).standard_normal(25)
    index = np.arange(40.0)[:, None]
    referee = regressor(_Ours(terms, parameters, inputs), parameters[-1]).fit(index[:25], scores)
    mean, deviation = referee.predict(index[25:], return_std=True)
    _, covariance = referee.predict(index[25:], return_cov=True)
    ours = posterior(terms, parameters, taken(inputs, slice(25, 40)), taken(inputs, slice(0, 25)))
    found = ours.expect(scores)
    np.testing.assert_allclose(found[0], mean, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found[1], deviation, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        ours.covariance(np.array([3, 0, 9])), covariance[np.ix_([3, 0, 9], [3, 0, 9])], atol=1e-7
    )
    fitted = posterior(terms, parameters, taken(inputs, slice(0, 25)), taken(inputs, slice(0, 25)))
    np.testing.assert_allclose(ours.smooth(scores), fitted.expect(scores)[0], rtol=1e-6, atol=1e-6)


# ---------------------------------------------------------------------- one observation after the other


@pytest.mark.parametrize(("name", "space"), CASES, ids=IDS)
def test_one_by_one_is_all_at_once(name, space):
    terms, architectures = kernel_for(space, name), sampled(space, 40)
    inputs, parameters = rows(terms, architectures), parameters_for(kernel_for(space, name))
    scores = np.random.default_rng(1).standard_normal(25)
    candidates, observed = taken(inputs, slice(25, 40)), taken(inputs, slice(0, 25))
    at_once = posterior(terms, parameters, candidates, observed).expect(scores)
    grown = Posterior(terms, parameters, candidates)
    for count in (1, 2, 3, 7, 8, 20, 25):
        grown.observe(taken(observed, slice(0, count)), count)
        assert grown.size == count
    np.testing.assert_allclose(grown.expect(scores), at_once, rtol=1e-6, atol=1e-7)


def test_observations_can_be_dropped_and_others_take_their_place():
    terms, architectures = kernel_for(CELLS, "network"), sampled(CELLS, 40)
    inputs, parameters = rows(terms, architectures), parameters_for(kernel_for(CELLS, "network"))
    scores = np.random.default_rng(1).standard_normal(12)
    candidates = taken(inputs, slice(25, 40))
    made = posterior(terms, parameters, candidates, taken(inputs, np.arange(20)))
    made.observe(taken(inputs, np.arange(8)), 8)
    expected = posterior(terms, parameters, candidates, taken(inputs, np.arange(8)))
    np.testing.assert_allclose(made.expect(scores[:8]), expected.expect(scores[:8]), atol=1e-9)
    others = taken(inputs, np.r_[0:8, 20:24])
    made.observe(others, 12)
    expected = posterior(terms, parameters, candidates, others)
    np.testing.assert_allclose(made.expect(scores), expected.expect(scores), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(made.expect(scores[:3]), expected.expect(scores[:3]), rtol=1e-6, atol=1e-7)
    made.observe(others, 0)
    assert made.expect(np.zeros(0))[0].tolist() == [0.0] * 15
    np.testing.assert_allclose(
        made.expect(np.zeros(0))[1] ** 2, np.diag(kernel(terms, parameters, candidates, candidates))
    )


def test_trials_that_run_lower_the_deviations_alone():
    """And by as much as any outcome would: the deviations are those of having observed them."""
    terms, architectures = kernel_for(CELLS, "network"), sampled(CELLS, 40)
    inputs, parameters = rows(terms, architectures), parameters_for(kernel_for(CELLS, "network"))
    scores = np.random.default_rng(1).standard_normal(15)
    candidates = taken(inputs, slice(15, 40))  # the ones that run among them
    made = posterior(terms, parameters, candidates, taken(inputs, np.arange(15)))
    mean, deviation = made.expect(scores)
    made.observe(taken(inputs, np.arange(19)), 19)
    later = made.expect(scores)
    np.testing.assert_allclose(later[0], mean, atol=1e-9)
    assert (later[1] <= deviation + 1e-12).all()
    assert (later[1][:4] < 0.5 * deviation[:4]).all()
    index = np.arange(40.0)[:, None]
    referee = regressor(_Ours(terms, parameters, inputs), parameters[-1]).fit(index[:19], np.zeros(19))
    np.testing.assert_allclose(later[1], referee.predict(index[15:], return_std=True)[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("counts", [[5], [1, 2, 3, 4, 5]])
def test_an_architecture_observed_again_is_no_obstacle(counts):
    terms, (one, other) = kernel_for(CELLS, "network"), sampled(CELLS, 2)
    made = Posterior(terms, parameters_for(terms, noise=-12.0), rows(terms, [one, other]))
    for count in counts:
        made.observe(rows(terms, [one] * 5), count)
    mean, deviation = made.expect(np.array([1.0, 2.0, 3.0, 2.0, 2.0]))
    assert mean[0] == pytest.approx(2.0, abs=1e-2)
    assert np.isfinite(deviation).all()


# ---------------------------------------------------------------------- fitting


def loss_of(monkeypatch, terms, inputs, scores):
    """What `fit_parameters` minimises, and where it begins."""
    seen = {}

    def instead(loss, start, **_):
        seen.update(loss=loss, start=start)
        return SimpleNamespace(x=start)

    with monkeypatch.context() as patched:
        patched.setattr(scipy.optimize, "minimize", instead)
        fit_parameters(terms, inputs, scores)
    return seen["loss"], seen["start"]


@pytest.mark.parametrize(("name", "space"), CASES, ids=IDS)
def test_the_gradient_of_the_loss_is_that_of_finite_differences(name, space, monkeypatch):
    terms, architectures = kernel_for(space, name), sampled(space, 20)
    scores = np.random.default_rng(1).standard_normal(20)
    loss, start = loss_of(monkeypatch, terms, rows(terms, architectures), scores)
    assert len(start) == sum(len(term.prior) for term in terms) + 1
    for seed in range(3):
        point = start + 0.7 * np.random.default_rng(seed).standard_normal(len(start))
        off = scipy.optimize.check_grad(lambda p: loss(p)[0], lambda p: loss(p)[1], point, epsilon=1e-6)
        assert off < 1e-4 * (1 + np.abs(loss(point)[1]).max())


@pytest.mark.parametrize(("name", "space"), CASES, ids=IDS)
def test_the_loss_is_the_likelihood_that_scikit_learn_has_and_the_priors(name, space, monkeypatch):
    terms, architectures = kernel_for(space, name), sampled(space, 20)
    inputs, scores = rows(terms, architectures), np.random.default_rng(1).standard_normal(20)
    loss, start = loss_of(monkeypatch, terms, inputs, scores)
    for seed in range(2):
        point = start + 0.3 * np.random.default_rng(seed).standard_normal(len(start))
        referee = regressor(_Ours(terms, point, inputs), point[-1]).fit(np.arange(20.0)[:, None], scores)
        priors = [pair for term in terms for pair in term.prior] + [module._NOISE]
        density = sum(((p - mean) / deviation) ** 2 / 2 for p, (mean, deviation) in zip(point, priors, strict=True))
        expected = -referee.log_marginal_likelihood_value_ - 10 * math.log(2 * math.pi) + density
        assert loss(point)[0] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("name", "space"), CASES, ids=IDS)
def test_the_parameters_found_are_a_minimum(name, space, monkeypatch):
    terms, architectures = kernel_for(space, name), sampled(space, 40)
    inputs = rows(terms, architectures)
    vectors = np.array([space.encode(architecture) for architecture in architectures])
    scores = squash(vectors @ np.random.default_rng(2).standard_normal(vectors.shape[1]))
    found = fit_parameters(terms, inputs, scores)
    loss, start = loss_of(monkeypatch, terms, inputs, scores)
    value, gradient = loss(found)
    assert value < loss(start)[0]
    inside = (found > -11.99) & (found < 5.99)
    assert np.abs(gradient[inside]).max() < 1e-2
    for seed in range(5):
        assert loss(found + 0.05 * np.random.default_rng(seed).standard_normal(len(found)) * inside)[0] >= value - 1e-6


@pytest.mark.parametrize("noise", [1e-4, 0.3])
def test_the_noise_is_what_differs_between_trials_of_one_architecture(noise):
    space = aw.Space(**{f"e{i}": aw.choice(*"abc") for i in range(6)})
    terms, architectures = kernel_for(space, "hamming"), sampled(space, 30) * 8
    signal = np.array([sum(map(ord, architecture.values())) for architecture in architectures], dtype=float)
    scores = (signal - signal.mean()) / signal.std()
    scores += math.sqrt(noise) * np.random.default_rng(0).standard_normal(len(scores))
    found = math.exp(fit_parameters(terms, rows(terms, architectures), scores)[-1])
    assert found == pytest.approx(noise, rel=0.3)


# ---------------------------------------------------------------------- the predictor


def test_the_predictor_is_scikit_learns_with_the_same_parameters():
    architectures = sampled(CELLS, 60)
    scores = 3.0 + 0.01 * np.random.default_rng(0).standard_normal(60)
    fitted = GaussianProcess("decisions").fit(CELLS, architectures[:40], scores[:40], np.random.default_rng(0))
    terms = kernel_for(CELLS, "decisions")
    inputs, index = rows(terms, architectures), np.arange(60.0)[:, None]
    ours = _Ours(terms, fitted.parameters, inputs)
    referee = regressor(ours, fitted.parameters[-1], normalize_y=True).fit(index[:40], scores[:40])
    mean, deviation = referee.predict(index[40:], return_std=True)
    found = fitted.predict(architectures[40:])
    np.testing.assert_allclose(found[0], mean, rtol=1e-9)
    np.testing.assert_allclose(found[1], deviation, rtol=1e-5)


def test_the_predictor_keeps_the_unit_of_the_scores():
    architectures = sampled(CELLS, 50)
    scores = np.array([sum(value == "nor_conv_3x3" for value in a.values()) for a in architectures], dtype=float)
    rng = np.random.default_rng(0)
    mean, deviation = (
        GaussianProcess("decisions").fit(CELLS, architectures[:30], scores[:30], rng).predict(architectures)
    )
    other = (
        GaussianProcess("decisions").fit(CELLS, architectures[:30], 1000 * scores[:30] - 7, rng).predict(architectures)
    )
    np.testing.assert_allclose(other[0], 1000 * mean - 7, rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(other[1], 1000 * deviation, rtol=1e-3, atol=1e-2)
    assert np.abs(mean[30:] - scores[30:]).mean() < 0.3 * scores.std()
    assert (deviation > 0).all()


@pytest.mark.parametrize("scores", [[0.1] * 8, [5.0], [0.0, 1.0]])
def test_few_scores_and_equal_ones_are_no_obstacle(scores):
    architectures = sampled(CELLS, 10)
    fitted = GaussianProcess("network").fit(
        CELLS, architectures[: len(scores)], np.array(scores), np.random.default_rng(0)
    )
    mean, deviation = fitted.predict(architectures)
    assert np.isfinite(mean).all()
    assert (deviation > 0).all()
    if len(set(scores)) == 1:
        np.testing.assert_allclose(mean, scores[0], atol=1e-9)


def test_kernels_that_see_nothing_of_a_space_are_refused():
    assert [term.__name__ for term in terms_for(MIXED, "network")] == ["Decisions", "Counts"]
    with pytest.raises(aw.errors.StrategyError, match="compares cells"):
        terms_for(MIXED, "wl")
    with pytest.raises(aw.errors.UnknownName, match="kernel"):
        terms_for(MIXED, "networks")


# ---------------------------------------------------------------------- squashing


FINITE = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))


@given(st.lists(FINITE, min_size=1, max_size=30))
def test_squashing_keeps_the_order_and_standardises(scores):
    values = np.array(scores)
    squashed = squash(values)
    assert np.isfinite(squashed).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(squashed[order]) >= -1e-12).all()
    assert ((np.diff(values[order]) == 0) <= (np.abs(np.diff(squashed[order])) < 1e-12)).all()
    if len(set(scores)) == 1:
        assert not squashed.any()
    else:
        assert squashed.mean() == pytest.approx(0, abs=1e-9)
        assert squashed.std() == pytest.approx(1, abs=1e-9)
        assert squashed.max() == squashed[int(values.argmax())] > 0


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=30), st.sampled_from([1e-300, 1e-9, 7.0, 1e12, 1e300]))
def test_squashing_does_not_see_the_scale(scores, scale):
    values = np.array(scores, dtype=float)
    np.testing.assert_allclose(squash(values * scale), squash(values), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(squash(values + 4096.0), squash(values), rtol=1e-6, atol=1e-6)


def test_the_low_ones_are_drawn_together():
    values = np.array([0.0, 90.0, 91.0, 92.0, 93.0, 94.0])
    gaps = np.diff(squash(values))
    # By minus the logarithm of 1 + 2 x / 2.5, the distances from the best being 94, 4, 3, 2, 1, 0; their median is 2.5.
    expected = -np.log1p(np.array([94.0, 4.0, 3.0, 2.0, 1.0, 0.0]) / 1.25)
    np.testing.assert_allclose(gaps / gaps[-1], np.diff(expected) / np.diff(expected)[-1], rtol=1e-12)


@pytest.mark.parametrize("scores", [[-1e300, 1e300], [1e300, 1e300, 0.0], [-1.7e308, 1.7e308, 0.0], [0.0] * 3, [1e300]])
def test_scores_may_be_as_large_as_floats_are(scores):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert np.isfinite(squash(np.array(scores))).all()


# ---------------------------------------------------------------------- the edges of what there is


@pytest.mark.parametrize("scores", [[-1e300, 0.0, 1e300], [-1.7e308, 1.7e308, 0.0]])
def test_the_predictor_takes_whatever_is_finite(scores):
    space = aw.Space(**{f"e{i}": aw.choice(*"abc") for i in range(4)})
    rng = np.random.default_rng(0)
    architectures = [space.sample(rng) for _ in range(3)]
    mean, deviation = GaussianProcess("hamming").fit(space, architectures, np.array(scores), rng).predict(architectures)
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()


def test_squash_where_most_are_a_hair_below_the_best():
    assert np.isfinite(squash(np.array([-1.0, -1e-320, -1e-320, 0.0]))).all()


def test_a_space_is_forgotten_once_nobody_holds_it():
    space = aw.Space(a=aw.choice(1, 2), b=aw.choice(1, 2))
    alive = weakref.ref(space)
    kernel_for(space, "decisions")
    del space
    gc.collect()
    assert alive() is None
