"""Ready-made spaces by name: `spaces.create("convnet", input_shape=(3, 32, 32), classes=10)`."""

from archwright.spaces import convnet, darts, mlp, nasbench201
from archwright.spaces._registry import create, default_for, entries, entry, names, register, suiting

__all__ = ["create", "darts", "default_for", "entries", "entry", "names", "nasbench201", "register", "suiting"]
