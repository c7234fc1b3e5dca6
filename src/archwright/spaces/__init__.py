"""Ready-made spaces by name: `spaces.create("convnet", input_shape=(3, 32, 32), classes=10)`."""

from typing import TYPE_CHECKING

from archwright._lazy import lazy
from archwright.spaces import (
    accel_nasbench,
    audio,
    convnet,
    convnext,
    darts,
    detector,
    digits_cells,
    einspace,
    forecaster,
    language,
    mcunet,
    mlp,
    mobile,
    nasbench101,
    nasbench201,
    natsbench_size,
    recommender,
    resnet,
    tabular,
    tagger,
    text,
    translator,
    unet,
    vit,
)
from archwright.spaces._registry import create, default_for, entries, entry, fitting, names, register, starts, suiting

if TYPE_CHECKING:
    from archwright.spaces._audio import LogMel

__all__ = [
    "LogMel",
    "accel_nasbench",
    "audio",
    "convnet",
    "convnext",
    "create",
    "darts",
    "default_for",
    "detector",
    "digits_cells",
    "einspace",
    "entries",
    "entry",
    "fitting",
    "forecaster",
    "language",
    "mcunet",
    "mlp",
    "mobile",
    "names",
    "nasbench101",
    "nasbench201",
    "natsbench_size",
    "recommender",
    "register",
    "resnet",
    "starts",
    "suiting",
    "tabular",
    "tagger",
    "text",
    "translator",
    "unet",
    "vit",
]

__getattr__ = lazy(__name__, {"_audio": ["LogMel"]})
