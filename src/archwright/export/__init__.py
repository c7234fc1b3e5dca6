"""What a found network leaves on disk, what it predicts from there, and what it costs as it is shipped."""

from typing import TYPE_CHECKING, Any

from archwright.export._best import (
    FRONT,
    Saved,
    clear_front,
    export_network,
    load_best,
    onnx_file,
    read_best,
    read_preprocess,
    save_best,
)
from archwright.export._measure import Measured, measure_networks

if TYPE_CHECKING:
    from archwright.export._predict import Prediction, Predictor, report

__all__ = [
    "FRONT",
    "Measured",
    "Prediction",
    "Predictor",
    "Saved",
    "clear_front",
    "export_network",
    "load_best",
    "measure_networks",
    "onnx_file",
    "read_best",
    "read_preprocess",
    "report",
    "save_best",
]


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is asked for."""
    if name in ("Prediction", "Predictor", "report"):
        from archwright.export import _predict

        return getattr(_predict, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
