"""A network as a program of ExecuTorch, for devices without Python. Importing this loads torch."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archwright.build._onnx import batch_of, quiet, reason_of
from archwright.errors import BuildError, require
from archwright.space import TensorSpec


@dataclass(frozen=True, eq=False)
class Program:
    """A compiled program of ExecuTorch.

    Attributes:
        content: The bytes of the file: weights and instructions. A device reads it from flash memory.
        arena: The size in bytes of the memory that is planned for activations, inputs, outputs and scratch buffers. A
            device that runs it reserves as much besides.
    """

    content: bytes
    arena: int


def compile_executorch(
    model: torch.nn.Module,
    example: Sequence[TensorSpec],
    *,
    core: str | None = None,
    calibration: Iterable[tuple[Tensor, ...]] = (),
) -> Program:
    """Compile a network, in evaluation mode, to a program of ExecuTorch for one sample.

    Args:
        model: The network; it is not changed.
        example: The specs of the inputs.
        core: `None`, for 32-bit floats and the portable operators; or a processor such as "cortex-m7", for weights and
            activations of 8-bit integers and the operators of CMSIS-NN. Operators that CMSIS-NN lacks stay floats.
        calibration: Inputs of one sample each from which the ranges of activations are taken; by default random ones,
            which give the right sizes, but no network to use.

    Raises:
        MissingExtra: ExecuTorch is not installed.
        BuildError: The network cannot be compiled.

    Example:
        >>> from archwright.build import compile_executorch
        >>> compile_executorch(torch.nn.Linear(4, 3), [aw.TensorSpec((4,))]).arena >= 4 * (4 + 3)
        True
    """
    network = copy.deepcopy(model).cpu().eval()
    inputs = batch_of(example, 1)
    with quiet():
        exir = require("executorch.exir", extra="executorch", purpose="a program of ExecuTorch")
        if core is not None:  # the quantiser imports it
            require("tosa_serializer", extra="executorch", purpose="a program of 8-bit integers")
        try:
            if core is None:
                edge = exir.to_edge(torch.export.export(network, inputs))
            else:
                edge = _of_integers(exir, network, inputs, core, list(calibration) or [inputs])
            program = edge.to_executorch()
        except Exception as error:  # whatever a layer, the tracer or the compiler raises
            raise BuildError(f"the network cannot be written as a program of ExecuTorch: {reason_of(error)}") from error
    (plan,) = program.executorch_program.execution_plan
    return Program(bytes(program.buffer), int(sum(plan.non_const_buffer_sizes)))


def write_executorch(model: torch.nn.Module, example: Sequence[TensorSpec], path: Path) -> int:
    """Write a network as a program of ExecuTorch, and return the size of its arena: see `compile_executorch`."""
    program = compile_executorch(model, example)
    path.write_bytes(program.content)
    return program.arena


def _of_integers(
    exir: Any, network: torch.nn.Module, inputs: tuple[Tensor, ...], core: str, calibration: list[tuple[Tensor, ...]]
) -> Any:
    """Return a network of 8-bit integers in the edge dialect, with the operators of a Cortex-M processor."""
    from executorch.backends.cortex_m.edge_compile_config import cortex_m_edge_compile_config
    from executorch.backends.cortex_m.passes.cortex_m_pass_manager import CortexMPassManager
    from executorch.backends.cortex_m.quantizer.quantizer import CortexMQuantizer
    from executorch.backends.cortex_m.target_config import CortexM, CortexMTargetConfig
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    network = _channels_last(network)
    inputs = tuple(map(_channels_last, inputs))
    prepared = prepare_pt2e(_exported(network, inputs).module(check_guards=False), CortexMQuantizer())
    with torch.no_grad():
        for sample in calibration:
            prepared(*map(_channels_last, sample))
    edge = exir.to_edge(_exported(convert_pt2e(prepared), inputs), compile_config=cortex_m_edge_compile_config())
    target = CortexMTargetConfig(cpu=CortexM[core.removeprefix("cortex-").upper()])
    # The operators of the processor are put in place, not delegated: ExecuTorch has no public call for it.
    edge._edge_programs["forward"] = CortexMPassManager(edge.exported_program(), target_config=target).transform()
    return edge


def _exported(network: torch.nn.Module, inputs: tuple[Tensor, ...]) -> torch.export.ExportedProgram:
    return torch.export.export(network, inputs, strict=True)


def _channels_last(given: Any) -> Any:
    """Return a network or a batch of images in the layout that CMSIS-NN computes in."""
    if isinstance(given, Tensor) and given.dim() != 4:
        return given
    return given.to(memory_format=torch.channels_last)
