from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from tests.supernet import relaxing
from torch.distributions import Dirichlet as Distribution

from archwright import nn
from archwright.errors import RelaxationError
from archwright.space import Space, choice, integer, ordinal, repeat
from archwright.supernet import Draw, Supernet, create, names
from archwright.supernet._dirichlet import concentration
from archwright.supernet._unrolled import _cut_off

MIXTURES = ["softmax", "partial"]
GIVEN = relaxing.batch((3,), 2)
SEEN = relaxing.batch((1, 4, 4), 3)


# ---------------------------------------------------------------------- gradients


@pytest.mark.parametrize("relaxation", MIXTURES)
@pytest.mark.parametrize("progress", [0.0, 0.7])
def test_the_gradient_of_a_mixture_is_its_slope(relaxation: str, progress: float) -> None:
    settings: dict[str, Any] = {"start": 2.0, "end": 0.5} if relaxation == "softmax" else {"channels": 2}
    supernet = relaxing.made(relaxing.image(), create(relaxation, **settings))
    state = supernet.rng.bit_generator.state

    def loss() -> torch.Tensor:
        return relaxing.loss_of(supernet, relaxing.at(supernet, state, progress), SEEN)

    learned = supernet.arch_parameters()
    found = torch.autograd.grad(loss(), learned)
    for got, logits in zip(found, learned, strict=True):
        torch.testing.assert_close(got, relaxing.slope(loss, logits), rtol=1e-4, atol=1e-8)
    assert max(float(each.abs().max()) for each in found) > 1e-4


def test_the_temperature_divides_logits() -> None:
    supernet = relaxing.made(relaxing.smooth(), create("softmax", start=2.0, end=0.5))
    for progress, heat in ((0.0, 2.0), (0.5, 1.25), (1.0, 0.5)):
        weights = supernet.draw(progress).mixes["one"].weights
        assert weights is not None
        torch.testing.assert_close(weights, torch.softmax(supernet.logits["one"] / heat, 0))


def test_the_gradient_of_gumbel_is_that_of_the_noisy_softmax() -> None:
    supernet = relaxing.made(relaxing.smooth(), "gumbel")
    state = supernet.rng.bit_generator.state
    draw = relaxing.at(supernet, state)
    mixed, still, leaves = _cut_off(draw)
    by_weight = torch.autograd.grad(relaxing.loss_of(supernet, still, GIVEN), leaves)
    found = torch.autograd.grad(
        relaxing.loss_of(supernet, draw, GIVEN), [supernet.logits["one"], supernet.logits["two"]]
    )
    rng = np.random.default_rng(0)
    rng.bit_generator.state = state
    for name, weight, values, got in zip(("one", "two"), mixed, by_weight, found, strict=True):
        noise = torch.from_numpy(rng.gumbel(size=3))
        logits = supernet.logits[name]
        (taken,) = draw.mixes[name].active or ()
        assert taken == int((logits + noise).argmax())
        assert weight.tolist() == [float(number == taken) for number in range(3)]  # exactly

        def soft(logits: torch.Tensor = logits, noise: torch.Tensor = noise, c: torch.Tensor = values) -> torch.Tensor:
            heat = 10.0 + 0.3 * (0.1 - 10.0)
            return (c * torch.softmax((torch.log_softmax(logits, 0) + noise) / heat, 0)).sum()

        torch.testing.assert_close(got, relaxing.slope(soft, logits), rtol=1e-5, atol=1e-10)


def test_gumbel_draws_as_often_as_the_softmax_says_and_runs_nothing_else() -> None:
    supernet = relaxing.made(relaxing.smooth(), "gumbel")
    counts = np.zeros(3)
    for _ in range(2000):
        (taken,) = supernet.draw(0.9).mixes["one"].active or ()
        counts[taken] += 1
    expected = torch.softmax(supernet.logits["one"].detach(), 0).numpy()
    assert np.abs(counts / 2000 - expected).max() < 4 * np.sqrt(0.25 / 2000)


