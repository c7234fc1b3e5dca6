"""A network as a program of ExecuTorch, for devices without Python. Importing this loads torch."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import torch

from archwright.build._onnx import batch_of, quiet, reason_of
from archwright.errors import BuildError, require
from archwright.space import TensorSpec


def write_executorch(model: torch.nn.Module, example: Sequence[TensorSpec], path: Path) -> int:
    """Write a network, in evaluation mode, as a program of ExecuTorch for one sample, with its portable operators.

    The memory of all activations, inputs and outputs is planned when the program is written: a device that runs it
    reserves an arena of this size besides the file itself.

    Args:
        model: The network; it is not changed.
        example: The specs of the inputs.
        path: The file. Nothing is written in case of an error.

    Returns:
        The size of the arena in bytes.

    Raises:
        MissingExtra: ExecuTorch is not installed.
        BuildError: The network cannot be exported.
    """
    network = copy.deepcopy(model).cpu().eval()
    with quiet():
        exir = require("executorch.exir", extra="executorch", purpose="the format 'executorch'")
        try:
            program = exir.to_edge(torch.export.export(network, batch_of(example, 1))).to_executorch()
        except Exception as error:  # whatever a layer, the tracer or the compiler raises
            raise BuildError(f"the network cannot be written as a program of ExecuTorch: {reason_of(error)}") from error
        path.write_bytes(program.buffer)
    (plan,) = program.executorch_program.execution_plan
    return int(sum(plan.non_const_buffer_sizes))
