"""PC-DARTS: options see some of the channels only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from archwright.errors import ArchwrightError, RelaxationError
from archwright.space import Choice, Subset
from archwright.supernet._base import Relaxation, register
from archwright.supernet._frame import Mix
from archwright.supernet._leaf import Made
from archwright.supernet._observe import observed, on_meta, visits

if TYPE_CHECKING:
    from archwright.supernet._nodes import Visit
    from archwright.supernet._supernet import Supernet

__all__ = ["Partial"]


@register("partial")
@dataclass(frozen=True)
class Partial(Relaxation):
    """A softmax over options that see one channel in so many; the others go past them (PC-DARTS).

    Xu, Xie, Zhang, Chen, Qi, Tian and Xiong, "PC-DARTS: Partial channel connections for memory-efficient architecture
    search", ICLR 2020. The values that a node sums up are weighed by a softmax of their own (edge normalisation). A
    branch is run partially where an option has weights and all options keep the number of channels: a choice between
    activations is not. Neither is a branch inside of one that is.

    Args:
        channels: One in so many channels goes through the options, 1 or more.
    """

    edges: ClassVar[bool] = True

    channels: int = 4

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        self.check_count("channels")

    def prepare(self, supernet: Supernet) -> frozenset[str]:
        """Return the names of the branches that are run partially, in all sizes that they have.

        Raises:
            RelaxationError: One of them cannot be; the message names it.
        """
        with on_meta(supernet):
            met = [visit for values in supernet._probes() for visit in self._met(supernet, values)]
            whole = {visit.branch.name for visit in met if not self._fits(supernet, visit)}
            partial = [visit for visit in met if visit.branch.name not in whole]
            weighted = {visit.branch.name for visit in partial if self._has_weights(supernet, visit)}
            partial = [visit for visit in partial if visit.branch.name in weighted]
            for visit in partial:
                self._try(visit)
        return frozenset(weighted)

    def branch(self, supernet: Supernet, name: str, decision: Choice | Subset, progress: float) -> Mix:
        """Return the mixture of a branch."""
        mix = super().branch(supernet, name, decision, progress)
        return replace(mix, channels=self.channels) if name in supernet.plan else mix

    def mix(self, supernet: Supernet, logits: Tensor, progress: float) -> Mix:
        """Return the options weighed by the softmax of their logits."""
        return Mix(logits.softmax(dim=0))

    def _met(self, supernet: Supernet, values: object) -> list[Visit]:
        try:
            return visits(supernet, values)  # type: ignore[arg-type]  # as the probes are
        except ArchwrightError:
            raise
        except Exception:  # sizes that a constraint forbids are probed too, and any layer may refuse them
            if not supernet.space.where:
                raise
            return []

    def _fits(self, supernet: Supernet, visit: Visit) -> bool:
        """Tell whether all options of a branch take one image or row of channels, and keep their number."""
        if len(visit.inputs) != 1 or visit.inputs[0].ndim not in (3, 4, 5):
            return False
        (x,) = visit.inputs
        for node in visit.branch.nodes:
            result = x if node is None else observed(supernet, node, visit.inputs, visit.frame)[1]
            if not isinstance(result, Tensor) or result.shape[:2] != x.shape[:2]:
                return False
        return True

    def _has_weights(self, supernet: Supernet, visit: Visit) -> bool:
        return any(
            isinstance(part, Made) and any(slot.is_parameter for slot in part.slots)
            for node in visit.branch.nodes
            if node is not None
            for part in observed(supernet, node, visit.inputs, visit.frame)[0]
        )

    def _try(self, visit: Visit) -> None:
        name, count = visit.branch.name, visit.inputs[0].shape[1]
        if count % self.channels:
            raise RelaxationError(
                f"{name}: {count} channels cannot be divided by channels={self.channels}; take channels=2 or another "
                f"that divides them"
            )
        mixes = {**visit.frame.draw.mixes, name: Mix(channels=self.channels)}
        frame = visit.frame.drawing(replace(visit.frame.draw, mixes=mixes))
        try:
            visit.branch.terms(visit.inputs, frame)
        except RelaxationError as error:
            raise RelaxationError(f"{name}: {error}") from error
