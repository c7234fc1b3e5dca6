"""Searches behind the interface of scikit-learn."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import archwright as aw
from archwright import nn
from archwright.estimators import (
    Forecaster,
    ImageClassifier,
    ImageRegressor,
    TabularClassifier,
    TabularRegressor,
    TextClassifier,
)

QUICK = {"minutes": None, "trials": 1, "strategy": "random", "scheduler": "full"}

# What is not as the checks of scikit-learn want it, and why.
EXPECTED = {
    "check_methods_subset_invariance": "products in float32 depend on the size of a batch, in the seventh digit",
    "check_array_api_input": "skipped by scikit-learn itself without SCIPY_ARRAY_API",
}


@pytest.mark.parametrize("estimator", [TabularClassifier, TabularRegressor])
def test_the_checks_of_scikit_learn_pass(estimator) -> None:
    failed = {}
    small = estimator(**QUICK, space="mlp", epochs=4, final=False, random_state=0)  # which is made in no time
    for instance, check in estimator_checks_generator(small):
        name = getattr(check, "func", check).__name__
        if name in EXPECTED:
            continue
        try:
            check(instance)
        except Exception as error:  # whatever a check raises
            failed[name] = f"{type(error).__name__}: {error}"
    assert failed == {}


def test_it_is_a_part_of_pipelines_clones_and_cross_validation() -> None:
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    pipeline = make_pipeline(StandardScaler(), TabularClassifier(**QUICK, space="mlp", epochs=20, random_state=0))
    assert cross_val_score(clone(pipeline), X, names, cv=2).mean() > 0.8
    fitted = pipeline.fit(X, names)
    assert set(fitted.predict(X)) == {"setosa", "versicolor", "virginica"}
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert np.allclose(fitted.predict_proba(X).sum(1), 1)


def test_the_order_of_classes_is_that_of_their_probabilities() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(12), 20)  # twelve, of which "10" sorts before "2" as text
    X = np.eye(12)[y] + rng.normal(scale=0.05, size=(240, 12))
    classifier = TabularClassifier(**QUICK, space="mlp", epochs=20, random_state=0).fit(X, y)
    assert classifier.score(X, y) > 0.9
    assert np.array_equal(classifier.classes_, np.arange(12))


def test_a_fit_can_be_repeated() -> None:
    X, y = load_iris(return_X_y=True)
    first, second = (TabularClassifier(**QUICK, epochs=2, random_state=3).fit(X, y).predict_proba(X) for _ in range(2))
    assert np.array_equal(first, second)


def test_images_are_classified_and_valued() -> None:
    X, y = load_digits(return_X_y=True)
    images = X.reshape(-1, 8, 8)
    classifier = ImageClassifier(**QUICK, epochs=2, random_state=0).fit(images[:300], y[:300])
    assert classifier.predict(images[:5]).shape == (5,)
    with pytest.raises(ValueError, match=r"as in fit: \(n, 8, 8\); not \(5, 64\)"):
        classifier.predict(X[:5])
    values = images.mean((1, 2))[:300]
    regressor = ImageRegressor(**QUICK, epochs=2, random_state=0).fit(images[:300], np.stack([values, -values], 1))
    assert regressor.predict(images[:5]).shape == (5, 2)


def test_texts_are_classified() -> None:
    nouns, kinds = ("film", "book", "song", "play"), {"fine": 10, "lovely": 10, "bad": 2, "dull": 2}
    pairs = [(f"it was a {kind} {noun}", stars) for kind, stars in kinds.items() for noun in nouns] * 8
    X, y = [text for text, _ in pairs], np.array([stars for _, stars in pairs])
    quick = {**QUICK, "space": "text", "epochs": 10, "final": False, "random_state": 0}
    upper = FunctionTransformer(lambda texts: [text.upper() for text in texts])
    pipeline = make_pipeline(upper, TextClassifier(**quick))
    fitted = clone(pipeline).fit(X, y)
    assert fitted.score(X, y) == 1
    assert fitted.predict(np.array(["a fine play", "a DULL, dull song"])).tolist() == [10, 2]
    assert fitted[-1].classes_.tolist() == [2, 10]  # "10" sorts before "2" as text
    again = pickle.loads(pickle.dumps(fitted[-1]))
    assert np.array_equal(again.predict_proba(X[:9]), fitted[-1].predict_proba(X[:9]))
    assert np.allclose(again.predict_proba(X[:9]).sum(1), 1)
    with pytest.raises(ValueError, match="text 1: the text is empty"):
        again.predict(["fine", " "])
    for texts, targets, message in (
        ("a fine film", [1], "texts"),
        ([1, 2, 3], [0, 1, 0], "texts"),
        (["a", "b", "c"], [0, 1], "each with one class: 3, and y"),
        (["a b", "a", ""] * 9, [0, 1, 0] * 9, "text 2: the text is empty"),
    ):
        with pytest.raises(ValueError, match=message):
            TextClassifier(**quick).fit(texts, targets)


def test_what_cannot_be_used_is_a_value_error() -> None:
    with pytest.raises(NotFittedError):
        TabularClassifier().predict(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="at least two classes"):
        TabularClassifier(**QUICK).fit(np.zeros((9, 2)), np.zeros(9))
    with pytest.raises(ValueError, match="budget"):
        TabularClassifier(minutes=None).fit(np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2)


def test_a_forecaster_goes_on_with_a_wave() -> None:
    steps = np.arange(640)
    waves = np.stack([10 + np.sin(steps * np.pi / 8), 100 + 20 * np.cos(steps * np.pi / 8)], 1)
    space = aw.Space(
        model=nn.Sequential(nn.Flatten(), nn.Linear(96, 16), nn.Unflatten(1, (8, 2))), example_input=(48, 2)
    )
    options = {**QUICK, "space": space, "epochs": 20, "random_state": 0}
    forecaster = Forecaster(**options).fit(waves[:600], horizon=8, lookback=48, season=16)
    assert forecaster.predict() == pytest.approx(waves[600:608], rel=0.01)
    assert forecaster.predict(3, y=waves[:620]) == pytest.approx(waves[620:623], rel=0.01)
    assert forecaster.score(waves[600:605]) == pytest.approx(r2_score(waves[600:605], forecaster.predict(5)))
    known = [(waves[end : end + 8], forecaster.predict(y=waves[:end])) for end in range(600, 613)]
    assert forecaster.score(waves[600:620]) == pytest.approx(r2_score(*map(np.concatenate, zip(*known, strict=True))))
    again = pickle.loads(pickle.dumps(forecaster))
    assert np.array_equal(again.predict(), forecaster.predict())
    small = aw.Space(
        model=nn.Sequential(nn.Flatten(), nn.Linear(32, 4), nn.Unflatten(1, (4, 1))), example_input=(16, 2)
    )
    one = Forecaster(**QUICK, space=small, epochs=1, final=False).fit(waves[:, 0], waves[:, 1:], horizon=4, lookback=16)
    assert one.predict(2).shape == (2,)
    assert one.predict(y=waves[:16, 0], X=waves[:16, 1:]).shape == (4,)
    assert one.score(waves[:9, 0], waves[:9, 1:]) < 1
    with pytest.raises(ValueError, match="X is missing: fit had 1 column in it"):
        one.score(waves[:9, 0])


@pytest.mark.filterwarnings("error")
def test_arrays_that_cannot_be_written_to_give_no_warning() -> None:
    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    wave = np.sin(np.arange(200.0))
    for array in (X, wave):
        array.flags.writeable = False
    options = {**QUICK, "epochs": 1, "final": False, "random_state": 0}
    assert TabularRegressor(**options, space="mlp").fit(X, X[:, 0]).predict(X).shape == (60,)
    space = aw.Space(model=nn.Sequential(nn.Flatten(), nn.Linear(8, 4), nn.Unflatten(1, (4, 1))), example_input=(8, 1))
    forecaster = Forecaster(**options, space=space).fit(wave, horizon=4, lookback=8)
    assert forecaster.predict(y=wave).shape == (4,)
    assert forecaster.score(wave) < 1


def test_what_a_forecaster_cannot_use_is_a_value_error() -> None:
    y = np.sin(np.arange(100))
    with pytest.raises(ValueError, match="horizon='long'"):
        Forecaster(**QUICK).fit(y, horizon="long")
    with pytest.raises(ValueError, match="100 steps and X has 99"):
        Forecaster(**QUICK).fit(y, y[1:, None], horizon=4)
    with pytest.raises(ValueError, match="NaN"):
        Forecaster(**QUICK).fit([*y, np.nan], horizon=4)
    space = aw.Space(model=nn.Sequential(nn.Flatten(), nn.Linear(8, 4), nn.Unflatten(1, (4, 1))), example_input=(8, 1))
    forecaster = Forecaster(**QUICK, space=space, epochs=1, final=False).fit(y, horizon=4, lookback=8)
    with pytest.raises(ValueError, match="horizon=5 must be 1 to 4"):
        forecaster.predict(5)
    with pytest.raises(ValueError, match=r"looks back over 8 steps; 7 were given"):
        forecaster.predict(y=y[:7])
    with pytest.raises(ValueError, match=r"2 \+ 0 columns was given, and fit had 1 \+ 0"):
        forecaster.predict(y=np.stack([y, y], 1))
    with pytest.raises(ValueError, match="two steps or more; y has 1"):
        forecaster.score(y[:1])
    for call in (Forecaster().predict, lambda: Forecaster().score(y)):
        with pytest.raises(NotFittedError):
            call()


def test_what_a_series_is_too_short_for_is_told() -> None:
    with pytest.raises(ValueError, match=r"training part has 18 steps.*take"):
        Forecaster(**QUICK).fit(np.arange(20.0), horizon=30)
