"""Surrogates: what is expected of architectures that were not measured, from those that were."""

from archwright.surrogates._acquisition import (
    expected_improvement,
    log_expected_improvement,
    upper_confidence_bound,
)
from archwright.surrogates._base import Fitted, Predictor
from archwright.surrogates._gp import GaussianProcess, Posterior, fit_parameters, squash
from archwright.surrogates._kernels import (
    KERNELS,
    Costs,
    Counts,
    Decisions,
    Network,
    Paths,
    Rows,
    Term,
    WeisfeilerLehman,
    kernel_for,
    terms_for,
)
from archwright.surrogates._network import CostModel, cell_features, measures
from archwright.surrogates._wl import as_graph, wl_histogram

__all__ = [
    "KERNELS",
    "CostModel",
    "Costs",
    "Counts",
    "Decisions",
    "Fitted",
    "GaussianProcess",
    "Network",
    "Paths",
    "Posterior",
    "Predictor",
    "Rows",
    "Term",
    "WeisfeilerLehman",
    "as_graph",
    "cell_features",
    "expected_improvement",
    "fit_parameters",
    "kernel_for",
    "log_expected_improvement",
    "measures",
    "squash",
    "terms_for",
    "upper_confidence_bound",
    "wl_histogram",
]
