"""From an architecture to PyTorch. Importing this room loads no torch; the first use does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archwright._lazy import lazy
from archwright.build._mirror import write_layer, write_optimizer

if TYPE_CHECKING:
    from archwright.build._build import build, closed_model
    from archwright.build._check import check
    from archwright.build._infer import (
        Shaped,
        ShapesAlone,
        counting_channels,
        drawn_for,
        has_lazy_layers,
        innermost,
        is_unsized,
        size_lazy_layers,
        tensors_of,
        without_lazy_layers,
        zeros_for,
    )
    from archwright.build._kinds import is_layer, is_row
    from archwright.build._make import headline, instantiate, instantiate_settings
    from archwright.build._onnx import write_onnx
    from archwright.build._source import source

__all__ = [
    "Shaped",
    "ShapesAlone",
    "build",
    "check",
    "closed_model",
    "counting_channels",
    "drawn_for",
    "has_lazy_layers",
    "headline",
    "innermost",
    "instantiate",
    "instantiate_settings",
    "is_layer",
    "is_row",
    "is_unsized",
    "size_lazy_layers",
    "source",
    "tensors_of",
    "without_lazy_layers",
    "write_layer",
    "write_onnx",
    "write_optimizer",
    "zeros_for",
]

__getattr__ = lazy(
    __name__,
    {
        "_build": ["build", "closed_model"],
        "_check": ["check"],
        "_infer": [
            *("Shaped", "ShapesAlone", "counting_channels", "drawn_for", "has_lazy_layers", "innermost", "is_unsized"),
            *("size_lazy_layers", "tensors_of", "without_lazy_layers", "zeros_for"),
        ],
        "_kinds": ["is_layer", "is_row"],
        "_make": ["headline", "instantiate", "instantiate_settings"],
        "_onnx": ["write_onnx"],
        "_source": ["source"],
    },
)
