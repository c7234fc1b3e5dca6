"""What every proxy keeps, whatever it measures."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tests.proxies.networks import NETWORKS, UNDEFINED, batch, convnet, mlp
from torch import nn

from archwright import proxies
from archwright.errors import CostError, EvaluationError
from archwright.proxies import Proxy

SINGLE = [name for name in proxies.names() if name != "az-nas"]


def defined(network: str) -> list[str]:
    return [name for name in SINGLE if (network, name) not in UNDEFINED]


def state(model: nn.Module) -> dict[str, Any]:
    """Return all that a pass could have left changed."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        "values": {name: value.clone() for name, value in model.state_dict().items()},
        "places": {name: (value.data_ptr(), value.dtype) for name, value in model.state_dict().items()},
        "grads": [(weight.requires_grad, weight.grad) for weight in model.parameters()],
        "modules": [
            (module.training, sorted(vars(module)), *(len(getattr(module, hook)) for hook in hooks))
            for module in model.modules()
        ],
    }


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) or isinstance(other, torch.Tensor):
        return isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", proxies.names())
def test_nothing_is_changed(name: str, network: str) -> None:
    make, shape = NETWORKS[network]
    model = make().train()
    next(iter(model.children())).eval()  # modes differ within the network
    next(model.parameters()).grad = torch.ones_like(next(model.parameters()))
    inputs, targets = batch(*shape)
    before, random, given = state(model), torch.get_rng_state(), inputs.clone()
    proxies.score(model, inputs, targets, name, undefined=math.nan)
    assert same(state(model), before)
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.equal(inputs, given)
    assert not inputs.requires_grad
    assert inputs.grad is None


def test_nothing_is_changed_by_a_network_that_fails() -> None:
    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(5)
            self.weight = nn.Parameter(torch.ones(5, 5))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            self.norm(inputs)
            raise MemoryError("too large")

    model = Late()
    before = state(model)
    for name in SINGLE:
        if name != "parameters":
            with pytest.raises((MemoryError, CostError), match="too large"):
                proxies.score(model, *batch(5), name)
            assert same(state(model), before)


@pytest.mark.parametrize("network", NETWORKS)
def test_scores_asked_together_are_those_asked_one_by_one(network: str) -> None:
    make, shape = NETWORKS[network]
    model = make()
    together = proxies.score(model, *batch(*shape), defined(network), seed=3)
    assert list(together) == defined(network)
    for name, value in together.items():
        alone = proxies.score(model, *batch(*shape), name, seed=3)
        assert alone == {name: pytest.approx(value, rel=1e-5, abs=1e-7)}


def test_the_order_in_which_they_are_asked_does_not_matter() -> None:
    forth = proxies.score(convnet(), *batch(3, 8, 8), SINGLE)
    back = proxies.score(convnet(), *batch(3, 8, 8), SINGLE[::-1])
    assert list(back) == SINGLE[::-1]
    assert back == pytest.approx(forth, rel=1e-6)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_seed_decides_what_is_drawn(network: str) -> None:
    make, shape = NETWORKS[network]

    def scores(seed: int) -> dict[str, float]:
        return proxies.score(make(), *batch(*shape), defined(network), seed=seed)

    torch.manual_seed(1)
    first = scores(0)
    torch.manual_seed(2)
    assert scores(0) == first
    drawn = {name for name, value in scores(1).items() if value != first[name]}
    assert drawn == {"trainability", "zen"} & set(first)


def test_the_layout_in_memory_changes_nothing() -> None:
    inputs, targets = batch(3, 8, 8)
    plain = proxies.score(convnet(), inputs, targets, SINGLE)
    last = torch.channels_last
    laid_out = proxies.score(convnet().to(memory_format=last), inputs.contiguous(memory_format=last), targets, SINGLE)
    # A gradient's sign may hang on its last digit, which zico's quotient shows.
    assert laid_out == {
        name: pytest.approx(value, rel=2e-2 if name == "zico" else 1e-4) for name, value in plain.items()
    }


@pytest.mark.parametrize("network", NETWORKS)
def test_bf16_gives_about_the_same(network: str) -> None:
    make, shape = NETWORKS[network]
    inputs, targets = batch(*shape)
    exact = proxies.score(make(), inputs, targets, defined(network))
    rough = proxies.score(make().bfloat16(), inputs.bfloat16(), targets, defined(network))
    unsteady = {"grasp", "naswot", "zico", "progressivity"}  # small differences of large numbers, signs
    assert {name: value for name, value in rough.items() if name not in unsteady} == {
        name: pytest.approx(value, rel=0.1, abs=0.02) for name, value in exact.items() if name not in unsteady
    }
    assert all(math.isfinite(value) for value in rough.values())


def test_the_mode_of_the_network_does_not_matter() -> None:
    inputs, targets = batch(3, 8, 8)
    assert proxies.score(convnet().eval(), inputs, targets, SINGLE) == proxies.score(
        convnet().train(), inputs, targets, SINGLE
    )


def test_the_callers_mode_of_autograd_does_not_matter() -> None:
    inputs, targets = batch(5)
    wanted = proxies.score(mlp(), inputs, targets, SINGLE)
    with torch.no_grad():
        assert proxies.score(mlp(), inputs, targets, SINGLE) == wanted


def test_each_has_a_line_that_describes_it_and_a_paper() -> None:
    assert {"naswot", "jacov", "synflow", "snip", "grad-norm", "grasp", "fisher", "zen", "zico", "az-nas"} <= set(
        proxies.names()
    )
    for entry in proxies.entries():
        assert entry.summary.endswith(".")
        assert "20" in (entry.make.__doc__ or ""), "the year of its paper"
        assert proxies.name_of(proxies.create(entry.name)) == entry.name


def test_a_proxy_of_ones_own_shares_the_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Largest(Proxy):
        """The largest gradient."""

        needs = frozenset({"gradients"})

        def score(self, passes: proxies.Passes) -> float:
            return max(float(gradient.abs().max()) for gradient in passes.gradients)

    monkeypatch.setattr(proxies._base._classes._registry, "_entries", dict(proxies._base._classes._registry._entries))
    proxies.register("largest")(Largest)
    model, runs = mlp(), []
    model.register_forward_hook(lambda *_: runs.append(1))
    scores = proxies.score(model, *batch(5), ["snip", Largest(), "fisher", "jacov", "grasp"])
    assert list(scores) == ["snip", "largest", "fisher", "jacov", "grasp"]
    assert runs == [1]
    Largest.needs = frozenset()
    with pytest.raises(EvaluationError, match="proxy 'largest': it looks at 'gradients', which it does not declare"):
        proxies.score(model, *batch(5), "largest")
