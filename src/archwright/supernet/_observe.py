"""What branches are given while a supernet runs, and what their options make of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from archwright.build import zeros_for
from archwright.supernet._execution import Context, Draw, Mix
from archwright.supernet._nodes import Visit

if TYPE_CHECKING:
    from archwright.space import Value
    from archwright.supernet._supernet import Supernet

__all__ = ["observed", "on_meta", "visits"]


@contextmanager
def on_meta(supernet: Supernet) -> Iterator[None]:
    """Let layers be run on the meta device, which knows shapes and no numbers, within this context."""
    engine = supernet._engine
    was_training = supernet.training
    engine.discovering = True
    supernet.eval()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        engine.discovering = False
        supernet.train(was_training)
        supernet.bank.allocate()
        for layer in supernet._layers:
            layer.forget()


def visits(supernet: Supernet, values: Mapping[str, Value], inputs: Sequence[Tensor] | None = None) -> list[Visit]:
    """Run every option of every branch, and return each time that a branch was met.

    Args:
        supernet: The supernet.
        values: A value for each other decision.
        inputs: What goes in; nothing but shapes when not given, within `on_meta`.
    """
    inputs = tuple(zeros_for(supernet.example_input, supernet._engine.device)) if inputs is None else tuple(inputs)
    context = Context(Draw(values, {name: Mix() for name in supernet.branches}))
    met, _ = observed(supernet, supernet._root, inputs, context)
    return [part for part in met if isinstance(part, Visit)]


def observed(supernet: Supernet, node: Any, inputs: tuple[Tensor, ...], context: Context) -> tuple[list[Any], Any]:
    """Run a node, and return the visits to branches and the layers, in the order in which they ran, with the result.

    Args:
        supernet: The supernet.
        node: The node.
        inputs: What goes in.
        context: What is run.
    """
    engine = supernet._engine
    before, engine.met = engine.met, []
    try:
        result = node.run(inputs, context)
        return engine.met, result
    finally:
        engine.met = before
