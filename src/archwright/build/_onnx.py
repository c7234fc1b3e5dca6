"""A network as an ONNX file, which is checked against PyTorch before it is kept. Importing this loads torch."""

from __future__ import annotations

import copy
import io
import logging
import re
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from archwright.build._meta import drawn_for
from archwright.errors import BuildError, require
from archwright.space import TensorSpec

_OPSET = 20
BATCHES = (1, 2, 5)
"""The batches that a file is checked with: a single sample, as many as the exporter sees, and more."""
_TOLERANCE = 1e-3  # of the greatest output: a hundred times what another order of additions makes of 32 bits
_LONGEST = 200  # characters of a cause
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def write_onnx(model: torch.nn.Module, example: Sequence[TensorSpec] | Sequence[Tensor], path: Path) -> None:
    """Write a network, in evaluation mode, as one ONNX file.

    A file for batches of any size is run by ONNX Runtime on 1, 2 and 5 samples, and is kept only if its outputs are
    those of PyTorch. For a network whose forward pass reads the batch size, other ways to export are tried in turn, see
    `_FORMS`.

    Args:
        model: The network; it is not changed.
        example: The inputs: their specs, for a file with a dynamic batch size; or tensors, for a file with these
            shapes, which is not checked.
        path: The file. Nothing is written in case of an error.

    Raises:
        MissingExtra: The ONNX exporter of torch is not installed.
        BuildError: The network cannot be exported, or the outputs of the file differ from those of PyTorch.
    """
    for module in ("onnx", "onnxscript", "onnxruntime"):
        require(module, extra="onnx", purpose="an ONNX file")
    network = copy.deepcopy(model).cpu().eval()
    fixed = tuple(one for one in example if isinstance(one, Tensor))
    specs = [one for one in example if isinstance(one, TensorSpec)]
    # Two samples: the exporter takes an axis of one for a constant.
    inputs = fixed or batch_of(specs, 2)
    wanted = {} if fixed else {size: outputs_of(network, batch_of(specs, size)) for size in BATCHES}
    problem: Exception | None = None
    with tempfile.TemporaryDirectory(prefix="archwright-") as folder, quiet():
        file = Path(folder) / "model.onnx"
        for form in _FORMS[:1] if fixed else _FORMS:
            try:
                _convert(form, copy.deepcopy(network), inputs, file, free=not fixed)
                for size, outputs in wanted.items():
                    _check(file, batch_of(specs, size), outputs)
            except Exception as error:  # whatever a layer, the tracer, the writer or the runtime raises
                problem = problem or error
            else:
                path.write_bytes(file.read_bytes())
                return
    assert problem is not None
    raise BuildError(f"the network cannot be written as an ONNX file: {reason_of(problem)}") from problem


class Differs(Exception):
    """A file gives something else than PyTorch."""


class _EachAlone(torch.nn.Module):
    """Runs a network on one sample after the other, as batches of 1."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Any:
        from torch._higher_order_ops.scan import scan  # the exporter knows no other loop over a batch

        def one(carried: Tensor, samples: tuple[Tensor, ...]) -> tuple[Tensor, Any]:
            out = self.network(*(sample.unsqueeze(0) for sample in samples))
            return carried.clone(), tree_map(lambda each: each.squeeze(0).clone(), out)

        return scan(one, torch.zeros(1), inputs)[1]


class _SingleApart(torch.nn.Module):
    """Runs a network that does something else for a single sample: both ways, one of which is taken when it runs."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Any:
        def single(*inputs: Tensor) -> Any:  # both ways have to make the same shapes
            out = self.network(*(one[:1] for one in inputs))
            return tree_map(lambda each: each.expand(inputs[0].shape[0], *each.shape[1:]).clone(), out)

        def several(*inputs: Tensor) -> Any:
            return tree_map(torch.clone, self.network(*inputs))

        return torch.cond(inputs[0].shape[0] == 1, single, several, inputs)


_Form = Callable[[torch.nn.Module, tuple[Tensor, ...], Any], tuple[Any, Any]]
"""Returns what is exported in place of a network, and which of its axes are free."""


