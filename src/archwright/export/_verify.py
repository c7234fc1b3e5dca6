"""The check that model.py and the trained network have the same outputs."""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from types import ModuleType

import torch
from torch import Tensor, nn

from archwright.errors import BuildError
from archwright.space import TensorSpec
from archwright.tasks import leaves

_OURS = ("torch.", "network")  # where classes are from that their source cannot differ from


def check_source(source: str, model: nn.Module, specs: Sequence[TensorSpec] | None) -> None:
    """Refuse source that makes another network than the one it is written for.

    Classes of the user's own are copied as their file has them. What a program has changed of them since, such as a
    list that they all write to, is not in the file. Networks of torch's layers alone are not checked: a test holds
    their source to the network.
    """
    if specs is None or all(type(each).__module__.startswith(_OURS) for each in model.modules()):
        return
    name = "archwright_model_of_source"
    written = ModuleType(name)
    sys.modules[name] = written  # where its dataclasses look for their module
    try:
        exec(compile(source, "model.py", "exec"), vars(written))
        other = written.build()
        trained = copy.deepcopy(model).cpu()
        other.load_state_dict(trained.state_dict())
        inputs = [_sample(spec) for spec in specs]
        found, wanted = _outputs(other, inputs), _outputs(trained, inputs)
    except Exception as error:  # whatever a class of the user's own raises
        raise BuildError(f"the source of the network does not run: {type(error).__name__}: {error}") from error
    finally:
        del sys.modules[name]
    same = len(found) == len(wanted) and all(
        one.shape == two.shape and torch.allclose(one, two, rtol=1e-3, atol=1e-4, equal_nan=True)
        for one, two in zip(found, wanted, strict=True)
    )
    if not same:
        raise BuildError(
            "the source of the network gives other outputs than the network itself: a class or function in it depends "
            "on what the program has changed since, such as a list at the top of a module. Make that an argument or an "
            "attribute"
        )


def _outputs(network: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(0)
        found = leaves(network.eval()(*inputs))
        return [each.double() if each.is_floating_point() else each for each in found]


def _sample(spec: TensorSpec) -> Tensor:
    """Return a batch of two: random numbers, or zeros and ones for whole numbers, which may be of few categories."""
    generator, dtype = torch.Generator().manual_seed(0), getattr(torch, spec.dtype)
    if dtype.is_floating_point:
        return torch.randn(2, *spec.shape, generator=generator).to(dtype)
    return torch.randint(2, (2, *spec.shape), generator=generator).to(dtype)
