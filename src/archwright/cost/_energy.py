"""Measured energy, on machines with an energy counter."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from archwright._checks import check_positive
from archwright.cost._base import Cost, inputs_of
from archwright.cost._target import Target, check_target
from archwright.cost._turn import turn
from archwright.errors import CostError
from archwright.space import Architecture, InputSpec, Space

_COUNTERS = Path("/sys/class/powercap")
_ROUNDS = 5

Meter = Callable[[], float]
"""Returns the joules that a device has taken since some time in the past."""


@dataclass(frozen=True)
class Energy(Cost):
    """Energy of a forward pass on a target, read from the machine's counter.

    - "energy_mj": the median millijoules of a batch, of the whole package or card, idle power included.

    The counter is RAPL on the CPU (Linux, /sys/class/powercap, mostly readable by the administrator only) and NVML on
    CUDA. Virtual machines mostly provide neither.

    Args:
        target: The target, or its text.
        seconds: Duration of each of five rounds, above 0.

    Raises:
        UnknownName: No runtime has that name.
        CostError: A setting is out of range.

    Example:
        >>> aw.cost.Energy("onnx:threads=1").target
        Target(runtime='onnx', device='cpu', threads=1, batch_size=1)
    """

    target: Target | str = "eager"
    seconds: float = 0.5
    metrics = ("energy_mj",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", Target.parse(self.target))
        check_positive(self, "seconds")

    def check(self, space: Space, example_input: InputSpec | None = None) -> None:
        """Check that the target is present, and that the machine has an energy counter."""
        target = Target.parse(self.target)
        check_target(target)
        meter_of(target.device)

    def of(self, space: Space, architecture: Architecture, example_input: InputSpec | None = None) -> dict[str, float]:
        """Return the energy of the network of an architecture.

        Raises:
            CostError: The machine does not tell its energy, or the network does not run on the target.
        """
        from archwright.cost._network import fresh
        from archwright.cost._runtimes import call_of, running

        target = Target.parse(self.target)
        meter = meter_of(target.device)
        specs = inputs_of(space, example_input)
        with running(target):
            call = call_of(fresh(space, architecture, specs, "cpu"), specs, target)
            with turn():
                return {"energy_mj": median(_joules(call, meter, self.seconds) for _ in range(_ROUNDS)) * 1e3}

    def __repr__(self) -> str:
        return f"Energy({str(self.target)!r})"

    def to_json(self) -> dict[str, Any]:
        """Return its settings."""
        return {"type": "energy", "target": str(self.target), "seconds": self.seconds}


def meter_of(device: str) -> Meter:
    """Return the counter of a device's energy; CostError where there is none that can be read."""
    if device.partition(":")[0] == "cuda":
        return _nvml(int(device.partition(":")[2] or 0))
    counters = sorted(_COUNTERS.glob("*-rapl:[0-9]*/energy_uj"))
    packages = [file for file in counters if file.parent.name.count(":") == 1]
    try:
        started = [int(file.read_text()) for file in packages]
    except OSError as error:
        raise CostError(
            f"the energy counter of this machine cannot be read ({error}): only the administrator may, or it has none"
        ) from error
    if not started:
        raise CostError(
            f"this machine does not tell its energy: there is no RAPL counter in {_COUNTERS}, as in most virtual "
            "machines. A published device does: `archwright devices`"
        )
    return _Rapl(packages, started)


class _Rapl:
    """The counters of all packages, which begin again at their end."""

    def __init__(self, files: list[Path], started: list[int]) -> None:
        self._files = files
        self._last = started
        self._ends = [int((file.parent / "max_energy_range_uj").read_text()) for file in files]
        self._total = 0

    def __call__(self) -> float:
        for index, file in enumerate(self._files):
            now = int(file.read_text())
            self._total += (now - self._last[index]) % (self._ends[index] + 1)
            self._last[index] = now
        return self._total / 1e6


def _nvml(index: int) -> Meter:
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception as error:  # the module is absent, or says that the card does not count
        raise CostError(
            f"the energy of cuda:{index} is not told: {error} (NVML is read by the package nvidia-ml-py)"
        ) from error
    return lambda: float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3


def _joules(call: Callable[[], object], meter: Meter, seconds: float) -> float:
    call()
    begun, before, runs = time.perf_counter(), meter(), 0
    while not runs or time.perf_counter() - begun < seconds:
        call()
        runs += 1
    used = meter() - before
    if used <= 0:
        raise CostError(f"the energy counter stood still for {seconds:g} seconds: give more of them")
    return used / runs
