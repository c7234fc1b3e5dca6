"""Searches as estimators in the manner of scikit-learn: fit, predict, score. They need scikit-learn."""

from archwright.estimators._estimators import (
    ImageClassifier,
    ImageRegressor,
    TabularClassifier,
    TabularRegressor,
    TextClassifier,
)
from archwright.estimators._forecaster import Forecaster

__all__ = ["Forecaster", "ImageClassifier", "ImageRegressor", "TabularClassifier", "TabularRegressor", "TextClassifier"]
