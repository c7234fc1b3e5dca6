"""From an architecture to PyTorch. Importing this room loads no torch; the first use does."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from archwright.build._mirror import write_layer, write_optimizer

if TYPE_CHECKING:
    from archwright.build._build import build
    from archwright.build._check import check
    from archwright.build._infer import Shaped, ShapesAlone, drawn_for, innermost, tensors_of
    from archwright.build._make import instantiate_settings
    from archwright.build._onnx import write_onnx
    from archwright.build._source import source

__all__ = [
    "Shaped",
    "ShapesAlone",
    "build",
    "check",
    "drawn_for",
    "innermost",
    "instantiate_settings",
    "source",
    "tensors_of",
    "write_layer",
    "write_onnx",
    "write_optimizer",
]

_ROOMS = {
    "Shaped": "_infer",
    "ShapesAlone": "_infer",
    "build": "_build",
    "check": "_check",
    "innermost": "_infer",
    "instantiate_settings": "_make",
    "source": "_source",
    "drawn_for": "_infer",
    "tensors_of": "_infer",
    "write_onnx": "_onnx",
}


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is asked for."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)
