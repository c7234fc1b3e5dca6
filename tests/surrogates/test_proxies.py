"""Zero-cost proxies of networks that were not run."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

import archwright as aw
from archwright import nn, proxies
from archwright.errors import StrategyError
from archwright.surrogates import KERNELS, GaussianProcess, Proxies, ProxyModel, kernel_for, terms_for
from archwright.surrogates._ridge import Ridge

NB201 = {"C": 4, "N": 1, "input_shape": (3, 8, 8)}


def sampled(space, count, seed):
    rng = np.random.default_rng(seed)
    return list(dict.fromkeys(space.sample(rng) for _ in range(count)))


def networks(*activations, widths=(4, 8, 16, 32)):
    """Two layers and what stands between them."""
    chosen = aw.choice({each: getattr(nn, each)() for each in activations}, name="activation")
    model = nn.Sequential(nn.Linear(6, aw.ordinal(*widths, name="width")), chosen, nn.LazyLinear(3))
    return aw.Space(model=model, example_input=(6,))


# ---------------------------------------------------------------------- what is predicted


@pytest.mark.parametrize(
    ("name", "options", "bounds"),
    [
        ("nasbench201", NB201, {"naswot": 0.85, "synflow": 0.85, "expressivity": 0.25, "progressivity": 0.25}),
        pytest.param(
            "resnet",
            {"input_shape": (3, 8, 8)},
            {"synflow": 0.8, "expressivity": 0.7, "progressivity": 0.4},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["nasbench201", "resnet"],
)
def test_networks_that_were_not_scored_rank_as_they_would(name, options, bounds):
    space = aw.spaces.create(name, **options)
    model, seen = ProxyModel(space), set(sampled(space, 48, seed=0))
    others = [architecture for architecture in sampled(space, 30, seed=1) if architecture not in seen]
    inputs = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(9))
    targets = torch.zeros(8, dtype=torch.int64)
    with torch.random.fork_rng():
        torch.manual_seed(9)
        scores = [
            proxies.score(space.build(a), inputs, targets, model.names, undefined=math.nan) for a in others
        ]  # other weights and another batch
    predicted = dict(zip(model.names, model.predict(others).T, strict=True))
    for proxy, bound in bounds.items():
        real = np.array([score[proxy] for score in scores])
        there = ~np.isnan(real)
        assert there.sum() > 20
        assert spearmanr(predicted[proxy][there], real[there]).statistic > bound, proxy


def test_wider_networks_have_the_greater_flow():
    """SynFlow sums over the weights of two layers: the wider, the greater."""
    space = networks("ReLU")
    model = ProxyModel(space)
    synflow = model.predict(list(space.enumerate()))[:, model.names.index("synflow")]
    assert (np.diff(synflow) > 0).all()


def test_it_follows_from_the_seed_alone_and_leaves_the_generators_alone():
    space = networks("ReLU", "Tanh")
    listed = list(space.enumerate())
    first = ProxyModel(space, seed=3).predict(listed)
    torch.manual_seed(5)
    states = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    np.testing.assert_array_equal(ProxyModel(space, seed=3).predict(listed), first)
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()
    assert random.getstate() == states[2]
    assert not np.array_equal(ProxyModel(space, seed=4).predict(listed), first)


# ---------------------------------------------------------------------- what is undefined


def test_a_proxy_that_is_undefined_for_all_is_dropped():
    space = networks("GELU", "Tanh")
    model = ProxyModel(space)
    assert model.names == ("synflow", "expressivity")  # no piecewise linear unit, and one block before the head
    assert model.predict(list(space.enumerate())).shape == (8, 2)


def test_a_proxy_goes_by_the_networks_for_which_it_is_defined():
    """Those without a ReLU have no codes: NASWOT follows from the others, as though the others were all there are."""
    mixed, alone = networks("ReLU", "GELU", widths=(16, 32, 64)), networks("ReLU", widths=(16, 32, 64))
    model = ProxyModel(mixed)
    assert "naswot" in model.names
    predicted = model.predict(list(mixed.enumerate()))
    assert np.isfinite(predicted).all()
    of_relu = [a for a in mixed.enumerate() if a["activation"] == "ReLU"]
    naswot = model.predict(of_relu)[:, model.names.index("naswot")]
    other = ProxyModel(alone)
    np.testing.assert_allclose(
        naswot, other.predict(list(alone.enumerate()))[:, other.names.index("naswot")], rtol=0.02
    )


def test_the_regression_leaves_out_what_is_not_a_number():
    rng = np.random.default_rng(0)
    space = aw.Space(**{f"e{i}": aw.choice(*"abc") for i in range(3)})
    listed = list(space.enumerate())
    values = rng.standard_normal((len(listed), 2))
    values[::3, 0] = np.nan

    def see(architectures):
        return {"decisions": np.array([space.encode(a) for a in architectures]).reshape(len(architectures), -1)}

    def fitted(architectures, numbers):
        return Ridge(see, architectures, numbers, costs=False, penalties=(1e-4, 1e-2)).predict(listed)

    there = ~np.isnan(values[:, 0])
    found = fitted(listed, values)
    alone = fitted([a for a, kept in zip(listed, there, strict=True) if kept], values[there, :1])
    np.testing.assert_allclose(found[:, :1], alone)
    np.testing.assert_allclose(found[:, 1:], fitted(listed, values[:, 1:]))


def test_a_space_none_of_whose_networks_can_be_built():
    space = aw.Space(model=nn.Conv2d(4, aw.choice(6, 7), 1, groups=4))
    space = aw.Space.from_json({**space.to_json(), "example_input": [{"shape": [4, 2, 2], "dtype": "float32"}]})
    model = ProxyModel(space)
    assert model.names == ()
    assert model.predict(list(space.enumerate())).shape == (2, 0)
    fitted = GaussianProcess("proxies").fit(
        space, list(space.enumerate()), np.array([1.0, 2.0]), np.random.default_rng(0)
    )
    assert np.isfinite(fitted.predict(list(space.enumerate()))).all()


# ---------------------------------------------------------------------- the kernel


def test_the_kernel_is_that_of_networks_and_the_proxies():
    space = networks("ReLU", "Tanh")
    assert KERNELS["proxies"] == (*KERNELS["network"], Proxies)
    assert terms_for(space, "proxies") == [*terms_for(space, "network"), Proxies]
    rows = kernel_for(space, "proxies")[-1].inputs(list(space.enumerate()))
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(rows.std(0), 1)


def test_it_learns_the_slope_of_the_proxies():
    """Of what is a weighted sum of proxies it knows the rest after a few, and a kernel of decisions does not."""
    space = aw.spaces.create("digits-cells")
    listed = sampled(space, 110, seed=2)
    (rows,) = (term.inputs(listed) for term in kernel_for(space, "proxies") if isinstance(term, Proxies))
    scores = rows @ np.array([1.0, -2.0, 1.5, -1.0])[: rows.shape[1]]
    off = {}
    for kernel in ("proxies", "hamming"):
        fitted = GaussianProcess(kernel).fit(space, listed[:10], scores[:10], np.random.default_rng(0))
        off[kernel] = np.abs(fitted.predict(listed[10:])[0] - scores[10:]).mean() / scores.std()
    assert off["proxies"] < 0.5 * off["hamming"]


@pytest.mark.parametrize(
    "space",
    [
        aw.Space(a=aw.choice("x", "y")),
        aw.Space(model=nn.Linear(4, aw.choice(2, 3))),
        aw.Space(model=nn.Embedding(9, aw.choice(2, 3)), example_input=torch.zeros(1, 4, dtype=torch.int64)),
    ],
    ids=["no network", "no example", "tokens"],
)
def test_spaces_without_a_network_to_score_are_refused(space):
    with pytest.raises(StrategyError, match=r"'proxies' scores networks.*example_input=.*use network, decisions"):
        terms_for(space, "proxies")
