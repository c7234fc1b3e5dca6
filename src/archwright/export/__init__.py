"""What a found network leaves on disk, what it predicts from there, and what it costs as it is shipped."""

from typing import TYPE_CHECKING, Any

from archwright.export._best import (
    BEST,
    FRONT,
    TOP,
    clear_all_but,
    export_network,
    load_best,
    read_best,
    save_best,
)
from archwright.export._measure import Measured, measure_networks
from archwright.export._saved import Saved

if TYPE_CHECKING:
    from archwright.export._predict import Estimate, Prediction, Predictor, report

__all__ = [
    "BEST",
    "FRONT",
    "TOP",
    "Estimate",
    "Measured",
    "Prediction",
    "Predictor",
    "Saved",
    "clear_all_but",
    "export_network",
    "load_best",
    "measure_networks",
    "read_best",
    "report",
    "save_best",
]


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is asked for."""
    if name in ("Estimate", "Prediction", "Predictor", "report"):
        from archwright.export import _predict

        return getattr(_predict, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
