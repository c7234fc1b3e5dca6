"""Estimators: a search and its best network behind the interface of scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from archwright.datasets import Text, data, read_texts
from archwright.errors import ArchwrightError
from archwright.evaluate import Training
from archwright.space import Space
from archwright.study import Budget, search
from archwright.tasks import Task, TextClassification, as_task

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:  # pragma: no cover - every test has it
    raise ImportError("the estimators need scikit-learn: pip install scikit-learn") from error


class Estimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What all estimators share.

    Args:
        minutes: The time budget of a fit, the final training included; `None` for none.
        trials: The budget in full evaluations; `None` for none.
        space: A search space, or the name of a ready-made one; by default the one that suits the data.
        strategy: The strategy, as in `aw.search`.
        scheduler: The scheduler, as in `aw.search`.
        objective: The objective, as in `aw.search`.
        epochs: Epochs of each trial; the default depends on the size of the data.
        validation: The share or number of samples on which networks are compared.
        final: Whether the best network is trained again on all samples, for longer.
        ensemble: The largest number of networks to combine; 0 for none.
        precision: "float32", "bf16", or "auto", as in `Training`.
        path: The run folder; `None` to keep nothing on disk.
        verbose: Whether to show the progress of the search, 0 or 1.
        random_state: The random seed: a number, a `numpy.random.RandomState`, or `None` for a new one each time.
    """

    _task: str

    def __init__(
        self,
        *,
        minutes: float | None = 1.0,
        trials: int | None = None,
        space: str | Space | None = None,
        strategy: Any = "auto",
        scheduler: Any = "auto",
        objective: Any = None,
        epochs: int | None = None,
        validation: float = 0.1,
        final: bool = True,
        ensemble: int = 0,
        precision: str = "float32",
        path: str | PathLike[str] | None = None,
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.minutes = minutes
        self.trials = trials
        self.space = space
        self.strategy = strategy
        self.scheduler = scheduler
        self.objective = objective
        self.epochs = epochs
        self.validation = validation
        self.final = final
        self.ensemble = ensemble
        self.precision = precision
        self.path = path
        self.verbose = verbose
        self.random_state = random_state

    def _load(self, inputs: Any, targets: NDArray[Any], seed: int) -> Task:
        """Return the task of the search."""
        given = data((inputs, targets), task=self._task, validation=self.validation, test=1, seed=seed)
        # There is no test: the sample set aside for it is one to learn from.
        return as_task(replace(given, train=given.train + given.test, test=given.test.select(torch.arange(0))))

    def _search(self, inputs: Any, targets: NDArray[Any]) -> Any:
        """Search and train a network; return the task of the search."""
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        try:
            task = self._load(inputs, targets, seed)
            study = search(
                self.space or str(task.space),
                Training(task, epochs=self.epochs, precision=self.precision),
                strategy=self.strategy,
                scheduler=self.scheduler,
                objective=self.objective,
                budget=Budget(trials=self.trials, minutes=self.minutes),
                final=self.final,
                ensemble=self.ensemble,
                path=self.path,
                seed=seed,
                progress=bool(self.verbose),
            )
        except ArchwrightError as error:
            raise ValueError(str(error)) from error
        if study.best is None:
            raise ValueError("the search found no network: no trial succeeded within the budget; give more time")
        self.study_ = study
        self.predictor_ = study.predictor(ensemble=bool(self.ensemble) and study.ensemble is not None)
        return task

    def _outputs(self, X: ArrayLike) -> NDArray[np.float32]:
        check_is_fitted(self, "predictor_")
        predictor, inputs = self.predictor_, self._raw(X)
        found: NDArray[np.float32] = torch.cat([predictor.scores(part) for part in torch.split(inputs, 256)]).numpy()
        return found

    def _raw(self, X: Any) -> torch.Tensor:
        """Return raw inputs of a predictor, after a check."""
        # A copy: the array may be protected from writing.
        return torch.tensor(np.ascontiguousarray(self._checked(X)))

    def _checked(self, X: ArrayLike) -> NDArray[Any]:
        """Return inputs as they were given to `fit`."""
        return np.asarray(validate_data(self, X, reset=False, dtype=np.float32))

    def _begin(self, X: Any, y: ArrayLike, **checks: Any) -> tuple[Any, NDArray[Any]]:
        """Return inputs and targets of a fit, after a check."""
        inputs, targets = validate_data(self, X, y, dtype=np.float32, ensure_min_samples=3, **checks)
        return np.asarray(inputs), np.asarray(targets)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the study, whose record belongs to a process."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "study_"}


class _Classifier(ClassifierMixin, Estimator):  # type: ignore[misc]
    """Classifiers: the classes are any values of y."""

    _task = "classification"

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Search a network, and train the best one on all samples.

        Args:
            X: The inputs.
            y: The class of each sample, shape (n,).

        Raises:
            ValueError: The data cannot be used, or the search found no network.
        """
        inputs, targets = self._begin(X, y)
        check_classification_targets(targets)
        self.classes_, numbers = np.unique(targets, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"{type(self).__name__} needs at least two classes; y has one class")
        found = self._search(inputs, numbers)
        self._order = np.argsort([int(name) for name in found.classes])
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the probabilities of the classes, shape (n, classes), in the order of `classes_`."""
        scores = self._outputs(X)[:, self._order].astype(np.float64)
        shares = np.exp(scores - scores.max(1, keepdims=True))
        found: NDArray[np.float64] = shares / shares.sum(1, keepdims=True)
        return found

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the class of each sample, shape (n,)."""
        places = self.predict_proba(X).argmax(1)
        found: NDArray[Any] = self.classes_[places]
        return found


class _Regressor(RegressorMixin, Estimator):  # type: ignore[misc]
    """Regressors: y has one or several values for each sample."""

    _task = "regression"

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Search a network, and train the best one on all samples.

        Args:
            X: The inputs.
            y: The values of each sample, shape (n,) or (n, k).

        Raises:
            ValueError: The data cannot be used, or the search found no network.
        """
        inputs, targets = self._begin(X, y, multi_output=True, y_numeric=True)
        self._is_flat = targets.ndim == 1
        self._search(inputs, targets.astype(np.float64))
        return self

    def __sklearn_tags__(self) -> Any:
        """Return the tags: there may be several values for each sample."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the values of each sample, of the shape of y, in its units."""
        values = self._outputs(X).astype(np.float64)
        return values[:, 0] if self._is_flat else values


class _Images(Estimator):
    """Estimators of images."""

    def _begin(self, X: ArrayLike, y: ArrayLike, **checks: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        targets = np.asarray(y)
        self._shape = np.asarray(X).shape[1:]
        return self._checked(X), targets

    def _checked(self, X: ArrayLike) -> NDArray[Any]:
        inputs = np.asarray(X)
        if inputs.ndim not in (3, 4) or inputs.shape[1:] != self._shape:
            raise ValueError(
                f"images have shape (n, height, width) or with channels in front of or behind the sides, as in fit: "
                f"(n, {', '.join(map(str, self._shape))}); not {inputs.shape}"
            )
        return inputs


class _Texts(Estimator):
    """Estimators of texts."""

    def _begin(self, X: Any, y: ArrayLike, **checks: Any) -> tuple[list[str], NDArray[Any]]:
        texts, targets = self._texts(X), np.asarray(y)
        if len(texts) < 3 or targets.shape != (len(texts),):
            raise ValueError(f"there must be 3 texts or more, each with one class: {len(texts)}, and y {targets.shape}")
        return texts, targets

    def _load(self, inputs: Any, targets: NDArray[Any], seed: int) -> Task:
        given = [Text(text, str(targets[place]), f"text {place}") for place, text in enumerate(inputs)]
        texts = read_texts({"": given}, validation=self.validation, test=1, seed=seed)
        train, held, rest = texts.places
        return TextClassification(replace(texts, places=[torch.cat([train, rest]), held, rest[:0]]))

    def _raw(self, X: Any) -> torch.Tensor:
        preprocess: Any = self.predictor_.preprocess
        return torch.stack([preprocess.encode(text, f"text {place}: ") for place, text in enumerate(self._texts(X))])

    def _texts(self, X: Any) -> list[str]:
        texts = [] if isinstance(X, str) else list(X)
        if not texts or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"X is a list, array or series of texts (str), not {X!r:.60}")
        return texts

    def __sklearn_tags__(self) -> Any:
        """Return the tags: a sample is a text."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        return tags


class TabularClassifier(_Classifier):
    """Classifier of table rows: a search for a network in `fit`.

    The interface is that of scikit-learn: `get_params`, `clone`, pipelines, cross-validation and pickling work. With
    `random_state` and a budget of `trials` a fit can be repeated; with one of `minutes` it depends on the machine.

    Example:
        >>> from archwright.estimators import TabularClassifier
        >>> X, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 2
        >>> classifier = TabularClassifier(minutes=None, trials=1, epochs=1, random_state=0).fit(X, y)
        >>> classifier.predict_proba(X[:3]).shape
        (3, 2)
    """


class TabularRegressor(_Regressor):
    """Regressor of table rows: a search for a network in `fit`; see `TabularClassifier`.

    Example:
        >>> from archwright.estimators import TabularRegressor
        >>> X = np.random.default_rng(0).normal(size=(60, 4))
        >>> regressor = TabularRegressor(minutes=None, trials=1, epochs=1, random_state=0).fit(X, X[:, 0])
        >>> regressor.predict(X[:3]).shape
        (3,)
    """


class ImageClassifier(_Images, _Classifier):
    """Classifier of images: a search for a network in `fit`; see `TabularClassifier`.

    X has shape (n, height, width), (n, channels, height, width) or (n, height, width, channels); whole numbers in
    0..255, or floats. It is no table, so scikit-learn's transformers of features do not apply.

    Example:
        >>> from archwright.estimators import ImageClassifier
        >>> X, y = np.random.default_rng(0).integers(256, size=(40, 8, 8)), np.array(["cat", "dog"] * 20)
        >>> classifier = ImageClassifier(minutes=None, trials=1, epochs=1, random_state=0).fit(X, y)
        >>> classifier.classes_.tolist()
        ['cat', 'dog']
    """


class ImageRegressor(_Images, _Regressor):
    """Regressor of images: a search for a network in `fit`; see `ImageClassifier`.

    Example:
        >>> from archwright.estimators import ImageRegressor
        >>> X = np.random.default_rng(0).integers(256, size=(40, 8, 8))
        >>> regressor = ImageRegressor(minutes=None, trials=1, epochs=1, random_state=0).fit(X, X.mean((1, 2)))
        >>> regressor.predict(X[:3]).shape
        (3,)
    """


class TextClassifier(_Texts, _Classifier):
    """Classifier of texts: a search for a network in `fit`; see `TabularClassifier`.

    X is a list, array or series of texts. The vocabulary is that of the texts of `fit`.

    Example:
        >>> from archwright.estimators import TextClassifier
        >>> X, y = [f"a {word} film" for word in ("fine", "bad") * 20], ["good", "bad"] * 20
        >>> classifier = TextClassifier(minutes=None, trials=1, epochs=1, random_state=0).fit(X, y)
        >>> classifier.predict_proba(["a fine film", "a bad one"]).shape
        (2, 2)
    """
