"""Hints for values that are not data."""

from __future__ import annotations

import os

from archwright.datasets._data import Data


def advice(given: object) -> str:
    """Return a hint how to load a value with `aw.data`; an empty string for unknown types.

    Example:
        >>> from archwright.datasets import advice
        >>> advice("photos")
        "Load it: aw.data('photos')."
    """
    if isinstance(given, Data):
        return "It is loaded already: take it as it is."
    if isinstance(given, str | os.PathLike):
        return f"Load it: aw.data({os.fspath(given)!r})."
    if isinstance(given, tuple | list) and len(given) == 2:
        return "Load the pair: aw.data((inputs, targets))."
    modules = [each.__module__ for each in type(given).__mro__]
    if not any(module.startswith("torch.utils.data") for module in modules):
        return ""
    held = getattr(given, "dataset", given)
    name = "dataset" if held is given else "loader.dataset"
    if hasattr(held, "tensors"):
        return f"Load its tensors: aw.data({name}.tensors)."
    return (
        f"Load its samples, before any random transform: inputs, targets = zip(*{name}), then "
        "aw.data((torch.stack(inputs), torch.tensor(targets))). To train with a loader of your own, give search a "
        "function of the candidate."
    )
