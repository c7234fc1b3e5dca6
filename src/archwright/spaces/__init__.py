"""Ready-made spaces by name: `spaces.create("convnet", input_shape=(3, 32, 32), classes=10)`."""

from archwright.spaces import (
    accel_nasbench,
    convnet,
    darts,
    digits_cells,
    mlp,
    nasbench101,
    nasbench201,
    natsbench_size,
    resnet,
    tagger,
    text,
    unet,
)
from archwright.spaces._registry import create, default_for, entries, entry, names, register, starts, suiting

__all__ = [
    "accel_nasbench",
    "convnet",
    "create",
    "darts",
    "default_for",
    "digits_cells",
    "entries",
    "entry",
    "mlp",
    "names",
    "nasbench101",
    "nasbench201",
    "natsbench_size",
    "register",
    "resnet",
    "starts",
    "suiting",
    "tagger",
    "text",
    "unet",
]