def test_dirichlet_weights_and_gradients_are_those_of_torch() -> None:
    supernet = relaxing.made(relaxing.smooth(), "dirichlet")
    state = supernet.rng.bit_generator.state
    weights = relaxing.at(supernet, state).mixes["one"].weights
    assert weights is not None
    rng = np.random.default_rng(0)
    rng.bit_generator.state = state
    factors = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    logits = supernet.logits["one"]
    (found,) = torch.autograd.grad((weights * factors).sum(), logits)
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(int(rng.integers(2**63)))
        beta = torch.where(logits > 0, logits + 1, logits.exp()).detach().requires_grad_()  # elu + 1
        reference = Distribution(beta).rsample()
    (by_beta,) = torch.autograd.grad((reference * factors).sum(), beta)
    torch.testing.assert_close(weights, reference)
    torch.testing.assert_close(found, by_beta * relaxing_slope_of_concentration(logits))


def relaxing_slope_of_concentration(logits: torch.Tensor) -> torch.Tensor:
    return relaxing.slope(lambda: concentration(logits).sum(), logits)


def test_the_mean_gradient_of_dirichlet_is_that_of_the_mean() -> None:
    supernet = relaxing.made(relaxing.smooth(), "dirichlet")
    logits = supernet.logits["one"]
    found = []
    for _ in range(3000):
        weights = supernet.draw().mixes["one"].weights
        assert weights is not None
        found.append(torch.autograd.grad(weights[0], logits)[0])
    each = torch.stack(found)
    error = each.std(0) / len(found) ** 0.5
    expected = relaxing.slope(lambda: concentration(logits)[0] / concentration(logits).sum(), logits)
    assert ((each.mean(0) - expected).abs() < 4 * error).all()


@pytest.mark.parametrize("regulariser", ["l2", "kl"])
def test_the_regulariser_is_zero_at_one_and_has_its_slope(regulariser: str) -> None:
    supernet = relaxing.made(relaxing.smooth(), create("dirichlet", regulariser=regulariser))
    logits = supernet.logits["one"]

    def penalty() -> torch.Tensor:
        found = supernet.relaxation.penalty(supernet)
        assert isinstance(found, torch.Tensor)
        return found

    (found,) = torch.autograd.grad(penalty(), logits)
    torch.testing.assert_close(found, relaxing.slope(penalty, logits), rtol=1e-4, atol=1e-9)
    assert penalty() > 0
    with torch.no_grad():
        for each in supernet.logits.values():
            each.zero_()
    assert penalty().item() == pytest.approx(0.0, abs=1e-12)


def test_the_score_function_is_the_slope_of_the_expected_loss() -> None:
    space = Space(
        model=nn.Sequential(nn.Linear(3, ordinal(2, 3, 5, name="w")), nn.Tanh(), nn.LazyLinear(2)), example_input=(3,)
    )
    supernet = relaxing.made(space, "softmax")
    training = relaxing.trainer(supernet, relaxing.table())
    logits = supernet.logits["w"]
    losses = [relaxing.loss_of(supernet, Draw({"w": width}), GIVEN).detach() for width in (2, 3, 5)]

    def expected() -> torch.Tensor:
        return (torch.softmax(logits, 0) * torch.stack(losses)).sum()

    mean = torch.zeros_like(logits)
    for index, width in enumerate((2, 3, 5)):
        likely = torch.log_softmax(logits, 0)
        draw = Draw({"w": width}, log_probs={"w": likely[index]})
        loss = relaxing.loss_of(supernet, draw, GIVEN)
        supernet.baseline.copy_(torch.tensor([0.3, 0.6]))  # any baseline: it does not change the expectation
        (found,) = torch.autograd.grad(training.surrogate(draw, loss), logits)
        mean += likely[index].detach().exp() * found
    torch.testing.assert_close(mean, relaxing.slope(expected, logits), rtol=1e-5, atol=1e-10)


# ---------------------------------------------------------------------- partial channels


