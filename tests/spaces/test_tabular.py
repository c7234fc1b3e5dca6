"""Networks for tables: what the embeddings compute, and that decisions count."""

from __future__ import annotations

import functools
import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from tests import processes

import archwright as aw
from archwright import spaces
from archwright.cost import count_flops
from archwright.export import export_network
from archwright.space import Space
from archwright.spaces._tabular import CategoryEmbedding, ColumnAttention, ColumnLinear, Numbers, Periodic, Piecewise


def test_the_embedding_of_a_category_is_a_row_of_a_table() -> None:
    torch.manual_seed(0)
    columns = [0, 3, 0, 2]
    x = torch.tensor([[0.5, 0, 1, 0, -2.0, 1, 0], [1.5, 0, 0, 0, 3.0, 0, 1]])
    assert Numbers(columns)(x).tolist() == [[0.5, -2.0], [1.5, 3.0]]
    layer = CategoryEmbedding(columns, 4)
    found = layer(x)
    assert found.shape == (2, 2, 4)
    colours, shapes = layer.layers
    assert torch.allclose(found[0, 0], colours.weight[:, 1] + colours.bias, atol=1e-6)
    assert torch.allclose(found[1, 0], colours.bias, atol=1e-6)  # an unknown category
    assert torch.allclose(found[1, 1], shapes.weight[:, 1] + shapes.bias, atol=1e-6)


def test_each_column_of_numbers_has_a_linear_layer_of_its_own() -> None:
    layer, x = ColumnLinear(2, 3, 4), torch.randn(5, 2, 3)
    for column in range(2):
        wanted = x[:, column] @ layer.weight[column] + layer.bias[column]
        assert torch.allclose(layer(x)[:, column], wanted, atol=1e-6)


def test_periodic_encoding() -> None:
    layer = Periodic(1, 2, 1.0)
    with torch.no_grad():
        layer.frequencies.copy_(torch.tensor([[0.25, 1.0]]))
    angle = math.pi / 2 * 0.5
    wanted = [math.cos(angle), math.cos(math.pi), math.sin(angle), math.sin(math.pi)]
    assert layer(torch.tensor([[0.5]]))[0, 0].tolist() == pytest.approx(wanted, abs=1e-6)


def test_piecewise_linear_encoding() -> None:
    layer = Piecewise([[0.0, 1.0, 2.0, 4.0, 8.0], [-1.0, 0.0, 0.0, 0.0, 1.0]], 4)
    found = layer(torch.tensor([[3.0, 0.5], [-5.0, -0.5], [9.0, 2.0]]))
    assert found[:, 0].tolist() == [[1, 1, 0.5, 0], [0, 0, 0, 0], [1, 1, 1, 1]]
    assert found[:, 1].tolist() == [[1, 1, 1, 0.5], [0.5, 0, 0, 0], [1, 1, 1, 1]]
    assert Piecewise([[0.0, 1.0, 2.0, 4.0, 8.0]], 2)(torch.tensor([[5.0]]))[0, 0].tolist() == [1, 0.5]


def test_attention_does_not_depend_on_the_order_of_the_columns() -> None:
    torch.manual_seed(0)
    block = ColumnAttention(16, 4, 0.2).eval()
    x = torch.randn(2, 5, 16)
    order = torch.tensor([3, 0, 4, 2, 1])
    assert torch.allclose(block(x)[:, order], block(x[:, order]), atol=1e-5)


@functools.cache
def of_six_features() -> Space:
    return spaces.create("tabular", input_shape=(6,), columns=(0, 0, 4))


def plain(space: Space, **changes: Any) -> Any:
    """Return an architecture whose decisions have their first values but for some."""
    first = {name: next(iter(decision.values())) for name, decision in space.decisions.items()}
    return space.canonical({**first, "embedding": "none", "tokens": "linear", **changes})


