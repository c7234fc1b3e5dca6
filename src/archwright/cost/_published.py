"""Published measurements of devices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright._files import Source, read
from archwright.cost._base import Cost
from archwright.errors import CostError, unknown
from archwright.space import Architecture, InputSpec, Space

_CELLS = Source(
    "nasbench201.csv.gz",
    "7390ea582cb0951dc5c2b2f311708dd033d2801d86e4f041cc00c8b9513921f9",
    "https://github.com/D-X-Y/NAS-Bench-201",
)
_HELP = Source(
    "help_nb201_latency_ms.csv.gz",
    "cef03122b07b1d9f1dd42dd5c4a77255c4dcffaedcd1cfaa4bed5741115509fc",
    "https://github.com/HayeonLee/HELP",
)
_HWNAS = Source(
    "hwnas360.csv.gz",
    "3850a7caa07bf62c8b42e793a9376098f1f9e064718e735164af279d4a94410e",
    "HW-NAS 360",
)
_SHORTEST = 0.1  # ms; what is below it was not measured (raspi4 and pixel3)

_OF_HELP = {
    **{
        f"{card}_{batch}": f"{name}, batch {batch}"
        for card, name in {
            "1080ti": "NVIDIA GTX 1080 Ti",
            "2080ti": "NVIDIA RTX 2080 Ti",
            "titan_rtx": "NVIDIA Titan RTX",
            "titanx": "NVIDIA Titan X",
            "titanxp": "NVIDIA Titan Xp",
        }.items()
        for batch in (1, 32, 256)
    },
    "essential_ph_1": "Essential PH-1 (phone)",
    "pixel2": "Google Pixel 2 (phone)",
    "pixel3": "Google Pixel 3 (phone)",
    "samsung_a50": "Samsung A50 (phone)",
    "samsung_s7": "Samsung S7 (phone)",
    "raspi4": "Raspberry Pi 4",
    "gold_6226": "Intel Xeon Gold 6226",
    "gold_6240": "Intel Xeon Gold 6240",
    "silver_4114": "Intel Xeon Silver 4114",
    "silver_4210r": "Intel Xeon Silver 4210R",
    "fpga": "Xilinx ZCU102 (FPGA)",
    "eyeriss": "Eyeriss (ASIC)",
}
_OF_HWNAS = {
    "pi5_litert": "Raspberry Pi 5, LiteRT; energy too",
    "pi5_onnx": "Raspberry Pi 5, ONNX Runtime; energy too",
    "pi5_torchmobile": "Raspberry Pi 5, PyTorch Mobile; energy too",
    "pixel_litert": "Google Pixel (phone), LiteRT",
}


class Published(Cost):
    """Published measurements on a device for all cells of NAS-Bench-201.

    - "latency_ms": milliseconds of a batch. - "energy_mj": millijoules of a batch, for some devices.

    Lee et al., "HELP: hardware-adaptive efficient latency prediction for NAS via meta-learning", NeurIPS 2021;
    HW-NAS 360 for the Raspberry Pi 5 and a Pixel phone. The tables are found as those of
    `archwright bench` are.

    Args:
        device: One of `Published.devices()`.

    Raises:
        UnknownName: No device has that name.

    Example:
        >>> "raspi4" in aw.cost.Published.devices()
        True
    """

    is_counted = True

    def __init__(self, device: str) -> None:
        if device not in self.devices():
            raise unknown("device", device, self.devices())
        self.device = device
        self.metrics = ("latency_ms", "energy_mj") if device.startswith("pi5") else ("latency_ms",)

    @staticmethod
    def devices() -> Mapping[str, str]:
        """Return the devices by name, each with a line that describes it."""
        return MappingProxyType({**_OF_HELP, **_OF_HWNAS})

    def check(self, space: Space, example_input: InputSpec | None = None) -> None:
        """Check that the space is that of NAS-Bench-201, and that the table exists."""
        if space.name != "nasbench201":
            raise CostError(
                f"what is published of {self.device} is for the cells of NAS-Bench-201; for the space "
                f"{space.name or 'custom'!r} measure a target of this machine: `archwright devices` lists them"
            )
        _rows()
        _columns(self.device)

    def of(self, space: Space, architecture: Architecture, example_input: InputSpec | None = None) -> dict[str, float]:
        """Return the published metrics of a cell.

        Raises:
            CostError: The space is not that of NAS-Bench-201, or the cell was not measured on the device.
            TableError: The table is missing or damaged.
        """
        from archwright.spaces.nasbench201 import to_string

        self.check(space)
        row = _rows()[to_string(architecture)]
        found = {name: float(column[row]) for name, column in _columns(self.device).items()}
        for name, value in found.items():
            if math.isnan(value) or (name == "latency_ms" and value < _SHORTEST):
                raise CostError(f"{name} of this cell was not measured on {self.device}: {to_string(architecture)}")
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the device."""
        return {"type": "published", "device": self.device}

    def __repr__(self) -> str:
        return f"Published({self.device!r})"


@cache
def _rows() -> dict[str, int]:
    """Return the row of each cell: all tables have the order of NAS-Bench-201's own."""
    texts = read(_CELLS, None, verify=True).columns().texts("arch")
    return {text: row for row, text in enumerate(texts)}


@cache
def _columns(device: str) -> dict[str, NDArray[np.float64]]:
    if device in _OF_HELP:
        return {"latency_ms": read(_HELP, None, verify=True).columns().numbers(device)}
    columns = read(_HWNAS, None, verify=True).columns()
    order = np.argsort(columns.numbers("arch_idx"))
    found = {"latency_ms": columns.numbers(f"{device}_cifar100_ms")[order]}
    if device.startswith("pi5"):
        found["energy_mj"] = columns.numbers(f"{device}_cifar100_mj")[order]
    return found
