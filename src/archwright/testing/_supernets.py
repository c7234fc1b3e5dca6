"""Conformance tests of supernets."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from archwright.errors import RelaxationError
from archwright.space import Architecture, Space

if TYPE_CHECKING:
    from archwright.supernet import Draw, Relaxation, Supernet


class SupernetSuite:
    """Conformance tests of a supernet: its paths are the networks of the space, and a relaxation derives one.

    Attributes:
        samples: Number of compared architectures.
        draws: Number of draws of the relaxation.

    Example:
        >>> class TestMine(aw.testing.SupernetSuite):
        ...     @pytest.fixture
        ...     def relaxation(self):
        ...         return aw.supernet.Softmax(end=0.1)
    """

    samples = 3
    draws = 4

    @pytest.fixture
    def space(self) -> Space:
        """The space; a subclass gives it, with a model and an `example_input`."""
        raise NotImplementedError(f"{type(self).__name__} gives no fixture named 'space'")

    @pytest.fixture
    def relaxation(self) -> str | Relaxation:
        """The relaxation, or its name; a subclass may give another."""
        return "softmax"

    @pytest.fixture
    def supernet(self, space: Space, relaxation: str | Relaxation) -> Supernet:
        """The supernet under test, in double precision; a subclass may keep it, for the laws leave it usable."""
        from archwright.supernet import Supernet

        return Supernet(space, relaxation).double()

    def inputs(self, supernet: Supernet) -> list[Any]:
        """Return a batch of two; to be overridden for integer inputs."""
        from archwright.build import drawn_for

        drawn = drawn_for(supernet.example_input)
        return [each.double() if each.is_floating_point() else each for each in drawn]

    def drawn(self, space: Space) -> list[Architecture]:
        """Return architectures of the space."""
        rng = np.random.default_rng(0)
        return [space.sample(rng) for _ in range(self.samples)]

    def test_a_path_is_the_network(self, supernet: Supernet) -> None:
        """A path, the extracted network, and the built and written ones with its weights compute the same."""
        inputs = self.inputs(supernet)
        supernet.train()(*inputs)  # statistics of batch normalisation move away from where they begin
        for architecture in self.drawn(supernet.space):
            check_path(supernet, architecture, inputs)

    def test_a_network_has_weights_of_its_own(self, supernet: Supernet) -> None:
        """What happens to an extracted network does not reach the supernet."""
        import torch

        inputs, architecture = self.inputs(supernet), self.drawn(supernet.space)[0]
        path = supernet.eval().select(architecture)
        with torch.no_grad():
            before = path(*inputs)
            for tensor in supernet.extract(architecture).state_dict().values():
                tensor.zero_()
            torch.testing.assert_close(path(*inputs), before, rtol=0, atol=0)

    def test_draws_are_copied_with_the_supernet(self, supernet: Supernet) -> None:
        """What is drawn depends on the supernet alone, not on global generators."""
        import torch

        twin = copy.deepcopy(supernet)
        held = torch.random.get_rng_state()
        drawn = [_described(supernet.draw(index / self.draws)) for index in range(self.draws)]
        assert torch.equal(torch.random.get_rng_state(), held)
        with torch.random.fork_rng(devices=[]):
            torch.random.manual_seed(12345)
            again = [_described(twin.draw(index / self.draws)) for index in range(self.draws)]
        assert again == drawn

    def test_a_draw_runs_and_can_be_learned_from(self, supernet: Supernet) -> None:
        """Outputs of a draw are finite; gradients of weights and logits are finite, and not all zero."""
        import torch
        from torch.utils._pytree import tree_leaves

        inputs, learned = self.inputs(supernet), supernet.arch_parameters()
        supernet.train().zero_grad()
        is_learned = False
        for index in range(self.draws):
            draw = supernet.draw(index / self.draws)
            weights = [*(mix.weights for mix in draw.mixes.values()), *draw.edges.values(), *draw.log_probs.values()]
            is_learned = is_learned or any(each is not None and each.requires_grad for each in weights)
            loss: Any = torch.stack([each.square().mean() for each in tree_leaves(supernet.run(draw, *inputs))]).mean()
            assert torch.isfinite(loss)
            score = sum(draw.log_probs.values(), torch.zeros((), dtype=loss.dtype))
            if (loss + score).requires_grad:
                (loss + score).backward()
        grads = [each.grad for each in supernet.parameters() if each.grad is not None]
        assert all(torch.isfinite(grad).all() for grad in grads)
        if is_learned:  # others learn by what they draw in a step of the training
            assert any(each.grad is not None and each.grad.abs().sum() > 0 for each in learned)
        supernet.zero_grad()

    def test_what_is_derived_belongs_to_the_space(self, supernet: Supernet) -> None:
        """What is derived is an architecture of the space, always the same; or there is nothing to derive."""
        if not supernet.relaxation.learns:
            with pytest.raises(RelaxationError, match="nothing can be derived"):
                supernet.derive()
            return
        derived = supernet.derive()
        assert derived in supernet.space
        assert supernet.derive() == derived
        shares = supernet.probabilities()
        assert set(shares) <= set(supernet.space.decisions)
        for share in shares.values():
            assert (share >= 0).all()
            assert abs(float(share.sum()) - 1) < 1e-6

    def test_evaluation_changes_nothing(self, supernet: Supernet) -> None:
        """In evaluation mode the outputs of a path do not depend on other passes, and weights do not change."""
        import torch

        inputs, architectures = self.inputs(supernet), self.drawn(supernet.space)
        paths = [supernet.eval().select(architecture) for architecture in architectures]
        with torch.no_grad():
            first = [path(*inputs) for path in paths]
            held = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
            second = [path(*inputs) for path in reversed(paths)][::-1]
        torch.testing.assert_close(second, first, rtol=0, atol=0)
        now = supernet.state_dict()
        assert all(torch.equal(now[name], tensor) for name, tensor in held.items())

    def test_a_state_is_taken_over(self, supernet: Supernet) -> None:
        """A supernet that was given the state of another computes as that one does."""
        import torch

        inputs, path = self.inputs(supernet), self.drawn(supernet.space)[0]
        with torch.no_grad():
            first = supernet.eval().select(path)(*inputs)
            twin = copy.deepcopy(supernet)
            for parameter in twin.parameters():
                parameter.fill_(0.5)
            assert twin.load_state_dict(supernet.state_dict())
            torch.testing.assert_close(twin.select(path)(*inputs), first, rtol=0, atol=0)


def check_path(supernet: Supernet, architecture: Architecture, inputs: list[Any]) -> None:
    """Check that all networks of an architecture are one, in evaluation mode; the supernet is in double precision."""
    import torch

    space, example = supernet.space, supernet.example_input
    supernet.eval()
    extracted = supernet.extract(architecture)
    assert not [each for each in extracted.modules() if type(each).__module__.startswith("archwright.supernet")]
    own = {id(parameter) for parameter in supernet.parameters()}
    assert not [each for each in extracted.parameters() if id(each) in own]
    held = torch.random.get_rng_state()
    built = space.build(architecture, example)
    namespace: dict[str, Any] = {"__name__": "written"}
    exec(compile(space.source(architecture, example), "<source>", "exec", dont_inherit=True), namespace)
    networks = {"extracted": extracted, "built": built, "written": namespace["build"]()}
    torch.random.set_rng_state(held)
    with torch.no_grad():
        path = supernet.select(architecture)(*inputs)
        for name, network in networks.items():
            network.to(dtype=torch.float64).eval()
            assert list(network.state_dict()) == list(extracted.state_dict()), name
            network.load_state_dict(extracted.state_dict())
            found = {name: network(*inputs)}
            torch.testing.assert_close(found, {name: path}, rtol=1e-9, atol=1e-11)


def _described(draw: Draw) -> Any:
    mixes = {
        name: (mix.active, mix.channels, None if mix.weights is None else mix.weights.tolist())
        for name, mix in draw.mixes.items()
    }
    edges = {name: weights.tolist() for name, weights in draw.edges.items()}
    return dict(draw.values), mixes, edges, {name: each.item() for name, each in draw.log_probs.items()}
