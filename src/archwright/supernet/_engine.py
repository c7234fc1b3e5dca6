"""What all parts of a supernet share."""

from __future__ import annotations

from typing import Any

from archwright.space import Program
from archwright.supernet._bank import Bank
from archwright.supernet._frame import Frame

__all__ = ["Engine"]


class Engine:
    """What all parts of a supernet share.

    Args:
        program: The decisions of the space.
        bank: The weights.

    Attributes:
        high: The greatest value of each decision, by name.
        discovering: Whether shapes are being found out.
        remembers: Whether a shape that was found out is not found out again.
        device: Where they are found out: "meta", or "cpu" if something cannot be run there.
        training: Whether layers run in training mode.
        frame: What is being run.
        met: Branches and layers in the order in which they were run, while somebody wants to know; else None.
    """

    def __init__(self, program: Program, bank: Bank) -> None:
        self.program = program
        self.bank = bank
        self.high = {name: each.decode([1.0] * each.width) for name, each in program.decisions.items()}
        self.discovering = False
        self.remembers = False
        self.device = "meta"
        self.training = True
        self.frame: Frame | None = None
        self.met: list[Any] | None = None

    def meet(self, part: Any) -> None:
        """Take down that a branch or a layer is run."""
        if self.met is not None:
            self.met.append(part)
