from __future__ import annotations

import gzip
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import multivariate_normal, spearmanr

from archwright.errors import DataError, StrategyError
from archwright.surrogates import CurveModel
from archwright.surrogates import _curves as module

HALF = 1.2815515655446004  # deviations from the centre to the end of the central 80 %


def curves_of(rows, lengths):
    return [list(enumerate(row[:length], 1)) for row, length in zip(rows, lengths, strict=True)]


def power_laws(rng, steps):
    """Rows, and where each goes."""
    ends, heights, rates = rng.uniform(0.6, 0.9, 16), rng.uniform(0.2, 0.5, 16), rng.uniform(0.4, 1.2, 16)
    return ends[:, None] - heights[:, None] * np.arange(1, steps + 1) ** -rates[:, None], ends


def exponentials(rng, steps):
    ends, heights, times = rng.uniform(0.6, 0.9, 16), rng.uniform(0.2, 0.5, 16), rng.uniform(2, 8, 16)
    return ends[:, None] - heights[:, None] * np.exp(-np.arange(1, steps + 1) / times[:, None]), ends


@st.composite
def studies(draw):
    """Curves with noise, of different lengths, some of which skip steps."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, _ = power_laws(rng, 30)
    rows += draw(st.sampled_from([0.0, 0.02])) * rng.standard_normal(rows.shape)
    curves = curves_of(rows, rng.integers(1, 31, len(rows)))[: draw(st.integers(1, 16))]
    return [curve[:: draw(st.integers(1, 3))] for curve in curves]


# ---------------------------------------------------------------------- what is known


@pytest.mark.parametrize(("family", "ahead"), [(power_laws, 10_000), (exponentials, 80)])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_known_asymptotes_are_recovered_within_the_deviation(family, ahead, noise):
    rng = np.random.default_rng(0)
    rows, ends = family(rng, 12)
    seen = rows + noise * rng.standard_normal(rows.shape)
    mean, deviation = CurveModel().fit(curves_of(seen, [12] * 16)).predict(ahead)
    far = np.abs(mean - ends) / deviation
    assert np.mean(far < 2) >= 0.9
    assert far.max() < 4
    assert np.abs(mean - ends).mean() < 0.05
    assert deviation.max() < 0.2  # which is no excuse for everything


def test_at_a_step_that_was_seen_it_is_the_value():
    rng = np.random.default_rng(0)
    rows, _ = power_laws(rng, 20)
    fitted = CurveModel().fit(curves_of(rows, range(5, 21)))
    for step in (1, 5, 9, 20):
        mean, deviation = fitted.predict(step)
        seen = np.arange(5, 21) >= step
        np.testing.assert_allclose(mean[seen], rows[seen, step - 1])
        assert (deviation > 0).all()
        assert deviation[seen].max() < 1e-3
        if step > 5:
            assert deviation[~seen].min() > deviation[seen].max()
        drawn = fitted.draw(step, rng, 3)
        np.testing.assert_allclose(drawn[:, seen], np.tile(rows[seen, step - 1], (3, 1)))


def test_between_steps_that_were_seen_it_is_between_them():
    curve = [(step, 1 - 1 / step) for step in range(2, 41, 2)]
    mean, deviation = CurveModel().fit([curve, curve[:10]]).predict(13)
    np.testing.assert_allclose(mean, 1 - 1 / 13, atol=2e-3)
    assert (np.abs(mean - (1 - 1 / 13)) < 3 * deviation).all()


def test_before_all_that_was_seen_it_is_as_at_the_first_step():
    fitted = CurveModel().fit([[(10, 0.1), (20, 0.3)], [(20, 0.2), (30, 0.3)]])
    np.testing.assert_array_equal(fitted.predict(1)[0][1], fitted.predict(10)[0][1])


# ---------------------------------------------------------------------- against references


def wander(one, other, damping):
    """The covariance of an integrated Ornstein-Uhlenbeck process, by its integral over the noise."""
    return quad(
        lambda at: (1 - math.exp(-damping * (one - at))) * (1 - math.exp(-damping * (other - at))) / damping**2,
        0,
        min(one, other),
    )[0]


@pytest.mark.parametrize("lengths", [[6, 3, 1], [1, 6, 2]])
def test_each_setting_is_a_gaussian_process(lengths, monkeypatch):
    """Means, variances and weights are those of dense normal distributions, written once more."""
    ratio, scale, damping, ahead = 0.3, 0.2, 0.7, 15
    monkeypatch.setattr(module, "_RATIOS", np.array([ratio]))
    monkeypatch.setattr(module, "_SCALES", np.array([scale]))
    rows = np.random.default_rng(0).random((3, 6)).cumsum(1)
    curves = curves_of(rows, lengths)
    curves[2] = [(step + 1, value) for step, value in curves[2]]  # another grid
    fitted = CurveModel(damping=damping, rounds=0).fit(curves)
    means, variances = fitted._expect(ahead)
    clocks = [math.log, lambda step: math.sqrt(step) - 1, lambda step: (step - 1) / 10]
    worn = [lambda step, clock=clock: (1 - math.exp(-damping * clock(step))) / damping for clock in clocks]
    last = max(step for curve in curves for step, _ in curve)
    for number, curve in enumerate(curves):
        steps = [step for step, _ in curve] + [ahead]
        values = fitted.scale.into(np.array([value for _, value in curve]))
        evidence = []
        for setting, clock in enumerate(clocks):
            fall = np.array([worn[setting](step) - worn[setting](last) for step in steps])
            covariance = 1.0 + 0.25 * np.outer(fall, fall)
            covariance += scale**2 * np.array([[wander(clock(a), clock(b), damping) for b in steps] for a in steps])
            covariance += scale**2 * ratio**2 * np.eye(len(steps))
            centre, held = 0.3 * fall, covariance[:-1, :-1]
            evidence.append(multivariate_normal(centre[:-1], held).logpdf(values))
            weights = np.linalg.solve(held, covariance[:-1, -1])
            assert means[setting, number] == pytest.approx(centre[-1] + weights @ (values - centre[:-1]), rel=1e-6)
            assert variances[setting, number] == pytest.approx(
                covariance[-1, -1] - weights @ covariance[:-1, -1], rel=1e-6
            )
        shares = np.exp(np.array(evidence) - max(evidence))
        np.testing.assert_allclose(fitted.pooled.weights[:, number], shares / shares.sum(), rtol=1e-6)


def test_draws_have_the_mean_and_the_deviation():
    rng = np.random.default_rng(0)
    rows, _ = power_laws(rng, 20)
    fitted = CurveModel().fit(curves_of(rows + 0.01 * rng.standard_normal(rows.shape), range(2, 18)))
    mean, deviation = fitted.predict(60)
    drawn = fitted.draw(60, np.random.default_rng(1), 20_000)
    assert drawn.shape == (20_000, 16)
    assert (np.abs(drawn.mean(0) - mean) < 0.05 * deviation).all()
    np.testing.assert_allclose(drawn.std(0), deviation, rtol=0.1)
    np.testing.assert_array_equal(drawn, fitted.draw(60, np.random.default_rng(1), 20_000))


def test_only_the_curves_that_are_asked_for():
    rows, _ = power_laws(np.random.default_rng(0), 20)
    fitted = CurveModel().fit(curves_of(rows, range(2, 18)))
    for part, whole in zip(fitted.predict(30, which=[7, 2]), fitted.predict(30), strict=True):
        np.testing.assert_array_equal(part, whole[[7, 2]])


# ---------------------------------------------------------------------- laws


@given(studies(), st.floats(-3, 3), st.floats(-10, 10), st.integers(1, 100))
def test_the_unit_and_the_zero_point_do_not_matter(curves, magnitude, offset, step):
    factor = 10**magnitude
    mean, deviation = CurveModel().fit(curves).predict(step)
    moved = [[(at, factor * (value + offset)) for at, value in curve] for curve in curves]
    if len({value for curve in curves for _, value in curve}) == 1:
        return  # one value has no unit
    other_mean, other_deviation = CurveModel().fit(moved).predict(step)
    np.testing.assert_allclose(other_mean / factor - offset, mean, atol=1e-4)
    np.testing.assert_allclose(other_deviation / factor, deviation, rtol=1e-3)


@given(studies(), st.integers(1, 100), st.randoms(use_true_random=False))
def test_the_order_of_the_curves_does_not_matter(curves, step, random):
    order = list(range(len(curves)))
    random.shuffle(order)
    mean, deviation = CurveModel().fit(curves).predict(step)
    other_mean, other_deviation = CurveModel().fit([curves[place] for place in order]).predict(step)
    np.testing.assert_allclose(other_mean, mean[order], atol=1e-4)  # sums in another order, of what nearly cancels
    np.testing.assert_allclose(other_deviation, deviation[order], rtol=1e-3)


@given(studies(), st.integers(1, 1000))
def test_nothing_is_random(curves, step):
    state = np.random.get_state()[1].copy()
    first, second = (CurveModel().fit(curves).predict(step) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@given(studies(), st.integers(1, 10**6))
def test_what_is_expected_is_finite_and_never_certain(curves, step):
    mean, deviation = CurveModel().fit(curves).predict(step)
    assert mean.shape == deviation.shape == (len(curves),)
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()
    assert (deviation > 0).all()


@pytest.mark.parametrize("family", [power_laws, exponentials])
def test_the_more_of_a_curve_is_seen_the_surer_is_its_end(family):
    rng = np.random.default_rng(0)
    rows, _ = family(rng, 60)
    rows += 0.005 * rng.standard_normal(rows.shape)
    deviations = []
    for length in (2, 15, 45):
        lengths = [length] * 4 + [60] * 12  # what the others teach stays nearly the same
        deviations.append(CurveModel().fit(curves_of(rows, lengths)).predict(61)[1][:4].mean())
    assert (np.diff(deviations) < 0).all()
    assert deviations[-1] < 0.5 * deviations[0]


def test_the_further_ahead_the_less_sure():
    rng = np.random.default_rng(0)
    rows, _ = power_laws(rng, 10)
    fitted = CurveModel().fit(curves_of(rows + 0.01 * rng.standard_normal(rows.shape), [10] * 16))
    deviations = [fitted.predict(step)[1].mean() for step in (11, 20, 50, 200)]
    assert (np.diff(deviations) > 0).all()


def test_a_young_curve_goes_as_the_others_went():
    """Two studies differ only in whether their old curves rise on after step 3."""
    steps = np.arange(1, 31)
    young = [(1, 0.30), (2, 0.40), (3, 0.45)]
    starts = np.linspace(-0.05, 0.05, 8)
    early = np.interp(np.minimum(steps, 3), [1, 2, 3], [0.30, 0.40, 0.45])
    stays = [list(zip(steps, early + start, strict=True)) for start in starts]
    rises = [list(zip(steps, early + start + 0.1 * np.log(np.maximum(steps / 3, 1)), strict=True)) for start in starts]
    low, unsure = (part[0] for part in CurveModel().fit([young, *stays]).predict(30))
    high, _ = (part[0] for part in CurveModel().fit([young, *rises]).predict(30))
    assert low == pytest.approx(0.45, abs=max(0.03, 2 * unsure))
    assert high > low + 0.05


# ---------------------------------------------------------------------- what goes wrong in studies


@pytest.mark.parametrize("value", [0.0, 0.5, -3e5])
@pytest.mark.parametrize("lengths", [[1], [10], [1, 1], [10, 1, 4]])
def test_constant_curves_stay_where_they_are(value, lengths):
    curves = [[(step, value) for step in range(1, length + 1)] for length in lengths]
    mean, deviation = CurveModel().fit(curves).predict(40)
    assert (np.abs(mean - value) <= 2 * deviation).all()
    assert (deviation <= 0.2 * (abs(value) or 1)).all()


def test_constant_curves_among_others():
    rows, _ = power_laws(np.random.default_rng(0), 20)
    rows[3] = 0.4
    mean, deviation = CurveModel().fit(curves_of(rows, [20] * 16)).predict(40)
    assert mean[3] == pytest.approx(0.4, abs=0.02)
    assert deviation[3] < 0.1


@pytest.mark.parametrize("share", [2, 4])
def test_how_badly_some_diverge_does_not_matter(share):
    """The others are predicted as if those that diverge did so by less."""
    rng = np.random.default_rng(0)
    rows, ends = power_laws(rng, 20)
    found = []
    for rate in (1.5, 4.0):
        mixed = rows.copy()
        mixed[:share] = 0.5 - rate ** np.arange(1, 21)
        mean, deviation = CurveModel().fit(curves_of(mixed, [20] * 16)).predict(100)
        assert (mean[:share] < mixed[:share, 0]).all()
        assert np.isfinite(deviation).all()
        assert np.abs(mean - ends)[share:].mean() < 0.05
        found.append(mean[share:])
    np.testing.assert_allclose(found[1], found[0], atol=0.02)


def test_noise_is_no_trend():
    rng = np.random.default_rng(0)
    rows = 0.5 + 0.2 * rng.random((20, 1)) + 0.03 * rng.standard_normal((20, 25))
    mean, deviation = CurveModel().fit(curves_of(rows, [25] * 20)).predict(50)
    truth = rows.mean(1)
    assert np.abs(mean - truth).mean() < np.abs(rows[:, -1] - truth).mean()
    assert (np.abs(mean - truth) < 3 * deviation).all()


def test_long_curves_are_thinned_and_go_on_as_before():
    steps = np.arange(1, 3001)
    curves = [list(zip(steps[:length], end - 0.5 * steps[:length] ** -0.5, strict=True)) for end, length in
              ((0.9, 3000), (0.8, 1000), (0.7, 300), (0.6, 65))]  # fmt: skip
    fitted = CurveModel().fit(curves)
    assert max(grid.mask.shape[1] for grid in fitted.grids) <= 64
    mean, deviation = fitted.predict(6000)
    truth = np.array([0.9, 0.8, 0.7, 0.6]) - 0.5 * 6000**-0.5
    np.testing.assert_allclose(mean, truth, atol=0.03)
    assert (np.abs(mean - truth) < 3 * deviation).all()


@pytest.mark.parametrize("factor", [1e307, 1e-307])
def test_values_may_be_as_large_and_as_small_as_floats_are(factor):
    rows, _ = power_laws(np.random.default_rng(0), 10)
    mean, deviation = CurveModel().fit(curves_of(rows, [10] * 16)).predict(20)
    other = CurveModel().fit(curves_of(factor * rows, [10] * 16)).predict(20)
    np.testing.assert_allclose(other[0] / factor, mean, rtol=1e-5)
    np.testing.assert_allclose(other[1] / factor, deviation, rtol=1e-3)


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ([], "no curve"),
        ([[(1, 0.1)], []], "curve 1 is empty"),
        ([[(1, 0.1), (2, math.nan)]], "curve 0 has the value nan at step 2"),
        ([[(1, 0.1)], [(3, -math.inf)]], "curve 1 has the value -inf at step 3"),
        ([[(0, 0.1)]], "steps are 1 or more"),
        ([[(2, 0.1), (2, 0.2)]], "ascend"),
        ([[(2, 0.1), (1, 0.2)]], "ascend"),
    ],
)
def test_what_is_no_curve_is_refused(curves, message):
    with pytest.raises(DataError, match=message):
        CurveModel().fit(curves)


def test_steps_and_settings_are_checked():
    fitted = CurveModel().fit([[(1, 0.1), (2, 0.2)]])
    with pytest.raises(DataError, match="1 or more, not 0"):
        fitted.predict(0)
    with pytest.raises(DataError, match="1 or more, not -1"):
        fitted.draw(-1, np.random.default_rng(0), 2)
    for settings in ({"damping": 0.0}, {"damping": math.inf}, {"rounds": -1}):
        with pytest.raises(StrategyError, match="CurveModel: "):
            CurveModel(**settings)


# ---------------------------------------------------------------------- real curves


@pytest.fixture(scope="module")
def real(data_file):
    """(runs, 50) minus validation losses of NAS-Bench-NLP."""
    with gzip.open(data_file("benchmarks/nasbench_nlp_wikitext2.json.gz")) as file:
        rows = [run["val_losses"] for run in json.load(file)]
    whole = np.array([row for row in rows if len(row) == 50], dtype=float)
    return -whole[np.isfinite(whole).all(1)]


@pytest.mark.parametrize("seen", [5, 10, 20, "mixed"])
def test_real_curves_are_ranked_and_covered(real, seen):
    inside, ranks, last_ranks, errors, last_errors = [], [], [], [], []
    for study in range(4):
        rng = np.random.default_rng(study)
        rows = real[rng.permutation(len(real))[:40]]
        lengths = rng.integers(3, 41, 40) if seen == "mixed" else np.full(40, seen)
        mean, deviation = CurveModel().fit(curves_of(rows, lengths)).predict(50)
        last, truth = rows[np.arange(40), lengths - 1], rows[:, -1]
        inside.append(np.abs(mean - truth) <= HALF * deviation)
        ranks.append(spearmanr(mean, truth)[0])
        last_ranks.append(spearmanr(last, truth)[0])
        errors.append(np.median(np.abs(mean - truth)))
        last_errors.append(np.median(np.abs(last - truth)))
    assert 0.65 <= np.mean(inside) <= 0.98
    assert np.mean(ranks) >= np.mean(last_ranks)
    assert np.mean(errors) < 0.6 * np.mean(last_errors)
