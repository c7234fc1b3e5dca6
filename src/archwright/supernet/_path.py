"""Single path one-shot: one architecture in each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from archwright.supernet._base import Relaxation, register
from archwright.supernet._execution import Draw

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet

__all__ = ["UniformPath"]


@register("path")
@dataclass(frozen=True)
class UniformPath(Relaxation):
    """One random architecture per step (single path one-shot, SPOS).

    Guo et al., "Single path one-shot neural architecture search with uniform sampling", ECCV 2020.
    """

    learns: ClassVar[bool] = False

    def draw(self, supernet: Supernet, progress: float) -> Draw:
        """Return one architecture."""
        return Draw(dict(supernet.space.sample(supernet.rng)))
