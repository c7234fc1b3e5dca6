"""From an architecture to PyTorch. Importing this package does not load torch; the first use does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archwright._lazy import lazy
from archwright.build._mirror import Functions, layer_names, optimizer_names, write_layer, write_optimizer

if TYPE_CHECKING:
    from archwright.build._build import (
        build,
        check_architecture,
        closed_model,
        counting_channels,
        has_lazy_layers,
        is_unsized,
        size_lazy_layers,
        without_lazy_layers,
    )
    from archwright.build._check import check
    from archwright.build._executorch import compile_executorch, write_executorch
    from archwright.build._kinds import is_layer, is_row
    from archwright.build._make import headline, innermost, instantiate, instantiate_settings
    from archwright.build._meta import Shaped, ShapesAlone, drawn_for, tensors_of, zeros_for
    from archwright.build._onnx import quiet, write_onnx
    from archwright.build._pt2 import write_pt2
    from archwright.build._source import closed_source, source

__all__ = [
    "Functions",
    "Shaped",
    "ShapesAlone",
    "build",
    "check",
    "check_architecture",
    "closed_model",
    "closed_source",
    "compile_executorch",
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
    "layer_names",
    "optimizer_names",
    "quiet",
    "size_lazy_layers",
    "source",
    "tensors_of",
    "without_lazy_layers",
    "write_executorch",
    "write_layer",
    "write_onnx",
    "write_optimizer",
    "write_pt2",
    "zeros_for",
]

__getattr__ = lazy(
    __name__,
    {
        "_build": [
            *("build", "check_architecture", "closed_model", "counting_channels", "has_lazy_layers", "is_unsized"),
            *("size_lazy_layers", "without_lazy_layers"),
        ],
        "_check": ["check"],
        "_executorch": ["compile_executorch", "write_executorch"],
        "_kinds": ["is_layer", "is_row"],
        "_make": ["headline", "innermost", "instantiate", "instantiate_settings"],
        "_meta": ["Shaped", "ShapesAlone", "drawn_for", "tensors_of", "zeros_for"],
        "_onnx": ["quiet", "write_onnx"],
        "_pt2": ["write_pt2"],
        "_source": ["closed_source", "source"],
    },
)
