"""Means with biases, and logistic regression, as baselines of recommendation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import scipy.sparse
import sklearn.linear_model
import torch
from torch import Tensor

from archwright.datasets import Part
from archwright.tasks._baseline import ClassicalMethod
from archwright.tasks._recommendation import Recommendation

_ITEM, _USER = 25.0, 10.0  # ratings, as many as which the mean counts
_ITERATIONS = 200

Predict = Callable[[Tensor], Tensor]


def raters(task: Recommendation) -> list[ClassicalMethod]:
    """Return the mean with biases, or logistic regression for clicks."""
    if task.is_click:
        return [ClassicalMethod("logistic regression", partial(_fit_logistic, task), "on users and items")]
    return [ClassicalMethod("biases", partial(_fit_biases, task), "mean of all, of the item and of the user")]


def _fit_biases(task: Recommendation, samples: Part, share: float) -> Predict:
    """Fit regularised deviations of items from the mean, and of users from both (Koren 2010)."""
    users, items = samples.inputs.T
    values = task.standardised(samples.targets)
    mean = values.mean()
    of_item = _shrunk(values - mean, items, task.space_options["items"] + 1, _ITEM)
    of_user = _shrunk(values - mean - of_item[items], users, task.space_options["users"] + 1, _USER)
    return lambda inputs: (mean + of_user[inputs[:, 0]] + of_item[inputs[:, 1]])[:, None]


def _shrunk(values: Tensor, groups: Tensor, count: int, weight: float) -> Tensor:
    """Return the sums of groups over their sizes plus a weight; that of unknown ones, group 0, is 0."""
    sums = torch.zeros(count, dtype=torch.float64).index_add(0, groups, values.double())
    sizes = torch.bincount(groups, minlength=count)
    found = sums / (sizes + weight)
    found[0] = 0
    return found


def _fit_logistic(task: Recommendation, samples: Part, share: float) -> Predict:
    iterations = max(1, round(share * _ITERATIONS))
    model = sklearn.linear_model.LogisticRegression(C=1.0, max_iter=iterations)
    targets = samples.targets[:, 0].long().numpy()
    if len(np.unique(targets)) < 2:
        return lambda inputs: torch.zeros(len(inputs), 1, dtype=torch.float64)
    model.fit(_indicators(task, samples.inputs), targets)
    return lambda inputs: torch.from_numpy(model.decision_function(_indicators(task, inputs)))[:, None]


def _indicators(task: Recommendation, pairs: Tensor) -> scipy.sparse.csr_matrix:
    """Return a 0/1 column for each user and each item, shape (n, users + items); none for unknown ones."""
    users, items = task.space_options["users"] + 1, task.space_options["items"] + 1
    places = (pairs + torch.tensor([0, users])).numpy()
    shown = (pairs > 0).double().numpy()
    rows = np.repeat(np.arange(len(pairs)), 2)
    return scipy.sparse.csr_matrix((shown.ravel(), (rows, places.ravel())), shape=(len(pairs), users + items))
