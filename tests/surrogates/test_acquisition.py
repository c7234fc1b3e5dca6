from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import torch
from botorch.acquisition import ExpectedImprovement, LogExpectedImprovement, UpperConfidenceBound
from botorch.models.model import Model
from botorch.posteriors import GPyTorchPosterior
from gpytorch.distributions import MultivariateNormal
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from archwright.surrogates import expected_improvement, log_expected_improvement, upper_confidence_bound

NEAR = [5.0, 1.0, 0.3, 0.0, -0.5, -0.999999, -1.0, -1.000001, -2.0, -5.0]
FAR = [-15.0, -40.0, -300.0, -5e3, -9999.0, -10001.0, -1e6]


def arrays(*values):
    return [np.array(value, dtype=float) for value in values]


def exact(z, deviation=1.0):
    """The logarithm of deviation x (phi(z) + z Phi(z)), with as many digits as cancel."""
    with mpmath.workdps(60):
        z = mpmath.mpf(z)
        if z < -50:  # phi(z) (1 - |z| times Mills' ratio), whose asymptotic series is short here
            rest = sum((-1) ** k * mpmath.fac2(2 * k + 1) * abs(z) ** (-2 * k - 2) for k in range(12))
            return float(-z * z / 2 - mpmath.log(2 * mpmath.pi) / 2 + mpmath.log(rest) + mpmath.log(deviation))
        value = mpmath.npdf(z) + z * mpmath.erfc(-z / mpmath.sqrt(2)) / 2
        return float(mpmath.log(value) + mpmath.log(deviation))


def test_expected_improvement_is_its_closed_form():
    mean, deviation = arrays([0.0, 1.0, 2.0, -1.0, 3.0], [1.0, 0.5, 2.0, 1.5, 1e-3])
    best = 1.2
    z = (mean - best) / deviation
    expected = (mean - best) * stats.norm.cdf(z) + deviation * stats.norm.pdf(z)
    np.testing.assert_allclose(expected_improvement(mean, deviation, best), expected, rtol=1e-12)


@pytest.mark.parametrize(("mean", "deviation", "best"), [(0.0, 1.0, 0.0), (1.0, 0.3, 1.4), (-2.0, 2.0, 1.0)])
def test_expected_improvement_is_the_mean_of_improvements(mean, deviation, best):
    drawn = np.random.default_rng(0).normal(mean, deviation, 400_000)
    gains = np.maximum(drawn - best, 0)
    found = float(expected_improvement(*arrays([mean], [deviation]), best)[0])
    assert found == pytest.approx(gains.mean(), abs=5 * gains.std() / math.sqrt(len(gains)))
    area, _ = integrate.quad(lambda y: (y - best) * stats.norm.pdf(y, mean, deviation), best, best + 40 * deviation)
    assert found == pytest.approx(area, rel=1e-6)


@pytest.mark.parametrize("z", NEAR + FAR)
def test_its_logarithm_has_all_its_digits_however_far_out(z):
    found = float(log_expected_improvement(*arrays([z], [1.0]), 0.0)[0])
    assert found == pytest.approx(exact(z), rel=1e-9, abs=1e-7)


@given(st.floats(-1e5, 8), st.floats(1e-6, 1e3), st.floats(-1e3, 1e3))
def test_it_depends_on_the_distance_in_deviations(z, deviation, best):
    mean = best + z * deviation
    z = (mean - best) / deviation  # as rounded
    found = float(log_expected_improvement(*arrays([mean], [deviation]), best)[0])
    assert found == pytest.approx(exact(z, deviation), rel=1e-8, abs=1e-6)


def test_it_rises_with_the_mean_and_with_the_deviation_throughout():
    z = np.concatenate([-np.logspace(6, -3, 4000), np.logspace(-3, 1.5, 500)])
    values = log_expected_improvement(z, np.ones_like(z), 0.0)
    assert np.isfinite(values).all()
    assert (np.diff(values) > 0).all()
    deviations = np.logspace(-4, 3, 500)
    for below in (1e-3, 0.5, 3.0):
        assert (np.diff(log_expected_improvement(np.full(500, -below), deviations, 0.0)) > 0).all()


def test_the_best_of_many_is_found_where_every_improvement_is_0_in_floating_point():
    mean, deviation = np.linspace(-50.0, -40.0, 11), np.ones(11)
    assert not expected_improvement(mean, deviation, 0.0).any()
    assert int(np.argmax(log_expected_improvement(mean, deviation, 0.0))) == 10


# ---------------------------------------------------------------------- BoTorch as referee


class Known(Model):
    """A model that says what it is told to: the input holds mean and deviation."""

    @property
    def num_outputs(self):
        return 1

    def posterior(self, X, **_):  # noqa: N803 - BoTorch's name
        return GPyTorchPosterior(MultivariateNormal(X[..., 0], torch.diag_embed(X[..., 1] ** 2)))


def grid():
    mean, deviation = np.meshgrid(np.linspace(-60.0, 4.0, 40), np.logspace(-2, 1, 9))
    return mean.ravel(), deviation.ravel()


def test_botorch_agrees():
    mean, deviation = grid()
    inputs = torch.tensor(np.stack([mean, deviation], axis=1)).unsqueeze(1)
    best = torch.tensor(0.7, dtype=torch.float64)
    log_ei = LogExpectedImprovement(Known(), best)(inputs).numpy()
    np.testing.assert_allclose(log_expected_improvement(mean, deviation, 0.7), log_ei, rtol=1e-8, atol=1e-8)
    ei = ExpectedImprovement(Known(), best)(inputs).numpy()
    np.testing.assert_allclose(expected_improvement(mean, deviation, 0.7), ei, rtol=1e-9, atol=1e-12)
    bound = UpperConfidenceBound(Known(), beta=1.5**2)(inputs).numpy()
    np.testing.assert_allclose(upper_confidence_bound(mean, deviation, 1.5), bound, rtol=1e-12)


def test_the_bound_is_mean_and_width_times_deviation():
    np.testing.assert_array_equal(upper_confidence_bound(*arrays([1.0, 2.0], [0.5, 0.1])), [2.0, 2.2])
    np.testing.assert_array_equal(upper_confidence_bound(*arrays([1.0], [0.5]), width=0.0), [1.0])
