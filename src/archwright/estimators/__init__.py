"""Searches as estimators in the manner of scikit-learn: fit, predict, score. They need scikit-learn."""

from archwright.estimators._estimators import (
    ImageClassifier,
    ImageRegressor,
    TabularClassifier,
    TabularRegressor,
    TextClassifier,
)

__all__ = ["ImageClassifier", "ImageRegressor", "TabularClassifier", "TabularRegressor", "TextClassifier"]