def test_only_branches_with_weights_are_run_partially() -> None:
    supernet = Supernet(relaxing.image(), create("partial", channels=2))
    draw = supernet.draw()
    assert draw.mixes["activation"].channels == 1
    assert {draw.mixes[name].channels for name in supernet.branches if "edge" in name} == {2}
    assert set(draw.edges) == {"cell.node_2", "cell.node_3"}  # node 1 has but one edge
    for weights in draw.edges.values():
        assert float(weights.sum()) == pytest.approx(1.0)


def test_what_is_left_out_passes_by() -> None:
    options = {"conv": nn.Conv2d(8, 8, 1, bias=False), "skip": nn.Identity()}
    supernet = Supernet(Space(model=nn.Sequential(choice(options, name="op")), example_input=(8, 2, 2)), "partial")
    with torch.no_grad():
        supernet.logits["op"].copy_(torch.tensor([0.7, 0.0]))
        x = torch.randn(2, 8, 2, 2)
        share = torch.softmax(supernet.logits["op"], 0)
        weight = next(supernet.bank.parameters())[:2, :2]
        worked = share[0] * torch.nn.functional.conv2d(x[:, :2], weight) + share[1] * x[:, :2]
        expected = torch.cat([worked, x[:, 2:]], 1).reshape(2, 4, 2, 2, 2).transpose(1, 2).reshape(2, 8, 2, 2)
        torch.testing.assert_close(supernet(x), expected)


@pytest.mark.parametrize(
    ("options", "channels", "says"),
    [
        ({"conv": nn.Conv2d(6, 6, 1), "skip": nn.Identity()}, 4, "op: 6 channels cannot be divided by channels=4"),
        ({"group": nn.GroupNorm(2, 8), "skip": nn.Identity()}, 4, "cannot be run on a part of its channels"),
    ],
)
def test_what_cannot_be_run_partially_is_refused_at_once(options: Any, channels: int, says: str) -> None:
    width = 6 if "conv" in options else 8
    space = Space(model=nn.Sequential(choice(options, name="op")), example_input=(width, 2, 2))
    with pytest.raises(RelaxationError, match=says) as raised:
        Supernet(space, create("partial", channels=channels))
    assert "op" in str(raised.value)


def test_a_branch_that_changes_the_channels_is_run_whole() -> None:
    options = {"one": nn.Conv2d(4, 8, 1), "three": nn.Conv2d(4, 8, 3, padding=1)}
    space = Space(model=nn.Sequential(choice(options, name="op")), example_input=(4, 2, 2))
    supernet = Supernet(space, "partial")
    assert supernet.draw().mixes["op"].channels == 1
    assert supernet(torch.zeros(1, 4, 2, 2)).shape == (1, 8, 2, 2)


# ---------------------------------------------------------------------- fairness


def test_each_option_is_in_one_path_of_a_step() -> None:
    four = choice(*[nn.Linear(4, 4) for _ in range(4)], name="four")
    two = choice(nn.Tanh(), nn.ReLU(), name="two")
    space = Space(
        model=nn.Sequential(nn.LazyLinear(4), four, two, repeat(lambda _: nn.Linear(4, 4), 1, 3, name="depth")),
        example_input=(3,),
        rate=integer(1, 1000),
    )
    supernet = Supernet(space, "fair")
    for _ in range(5):
        paths = supernet.relaxation.paths(supernet)  # type: ignore[attr-defined]  # FairNAS
        assert len(paths) == 4
        assert sorted(str(path["four"]) for path in paths) == sorted(map(str, space.decisions["four"].values()))
        assert sorted(str(path["two"]) for path in paths) == sorted(2 * list(map(str, space.decisions["two"].values())))
        depths = [sum(path["depth"] == depth for path in paths) for depth in (1, 2, 3)]
        assert sorted(depths) == [1, 1, 2]


def test_each_edge_is_kept_as_often_as_any_other() -> None:
    supernet = Supernet(relaxing.image(), "fair")
    (name,) = (name for name, each in supernet.branches.items() if name.endswith("node_3"))
    paths = supernet.relaxation.paths(supernet)  # type: ignore[attr-defined]  # FairNAS
    assert len(paths) == 3
    kept = [label for path in paths for label in path[name]]
    assert sorted(kept) == sorted(2 * list(supernet.branches[name].labels))


