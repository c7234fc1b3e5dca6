"""How a supernet is executed: what a pass runs (`Draw`, `Mix`), its context, and what all parts share (`Engine`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from archwright.space import Blank, Program, Value
from archwright.supernet._weights import SharedWeights


@dataclass(frozen=True)
class Mix:
    """A weighted sum of the options of a decision.

    Args:
        weights: (n,) weights of the options; `None` for 1 each.
        active: Indices of the options that are computed; `None` for all. Others count as zero.
        channels: The reciprocal of the fraction of channels that pass through the options; the others bypass them.

    Example:
        >>> supernet = aw.Supernet(aw.Space(model=aw.choice(nn.Identity(), nn.ReLU(), name="act"), example_input=(1,)))
        >>> draw = aw.supernet.Draw({}, mixes={"act": aw.supernet.Mix(torch.tensor([0.25, 0.75]))})
        >>> supernet.run(draw, torch.tensor([[-1.0]])).item()
        -0.25
    """

    weights: Tensor | None = None
    active: tuple[int, ...] | None = None
    channels: int = 1


@dataclass(frozen=True)
class Draw:
    """What a forward pass of a supernet computes: values of decisions, and mixtures of others.

    Args:
        values: Values of decisions, by name.
        mixes: Mixtures, by the decision's name.
        edges: (operands,) weights of the inputs of a node of a cell, by the node's name.
        log_probs: () log-probabilities of sampled values, by the decision's name.

    Example:
        >>> supernet = aw.Supernet(aw.Space(model=aw.choice(nn.Identity(), nn.ReLU(), name="act"), example_input=(1,)))
        >>> supernet.run(aw.supernet.Draw({"act": "Identity()"}), torch.tensor([[-1.0]])).item()
        -1.0
    """

    values: Mapping[str, Value]
    mixes: Mapping[str, Mix] = field(default_factory=dict)
    edges: Mapping[str, Tensor] = field(default_factory=dict)
    log_probs: Mapping[str, Tensor] = field(default_factory=dict)

    def decided(self, values: Mapping[str, Value]) -> Draw:
        """Return the draw with some more decisions made."""
        if not values:
            return self
        mixes = {name: mix for name, mix in self.mixes.items() if name not in values}
        log_probs = {name: each for name, each in self.log_probs.items() if name not in values}
        return Draw({**self.values, **values}, mixes, self.edges, log_probs)


@dataclass(eq=False, slots=True)
class Context:
    """A draw while it is run, with the blanks of templates filled in."""

    draw: Draw
    filled: Mapping[Blank, Any] = field(default_factory=dict)
    divisor: int = 1  # how many times fewer channels layers have than they would
    used: set[str] = field(default_factory=set)  # the names of the values that were asked for; added to while running
    # Of the decisions that are mixed, the values of those options inside of which something is run.
    taken: tuple[tuple[str, Value], ...] = ()
    # In a graph: what layers that have no state gave, by what they do and by the `id` of what they were given, which is
    # kept beside it. Edges that begin alike share that work.
    shared: dict[tuple[str, int], tuple[Tensor, Any]] | None = None

    def value(self, name: str) -> Value:
        """Return what was decided."""
        self.used.add(name)
        return self.draw.values[name]

    def within(self, filled: Mapping[Blank, Any]) -> Context:
        """Return a context with other blanks filled in."""
        return replace(self, filled=filled)

    def drawing(self, draw: Draw) -> Context:
        """Return a context in which something else is run."""
        return replace(self, draw=draw)

    def taking(self, name: str, value: Value) -> Context:
        """Return a context inside of an option of a decision that is mixed."""
        return replace(self, taken=(*self.taken, (name, value)))

    def narrowed(self, divisor: int) -> Context:
        """Return a context in which layers have fewer channels."""
        return replace(self, divisor=self.divisor * divisor)


class Engine:
    """What all parts of a supernet share."""

    def __init__(self, program: Program, bank: SharedWeights) -> None:
        self.program = program
        self.bank = bank
        # The greatest value of each decision, by name.
        self.high = {name: each.decode([1.0] * each.width) for name, each in program.decisions.items()}
        self.discovering = False  # whether shapes are being found out
        self.remembers = False  # whether a shape that was found out is not found out again
        self.device = "meta"  # where they are found out: "meta", or "cpu" if something cannot be run there
        self.training = True  # whether layers run in training mode
        self.context: Context | None = None  # what is being run
        # Branches and layers in the order in which they were run, while somebody wants to know; else None.
        self.met: list[Any] | None = None

    @property
    def finds_shapes(self) -> bool:
        """Whether nothing but the shape of a value counts, and each is found out once."""
        return self.discovering and self.remembers and self.device == "meta"

    def meet(self, part: Any) -> None:
        """Take down that a branch or a layer is run."""
        if self.met is not None:
            self.met.append(part)
