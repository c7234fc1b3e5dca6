"""Cepstral coefficients of recordings with classifiers of scikit-learn, as baselines of speech commands."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import Tensor

from archwright.datasets import Part
from archwright.spaces import LogMel
from archwright.tasks._baseline import ClassicalMethod

if TYPE_CHECKING:
    from archwright.tasks._speech_commands import SpeechCommands

_BANDS, _COEFFICIENTS, _SEGMENTS = 40, 20, 6
_BATCH = 512
_ABSENT = 10.0  # how far the score of a class without a sample is below all others


def cepstral_classifiers(task: SpeechCommands) -> list[ClassicalMethod]:
    """Return a support vector machine and logistic regression on mel-frequency cepstral coefficients (MFCC)."""
    note = f"{_COEFFICIENTS} coefficients, means of {_SEGMENTS} segments of time and deviations"
    return [
        ClassicalMethod("MFCC + SVM", partial(_fit, task, lambda share: SVC(C=10.0)), note),
        ClassicalMethod("MFCC + logistic regression", partial(_fit, task, _logistic), note),
    ]


def _logistic(share: float) -> Any:
    return LogisticRegression(C=0.1, max_iter=max(1, round(100 * share)))


def _fit(task: SpeechCommands, make: Callable[[float], Any], samples: Part, share: float) -> Callable[[Tensor], Tensor]:
    model = make_pipeline(StandardScaler(), make(share))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the last digits have not converged, say
        model.fit(cepstra(samples.inputs, task.rate), samples.targets.numpy())

    def predict(inputs: Tensor) -> Tensor:
        scores = model.decision_function(cepstra(inputs, task.rate))
        scores = np.stack([-scores, scores], axis=1) / 2 if scores.ndim == 1 else scores
        outputs = np.full((len(inputs), len(task.classes)), scores.min() - _ABSENT)
        outputs[:, model.classes_] = scores
        return torch.from_numpy(outputs)

    return predict


def cepstra(waves: Tensor, rate: int) -> NDArray[np.float64]:
    """Return features of waveforms (n, samples): means of coefficients in segments of the sound, and deviations."""
    layer = LogMel(_BANDS, rate)
    places = math.pi / _BANDS * (torch.arange(_BANDS) + 0.5)
    transform = torch.cos(torch.arange(_COEFFICIENTS)[:, None] * places)  # the discrete cosine transform
    found = []
    for block in torch.split(waves, _BATCH):
        bands = layer(block)
        for each, seen in zip(transform @ bands, bands.ne(0).any(1), strict=True):
            sound = each[:, seen] if seen.any() else each
            means = F.adaptive_avg_pool1d(sound, _SEGMENTS)
            found.append(torch.cat([means.flatten(), sound.std(1, correction=0)]))
    return torch.stack(found).double().numpy()
