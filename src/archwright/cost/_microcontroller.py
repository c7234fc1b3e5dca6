"""The memory that networks take on a microcontroller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from archwright.cost._base import Cost, inputs_of
from archwright.errors import BuildError, CostError, require, unknown
from archwright.space import Architecture, InputSpec, Space

PRECISIONS = ("int8", "float32")
_KB = 1024  # bytes


@dataclass(frozen=True)
class Microcontroller(Cost):
    """Memory of a network on a microcontroller, as ExecuTorch compiles it.

    - "arena_kb": the memory that is planned for activations, inputs, outputs and scratch buffers, which a device
      reserves in SRAM. It is the figure of ExecuTorch's memory planner.
    - "flash_kb": the size of the program file, with all weights. The runtime and its operators come on top of it.

    Both in kilobytes of 1,024 bytes. They depend on the shapes of a network, not on its weights: a network with fresh
    weights is compiled, for one sample, before it is trained. It takes about 10 seconds for a network of 50 layers;
    constraints on "size_mb" and "activation_mb" are checked in milliseconds and exclude many networks that do not fit.

    Lin et al., "MCUNet: Tiny deep learning on IoT devices", NeurIPS 2020.

    Args:
        core: The processor: "cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55" or "cortex-m85".
            The scratch buffers of integer operators depend on it.
        precision: "int8", weights and activations of 8-bit integers with the operators of CMSIS-NN; or "float32", with
            the portable operators of ExecuTorch.

    Raises:
        UnknownName: The processor or the precision is unknown.

    Example:
        >>> aw.cost.Microcontroller("cortex-m4")
        Microcontroller(core='cortex-m4', precision='int8')
        >>> aw.cost.as_cost("cortex-m4").metrics
        ('arena_kb', 'flash_kb')
    """

    core: str = "cortex-m7"
    precision: str = "int8"
    metrics: ClassVar[tuple[str, ...]] = ("arena_kb", "flash_kb")  # type: ignore[misc]  # the same for all
    cores: ClassVar[tuple[str, ...]] = (
        "cortex-m0plus",
        "cortex-m4",
        "cortex-m7",
        "cortex-m33",
        "cortex-m55",
        "cortex-m85",
    )

    def __post_init__(self) -> None:
        if self.core not in self.cores:
            raise unknown("processor", self.core, self.cores)
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)

    def check(self, space: Space, example_input: InputSpec | None = None) -> None:
        """Check that ExecuTorch is installed, and that the input is known."""
        from archwright.build import quiet

        inputs_of(space, example_input)
        with quiet():  # the import logs libraries that it does without
            for module in ("executorch.exir", *["tosa_serializer"] * (self.precision == "int8")):
                require(module, extra="executorch", purpose=f"the memory of networks on {self.core}")

    def of(self, space: Space, architecture: Architecture, example_input: InputSpec | None = None) -> dict[str, float]:
        """Return the memory of a network, which is compiled once.

        Raises:
            CostError: It cannot be compiled; the message gives the reason.
            MissingExtra: ExecuTorch is not installed.
        """
        from archwright.build import compile_executorch
        from archwright.cost._network import fresh

        specs = inputs_of(space, example_input)
        known: dict[Architecture, dict[str, float]] = space.memo.setdefault(("microcontroller", self, specs), {})
        if architecture not in known:
            try:
                program = compile_executorch(
                    fresh(space, architecture, specs, "cpu"),
                    specs,
                    core=self.core if self.precision == "int8" else None,
                )
            except BuildError as error:
                raise CostError(f"what the network takes on {self.core} is unknown: {error}") from error
            known[architecture] = {"arena_kb": program.arena / _KB, "flash_kb": len(program.content) / _KB}
        return dict(known[architecture])

    def to_json(self) -> dict[str, Any]:
        """Return its settings."""
        return {"type": "microcontroller", "core": self.core, "precision": self.precision}
