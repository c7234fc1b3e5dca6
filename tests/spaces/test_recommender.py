"""The networks of the space `recommender`."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from archwright import spaces
from archwright.errors import SpaceError
from archwright.space import Space


@pytest.fixture(scope="module")
def space() -> Space:
    return spaces.create("recommender", users=6, items=9, widths=(4, 8))


def built(space: Space, **decisions: Any) -> torch.nn.Module:
    first = {name: next(iter(decision.values())) for name, decision in space.decisions.items()}
    torch.manual_seed(0)
    return space.build(space.canonical({**first, **decisions})).eval()


def every_pair() -> torch.Tensor:
    return torch.cartesian_prod(torch.arange(7), torch.arange(10))


def test_matrix_factorisation_is_biases_and_a_scalar_product(space: Space) -> None:
    network = built(space, wide="yes", shallow="dot", depth=0, combination="product", embedding="shared")
    parameters = dict(network.named_parameters())
    embeddings = {name: weight for name, weight in parameters.items() if name.endswith(("user.weight", "item.weight"))}
    assert sorted(weight.shape[1] for weight in embeddings.values()) == [1, 1, 4, 4]
    table = network(every_pair()).view(7, 10)
    centred = (table - table.mean(0) - table.mean(1, keepdim=True) + table.mean()).detach()
    assert torch.linalg.matrix_rank(centred, atol=1e-6) <= 4


def test_unknown_ones_have_no_embedding(space: Space) -> None:
    network = built(space, wide="yes", shallow="dot", depth=0, combination="product")
    unknown = network(torch.tensor([[0, 1], [0, 2]]))
    items = {name: weight for name, weight in network.named_parameters() if weight.shape == (10, 1)}
    (bias,) = items.values()
    assert torch.allclose(unknown[0] - unknown[1], bias[1] - bias[2], atol=1e-6)
    network(torch.tensor([[0, 0]])).sum().backward()
    for name, weight in network.named_parameters():
        if name.endswith(("user.weight", "item.weight")):
            assert not weight.grad[0].any()


@pytest.mark.parametrize("embedding", ["shared", "own"])
def test_the_deep_part_may_have_embeddings_of_its_own(space: Space, embedding: str) -> None:
    network = built(space, embedding=embedding, shallow="dot", wide="no", depth=1)
    tables = [each for each in network.modules() if isinstance(each, torch.nn.Embedding)]
    assert len(tables) == (2 if embedding == "shared" else 4)


def test_known_designs_come_first(space: Space) -> None:
    assert [(each["wide"], each["shallow"], each["depth"]) for each in spaces.starts(space)] == [
        ("yes", "dot", 0),
        ("yes", "dot", 2),
        ("no", "product", 3),
    ]


@pytest.mark.parametrize(
    ("operation", "wanted"),
    [
        ("sum", lambda u, i: u + i),
        ("product", lambda u, i: u * i),
        ("cross", lambda u, i: u),
        ("gate", lambda u, i: u / 2),
    ],
)
def test_blocks_of_a_cell_are_what_they_are_called(space: Space, operation: str, wanted: Any) -> None:
    names = ("left", "user"), ("right", "item")
    blocks = {f"block_{index}.{side}": field for index in range(3) for side, field in names}
    network = built(
        space, wide="no", shallow="none", deep="cell", **blocks, **{f"block_{k}.operation": operation for k in range(3)}
    )
    user, item = (each.weight.detach() for each in network.modules() if isinstance(each, torch.nn.Embedding))
    *_, last = (each for each in network.modules() if isinstance(each, torch.nn.Linear))
    with torch.no_grad():
        for each in network.modules():
            if isinstance(each, torch.nn.Linear) and each is not last:
                each.weight.zero_()
                each.bias.zero_()
        pairs = every_pair()
        block = wanted(user[pairs[:, 0]], item[pairs[:, 1]])
        assert torch.allclose(network(pairs), last(torch.cat([block] * 3, 1)), atol=1e-6)


@pytest.mark.parametrize("options", [{"classes": 0}, {"users": 0}, {"widths": ()}, {"input_shape": (3,)}])
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(SpaceError, match="recommender"):
        spaces.create("recommender", **options)
