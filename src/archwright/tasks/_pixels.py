"""Gradient boosting on a filter bank, as the baseline of segmentation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import sklearn.ensemble
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from archwright.datasets import IGNORED, Part
from archwright.tasks._baseline import ClassicalMethod

if TYPE_CHECKING:
    from archwright.tasks._segmentation import Segmentation

_SCALES = (1.0, 2.0, 4.0, 8.0)  # standard deviations of Gaussian filters, in pixels
_PIXELS = 20_000  # that are learned from
_ITERATIONS = 100
_LEAST = float(np.finfo(np.float32).eps)  # of a probability


def pixel_classifiers(task: Segmentation) -> list[ClassicalMethod]:
    """Return gradient boosting on each pixel's values after Gaussian filters, and their gradients."""
    note = f"of {_PIXELS:,} pixels, by {4 * len(_SCALES) * task.preprocess.channels} filters"
    return [ClassicalMethod("gradient boosting", partial(_fit, task), note)]


def _fit(task: Segmentation, samples: Part, share: float) -> Callable[[Tensor], Tensor]:
    targets = samples.targets.flatten()
    places = torch.nonzero(targets != IGNORED)[:, 0]
    order = torch.randperm(len(places), generator=torch.Generator().manual_seed(0))[:_PIXELS]
    chosen, pixels = places[order].sort().values, samples.targets[0].numel()
    features = [
        _filtered(task, samples.inputs[image : image + 1])[chosen[chosen // pixels == image] % pixels]
        for image in range(len(samples))
    ]
    model = sklearn.ensemble.HistGradientBoostingClassifier(
        max_iter=max(1, round(share * _ITERATIONS)), early_stopping=False, random_state=0
    )
    model.fit(torch.cat(features).numpy(), targets[chosen].numpy())

    def predict(inputs: Tensor) -> Tensor:
        return torch.cat([_scores(task, model, inputs[image : image + 1]) for image in range(len(inputs))])

    return predict


def _scores(task: Segmentation, model: Any, image: Tensor) -> Tensor:
    """Return the logarithms of probabilities (1, classes, height, width)."""
    found: NDArray[np.float64] = model.predict_proba(_filtered(task, image).numpy())
    shares = np.full((len(found), len(task.classes)), _LEAST)  # of classes without a pixel
    shares[:, model.classes_] = np.clip(found, _LEAST, 1.0)
    return torch.from_numpy(np.log(shares)).float().T.reshape(1, len(task.classes), *image.shape[2:])


def _filtered(task: Segmentation, image: Tensor) -> Tensor:
    """Return the features (pixels, features) of an image (1, channels, height, width)."""
    values = task.prepare(image)[0][:, None]  # each channel as an image
    found = []
    for scale in _SCALES:
        smooth = _blurred(values, scale)
        down, right = torch.gradient(smooth, dim=(2, 3))
        found += [
            smooth,
            torch.hypot(down, right),
            smooth - _blurred(values, 2 * scale),
            _spread(values, smooth, scale),
        ]
    return torch.cat(found).flatten(1).T


def _blurred(values: Tensor, scale: float) -> Tensor:
    """Return images (n, 1, height, width) after a Gaussian filter."""
    reach = min(int(3 * scale + 0.5), *(side - 1 for side in values.shape[2:]))
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / scale) ** 2)
    weights = weights / weights.sum()
    padded = F.pad(values, (reach,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))


def _spread(values: Tensor, smooth: Tensor, scale: float) -> Tensor:
    """Return the local standard deviation."""
    return (_blurred(values.square(), scale) - smooth.square()).clamp(min=0).sqrt()
