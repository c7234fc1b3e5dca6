"""The ready-made spaces, small enough to be compiled in no time; made once for all suites."""

from __future__ import annotations

import functools
from typing import Any

import archwright as aw

IMAGE: dict[str, Any] = {"input_shape": (3, 16, 16), "classes": 3}
SMALL: dict[str, dict[str, Any]] = {
    "accel-nasbench": {"input_shape": (3, 32, 32), "classes": 3},
    "convnext": {**IMAGE, "widths": (4, 8), "blocks": (1, 2), "kernels": (5, 7), "expansions": (2, 3)},
    "mobile": {**IMAGE, "widths": (4, 8), "blocks": (1, 2), "kernels": (3, 5), "expansions": (3, 4)},
    "mcunet": {**IMAGE, "widths": (4, 8), "blocks": (1, 2), "kernels": (3, 5), "expansions": (3, 4)},
    "vit": {**IMAGE, "widths": (8, 16), "layers": (1, 2), "heads": (1, 2), "head_size": 8},
    "detector": {"input_shape": (1, 32, 32), "widths": (8, 16), "necks": (8, 16), "repeats": (1, 2), "depths": (1, 2)},
    "forecaster": {"input_shape": (24, 3), "classes": 2, "horizon": 4, "lookbacks": (12, 24)},
    "language": {"input_shape": (4,), "vocabulary": 20, "widths": (16, 32), "layers": (1, 1), "nodes": 3},
    "recommender": {"users": 5, "items": 7, "widths": (2, 4)},
    "tagger": {"input_shape": (8,), "vocabulary": 20, "widths": (8, 16)},
    "tabular": {"input_shape": (6,), "columns": (0, 0, 4)},
    "text": {"input_shape": (8,), "vocabulary": 20, "widths": (8, 16)},
    "translator": {
        "input_shape": (8,),
        "length": 6,
        "widths": (8, 16),
        "encoder_layers": (2, 3),
        "decoder_layers": (1, 1),
    },
    "unet": {"input_shape": (1, 8, 8), "depths": (1, 2), "widths": (4, 8)},
    "audio": {"input_shape": (1000,), "classes": 3, "widths": (8, 16)},
    "convnet": {**IMAGE, "filters": (4, 8)},
    "darts": {**IMAGE, "C": 4, "layers": 3},
    "digits-cells": {},
    "einspace": {**IMAGE, "width": 8, "depth": 8},
    "mlp": {"input_shape": (12,), "classes": 3},
    "nasbench101": {**IMAGE, "N": 1, "C": 6},
    "nasbench201": {**IMAGE, "N": 1, "C": 4},
    "natsbench-size": IMAGE,
    "resnet": {**IMAGE, "widths": (16, 32), "blocks": (1, 2)},
    "speech": {"input_shape": (1000,), "classes": 3, "widths": (8, 16)},
}


@functools.cache
def ready(name: str) -> aw.Space:
    return aw.spaces.create(name, **SMALL.get(name, {}))
