"""A network as a file of torch.export, checked against PyTorch before it is kept. Importing this loads torch."""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from archwright.build._onnx import BATCHES, Differs, batch_of, outputs_of, quiet, reason_of, tolerance
from archwright.errors import BuildError
from archwright.space import TensorSpec


def write_pt2(
    model: torch.nn.Module, example: Sequence[TensorSpec], path: Path, *, extra: Mapping[str, str] | None = None
) -> None:
    """Write a network, in evaluation mode, as a program of `torch.export` for batches of any size.

    `torch.export.load(path).module()` runs it without the source of the network. It is checked with 1, 2 and 5 samples.

    Args:
        model: The network; it is not changed.
        example: The specs of the inputs.
        path: The file. Nothing is written in case of an error.
        extra: Texts that the file holds too, by name; see `extra_files` of `torch.export.load`.

    Raises:
        BuildError: The network cannot be exported, or the outputs of the program differ from those of PyTorch.
    """
    network = copy.deepcopy(model).cpu().eval()
    wanted = {size: outputs_of(network, batch_of(example, size)) for size in BATCHES}
    problem: Exception | None = None
    with quiet():
        for strict in (False, True):  # a traced run settles `len(x)`, which the analysis of the code leaves open
            try:
                content = _written(network, example, wanted, extra, strict=strict)
            except Exception as error:  # whatever a layer or the tracer raises
                problem = problem or error
            else:
                path.write_bytes(content)
                return
    assert problem is not None
    raise BuildError(f"the network cannot be written as a pt2 file: {reason_of(problem)}") from problem


def _written(
    network: torch.nn.Module,
    example: Sequence[TensorSpec],
    wanted: Mapping[int, Sequence[Tensor]],
    extra: Mapping[str, str] | None,
    *,
    strict: bool,
) -> bytes:
    batch = torch.export.Dim("batch", min=1)
    # Two samples: the exporter takes an axis of one for a constant.
    inputs = batch_of(example, 2)
    program = torch.export.export(network, inputs, dynamic_shapes=tuple({0: batch} for _ in inputs), strict=strict)
    module: Any = program.module()
    for size, outputs in wanted.items():
        with torch.no_grad():
            found = [leaf for leaf in tree_leaves(module(*batch_of(example, size))) if isinstance(leaf, Tensor)]
        if [one.shape for one in found] != [one.shape for one in outputs]:
            raise Differs(f"what it makes of a batch of {size} has another shape than in PyTorch")
        for one, other in zip(found, outputs, strict=True):
            if not torch.allclose(one, other, rtol=0.0, atol=tolerance(other), equal_nan=True):
                raise Differs(f"it gives other numbers for a batch of {size} than PyTorch")
    file = io.BytesIO()
    torch.export.save(program, file, extra_files=dict(extra or {}))
    return file.getvalue()
