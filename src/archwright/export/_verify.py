"""The checks that exported files and the trained network have the same outputs."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import torch
from torch import Tensor, nn

from archwright.build import drawn_for
from archwright.datasets import Normalised
from archwright.errors import BuildError
from archwright.export import _probe
from archwright.space import TensorSpec
from archwright.tasks import leaves

_SAMPLES = 3  # of a check; the exporters see two
_TOLERANCE = 1e-3  # of the greatest output: a hundred times what another order of additions makes of 32 bits
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


def check_files(folder: Path, network: nn.Module, specs: Sequence[TensorSpec], formats: Sequence[str]) -> None:
    """Refuse exported files that give other outputs than the trained network, in a process without archwright.

    Args:
        folder: The files.
        network: The trained network, on raw inputs where there is a preprocessing.
        specs: Its inputs.
        formats: The formats of the files.

    Raises:
        BuildError: The files of a format do not run, or their outputs differ; the message names the format.
    """
    inputs = _raw(network, drawn_for(specs, size=_SAMPLES))
    wanted = _outputs(copy.deepcopy(network).cpu(), inputs)
    with TemporaryDirectory(prefix="archwright-") as temporary:
        given, found = Path(temporary) / "given.pt", Path(temporary) / "found.pt"
        torch.save(inputs, given)
        ended = run_python(_probe.__file__, str(folder), str(given), str(found), *formats)
        if ended.returncode or not found.exists():
            told = (ended.stderr.strip().splitlines() or ["no message"])[-1]
            raise BuildError(f"the exported files do not run in a process of their own: {told}")
        results = torch.load(found, weights_only=True)
    for name in formats:
        result = results[name]
        if isinstance(result, str):
            raise BuildError(f"the format {name!r} cannot carry this network: its files do not run: {result}")
        outputs = [each.double() if each.is_floating_point() else each for each in result]
        if not _agree(outputs, wanted):
            raise BuildError(f"the format {name!r} cannot carry this network: its files give other outputs")


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a new interpreter, which finds the packages that this one finds, to its end."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run([sys.executable, "-P", *arguments], capture_output=True, text=True, env=environment)


def _raw(network: nn.Module, drawn: Sequence[Tensor]) -> list[Tensor]:
    """Return inputs of the size of those of the training: numbers about 0 say little where they are pixels."""
    if isinstance(network, Normalised):
        return [each * network.std.cpu() + network.mean.cpu() for each in drawn]
    return list(drawn)


def _agree(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> bool:
    return len(found) == len(wanted) and all(
        one.shape == two.shape and torch.allclose(one, two, rtol=0.0, atol=_tolerance(two), equal_nan=True)
        for one, two in zip(found, wanted, strict=True)
    )


def _tolerance(wanted: Tensor) -> float:
    finite = wanted[wanted.isfinite()]
    return _TOLERANCE * (1e-2 + float(finite.abs().max())) if wanted.is_floating_point() and len(finite) else 0.0


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
