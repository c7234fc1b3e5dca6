"""What a found network leaves on disk, and what it costs as it is shipped."""

from archwright.export._best import (
    FRONT,
    Saved,
    clear_front,
    export_network,
    load_best,
    onnx_file,
    read_best,
    save_best,
)
from archwright.export._measure import Measured, measure_networks

__all__ = [
    "FRONT",
    "Measured",
    "Saved",
    "clear_front",
    "export_network",
    "load_best",
    "measure_networks",
    "onnx_file",
    "read_best",
    "save_best",
]
