"""einspace: its operations, and known designs in it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from archwright import spaces
from archwright.spaces._einspace import Col2Im, Im2Col, Product, SinePositions


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2)])
def test_columns_are_those_of_unfold_and_lead_back(kernel: int, stride: int) -> None:
    image = torch.randn(2, 3, 7, 5)
    columns = Im2Col(kernel, stride)(image)
    assert torch.equal(columns, F.unfold(image, kernel, padding=kernel // 2, stride=stride).transpose(1, 2))
    convolution = nn.Conv2d(3, 4, kernel, stride, padding=kernel // 2)
    features = columns @ convolution.weight.flatten(1).T + convolution.bias
    torch.testing.assert_close(Col2Im(stride)(features, image), convolution(image))


def test_products_and_positions() -> None:
    first, second = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    torch.testing.assert_close(Product(False)(first, second), torch.einsum("nif,njf->nij", first, second))
    torch.testing.assert_close(Product(True)(first, second), torch.einsum("nif,njf->nij", first, second) / 2)
    added = SinePositions()(torch.zeros(1, 3, 4))[0]
    expected = [[np.sin(p), np.cos(p), np.sin(p / 100), np.cos(p / 100)] for p in range(3)]
    torch.testing.assert_close(added, torch.tensor(expected, dtype=torch.float32))


def test_a_transformer_is_in_it() -> None:
    """The second start is attention and a feed-forward layer: beside the formula, with its own weights."""
    space = spaces.create("einspace", input_shape=(3, 8, 8), classes=3, width=8)
    residual, transformer = spaces.starts(space)
    assert "reduce" in residual.values()
    network = space.build(transformer).eval()
    weights = list(network.parameters())
    x = torch.randn(2, 3, 8, 8)
    image = F.conv2d(x, weights[0], weights[1], stride=1)
    columns = image.flatten(2).transpose(1, 2) @ weights[2].T + weights[3]
    columns = SinePositions()(columns)
    rest = weights[4:-2]
    (g1, b1, q, qb, k, kb, v, vb, g2, b2, up, ub, down, db) = rest
    normed = F.layer_norm(columns, (8,), g1, b1)
    scores = ((normed @ q.T + qb) @ (normed @ k.T + kb).transpose(1, 2) / 8**0.5).softmax(-1)
    columns = columns + scores @ (normed @ v.T + vb)
    normed = F.layer_norm(columns, (8,), g2, b2)
    columns = columns + F.leaky_relu(normed @ up.T + ub) @ down.T + db
    torch.testing.assert_close(network(x), columns.mean(1) @ weights[-2].T + weights[-1], rtol=1e-4, atol=1e-5)


def test_samples_are_of_many_sizes() -> None:
    space, rng = spaces.create("einspace", input_shape=(1, 8, 8), width=8), np.random.default_rng(0)
    sizes = [len(space.sample(rng)) for _ in range(300)]
    assert np.quantile(sizes, 0.25) < 6
    assert 30 < np.quantile(sizes, 0.95) < 1000