def test_fair_paths_keep_constraints() -> None:
    a, b = (choice(*[nn.Linear(4, 4) for _ in range(3)], name=name) for name in "ab")
    space = Space(model=nn.Sequential(a, b), example_input=(4,), where=[lambda values: values["a"] != values["b"]])
    supernet = Supernet(space, "fair")
    for _ in range(10):
        paths = supernet.relaxation.paths(supernet)  # type: ignore[attr-defined]  # FairNAS
        assert all(path["a"] != path["b"] for path in paths)
        assert len({str(path["a"]) for path in paths}) == len({str(path["b"]) for path in paths}) == 3


def test_a_fair_step_has_the_mean_gradient_of_its_paths() -> None:
    supernet = Supernet(relaxing.smooth(), "fair", seed=2)
    training = relaxing.trainer(supernet, relaxing.table(), optimizer=lambda weights: torch.optim.SGD(weights, lr=1.0))
    given = (GIVEN[0].float(), GIVEN[1])
    state = supernet.rng.bit_generator.state
    paths = supernet.relaxation.paths(supernet)  # type: ignore[attr-defined]  # FairNAS
    supernet.rng.bit_generator.state = state
    weights = supernet.weight_parameters()
    total = sum(training.loss(Draw(path), given) for path in paths) / len(paths)
    expected = torch.autograd.grad(total, weights)
    supernet.relaxation.weight_step(training, given)
    for weight, wanted in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight.grad, wanted)


# ---------------------------------------------------------------------- the sandwich


def sizes() -> Space:
    width = ordinal(2, 4, 8, name="width")
    act = choice(nn.Tanh(), nn.ReLU(), name="act")
    body = repeat(lambda _: nn.Linear(width, width), 1, 3, name="depth")
    return Space(model=nn.Sequential(nn.Linear(3, width), act, body, nn.Linear(width, 2)), example_input=(3,))


def test_a_sandwich_has_the_largest_and_the_smallest() -> None:
    supernet = Supernet(sizes(), create("sandwich", random=3))
    draws = supernet.relaxation.sandwich(supernet, 0.0)  # type: ignore[attr-defined]  # BigNAS
    assert len(draws) == 5
    assert (draws[0].values["width"], draws[0].values["depth"]) == (8, 3)
    assert (draws[1].values["width"], draws[1].values["depth"]) == (2, 1)


def test_sizes_open_from_the_largest_down() -> None:
    supernet = Supernet(sizes(), create("sandwich", shrink=True))
    seen = {}
    for progress in (0.0, 0.2, 1.0):
        seen[progress] = {supernet.draw(progress).values["width"] for _ in range(60)}
    assert seen == {0.0: {8}, 0.2: {4, 8}, 1.0: {2, 4, 8}}


def test_the_others_learn_from_the_scores_of_the_largest() -> None:
    supernet = Supernet(sizes(), create("sandwich", random=1), seed=2)
    training = relaxing.trainer(supernet, relaxing.table(), optimizer=lambda weights: torch.optim.SGD(weights, lr=1.0))
    given = (GIVEN[0].float(), GIVEN[1])
    state = supernet.rng.bit_generator.state
    largest, *others = supernet.relaxation.sandwich(supernet, 0.0)  # type: ignore[attr-defined]  # BigNAS
    supernet.rng.bit_generator.state = state
    teacher = training.outputs(largest, given[0])
    taught = teacher.detach().log_softmax(1)
    total = training.loss(largest, given)
    for draw in others:  # the divergence from the teacher has the gradient of the cross-entropy
        scores = training.outputs(draw, given[0]).log_softmax(1)
        total = total + torch.nn.functional.kl_div(scores, taught, log_target=True, reduction="batchmean")
    weights = supernet.weight_parameters()
    expected = torch.autograd.grad(total / 3, weights)
    own = training.loss(largest, given).item()
    assert supernet.relaxation.weight_step(training, given).item() == pytest.approx(own)
    for weight, wanted in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight.grad, wanted, rtol=1e-4, atol=1e-6)


# ---------------------------------------------------------------------- laws of all