_FORMS: tuple[_Form, ...] = (
    lambda network, inputs, free: (network, free),
    lambda network, inputs, free: (torch.export.export(network, inputs, dynamic_shapes=free, strict=True), free),
    lambda network, inputs, free: (_EachAlone(network), (free,)),
    lambda network, inputs, free: (_SingleApart(network), (free,)),
)
"""Ways to export a network, the best file first. As it is: most networks. From its code, where `len(x)` and
`int(x.shape[0])` stay open: a traced run settles them. One sample after the other: loops over a batch. A single sample
apart: what compares the size of the batch with 1."""


def _convert(form: _Form, network: torch.nn.Module, inputs: tuple[Tensor, ...], file: Path, *, free: bool) -> None:
    batch = torch.export.Dim("batch", min=1)
    model, shapes = form(network, inputs, tuple({0: batch} for _ in inputs) if free else None)
    torch.onnx.export(
        model,
        inputs,
        str(file),
        input_names=[f"input_{index}" for index in range(len(inputs))] if len(inputs) > 1 else ["input"],
        output_names=["output"],
        opset_version=_OPSET,
        dynamo=True,
        external_data=False,
        dynamic_shapes=shapes,
        verbose=False,
    )


def batch_of(specs: Sequence[TensorSpec], size: int) -> tuple[Tensor, ...]:
    return tuple(drawn_for(specs, size=size))


def outputs_of(network: torch.nn.Module, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """Return what a network makes of a batch, tensor by tensor."""
    try:
        with torch.no_grad():
            return [leaf for leaf in tree_leaves(network(*inputs)) if isinstance(leaf, Tensor)]
    except Exception as error:  # whatever a layer raises
        raise BuildError(f"the network does not run on a batch of {len(inputs[0])}: {reason_of(error)}") from error


def _check(file: Path, inputs: tuple[Tensor, ...], wanted: Sequence[Tensor]) -> None:
    """Refuse a file that does not give what PyTorch gives.

    Raises:
        Differs: It does not.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    takes = session.get_inputs()
    if any(isinstance(one.shape[0], int) for one in takes):
        raise Differs("its forward pass depends on how many samples there are")
    found = session.run(None, {one.name: tensor.numpy() for one, tensor in zip(takes, inputs, strict=True)})
    if [np.shape(one) for one in found] != [tuple(one.shape) for one in wanted]:
        raise Differs(f"what it makes of a batch of {len(inputs[0])} has another shape than in PyTorch")
    for one, other in zip(found, wanted, strict=True):
        if not np.allclose(one, other.numpy(), rtol=0.0, atol=tolerance(other), equal_nan=True):
            raise Differs(f"it gives other numbers for a batch of {len(inputs[0])} than PyTorch")


def tolerance(wanted: Tensor) -> float:
    finite = wanted[torch.isfinite(wanted)]
    return _TOLERANCE * (1e-2 + float(finite.abs().max())) if wanted.is_floating_point() and len(finite) else 0.0


def reason_of(error: BaseException) -> str:
    """Return why a network cannot be exported, as the end of a sentence."""
    if isinstance(error, Differs):
        return str(error)
    root = error
    while root.__cause__ is not None:  # the exporter's own words are advice for those who develop it
        root = root.__cause__
    if "DataDependent" in type(root).__name__:
        return "its forward pass depends on the values of the data, as an `if` on a tensor or `item()` does"
    return f"{type(root).__name__}: {_line(root)}"


def _line(error: BaseException) -> str:
    """Return the first line of an error, without colours."""
    lines = _ESCAPES.sub("", str(error)).strip().splitlines()
    return textwrap.shorten(lines[0].rstrip(".:"), _LONGEST, placeholder=" ...") if lines else "no message"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back what an exporter prints and logs, such as that torchvision is not installed.

    Example:
        >>> from archwright.build import quiet
        >>> with quiet():
        ...     print("noise")
    """
    before, noise = logging.root.manager.disable, io.StringIO()
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(noise), redirect_stderr(noise):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
