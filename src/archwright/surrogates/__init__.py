"""Surrogate models: kernels, predictors and acquisition functions over architectures."""

from archwright.surrogates._acquisition import (
    expected_hypervolume_improvement,
    expected_improvement,
    log_expected_hypervolume_improvement,
    log_expected_improvement,
    upper_confidence_bound,
)
from archwright.surrogates._base import Fitted, Predictor
from archwright.surrogates._ensemble import Ensemble
from archwright.surrogates._expected_cost import PredictedCost
from archwright.surrogates._gp import GaussianProcess, Posterior, clipped, fit_parameters, squash
from archwright.surrogates._graphnet import GraphNetwork
from archwright.surrogates._kernels import (
    Costs,
    Counts,
    Decisions,
    Network,
    Paths,
    Proxies,
    Rows,
    Term,
    WeisfeilerLehman,
)
from archwright.surrogates._named_kernels import KERNELS, kernel_for, terms_for
from archwright.surrogates._network import CostModel, cell_features
from archwright.surrogates._predictors import PREDICTORS
from archwright.surrogates._proxies import ProxyModel
from archwright.surrogates._quality import PredictorQuality, evaluate_predictor
from archwright.surrogates._rgpe import EarlierModel, RankWeighted, rank_weights
from archwright.surrogates._rows import ENCODINGS, Encoding, encode_rows
from archwright.surrogates._trees import BoostedTrees
from archwright.surrogates._trees_of_decisions import Tree, TreeCounts
from archwright.surrogates._wl import as_graph, wl_histogram

__all__ = [
    "ENCODINGS",
    "KERNELS",
    "PREDICTORS",
    "BoostedTrees",
    "CostModel",
    "Costs",
    "Counts",
    "Decisions",
    "EarlierModel",
    "Encoding",
    "Ensemble",
    "Fitted",
    "GaussianProcess",
    "GraphNetwork",
    "Network",
    "Paths",
    "Posterior",
    "PredictedCost",
    "Predictor",
    "PredictorQuality",
    "Proxies",
    "ProxyModel",
    "RankWeighted",
    "Rows",
    "Term",
    "Tree",
    "TreeCounts",
    "WeisfeilerLehman",
    "as_graph",
    "cell_features",
    "clipped",
    "encode_rows",
    "evaluate_predictor",
    "expected_hypervolume_improvement",
    "expected_improvement",
    "fit_parameters",
    "kernel_for",
    "log_expected_hypervolume_improvement",
    "log_expected_improvement",
    "rank_weights",
    "squash",
    "terms_for",
    "upper_confidence_bound",
    "wl_histogram",
]
