"""A network as an ONNX file. Importing this loads torch."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import torch
from torch import Tensor

from archwright.errors import BuildError, require
from archwright.space import TensorSpec

__all__ = ["write_onnx"]

_OPSET = 20


def write_onnx(model: torch.nn.Module, example: Sequence[TensorSpec] | Sequence[Tensor], path: Path) -> None:
    """Write a network, in evaluation mode, as one ONNX file.

    Args:
        model: The network; it is left as it is.
        example: What goes in: one sample of it, for a file that takes batches of any size; or tensors, for one that
            takes what has their shapes.
        path: The file.

    Raises:
        MissingExtra: What torch exports with is not installed.
        BuildError: The network cannot be exported.
    """
    for module in ("onnx", "onnxscript"):
        require(module, extra="onnx", purpose="an ONNX file")
    # Two samples: the exporter takes an axis of one for a constant.
    inputs = tuple(
        one if isinstance(one, Tensor) else torch.zeros((2, *one.shape), dtype=getattr(torch, one.dtype))
        for one in example
    )
    batch = torch.export.Dim("batch", min=1)
    free = None if any(isinstance(one, Tensor) for one in example) else tuple({0: batch} for _ in example)
    noise = io.StringIO()
    try:
        with _quiet(), warnings.catch_warnings(), redirect_stdout(noise), redirect_stderr(noise):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                copy.deepcopy(model).cpu().eval(),
                inputs,
                str(path),
                input_names=[f"input_{index}" for index in range(len(inputs))] if len(inputs) > 1 else ["input"],
                output_names=["output"],
                opset_version=_OPSET,
                dynamo=True,
                external_data=False,
                dynamic_shapes=free,
            )
    except Exception as error:  # whatever a layer, the tracer or the writer raises
        raise BuildError(f"the network cannot be written as an ONNX file: {type(error).__name__}: {error}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporter logs, such as that torchvision is not installed."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
