"""The supernet of a space."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from archwright.build import closed_model, instantiate, size_lazy_layers
from archwright.errors import RelaxationError
from archwright.space import (
    MAX_PARTS,
    Architecture,
    Choice,
    Decision,
    Space,
    Subset,
    Value,
    as_specs,
    choice_of,
    decisions_in,
)
from archwright.supernet import _base
from archwright.supernet._base import Relaxation
from archwright.supernet._compile import Compiler
from archwright.supernet._dry_run import MOST, discover
from archwright.supernet._execution import Context, Draw, Engine
from archwright.supernet._weights import SharedWeights, seeded

_TRIES = 100  # draws of sizes until constraints hold
_DERIVED = 500  # draws among which the likeliest is taken, where the likeliest of all breaks a constraint


class Supernet(nn.Module):
    """A network that contains all architectures of a space, with shared weights.

    The open expression of the space is compiled once. A choice between modules is a branch: its options can run
    together. A decision that sizes layers selects a part of the largest weights. What a forward pass computes is drawn
    by the relaxation, such as a mixture of all branches, or one path; `select` computes one architecture.

    Args:
        space: The space.
        relaxation: The relaxation: a name (`archwright.supernet.names()`) or a `Relaxation`.
        example_input: The input, as for `Space`; by default that of the space.
        seed: The random seed of initial weights, logits and draws.

    Attributes:
        branches: The decisions that can be mixed, by name.
        sizes: The other decisions of the model that have logits, by name.
        logits: The trainable logits of both, by name; empty if the relaxation has none.
        decided: Values that are fixed, by name, overriding what the relaxation draws.
        plan: The state of the relaxation for this supernet; see `Relaxation.prepare`.

    Raises:
        RelaxationError: The space has no model, its input is unknown, or a layer can be neither sliced nor branched;
            the message names its path.
        ShapeError: The space's networks do not fit the input.
        UnknownName: No relaxation has that name.

    Example:
        >>> import archwright as aw, torch
        >>> from archwright import nn
        >>> space = aw.Space(model=nn.Sequential(aw.choice(nn.ReLU(), nn.Tanh(), name="act"), nn.LazyLinear(3)))
        >>> supernet = aw.Supernet(space, example_input=(4,))
        >>> supernet.select({"act": "ReLU()"})(torch.zeros(2, 4)).shape
        torch.Size([2, 3])
    """

    def __init__(
        self, space: Space, relaxation: str | Relaxation = "softmax", *, example_input: Any = None, seed: int = 0
    ) -> None:
        super().__init__()
        specs = as_specs(example_input) or space.example_input
        if "model" not in space.parts or specs is None:
            lacks = "part named 'model'" if "model" not in space.parts else "known input: give example_input"
            raise RelaxationError(f"a supernet cannot be made of {space.name or 'the space'}, which has no {lacks}")
        if space.is_recursive:
            raise RelaxationError(
                f"a supernet holds all options of all decisions side by side, {space.program.number:,} in this "
                f"recursive space; write the rules out (Space.expand) where they are few, or use another strategy, "
                f"such as 'evolution' or 'bo'"
            )
        if space.program.extent.places > MAX_PARTS:
            raise RelaxationError(
                f"a supernet holds all options of all decisions side by side: more than {MAX_PARTS:,} parts here, as "
                f"what several options share is in each of them; write it as a row or a graph of choices instead"
            )
        if example_input is not None:
            space.check(example_input)
        self.space = space
        self.relaxation = _base.create(relaxation) if isinstance(relaxation, str) else relaxation
        self.example_input = specs
        self.rng = np.random.default_rng([seed, 1])
        self.bank = SharedWeights(seed)  # the name is in the keys of checkpoints
        self._engine = Engine(space.program, self.bank)
        compiler = Compiler(self._engine)
        self._root = compiler.compile(space.parts["model"], "model")
        self._layers = compiler.layers
        self._graphs = compiler.graphs
        self.branches: Mapping[str, Choice | Subset] = compiler.branches
        self._unmixable: set[str] = set()
        if self._root is None:
            raise RelaxationError("the model of the space is None")
        discover(self)
        self.branches, self.sizes = self._divided()
        self.logits: dict[str, nn.Parameter] = {}
        self._edges: dict[str, nn.Parameter] = {}
        if self.relaxation.learns and self.relaxation.apart:
            self._add_logits(np.random.default_rng([seed, 2]))
        self.baseline: Tensor  # the moving average of the loss of sizes that were drawn, and its weight
        self.register_buffer("baseline", torch.zeros(2))
        self.used: frozenset[str] = frozenset()
        self.decided: dict[str, Value] = {}
        self.plan: Any = self.relaxation.prepare(self)

    # ------------------------------------------------------------------ running

    def forward(self, *inputs: Tensor) -> Any:
        """Compute a draw of the relaxation."""
        return self.run(self.draw(), *inputs)

    def draw(self, progress: float = 0.0) -> Draw:
        """Return the relaxation's draw for the next forward pass.

        Args:
            progress: The progress of the training, from 0 to 1.
        """
        return self.relaxation.draw(self, progress).decided(self.decided)

    def run(self, draw: Draw, *inputs: Tensor) -> Any:
        """Compute the forward pass of a draw.

        Args:
            draw: The draw, such as `Draw(architecture)`.
            *inputs: A batch for each input of the networks.
        """
        assert self._root is not None
        self._engine.training = self.training
        context = Context(draw)
        result = self._root.run(inputs, context)
        self.used = frozenset(context.used)
        return result

    def select(self, architecture: Mapping[str, Any]) -> Path:
        """Return a module that computes one architecture with the shared weights.

        Raises:
            ArchitectureError: The architecture does not belong to the space.
        """
        return Path(self, self.space.canonical(architecture))

    @torch.no_grad()
    def calibrate(self, path: nn.Module, batches: Iterable[Tensor | Sequence[Tensor]]) -> None:
        """Recompute the batch normalisation statistics for one path, since the shared ones average many paths.

        Args:
            path: The module of `select`.
            batches: Inputs.
        """
        was_training = self.training
        self.eval()
        try:
            for index, batch in enumerate(batches):
                self.bank.calibrating = 1.0 / (index + 1)
                path(*((batch,) if isinstance(batch, Tensor) else batch))
        finally:
            self.bank.calibrating = None
            self.train(was_training)

    # ------------------------------------------------------------------ architectures

    def extract(self, architecture: Mapping[str, Any]) -> nn.Module:
        """Return the network of an architecture, in plain PyTorch, with copies of its weights.

        Raises:
            ArchitectureError: The architecture does not belong to the space.
            BuildError: A layer refuses its arguments.
        """
        closed, specs = closed_model(self.space, architecture, self.example_input)
        record = self.bank.recorder(self.space.canonical(architecture))
        with seeded(self.bank.seed, "extract"):  # all weights are overwritten: nothing is drawn from outside
            module = instantiate(closed, record)
            assert specs is not None
            assert isinstance(module, nn.Module)
            size_lazy_layers(module, specs)
        slots = record.slots()
        if not self.bank.request(slots):
            self.bank.allocate()
        like = self.bank.like
        module.to(like.device, like.dtype)
        with torch.no_grad():
            for slot in slots:
                slot.tensor.copy_(self.bank.view(slot))
        return module.train(self.training)

    def derive(self) -> Architecture:
        """Return the most probable architecture.

        The most probable option of each choice; for a node that keeps some of its edges, those with the most probable
        operations (Liu et al. 2019), without "no operation". If it is infeasible, the most probable of many feasible
        samples.

        Raises:
            RelaxationError: The relaxation has no logits, or no feasible sample was found.
        """
        return self.preferred(1)[0]

    def preferred(self, count: int, rng: np.random.Generator | None = None) -> list[Architecture]:
        """Return different architectures: the derived one, then samples of the probabilities.

        Args:
            count: The maximum number.
            rng: The generator.

        Raises:
            RelaxationError: As in `derive`.
        """
        if not self.relaxation.learns:
            raise RelaxationError(
                f"the relaxation {_base.name_of(self.relaxation)!r} learns no preference, so nothing can be derived: "
                f"search over it with SupernetEvaluator and a strategy such as 'evolution'"
            )
        rng = rng or np.random.default_rng(0)
        found: dict[Architecture, None] = {}
        sample = self.relaxation.sample
        first = self.relaxation.best(self)
        if first in self.space:
            found[first] = None
        else:
            drawn = [each for each in (sample(self, rng) for _ in range(_DERIVED)) if each[1] in self.space]
            if not drawn:
                raise RelaxationError(f"none of {_DERIVED} architectures drawn from what was learned keeps `where`")
            found[max(drawn, key=lambda each: each[0])[1]] = None
        for _ in range(20 * (count - 1)):
            if len(found) >= count:
                break
            _, architecture = sample(self, rng)
            if architecture in self.space:
                found[architecture] = None
        return list(found)

    # ------------------------------------------------------------------ what is learned

    def arch_parameters(self) -> list[nn.Parameter]:
        """Return the logits, those of edges included, and the parameters of the relaxation's plan."""
        planned = self.plan.parameters() if isinstance(self.plan, nn.Module) else ()
        return [*self.logits.values(), *self._edges.values(), *planned]

    def weight_parameters(self) -> list[nn.Parameter]:
        """Return the shared weights."""
        return [each for each in self.bank.parameters() if each.requires_grad]

    def probabilities(self) -> dict[str, Tensor]:
        """Return the (n,) probabilities of the options of each decision, by name; detached, on the CPU."""
        relaxation = self.relaxation
        with torch.no_grad():
            return {
                name: (relaxation.probabilities(logits) if name in self.branches else logits.softmax(0)).cpu()
                for name, logits in self.logits.items()
            }

    def edge_weights(self) -> dict[str, Tensor]:
        """Return the (operands,) normalised weights of the inputs of each node of a cell, by name."""
        return {name: torch.softmax(logits, dim=0) for name, logits in self._edges.items()}

    def sized(self) -> tuple[dict[str, Value], dict[str, Tensor]]:
        """Sample the decisions that cannot be mixed, if possible with the constraints satisfied.

        Returns:
            Values by name, and the log-probabilities of those with logits.
        """
        likely = {name: torch.log_softmax(self.logits[name], dim=0) for name in self.sizes if name in self.logits}
        shares = {name: _shares(each.detach()) for name, each in likely.items()}
        for _ in range(_TRIES):
            values: dict[str, Value] = {}
            log_probs: dict[str, Tensor] = {}
            for name, decision in self.space.decisions.items():
                if name in likely:
                    index = int(self.rng.choice(len(shares[name]), p=shares[name]))
                    values[name] = next(itertools.islice(decision.values(), index, None))
                    log_probs[name] = likely[name][index]
                else:
                    values[name] = decision.sample(self.rng)
            if not self.space.where or self.space.canonical(values) in self.space:
                break
        return values, log_probs

    def named_edges(self) -> Iterator[tuple[Any, str]]:
        """Iterate over the nodes of cells with several inputs: the merge, and its name."""
        for graph in self._graphs:
            yield from graph.edges.items()

    # ------------------------------------------------------------------ inside

    def _add_logits(self, rng: np.random.Generator) -> None:
        led = self._led_subsets()
        for name, decision in (*self.branches.items(), *self.sizes.items()):
            if name not in led and decision.size > 1:
                self.logits[name] = self._logit(name, self.relaxation.initial(decision, rng))
        if self.relaxation.edges:
            for merge, name in self.named_edges():
                count = sum(len(getattr(part, "options", (part,))) for part in merge.operands)
                if count > 1 and name not in self._edges:
                    self._edges[name] = self._logit(f"edges/{name}", torch.zeros(count))

    def _logit(self, name: str, value: Tensor) -> nn.Parameter:
        parameter = nn.Parameter(value.float())
        self.register_parameter(f"logits/{name}".replace(".", "/"), parameter)
        return parameter

    def _led_subsets(self) -> set[str]:
        """Return the subsets of which each option is made by a choice: those choices say what it is worth."""
        found = set()
        for name, decision in self.branches.items():
            if isinstance(decision, Subset):
                choices = [choice_of(option) for option in decision.options]
                names = [None if choice is None else self.space.program.names[choice] for choice in choices]
                if all(each in self.branches for each in names):
                    found.add(name)
        return found

    def _divided(self) -> tuple[dict[str, Choice | Subset], dict[str, Decision]]:
        """Divide the decisions of the model into those that can be mixed and those that size layers."""
        names = self.space.program.names
        branches = self._mixed()
        ours = [names[decision] for decision in decisions_in(self.space.parts["model"])]
        decisions = self.space.decisions
        sizes = {name: decisions[name] for name in decisions if name in set(ours) - set(branches)}
        return branches, {name: decision for name, decision in sizes.items() if decision.size <= MOST}

    def _mixed(self) -> dict[str, Choice | Subset]:
        """Return the branches without those that size layers: options that differ in shape, and parts looked into."""
        sizing = self._unmixable.union(name for layer in self._layers if layer.is_whole for name in layer.names)
        return {name: decision for name, decision in self.branches.items() if name not in sizing}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Supernet:
        """Move or convert the weights; layers that hold parts of them are made anew."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch has no types there
        for layer in self._layers:
            layer.forget()
        return self


class Path(nn.Module):
    """One architecture of a supernet, with the shared weights.

    Args:
        supernet: The supernet.
        architecture: The architecture.

    Example:
        >>> model = nn.Sequential(aw.choice(nn.ReLU(), nn.Tanh(), name="act"), nn.Linear(4, 3))
        >>> supernet = aw.Supernet(aw.Space(model=model, example_input=(4,)), aw.supernet.Softmax())
        >>> supernet.select({"act": "Tanh()"})(torch.ones(2, 4)).shape
        torch.Size([2, 3])
    """

    def __init__(self, supernet: Supernet, architecture: Architecture) -> None:
        super().__init__()
        self.supernet = supernet
        self.architecture = architecture
        self._draw = Draw(dict(architecture))
        self.train(supernet.training)

    def forward(self, *inputs: Tensor) -> Any:
        """Compute the architecture."""
        return self.supernet.run(self._draw, *inputs)


def _shares(log_probs: Tensor) -> Any:
    shares = log_probs.double().exp().cpu().numpy()
    return shares / shares.sum()
