"""Build the network of an architecture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from archwright.build._infer import concrete, inputs_for, run_with_paths
from archwright.build._make import make
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
    closed, specs = closed_model(space, architecture, example_input)
    module = make(closed)
    if not isinstance(module, torch.nn.Module):
        raise BuildError(f"the part 'model' makes {type(module).__name__}, and not a torch.nn.Module")
    if specs is not None and any(is_lazy(parameter) for parameter in module.parameters()):
        was_training = module.training  # a class of the user's own holds lazy layers: only a real pass sizes them
        run_with_paths(module.eval(), inputs_for(specs, "cpu"), {})
        module.train(was_training)
    return module


def closed_model(
    space: Space, architecture: Mapping[str, Any], example_input: Any
) -> tuple[Any, tuple[TensorSpec, ...] | None]:
    """Return the closed expression of an architecture's model, without lazy layers where the input is known."""
    if "model" not in space.parts:
        raise BuildError(f"the space has no part named 'model', only {', '.join(space.parts)}")
    specs = as_specs(example_input) or space.example_input
    closed = space.resolve(architecture)["model"]
    return (closed if specs is None else concrete(closed, specs)), specs
