"""From an architecture to PyTorch. Importing this room loads no torch; the first use does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archwright._lazy import lazy
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

__getattr__ = lazy(
    __name__,
    {
        "_build": ["build"],
        "_check": ["check"],
        "_infer": ["Shaped", "ShapesAlone", "drawn_for", "innermost", "tensors_of"],
        "_make": ["instantiate_settings"],
        "_onnx": ["write_onnx"],
        "_source": ["source"],
    },
)
