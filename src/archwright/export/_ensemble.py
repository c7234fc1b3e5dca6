"""An ensemble as one network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archwright._fields import fields, items, number
from archwright._words import counted
from archwright.space import Apply, Architecture, Graph, Input, Space, as_specs, lazy, restore, write_callable

if TYPE_CHECKING:
    import torch


class Members:
    """The members of an ensemble, which make one network: it combines the outputs of theirs.

    Args:
        architectures: The members.
        weights: The weight of each.
        combination: The class of the module that combines the outputs, made with the weights; or its name, as
            `archwright.space.write_callable` gives it.

    Example:
        >>> from archwright.export import Members
        >>> from archwright.tasks import MeanOutputs
        >>> space = aw.Space(model=nn.Linear(4, aw.choice(2, name="width")), example_input=(4,))
        >>> networks = [torch.nn.Linear(4, 2) for _ in range(2)]
        >>> ensemble = Members([aw.Architecture({"width": 2})] * 2, [0.75, 0.25], MeanOutputs).join(space, networks)
        >>> x = torch.rand(3, 4)
        >>> torch.allclose(ensemble(x), 0.75 * networks[0](x) + 0.25 * networks[1](x))
        True
    """

    def __init__(
        self,
        architectures: Sequence[Architecture],
        weights: Sequence[float],
        combination: type[torch.nn.Module] | Mapping[str, Any],
    ) -> None:
        self.architectures, self.weights = tuple(architectures), tuple(weights)
        self._combination = combination

    @classmethod
    def from_json(cls, written: object) -> Members:
        """Return the members written by `to_json`.

        Raises:
            ValueError: A field is missing or invalid; the message names it.
            ArchitectureError: An architecture is invalid.
        """
        said = fields(written, "'ensemble'", "members", "combination")
        members = [fields(each, "a member", "decisions", "weight") for each in items(said["members"], "'members'")]
        return cls(
            [Architecture.from_json(each["decisions"]) for each in members],
            [number(each["weight"], "'weight'", least=0.0) for each in members],
            fields(said["combination"], "'combination'"),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the members as a JSON object."""
        members = zip(self.architectures, self.weights, strict=True)
        combination = self._combination
        return {
            "members": [{"weight": weight, "decisions": each.to_json()} for each, weight in members],
            "combination": write_callable(combination) if isinstance(combination, type) else dict(combination),
        }

    def build(self, space: Space, example_input: Any = None) -> torch.nn.Module:
        """Return the network of the ensemble, untrained; its members are `member_0`, `member_1`, ...

        Args:
            space: The space of the members.
            example_input: Their input; by default that of the space.
        """
        from archwright.build import instantiate, size_lazy_layers

        network: torch.nn.Module = instantiate(self._closed(space, example_input))
        specs = as_specs(example_input) or space.example_input
        if specs is not None:
            size_lazy_layers(network, specs)
        return network

    def join(self, space: Space, networks: Sequence[torch.nn.Module], example_input: Any = None) -> torch.nn.Module:
        """Return the network of the ensemble with the weights of trained members, in evaluation mode, on the CPU."""
        joined = self.build(space, example_input)
        for place, network in enumerate(networks):
            joined.get_submodule(f"member_{place}").load_state_dict(network.state_dict())
        return joined.eval()

    def source(self, space: Space, example_input: Any = None, *, imports: Sequence[str] | None = None) -> str:
        """Return the text of model.py; the arguments are those of `archwright.build.source`."""
        from archwright.build import closed_source

        closed, specs = self._closed(space, example_input), as_specs(example_input) or space.example_input
        title = f"Ensemble of {counted(len(self.architectures), 'network')} in plain PyTorch."
        return closed_source(closed, specs, title, space.imports if imports is None else imports)

    def _closed(self, space: Space, example_input: Any) -> Graph:
        from archwright.build import closed_model

        combination = self._combination if isinstance(self._combination, type) else restore(self._combination)
        specs = as_specs(example_input) or space.example_input
        inputs = tuple(map(Input, range(1 if specs is None else len(specs))))
        outputs = [
            Apply(closed_model(space, architecture, example_input)[0], inputs, f"member_{place}")
            for place, architecture in enumerate(self.architectures)
        ]
        combined = Apply(lazy(combination)(self.weights), tuple(outputs), "combination")
        return Graph(inputs, combined, "ensemble")