@pytest.mark.parametrize(
    ("fixed", "name"),
    [
        ({"family": "mlp"}, "mlp.width"),
        ({"family": "mlp"}, "mlp.depth"),
        ({"family": "mlp", "embedding": "linear"}, "embedding.width"),
        ({"family": "resnet", "embedding": "periodic"}, "frequencies"),
        ({"family": "mlp", "embedding": "piecewise"}, "bins"),
        ({"family": "resnet"}, "resnet.width"),
        ({"family": "resnet"}, "resnet.depth"),
        ({"family": "resnet"}, "resnet.factor"),
        ({"family": "transformer"}, "transformer.width"),
        ({"family": "transformer"}, "transformer.depth"),
        ({"family": "transformer"}, "transformer.factor"),
        ({"family": "transformer", "tokens": "piecewise"}, "bins"),
    ],
)
def test_the_size_of_every_decision_shows_in_parameters_and_operations(fixed: dict[str, str], name: str) -> None:
    space = of_six_features()
    sizes = []
    for value in space.decisions[name].values():
        network = space.build(plain(space, **fixed, **{name: value}))
        parameters = sum(each.numel() for each in network.parameters())
        sizes.append((parameters, count_flops(network.eval(), [torch.zeros(1, 6)])))
    for one, other in itertools.pairwise(sizes):
        assert one[0] < other[0]
        assert one[1] < other[1]


def test_a_table_of_categories_alone_has_no_numbers_to_encode() -> None:
    space = spaces.create("tabular", input_shape=(7,), columns=(3, 4))
    assert list(space.decisions["embedding"].values()) == ["none", "linear"]
    assert not {"tokens", "bins", "sigma", "frequencies"} & space.decisions.keys()
    for seed in range(6):
        assert space.build(space.sample(np.random.default_rng(seed)))(torch.zeros(2, 7)).shape == (2, 10)


def test_known_designs_are_of_every_family() -> None:
    for columns in (None, (0, 0, 4), (2, 4)):
        space = spaces.create("tabular", input_shape=(6,), columns=columns)
        assert [each["family"] for each in spaces.starts(space)] == ["mlp", "mlp", "resnet", "transformer"]


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    lines = []
    for row in range(120):
        size, colour = rng.normal(), "uvw"[rng.integers(3)]
        label = "yes" if (abs(size) > 0.7) ^ (colour == "u") else "no"
        lines.append(f"{'' if row % 9 == 0 else f'{size:.3f}'},{colour},{rng.exponential():.3f},{label}")
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["size,colour,time,y", *lines]) + "\n")
    return path


def test_the_space_of_data_knows_their_columns(table) -> None:
    data = aw.data(table)
    task = aw.tasks.as_task(data)
    assert data.groups == task.space_options["columns"] == (0, 1, 3, 0)
    first, last = task.space_options["quantiles"]
    values = data.normalise(data.train.inputs)[:, -1].numpy()
    assert last == pytest.approx(np.quantile(values, np.linspace(0, 1, 17)), rel=1e-3, abs=1e-3)
    assert list(first) == sorted(first)
    space = spaces.create("tabular", **task.space_options)
    assert aw.data("iris").groups == (0, 0, 0, 0)
    assert spaces.create("mlp", **spaces.fitting("mlp", task.space_options)).example_input == space.example_input


@pytest.mark.parametrize("start", range(4))
def test_a_network_is_shipped_as_trained(table, tmp_path, start) -> None:
    task = aw.task(table)
    space = spaces.create("tabular", **task.space_options)
    known = spaces.starts(space)[start]
    study = aw.search(
        "tabular",
        aw.Training(task, epochs=1, final_epochs=1),
        strategy="random",
        starts=[known],
        budget=aw.Budget(trials=1),
        path=tmp_path / "run",
    )
    assert study.best is not None
    assert study.best.architecture == known
    export_network(tmp_path / "run", tmp_path / "network")
    done = processes.run(tmp_path / "network" / "predict.py", table, "--json")
    assert done.returncode == 0, done.stderr
    found = [each["probabilities"]["yes"] for each in json.loads(done.stdout)["predictions"]]
    assert found == pytest.approx([each.probabilities["yes"] for each in study.predict(table)], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"family": "transformer", "tokens": "piecewise"}, {"embedding": "periodic"}])
def test_onnx_takes_batches_of_any_size(tmp_path, changes) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from archwright.build import write_onnx

    space = of_six_features()
    network = space.build(plain(space, **changes)).eval()
    write_onnx(network, space.example_input, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for size in (1, 2, 5):
        x = torch.randn(size, 6)
        (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        assert np.allclose(found, network(x).detach(), atol=1e-4)
