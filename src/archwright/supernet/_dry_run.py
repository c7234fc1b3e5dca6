"""Dry runs of a supernet on the meta device: how large its weights must be, and what its branches are given."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from archwright.build import zeros_for
from archwright.errors import ArchwrightError, RelaxationError
from archwright.supernet._execution import Context, Draw, Mix
from archwright.supernet._initial import initialise, separated
from archwright.supernet._layer import SharedLayer
from archwright.supernet._nodes import Unmixable, Visit
from archwright.supernet._weights import Partition
from archwright.supernet.elastic import rule_of

if TYPE_CHECKING:
    from archwright.space import Value
    from archwright.supernet._supernet import Supernet

MOST = 64  # values of a decision that have a logit each, and sizes of a layer that has no rule
_PROBES = 16  # values of a decision that are run to find out shapes


def discover(supernet: Supernet) -> None:
    """Run every option and size on the meta device, to find out how large the weights must be.

    A class of the user's own may be unable to run there; then it is done on the CPU.
    """
    device = "meta"
    try:
        _run_on(supernet, device)
    except Exception:  # whatever a layer raises
        if not any(layer.is_own for layer in supernet._layers):
            raise
        device = "cpu"
        _again(supernet, device)
    if _partition(supernet):
        _again(supernet, device)
    for layer in supernet._layers:
        if layer.takes and layer.taker is None:
            initialise(layer)
        _check_sizes(supernet, layer)
    for layer in supernet._layers:
        layer.forget()
    supernet.bank.allocate()


def _again(supernet: Supernet, device: str) -> None:
    supernet.bank.withdraw()
    for layer in supernet._layers:
        layer.restore()
    _run_on(supernet, device)


def _partition(supernet: Supernet) -> bool:
    """Find the decisions of which each value needs weights of its own; return whether there are any."""
    for layer in supernet._layers:
        if layer.is_special and layer.taker is None:
            names, many = separated(layer, supernet._mixed())
            if names:
                supernet.bank.partitions[layer.path] = Partition(supernet.space.program, layer.roots, tuple(names))
            if many:
                warnings.warn(
                    f"{layer.path}: the first weights hang on {', '.join(many)}, of too many values to have "
                    f"weights for each: all share the weights that begin as those of the greatest",
                    stacklevel=4,
                )
    return bool(supernet.bank.partitions)


def _run_on(supernet: Supernet, device: str) -> None:
    while True:
        try:
            return _run_mixtures(supernet, device)
        except Unmixable as found:
            supernet._unmixable.add(found.name)


def _run_mixtures(supernet: Supernet, device: str) -> None:
    inputs = tuple(zeros_for(supernet.example_input, device))
    assert supernet._root is not None
    mixes = {name: Mix() for name in supernet.branches if name not in supernet._unmixable}
    ran, failure = 0, None
    engine = supernet._engine
    engine.discovering, engine.remembers, engine.device = True, True, device
    supernet.eval()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            for values in probes(supernet):
                try:
                    supernet._root.run(inputs, Context(Draw(values, mixes)))
                    ran += 1
                except ArchwrightError:
                    raise
                except Exception as error:  # whatever a layer raises
                    if not supernet.space.where:
                        raise RelaxationError(f"the space cannot be run on the {device} device: {error}") from error
                    failure = error
    finally:
        engine.discovering = engine.remembers = False
        supernet.train()
    if not ran:
        raise RelaxationError(f"the space cannot be run on the {device} device: {failure}") from failure


def probes(supernet: Supernet) -> Iterator[dict[str, Value]]:
    """Yield settings of all decisions, the largest first, that together show the largest of everything."""
    decisions = supernet.space.decisions
    rng = np.random.default_rng(0)
    high = supernet._engine.high
    if supernet.space.where:
        for _ in range(MOST):
            yield high | dict(supernet.space.sample(rng))
        return
    yield high
    yield {name: decision.decode([0.0] * decision.width) for name, decision in decisions.items()}
    for name, decision in decisions.items():
        if name in supernet._mixed():
            continue
        values = list(decision.values()) if decision.size <= _PROBES else [decision.decode([0.0])]
        for value in values:
            if value != high[name]:
                yield high | {name: value}


def _check_sizes(supernet: Supernet, layer: SharedLayer) -> None:
    """Refuse a layer that would have too many sets of weights."""
    dividing = list(dict.fromkeys(name for each in layer.partitions for name in each.names))
    sizes = {name: supernet.space.decisions[name].size for name in (*layer.names, *dividing)}
    count = math.prod(sizes[name] for name in dividing)
    if count > MOST:
        raise RelaxationError(
            f"{layer.path}: its first weights hang on {', '.join(dividing)}, which together have {count:,.0f} "
            f"values, and each would need weights of its own; leave at most {MOST} of them open"
        )
    ruleless = sorted({type(module).__name__ for module in layer.modules() if rule_of(module) is None})
    if not ruleless:
        return
    for name in layer.names:
        count *= sizes[name] if name not in dividing and layer.is_sized_by(name) else 1
    if count > MOST:
        raise RelaxationError(
            f"{layer.path}: {', '.join(ruleless)} has {count:,.0f} sizes and no rule by which they could share "
            f"weights. Write one (archwright.supernet.elastic.register), or leave at most {MOST} sizes open"
        )


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
    """Run every option of every branch, on shapes alone where no inputs are given; return each visit of a branch."""
    inputs = tuple(zeros_for(supernet.example_input, supernet._engine.device)) if inputs is None else tuple(inputs)
    context = Context(Draw(values, {name: Mix() for name in supernet.branches}))
    met, _ = observed(supernet, supernet._root, inputs, context)
    return [part for part in met if isinstance(part, Visit)]


def observed(supernet: Supernet, node: Any, inputs: tuple[Tensor, ...], context: Context) -> tuple[list[Any], Any]:
    """Run a node, and return the visits to branches and the layers, in the order in which they ran, with the result."""
    engine = supernet._engine
    before, engine.met = engine.met, []
    try:
        result = node.run(inputs, context)
        return engine.met, result
    finally:
        engine.met = before
