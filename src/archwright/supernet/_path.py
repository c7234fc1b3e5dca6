"""Single path one-shot: one architecture in each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from archwright.supernet._base import Relaxation, register
from archwright.supernet._execution import Draw

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet


@register("path")
@dataclass(frozen=True)
class UniformPath(Relaxation):
    """One random architecture per step (single path one-shot, SPOS).

    Guo et al., "Single path one-shot neural architecture search with uniform sampling", ECCV 2020.

    Example:
        >>> model = nn.Sequential(aw.choice(nn.ReLU(), nn.Tanh(), name="act"), nn.Linear(4, 3))
        >>> supernet = aw.Supernet(aw.Space(model=model, example_input=(4,)), aw.supernet.UniformPath())
        >>> supernet.draw().mixes, list(supernet.draw().values)
        ({}, ['act'])
    """

    learns: ClassVar[bool] = False

    def draw(self, supernet: Supernet, progress: float) -> Draw:
        """Return one architecture."""
        return Draw(dict(supernet.space.sample(supernet.rng)))
