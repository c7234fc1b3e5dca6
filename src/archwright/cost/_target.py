"""Targets of measurements: runtime, device, threads, batch size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from archwright._checks import check_counts
from archwright._registry import split_settings
from archwright.errors import CostError, require, unknown

Runtime = Literal["eager", "torchscript", "compiled", "onnx"]
RUNTIMES: tuple[str, ...] = get_args(Runtime)

_NUMBERS = ("threads", "batch_size")


@dataclass(frozen=True)
class Target:
    """Runtime, device, number of threads and batch size of a measurement.

    Args:
        runtime: "eager", PyTorch in eager mode; "torchscript", traced and frozen; "compiled", as a whole by
            `torch.compile`; "onnx", exported to ONNX Runtime.
        device: The torch device: "cpu", "cuda". ONNX Runtime needs its own build for "cuda".
        threads: Threads of one operation on the CPU; `None` for the default of torch.
        batch_size: Batch size, at least 1.

    Raises:
        UnknownName: No runtime has that name.
        CostError: A number is less than 1.

    Example:
        >>> aw.cost.Target.parse("onnx:threads=1,batch_size=8")
        Target(runtime='onnx', device='cpu', threads=1, batch_size=8)
    """

    settings_error: ClassVar[type[CostError]] = CostError

    runtime: Runtime = "eager"
    device: str = "cpu"
    threads: int | None = None
    batch_size: int = 1

    def __post_init__(self) -> None:
        if self.runtime not in RUNTIMES:
            raise unknown("runtime", self.runtime, RUNTIMES)
        check_counts(self, "batch_size", *["threads"] * (self.threads is not None))

    @classmethod
    def parse(cls, text: str | Target) -> Target:
        """Return the target that a text such as "onnx" or "eager:device=cuda,batch_size=8" describes.

        Raises:
            UnknownName: No runtime has that name.
            CostError: The text cannot be parsed.
        """
        if isinstance(text, Target):
            return text
        runtime, settings = split_settings(text, error=CostError)
        given: dict[str, Any] = {}
        for name, value in settings.items():
            if name not in ("device", *_NUMBERS):
                raise CostError(
                    f"target {text!r}: its settings are device=cpu, threads=1 and batch_size=8, not {name!r}"
                )
            if name in _NUMBERS and not value.isdecimal():
                raise CostError(f"target {text!r}: {name} must be an integer of 1 or more, not {value!r}")
            given[name] = int(value) if name in _NUMBERS else value
        return cls(runtime, **given)  # type: ignore[arg-type]  # checked there

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        settings = [f"device={self.device}"] if self.device != "cpu" else []
        settings += [f"threads={self.threads}"] if self.threads is not None else []
        settings += [f"batch_size={self.batch_size}"] if self.batch_size != 1 else []
        return ":".join([self.runtime, *[",".join(settings)] * bool(settings)])


def check_target(target: Target) -> None:
    """Refuse a target that is not there.

    Raises:
        CostError: The device is absent.
        MissingExtra: ONNX Runtime, or what writes its files, is not installed.
    """
    import torch

    kind = torch.device(target.device).type
    present: dict[str, Callable[[], bool]] = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if kind in present and not present[kind]():
        raise CostError(f"{target}: there is no {kind} device here; `archwright devices` lists what there is")
    if target.runtime == "onnx":
        for module in ("onnx", "onnxscript", "onnxruntime"):
            require(module, extra="onnx", purpose="the runtime 'onnx'")
