"""Surrogates: what is expected of architectures that were not measured, from those that were."""

from archwright.surrogates._base import Fitted, Predictor

__all__ = ["Fitted", "Predictor"]
