"""Networks as functions in each of the runtimes. Importing this loads torch."""

from __future__ import annotations

import copy
import tempfile
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archwright.build import tensors_of, write_onnx
from archwright.cost._operations import Operation, on_device
from archwright.cost._target import Target, check_target
from archwright.cost._timing import Watch
from archwright.errors import CostError, require
from archwright.space import TensorSpec


def inputs_for(specs: Sequence[TensorSpec], target: Target) -> list[Tensor]:
    """Return inputs of a target's batch size and device; the same each time."""
    shapes = [((target.batch_size, *spec.shape), getattr(torch, spec.dtype)) for spec in specs]
    return tensors_of(shapes, target.device)


def call_of(model: torch.nn.Module, specs: Sequence[TensorSpec], target: Target) -> Callable[[], object]:
    """Return a call that runs a network, which is left as it is, once on a target.

    Raises:
        CostError: The device is absent, or the runtime cannot run the network.
        MissingExtra: The runtime is not installed.
    """
    check_target(target)
    if target.runtime == "onnx":
        return _exported(lambda file: write_onnx(model, specs, file), inputs_for(specs, target), target)
    return _prepared(copy.deepcopy(model).eval().to(target.device), inputs_for(specs, target), target)


def call_of_operation(operation: Operation, target: Target) -> Callable[[], object]:
    """Return a call that runs one operation once on a target; errors are those of `call_of`."""
    check_target(target)
    if target.runtime == "onnx":
        layer, inputs = on_device(operation, "cpu"), tensors_of(operation.shapes, "cpu")
        return _exported(lambda file: write_onnx(layer, inputs, file), inputs, target)
    return _prepared(on_device(operation, target.device), tensors_of(operation.shapes, target.device), target)


def _exported(write: Callable[[Path], None], inputs: Sequence[Tensor], target: Target) -> Callable[[], object]:
    with tempfile.TemporaryDirectory(prefix="archwright-") as folder:
        file = Path(folder) / "model.onnx"
        write(file)
        return _session(file, inputs, target)


def _prepared(run: Callable[..., Any], inputs: Sequence[Tensor], target: Target) -> Callable[[], object]:
    def call() -> object:
        with torch.inference_mode():
            return run(*inputs)

    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer's, on shapes that it takes for constants
            if target.runtime == "torchscript":
                run = torch.jit.freeze(torch.jit.trace(run, tuple(inputs)))  # type: ignore[no-untyped-call]
            elif target.runtime == "compiled":
                run = torch.compile(_of_its_own(run), fullgraph=True, dynamic=False)
            call()
    except Exception as error:  # whatever a layer or a compiler raises
        raise CostError(f"the network does not run on {target}: {type(error).__name__}: {error}") from error
    return call


def _of_its_own(run: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that does the same and whose code is no other's.

    `torch.compile` counts what it has compiled by code, and all networks of a class share that of `forward`: from the
    ninth on it would run them as they are, and what is measured would not be what was asked for.
    """

    def forward(*inputs: Tensor) -> Any:
        return run(*inputs)

    code = forward.__code__.replace()
    return types.FunctionType(code, forward.__globals__, code.co_name, None, forward.__closure__)


def call_of_onnx(file: Path, specs: Sequence[TensorSpec], target: Target) -> Callable[[], object]:
    """Return a call that runs once the network of an ONNX file, as `build.write_onnx` writes it."""
    return _session(file, inputs_for(specs, Target("onnx", batch_size=target.batch_size)), target)


def _session(file: Path, inputs: Sequence[Tensor], target: Target) -> Callable[[], object]:
    onnxruntime = require("onnxruntime", extra="onnx", purpose="the runtime 'onnx'")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = target.threads or torch.get_num_threads()
    provider = "CUDAExecutionProvider" if torch.device(target.device).type == "cuda" else "CPUExecutionProvider"
    if provider not in onnxruntime.get_available_providers():
        raise CostError(f"{target}: this ONNX Runtime has no {provider}: install onnxruntime-gpu, or take device=cpu")
    session = onnxruntime.InferenceSession(str(file), options, providers=[provider])
    names = [one.name for one in session.get_inputs()]
    feed = {name: tensor.cpu().numpy() for name, tensor in zip(names, inputs, strict=True)}
    return lambda: session.run(None, feed)


@contextmanager
def running(target: Target) -> Iterator[None]:
    """Let torch take as many threads as a target wants; afterwards all is as before."""
    before = torch.get_num_threads()
    if target.threads is not None:
        torch.set_num_threads(target.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def watch_of(target: Target) -> Watch | None:
    """Return the clock of a target: CUDA's events on CUDA, else that on the wall."""
    if torch.device(target.device).type != "cuda" or target.runtime == "onnx":
        return None

    def by_events(call: Callable[[], object], count: int) -> float:
        begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begun.record()
        for _ in range(count):
            call()
        ended.record()
        torch.cuda.synchronize()
        return float(begun.elapsed_time(ended)) / 1e3

    return by_events