@pytest.mark.parametrize(
    ("relaxation", "settings"),
    [
        *[(name, {"channels": 2} if name == "partial" else {}) for name in names()],
        ("softmax", {"order": 2}),
        ("gates", {"cost": "latency"}),  # which is not measured again
        ("sandwich", {"shrink": True}),
    ],
)
def test_a_training_that_was_stopped_goes_on_bit_by_bit(relaxation: str, settings: dict[str, Any]) -> None:
    data = relaxing.pictures()

    def fresh() -> Any:
        supernet = Supernet(relaxing.image(), create(relaxation, warmup=0.0, **settings), seed=4)
        return relaxing.trainer(supernet, data)

    torch.manual_seed(7)
    whole = fresh()
    whole.epoch()
    state = copy.deepcopy(whole.state())
    first = whole.epoch()
    torch.manual_seed(1234)
    resumed = fresh()
    resumed.load_state(state)
    assert resumed.epoch() == first
    for name, value in whole.supernet.state_dict().items():
        assert torch.equal(value, resumed.supernet.state_dict()[name]), name
    if resumed.supernet.relaxation.learns:
        assert resumed.preferred(3) == whole.preferred(3)


@pytest.mark.parametrize("relaxation", names())
def test_draws_leave_the_global_generators_alone(relaxation: str) -> None:
    settings: dict[str, Any] = {"channels": 2} if relaxation == "partial" else {}
    torch.manual_seed(3)
    before = torch.get_rng_state()
    drawn = []
    for noise in (0, 1):
        supernet = Supernet(relaxing.image(), create(relaxation, **settings), seed=4)
        assert torch.equal(torch.get_rng_state(), before)
        drawn.append([supernet.draw(0.5) for _ in range(4)])
        assert torch.equal(torch.get_rng_state(), before)
        torch.rand(noise)
        before = torch.get_rng_state()
    for first, second in zip(*drawn, strict=True):
        assert first.values == second.values
        for name, mix in first.mixes.items():
            other = second.mixes[name]
            assert mix.active == other.active
            assert mix.weights is None or torch.equal(mix.weights, other.weights)  # type: ignore[arg-type]  # as long


@pytest.mark.parametrize("relaxation", names())
def test_each_trains_and_derives_what_is_in_the_space(relaxation: str) -> None:
    width = ordinal(4, 8, name="width")
    op = choice({"conv": nn.Conv2d(width, width, 3, padding=1), "skip": nn.Identity()}, name="op")
    space = Space(
        model=nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            repeat(lambda _: op, 1, 2, name="depth"),
            choice(nn.Tanh(), nn.ReLU(), name="act"),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(ordinal(0.0, 0.2, name="dropout")),
            nn.LazyLinear(3),
        ),
        example_input=(1, 4, 4),
        where=[lambda values: not (values["width"] == 8 and values["depth"] == 2)],
    )
    settings: dict[str, Any] = {"channels": 2} if relaxation == "partial" else {}
    supernet = Supernet(space, create(relaxation, warmup=0.0, **settings))
    training = relaxing.trainer(supernet, relaxing.pictures())
    assert np.isfinite(training.epoch()["loss"])
    if supernet.relaxation.learns:
        found = training.preferred(4)
        assert len(set(found)) == len(found) > 0
        assert all(each in space for each in found)
    else:
        with pytest.raises(RelaxationError, match="learns no preference"):
            training.preferred(1)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("softmax", {"order": 3}),
        ("softmax", {"start": 0.0}),
        ("partial", {"channels": 0}),
        ("gumbel", {"end": -1.0}),
        ("dirichlet", {"regulariser": "l1"}),
        ("fair", {"most": 0}),
        ("sandwich", {"random": -1}),
        ("controller", {"entropy": 1.0}),
        ("controller", {"samples": 0}),
        ("gates", {"cost": "money"}),
        ("gates", {"cost_weight": 0.0}),
        ("gates", {"warmup": 1.0}),
    ],
)
def test_settings_out_of_range_are_refused(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(RelaxationError, match=next(iter(settings))):
        create(name, **settings)
