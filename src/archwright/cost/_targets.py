"""The targets of this machine."""

from __future__ import annotations

import importlib.util

from archwright.cost._energy import meter_of
from archwright.cost._target import RUNTIMES
from archwright.errors import CostError


def targets() -> dict[str, str]:
    """Return the targets of this machine, in the form of `Target.parse`, with their descriptions.

    Example:
        >>> "eager" in aw.cost.targets()
        True
    """
    import torch

    devices = {"cpu": f"CPU, {torch.get_num_threads()} threads"}
    if torch.cuda.is_available():
        devices |= {f"cuda:{index}": torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())}
    if torch.backends.mps.is_available():
        devices["mps"] = "Apple GPU"
    found: dict[str, str] = {}
    for device, name in devices.items():
        energy = _energy(device)
        for runtime in RUNTIMES:
            if runtime == "onnx" and not _runs_onnx(device):
                continue
            text = runtime if device == "cpu" else f"{runtime}:device={device}"
            found[text] = f"{_TOLD[runtime]} on {name}; {energy}"
    return found


_TOLD = {
    "eager": "PyTorch, eager mode",
    "torchscript": "PyTorch, traced and frozen",
    "compiled": "PyTorch, by torch.compile",
    "onnx": "ONNX Runtime",
}


def _runs_onnx(device: str) -> bool:
    if any(importlib.util.find_spec(module) is None for module in ("onnx", "onnxscript", "onnxruntime")):
        return False
    if device == "cpu":
        return True
    import onnxruntime

    return device.startswith("cuda") and "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def _energy(device: str) -> str:
    try:
        meter_of(device)
    except CostError:
        return "latency"
    return "latency and energy"
