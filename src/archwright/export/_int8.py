"""Networks with integers of 8 bits, for ONNX Runtime. Importing this loads torch."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archwright.build import quiet
from archwright.cost import Target, time_files
from archwright.datasets import Normalised
from archwright.errors import BuildError, StudyError, require
from archwright.evaluate import Feed, Setup, compute_metrics
from archwright.space import TensorSpec
from archwright.tasks import Task

_BATCH, _BATCHES = 32, 16  # of the training samples that calibrate
_SETUP = Setup("cpu")


def quantise(file: Path, out: Path, network: nn.Module, task: Task, specs: tuple[TensorSpec, ...]) -> dict[str, Any]:
    """Write an ONNX file with integers of 8 bits in place of its weights and activations, and measure both files.

    It is the static quantisation of ONNX Runtime (QDQ, weights by channel), calibrated on training samples.

    Args:
        file: The ONNX file of a network on raw inputs.
        out: The file to write.
        network: The same network.
        task: The task that it was trained for.
        specs: The inputs.

    Returns:
        By the names of both files: the metrics of the task on the validation part, on the test part if there is one
        ("test_..."), "latency_ms" and its relative spread of a sample with one thread, and "bytes".

    Raises:
        BuildError: ONNX Runtime cannot quantise the network, or its outputs are not those that the task measures.
        MissingExtra: ONNX Runtime is not installed.
    """
    require("onnxruntime", extra="onnx", purpose="quantisation")
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    if type(network).__module__.startswith("archwright.datasets") and not isinstance(network, Normalised):
        raise BuildError(
            f"int8 cannot carry this network: its metrics are not those of its raw outputs ({type(network).__name__}); "
            "images, tables and networks without such an addition can be quantised"
        )
    with tempfile.TemporaryDirectory(prefix="archwright-") as temporary, quiet():
        prepared = Path(temporary) / "prepared.onnx"
        try:
            quant_pre_process(str(file), str(prepared), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(prepared),
                str(out),
                _Samples(_Session(file, network), task),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
            )
        except Exception as error:  # whatever the tool raises
            raise BuildError(
                f"int8 cannot carry this network: ONNX Runtime does not quantise it: {type(error).__name__}: {error}"
            ) from error
    files = [file, out]
    timings = time_files(files, specs, Target("onnx", threads=1), limit=math.inf)
    return {
        each.name: {
            **_metrics(_Session(each, network), task),
            "latency_ms": timing.milliseconds,
            "latency_spread": timing.spread,
            "bytes": each.stat().st_size,
        }
        for each, timing in zip(files, timings, strict=True)
    }


def check_same_data(task: Task, preprocess: Any) -> None:
    """Refuse a task that is not the one that a network was trained for.

    Raises:
        StudyError: It is not.
    """
    mine = task.preprocess
    if (None if mine is None else mine.to_json()) != (None if preprocess is None else preprocess.to_json()):
        raise StudyError("int8 needs the data of the training: those at the same place have changed since")


def _metrics(session: _Session, task: Task) -> dict[str, float]:
    found = compute_metrics(session, Feed(task, task.validation, _SETUP), _SETUP)
    if len(task.test):
        tested = compute_metrics(session, Feed(task, task.test, _SETUP), _SETUP)
        found |= {f"test_{name}": value for name, value in tested.items()}
    return found


class _Session(nn.Module):
    """An ONNX file on raw inputs, as a network on the inputs of training."""

    def __init__(self, file: Path, network: nn.Module) -> None:
        import onnxruntime

        super().__init__()
        self._session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        self._names = [each.name for each in self._session.get_inputs()]
        self._network = [network]  # in a list, as it is none of its layers

    def feed(self, inputs: tuple[Tensor, ...]) -> dict[str, Any]:
        """Return the inputs of training as the file takes them."""
        (network,) = self._network
        if isinstance(network, Normalised):
            inputs = tuple(each * network.std + network.mean for each in inputs)
        return {name: each.contiguous().numpy() for name, each in zip(self._names, inputs, strict=True)}

    def forward(self, *inputs: Tensor) -> Any:
        (network,) = self._network
        found = [torch.as_tensor(each) for each in self._session.run(None, self.feed(inputs))]
        if isinstance(network, Normalised) and len(network.target_std):
            found = [(each - network.target_mean) / network.target_std for each in found]
        return found[0] if len(found) == 1 else tuple(found)


class _Samples:
    """Training samples, as ONNX Runtime reads them to calibrate."""

    def __init__(self, session: _Session, task: Task) -> None:
        self._session = session
        feed = Feed(task, task.train, _SETUP)
        self._batches: Iterator[Any] = islice(feed.shuffled(_BATCH, torch.Generator().manual_seed(0)), _BATCHES)

    def get_next(self) -> dict[str, Any] | None:
        """Return the next batch, by the names of the inputs; `None` after the last."""
        batch = next(self._batches, None)
        if batch is None:
            return None
        return self._session.feed(batch[0] if isinstance(batch[0], tuple) else (batch[0],))
