"""Build the network of an architecture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from archwright.build._infer import has_lazy_layers, is_unsized, outline, size_lazy_layers, without_lazy_layers
from archwright.build._make import instantiate
from archwright.errors import BuildError
from archwright.space import Space, TensorSpec, as_specs

__all__ = ["build", "closed_model"]


def build(space: Space, architecture: Mapping[str, Any], example_input: Any = None) -> torch.nn.Module:
    """Return the network of an architecture, in plain PyTorch, with fresh weights from torch's generator.

    Args:
        space: The space.
        architecture: One of its architectures.
        example_input: What goes in; the space's own when not given. Without any, lazy layers stay lazy.

    Raises:
        BuildError: A layer refuses its arguments or its input; the message names the path.
    """
    module = _outlined(space, architecture, example_input)
    if module is not None:
        return module
    closed, specs = closed_model(space, architecture, example_input)
    module = instantiate(closed)
    if not isinstance(module, torch.nn.Module):
        raise BuildError(f"the part 'model' makes {type(module).__name__}, and not a torch.nn.Module")
    if specs is not None:
        size_lazy_layers(module, specs)  # a class of the user's own may hold lazy layers: only a real pass sizes those
    return module


def closed_model(
    space: Space, architecture: Mapping[str, Any], example_input: Any
) -> tuple[Any, tuple[TensorSpec, ...] | None]:
    """Return the closed expression of an architecture's model, without lazy layers where the input is known."""
    closed, specs = _open_sizes(space, architecture, example_input)
    return (closed if specs is None else without_lazy_layers(closed, specs)), specs


def _outlined(space: Space, architecture: Mapping[str, Any], example_input: Any) -> torch.nn.Module | None:
    """Return the network where it is made on the meta device: one pass gives its own layers their sizes there."""
    if torch.get_default_device().type != "meta":
        return None
    closed, specs = _open_sizes(space, architecture, example_input)
    if specs is None or not has_lazy_layers(closed):
        return None
    try:
        module, _ = outline(closed, specs)
    except (BuildError, NotImplementedError):
        return None  # perhaps because the meta device does not know a module: the real device will tell
    is_whole = isinstance(module, torch.nn.Module) and not is_unsized(module)
    return module.train() if is_whole else None


def _open_sizes(
    space: Space, architecture: Mapping[str, Any], example_input: Any
) -> tuple[Any, tuple[TensorSpec, ...] | None]:
    """Return the closed expression of an architecture's model with its lazy layers, and what goes in."""
    if "model" not in space.parts:
        raise BuildError(f"the space has no part named 'model', only {', '.join(space.parts)}")
    return space.resolve(architecture)["model"], as_specs(example_input) or space.example_input
