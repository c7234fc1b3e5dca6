"""Naive Bayes and logistic regression of scikit-learn on words and pairs of words, as baselines of texts."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import sklearn.feature_extraction.text
import sklearn.linear_model
import sklearn.naive_bayes
import torch
from torch import Tensor

from archwright.datasets import Part
from archwright.tasks._baseline import ClassicalMethod

if TYPE_CHECKING:
    from archwright.tasks._text import TextClassification

_ITERATIONS = 100
_LEAST = float(np.finfo(float).eps)  # of a probability

Fit = Callable[[Part, float], Callable[[Tensor], Tensor]]


def text_classifiers(task: TextClassification) -> list[ClassicalMethod]:
    """Return naive Bayes, and logistic regression on features weighted by it.

    The latter is that of Wang and Manning, "Baselines and bigrams: simple, good sentiment and topic classification",
    ACL 2012, with logistic regression in place of the support vector machine, one for each class.
    """
    methods = {"naive Bayes": _Bayes, "naive Bayes + logistic regression": _Weighted}
    note = "words and pairs of words"
    return [ClassicalMethod(name, partial(_fit, len(task.classes), kind), note) for name, kind in methods.items()]


def _fit(classes: int, kind: Any, samples: Part, share: float) -> Callable[[Tensor], Tensor]:
    grams = sklearn.feature_extraction.text.CountVectorizer(
        token_pattern=r"\S+", ngram_range=(1, 2), binary=True, lowercase=False
    )
    features, targets = grams.fit_transform(_written(samples.inputs)), samples.targets.numpy()
    model = kind(max(1, round(share * _ITERATIONS)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the last digits have not converged, say
        model.fit(features, targets)
    seen = np.unique(targets)

    def predict(inputs: Tensor) -> Tensor:
        outputs = np.full((len(inputs), classes), np.log(_LEAST))  # of classes without a sample
        outputs[:, seen] = model.predict_log_proba(grams.transform(_written(inputs)))
        return torch.from_numpy(outputs.clip(min=np.log(_LEAST)))

    return predict


def _written(ids: Tensor) -> list[str]:
    """Return texts whose words are ids."""
    return [" ".join(str(each) for each in row if each) for row in ids.tolist()]


class _Bayes:
    """Naive Bayes; it has no iterations."""

    def __init__(self, iterations: int) -> None:
        self._model = sklearn.naive_bayes.MultinomialNB()

    def fit(self, features: Any, targets: Any) -> None:
        """Fit it."""
        self._model.fit(features, targets)

    def predict_log_proba(self, features: Any) -> Any:
        """Return the logarithms of the probabilities of the classes that were seen."""
        return self._model.predict_log_proba(features)


class _Weighted:
    """For each class a logistic regression, of features times the logarithm of their ratio in it and in the others."""

    def __init__(self, iterations: int) -> None:
        self._iterations = iterations
        self._models: list[tuple[Any, Any]] = []

    def fit(self, features: Any, targets: Any) -> None:
        """Fit it."""
        self._models = []
        classes = np.unique(targets)
        for each in classes[1:] if len(classes) == 2 else classes:
            inside = targets == each
            counts = [1.0 + np.asarray(features[chosen].sum(0)) for chosen in (inside, ~inside)]
            ratio = np.log((counts[0] / counts[0].sum()) / (counts[1] / counts[1].sum()))
            model = sklearn.linear_model.LogisticRegression(max_iter=self._iterations)
            model.fit(features.multiply(ratio).tocsr(), inside)
            self._models.append((ratio, model))

    def predict_log_proba(self, features: Any) -> Any:
        """Return the logarithms of the probabilities of the classes that were seen."""
        shares = np.stack(
            [model.predict_proba(features.multiply(ratio).tocsr())[:, 1] for ratio, model in self._models], axis=1
        ).clip(_LEAST, 1.0)
        if shares.shape[1] == 1:
            shares = np.concatenate([1 - shares, shares], axis=1).clip(_LEAST, 1.0)
        return np.log(shares / shares.sum(1, keepdims=True))
