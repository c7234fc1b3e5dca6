"""PC-DARTS: mixtures on a fraction of the channels."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from archwright._checks import check_counts
from archwright.errors import ArchwrightError, RelaxationError
from archwright.space import Choice, Subset, decisions_in
from archwright.supernet._base import Relaxation, register
from archwright.supernet._dry_run import observed, on_meta, probes, visits
from archwright.supernet._execution import Mix
from archwright.supernet._sized import SizedLayer

if TYPE_CHECKING:
    from archwright.supernet._nodes import Visit
    from archwright.supernet._supernet import Supernet


@register("partial")
@dataclass(frozen=True)
class Partial(Relaxation):
    """A softmax mixture on a fraction of the channels; the others bypass it (PC-DARTS).

    Xu, Xie, Zhang, Chen, Qi, Tian and Xiong, "PC-DARTS: Partial channel connections for memory-efficient architecture
    search", ICLR 2020. The inputs of a node are weighted by a softmax (edge normalisation). A branch is partial if an
    option has weights and all options preserve the number of channels; a choice between activations is not, nor is a
    branch inside a partial one.

    Args:
        channels: The reciprocal of the fraction of channels that pass through the options, 1 or more.

    Example:
        >>> model = aw.choice(nn.Conv2d(8, 8, 1), nn.Identity(), name="op")
        >>> supernet = aw.Supernet(aw.Space(model=model, example_input=(8, 4, 4)), aw.supernet.Partial(channels=4))
        >>> supernet.draw().mixes["op"].channels
        4
    """

    edges: ClassVar[bool] = True

    channels: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "channels")

    def prepare(self, supernet: Supernet) -> frozenset[str]:
        """Return the names of the branches that are run partially, in all sizes that they have.

        Raises:
            RelaxationError: One of them cannot be; the message names it.
        """
        with on_meta(supernet):
            found = (visit for values in probes(supernet) for visit in self._met(supernet, values))
            met = list({_circumstances(supernet, visit): visit for visit in found}.values())
            looks = [self._look(supernet, visit) for visit in met]
            whole = {visit.branch.name for visit, (fits, _) in zip(met, looks, strict=True) if not fits}
            weighted = {visit.branch.name for visit, (_, has) in zip(met, looks, strict=True) if has} - whole
            for visit in met:
                if visit.branch.name in weighted:
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

    def _look(self, supernet: Supernet, visit: Visit) -> tuple[bool, bool]:
        """Tell whether all options of a branch keep the number of channels, and whether one of them has weights."""
        if len(visit.inputs) != 1 or visit.inputs[0].ndim not in (3, 4, 5):
            return False, False
        (x,) = visit.inputs
        has_weights = False
        for node in visit.branch.nodes:
            if node is not None:
                met, result = observed(supernet, node, visit.inputs, visit.context)
                if not isinstance(result, Tensor) or result.shape[:2] != x.shape[:2]:
                    return False, False
                slots = [slot for made in met if isinstance(made, SizedLayer) for slot in made.slots]
                has_weights = has_weights or any(slot.is_parameter for slot in slots)
        return True, has_weights

    def _try(self, visit: Visit) -> None:
        name, count = visit.branch.name, visit.inputs[0].shape[1]
        if count % self.channels:
            raise RelaxationError(
                f"{name}: {count} channels cannot be divided by channels={self.channels}; take channels=2 or another "
                f"that divides them"
            )
        mixes = {**visit.context.draw.mixes, name: Mix(channels=self.channels)}
        context = visit.context.drawing(replace(visit.context.draw, mixes=mixes))
        try:
            visit.branch.terms(visit.inputs, context)
        except RelaxationError as error:
            raise RelaxationError(f"{name}: {error}") from error


def _circumstances(supernet: Supernet, visit: Visit) -> Hashable:
    """Return all on which it depends what shapes the options of a branch give."""
    branch, context = visit.branch, visit.context
    inside = (supernet.space.program.names[decision] for decision in decisions_in(branch.choice))
    sizes = tuple((name, context.draw.values[name]) for name in inside if name not in supernet.branches)
    shapes = tuple(each.shape for each in visit.inputs)
    return id(branch), shapes, sizes, tuple((blank, repr(value)) for blank, value in context.filled.items())
