"""The predictors by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from archwright.surrogates._base import Predictor
from archwright.surrogates._ensemble import Ensemble
from archwright.surrogates._gp import GaussianProcess
from archwright.surrogates._graphnet import GraphNetwork
from archwright.surrogates._trees import BoostedTrees

PREDICTORS: Mapping[str, Callable[[], Predictor]] = MappingProxyType(
    {
        "mlp": Ensemble,
        "boosted-trees": BoostedTrees,
        "graph": GraphNetwork,
        "gaussian-process": GaussianProcess,
    }
)
"""The predictors by name: each is made with its own settings when it is called."""
