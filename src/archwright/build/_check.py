"""Check the shapes of a whole space at once: an open expression is run on the meta device, every option of it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from archwright.build._infer import ShapesAlone, inputs_for
from archwright.build._probe import Probe, is_run_whole
from archwright.errors import ArchwrightError
from archwright.space import Space, TensorSpec, Value, as_specs

__all__ = ["check"]

_ROUNDS = 8
"""How many settings of the decisions that are numbers are tried at most."""


def check(space: Space, example_input: Any) -> None:
    """Check that the options of each choice agree in shape and that the layers fit.

    Each round settles the decisions that are numbers and depths, and runs every option of every choice between modules.
    Rounds go through the values of each decision, so that each is met once where it has no more than eight; of a longer
    range both ends are met. Constraints hold in every round. A space is checked once for each input.

    Args:
        space: The space.
        example_input: What goes into the model.

    Raises:
        ShapeError: The message names the path.
    """
    specs = as_specs(example_input)
    sound: set[tuple[TensorSpec, ...]] = space.memo.setdefault("sound", set())
    if specs is None or "model" not in space.parts or specs in sound:
        return
    rng = np.random.default_rng(0)
    sizes = [decision.size for decision in space.decisions.values() if not is_run_whole(decision)]
    rounds = int(min(_ROUNDS, max(sizes, default=1)))
    for index in range(2 * rounds if space.where else rounds):
        settled = _settle(space, index, rng)
        try:
            _run(space, settled, specs, "meta")
        except ArchwrightError:
            _run(space, settled, specs, "cpu")  # raises again, unless the meta device was at fault
    sound.add(specs)


def _settle(space: Space, index: int, rng: np.random.Generator) -> dict[str, Value]:
    """Return a value for every decision, active or not; constraints hold for the active ones."""
    settled: dict[str, Value] = {}
    for place, (name, decision) in enumerate(space.decisions.items()):
        if decision.size <= _ROUNDS:
            values = list(decision.values())
            settled[name] = values[(index + place) % len(values)]
        elif index < 2:
            settled[name] = decision.decode([float(index)] * decision.width)
        else:
            settled[name] = decision.sample(rng)
    return settled | dict(space.sample(rng)) if space.where else settled


def _run(space: Space, settled: Mapping[str, Value], specs: tuple[TensorSpec, ...], device: str) -> None:
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), torch.device(device), torch.no_grad():
        warnings.simplefilter("ignore")  # whoever builds one of the networks will hear of it
        with ShapesAlone():
            Probe(space, settled).apply(space.parts["model"], inputs_for(specs, device), "model")
