"""Linear models and gradient boosting of scikit-learn, as baselines of classification and regression."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import sklearn.linear_model
import torch
from numpy.typing import NDArray
from torch import Tensor

from archwright.datasets import Part
from archwright.tasks._baseline import ClassicalMethod
from archwright.tasks._classification import Classification
from archwright.tasks._multilabel import MultiLabel
from archwright.tasks._regression import Regression
from archwright.tasks._task import DataTask

_PIXELS = 16  # of the height and the width of an image, at most
_VALUES = 50_000_000  # of all inputs, at most: 400 MB
_ITERATIONS = 100
_LONG, _LONG_SAMPLES = 200, 1000  # iterations of boosting that stops early, and the samples that it takes
_HELD_OUT = 0.1  # of the samples, by which it stops
_LEAST = float(np.finfo(float).eps)  # of a probability, as in `sklearn.metrics.log_loss`

Array = NDArray[np.float64]


def classifiers(task: Classification) -> list[ClassicalMethod]:
    """Return logistic regression and, for tables, gradient boosting."""
    return _methods(task, "logistic regression", _fit_classifier, _logistic, _boosted_classes)


def regressors(task: Regression) -> list[ClassicalMethod]:
    """Return ridge regression and, for tables, gradient boosting."""
    return _methods(task, "ridge regression", _fit_regressor, _ridge, _boosted_values)


def labellers(task: MultiLabel) -> list[ClassicalMethod]:
    """Return logistic regression and gradient boosting, fitted for each label."""
    return _methods(task, "logistic regression", _fit_labeller, _logistic, _boosted_classes)


def _methods(task: DataTask, name: str, fit: Callable[..., Any], linear: Any, boosted: Any) -> list[ClassicalMethod]:
    shape = _reduced(task, task.train.inputs[:1]).shape[1:]
    given = task.train.inputs.shape[1:]
    note = "" if shape == given else f"images averaged to {shape[1]}x{shape[2]} pixels"
    limit = max(1, _VALUES // shape.numel())
    methods = [ClassicalMethod(name, partial(fit, task, linear), note, limit)]
    if task.kind == "table":
        methods.append(ClassicalMethod("gradient boosting", partial(fit, task, boosted), limit=limit))
    return methods


def _fit_classifier(
    task: Classification, make: Callable[[Array, float], Any], samples: Part, share: float
) -> Callable[[Tensor], Tensor]:
    targets = samples.targets.numpy()
    model = make(targets, share)
    _fit(model, _features(task, samples.inputs), targets)

    def predict(inputs: Tensor) -> Tensor:
        outputs = np.full((len(inputs), len(task.classes)), _LEAST)  # of classes without a sample
        outputs[:, model.classes_] = np.clip(model.predict_proba(_features(task, inputs)), _LEAST, 1.0)
        return torch.from_numpy(np.log(outputs))

    return predict


def _fit_labeller(
    task: MultiLabel, make: Callable[[Array, float], Any], samples: Part, share: float
) -> Callable[[Tensor], Tensor]:
    inputs = _features(task, samples.inputs)
    models: list[Any] = []
    for targets in samples.targets.numpy().T:
        alone = targets[0] if len(np.unique(targets)) == 1 else None  # a label that all samples have, or none
        models.append(make(targets, share) if alone is None else alone)
        if alone is None:
            _fit(models[-1], inputs, targets)

    def predict(inputs: Tensor) -> Tensor:
        features = _features(task, inputs)
        columns = [
            model.predict_proba(features)[:, 1] if hasattr(model, "predict_proba") else np.full(len(features), model)
            for model in models
        ]
        return torch.from_numpy(np.clip(np.stack(columns, axis=1), _LEAST, 1 - _LEAST)).logit()

    return predict


def _fit_regressor(
    task: Regression, make: Callable[[Array, float], Any], samples: Part, share: float
) -> Callable[[Tensor], Tensor]:
    inputs = _features(task, samples.inputs)
    models = []
    for targets in ((samples.targets - task.mean) / task.std).numpy().T:
        models.append(make(targets, share))
        _fit(models[-1], inputs, targets)

    def predict(inputs: Tensor) -> Tensor:
        features = _features(task, inputs)
        return torch.from_numpy(np.stack([model.predict(features) for model in models], axis=1))

    return predict


def _fit(model: Any, inputs: Array, targets: Array) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the last digits have not converged, say
        model.fit(inputs, targets)


def _logistic(targets: Array, share: float) -> Any:
    return sklearn.linear_model.LogisticRegression(max_iter=max(1, round(share * _ITERATIONS)))


def _ridge(targets: Array, share: float) -> Any:
    return sklearn.linear_model.RidgeCV(alphas=np.logspace(-2, 4, 7))


def _boosted_classes(targets: Array, share: float) -> Any:
    # Some samples of each class are held out, and others of it are needed to learn from.
    counts = np.unique(targets, return_counts=True)[1]
    is_held_out = counts.min() > 1 and len(counts) <= _HELD_OUT * len(targets)
    return sklearn.ensemble.HistGradientBoostingClassifier(
        **_boosting(len(targets), share, is_held_out=bool(is_held_out))
    )


def _boosted_values(targets: Array, share: float) -> Any:
    return sklearn.ensemble.HistGradientBoostingRegressor(**_boosting(len(targets), share))


def _boosting(samples: int, share: float, *, is_held_out: bool = True) -> dict[str, Any]:
    stops = samples >= _LONG_SAMPLES and is_held_out
    iterations = max(1, round(share * (_LONG if stops else _ITERATIONS)))
    return {
        "max_iter": iterations,
        "early_stopping": stops,
        "validation_fraction": _HELD_OUT,
        "random_state": 0,
    }


def _features(task: DataTask, inputs: Tensor) -> Array:
    return _reduced(task, inputs).flatten(1).double().numpy()


def _reduced(task: DataTask, inputs: Tensor) -> Tensor:
    """Return normalised inputs; of images the averages of areas, which are few."""
    prepared = task.prepare(inputs)
    if prepared.ndim != 4:
        return prepared
    size = [-(-side // _PIXELS) for side in prepared.shape[2:]]
    return torch.nn.functional.avg_pool2d(prepared, size, ceil_mode=True)
