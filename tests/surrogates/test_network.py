from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
import torch

import archwright as aw
from archwright import nn
from archwright.cost import measures
from archwright.spaces.nasbench201 import from_string
from archwright.surrogates import CostModel, cell_features, kernel_for

NB201 = aw.spaces.create("nasbench201", C=4, N=1)
LABELS = ["skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
FEATURES = [*LABELS, "paths", "longest", "shortest", "heaviest", "unweighted", "skips alone", "pools alone"]
EDGES = ["0_1", "0_2", "1_2", "0_3", "1_3", "2_3"]


def features(text):
    """The features of a cell that are not 0, by name."""
    (row,) = cell_features(NB201, [from_string(text)])
    return {name: value for name, value in zip(FEATURES, row, strict=True) if value}


def row(operations):
    """The features of a cell, given its operations in the order of `EDGES`."""
    return cell_features(NB201, [cell(operations)])[0].tolist()


def cell(operations):
    return NB201.canonical({f"cell.edge_{edge}": operation for edge, operation in zip(EDGES, operations, strict=True)})


def random_cells(count, seed=0, operations=("none", *LABELS)):
    rng = np.random.default_rng(seed)
    return [[operations[int(i)] for i in rng.integers(len(operations), size=6)] for _ in range(count)]


# ---------------------------------------------------------------------- features of cells, by hand


def test_a_row_of_convolutions():
    assert features("|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|none~0|none~1|nor_conv_3x3~2|") == {
        "nor_conv_1x1": 1,
        "nor_conv_3x3": 2,
        "paths": 1,
        "longest": 3,
        "shortest": 3,
        "heaviest": 2,
    }


def test_many_paths():
    # Paths: conv3, pool; skip, conv1, pool; skip, conv3; skip.
    assert features(
        "|skip_connect~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|"
    ) == {
        "skip_connect": 2,
        "nor_conv_1x1": 1,
        "nor_conv_3x3": 2,
        "avg_pool_3x3": 1,
        "paths": 4,
        "longest": 1,
        "heaviest": 1,  # and none on the shortest, which is the skip alone
        "unweighted": 1,
        "skips alone": 1,
    }


def test_paths_of_pools_and_skips():
    # skip, pool: unweighted, of neither alone; pool, pool; skip; conv1.
    assert features(
        "|skip_connect~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|avg_pool_3x3~2|"
    ) == {
        "skip_connect": 2,
        "nor_conv_1x1": 1,
        "avg_pool_3x3": 3,
        "paths": 4,
        "longest": 1,
        "unweighted": 3,
        "skips alone": 1,
        "pools alone": 1,
    }


def test_operations_that_lead_nowhere_are_no_features():
    alone = features("|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|")
    assert alone == {"nor_conv_3x3": 1, "paths": 1, "longest": 1, "shortest": 1, "heaviest": 1}
    for first, second, third in itertools.product(["none", *LABELS], repeat=3):
        assert features(f"|{first}~0|+|{second}~0|{third}~1|+|nor_conv_3x3~0|none~1|none~2|") == alone
    assert features("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|none~0|none~1|none~2|") == {}
    assert features("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|") == {}


def test_node_names_make_no_difference():
    """Where no edge joins nodes 1 and 2 they can change places."""
    for a, b, _, direct, c, d in random_cells(60):
        assert row([a, b, "none", direct, c, d]) == row([b, a, "none", direct, d, c])
    # One step in between, over either of the two nodes.
    assert row(["skip_connect", "none", "none", "none", "nor_conv_3x3", "none"]) == row(
        ["none", "skip_connect", "none", "none", "none", "nor_conv_3x3"]
    )


@pytest.mark.parametrize("seed", range(8))
def test_networkx_finds_the_same_paths(seed):
    for operations in random_cells(25, seed):
        graph = nx.DiGraph()
        graph.add_nodes_from(range(4))
        for edge, operation in zip(EDGES, operations, strict=True):
            if operation != "none":
                graph.add_edge(int(edge[0]), int(edge[2]), operation=operation)
        ways = [
            [graph.edges[step]["operation"] for step in way]
            for way in nx.all_simple_edge_paths(graph, source=0, target=3)
        ]
        weighted = [sum(operation.startswith("nor_conv") for operation in way) for way in ways]
        found = dict(zip(FEATURES, row(operations), strict=True))
        assert found["paths"] == len(ways)
        assert found["longest"] == max(weighted, default=0)
        assert found["shortest"] == min(weighted, default=0)
        assert found["heaviest"] == max((way.count("nor_conv_3x3") for way in ways), default=0)
        assert found["unweighted"] == weighted.count(0)
        assert found["skips alone"] == sum(set(way) == {"skip_connect"} for way in ways)
        assert found["pools alone"] == sum(set(way) == {"avg_pool_3x3"} for way in ways)


def test_operations_on_nodes():
    space = aw.Space(
        model=nn.Sequential(
            aw.cell(
                lambda i, j: aw.choice({"none": None, "relu": nn.ReLU(), "conv": nn.Conv2d(2, 2, 3, padding=1)}),
                nodes=2,
                node=lambda j: aw.choice({"relu": nn.ReLU(), "conv": nn.Conv2d(2, 2, 3, padding=1)}),
                output="sum",
                name="cell",
            )
        ),
        example_input=(2, 3, 3),
    )
    names = ["cell.edge_0_1", "cell.edge_0_2", "cell.edge_1_2", "cell.op_1", "cell.op_2"]
    architecture = space.canonical(dict(zip(names, ["relu", "conv", "relu", "conv", "relu"], strict=True)))
    (found,) = cell_features(space, [architecture])
    # Out of node 1: relu conv. Out of node 2: conv relu, and relu conv relu relu. No path without a convolution.
    assert found.tolist() == [3, 2, 3, 1, 1, 1, 0, 0]


def test_absent_cells_have_zeros():
    made = aw.cell(lambda i, j: aw.choice({"skip": nn.Identity(), "relu": nn.ReLU()}), nodes=1, name="cell")
    space = aw.Space(model=aw.choice({"plain": nn.ReLU(), "cell": made}, name="kind"), example_input=(4,))
    listed = [space.canonical({"kind": "plain"}), space.canonical({"kind": "cell", "cell.edge_0_1": "relu"})]
    absent, present = cell_features(space, listed).tolist()
    assert not any(absent)
    assert present[:3] == [0, 1, 1]


# ---------------------------------------------------------------------- what a network costs, by hand


def test_measures_of_linear_layers():
    space = aw.Space(model=nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, aw.choice(3, 5))), example_input=(4,))
    three, five = (measures(space, {"model.2.out_features": width}) for width in (3, 5))
    assert three == (4 * 8 + 8 + 8 * 3 + 3, 2 * (4 * 8 + 8 * 3))
    assert five == (4 * 8 + 8 + 8 * 5 + 5, 2 * (4 * 8 + 8 * 5))


def test_measures_of_convolutions():
    space = aw.Space(
        model=nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=aw.choice(1, 8), bias=True),
            nn.Flatten(),
            nn.Linear(8 * 3 * 3, 2),
        ),
        example_input=(3, 6, 6),
    )
    dense, depthwise = (measures(space, {"model.2.groups": groups}) for groups in (1, 8))
    rest = 3 * 8 * 9 + 2 * 8 + 8 + 72 * 2 + 2
    assert dense == (rest + 8 * 8 * 9, 2 * (3 * 8 * 9 * 36 + 8 * 8 * 9 * 9 + 72 * 2))
    assert depthwise == (rest + 8 * 9, 2 * (3 * 8 * 9 * 36 + 8 * 9 * 9 + 72 * 2))


def test_measuring_computes_nothing_and_leaves_the_generator_alone():
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    wide = aw.Space(model=nn.Linear(200_000, aw.choice(100_000, 1)), example_input=(200_000,))
    assert measures(wide, {"model.out_features": 100_000})[0] == 200_000 * 100_000 + 100_000  # 80 GB of weights
    assert torch.equal(torch.random.get_rng_state(), before)


def test_published_numbers_of_parameters():
    """The cell of six 3x3 convolutions has 1.531546 M parameters in NAS-Bench-201, the one of none 0.073306 M."""
    space = aw.spaces.create("nasbench201")
    conv, none = (space.canonical(dict.fromkeys(space.decisions, label)) for label in ("nor_conv_3x3", "none"))
    assert measures(space, conv)[0] == 1_531_546
    assert measures(space, none)[0] == 73_306


# ---------------------------------------------------------------------- the model of costs


def errors(space, count=20, seed=5):
    """What the model predicts of architectures, and what they cost."""
    rng = np.random.default_rng(seed)
    listed = [space.sample(rng) for _ in range(count)]
    return CostModel(space).predict(listed), np.array([measures(space, one) for one in listed], dtype=float)


def test_the_costs_of_a_cell_space_are_exact():
    predicted, real = errors(NB201)
    np.testing.assert_allclose(predicted, real, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "typical"),
    [("natsbench-size", {}, 0.01), ("resnet", {"input_shape": (3, 8, 8)}, 0.7), ("mlp", {}, 0.7)],
)
def test_the_costs_of_other_spaces_are_near(name, options, typical):
    predicted, real = errors(aw.spaces.create(name, **options), count=12)
    assert np.isfinite(predicted).all()
    assert (predicted > 0).all()
    assert (np.median(np.abs(predicted - real) / real, axis=0) < typical).all()


def test_the_model_is_the_same_each_time_and_leaves_the_generators_alone():
    space = aw.Space(
        model=nn.Sequential(nn.Linear(4, aw.integer(2, 40)), nn.ReLU(), nn.LazyLinear(3)), example_input=(4,)
    )
    torch.manual_seed(0)
    states = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    listed = list(space.enumerate())
    first, second = CostModel(space).predict(listed), CostModel(space).predict(listed)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first[:, 0], [8 * a["model.0.out_features"] + 3 for a in listed], rtol=1e-5)
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()


def unchecked(*widths):
    """A space whose networks cannot be built for widths that 4 does not divide."""
    space = aw.Space(model=nn.Conv2d(4, aw.choice(*widths), 1, groups=4))
    return aw.Space.from_json({**space.to_json(), "example_input": [{"shape": [4, 2, 2], "dtype": "float32"}]})


def test_networks_that_cannot_be_built_are_left_out():
    space = unchecked(6, 8, 12, 16)
    predicted = CostModel(space).predict(list(space.enumerate()))
    assert np.isfinite(predicted).all()
    # Of 8, 12 and 16 channels: width + bias, one input channel each; 4 places.
    np.testing.assert_allclose(predicted[1:], [[16, 64], [24, 96], [32, 128]], rtol=1e-5)
    with pytest.raises(aw.errors.CostError, match="cannot be counted: model: Conv2d"):
        measures(space, {"model.out_channels": 6})


def test_a_space_of_one_network():
    space = aw.Space(model=nn.Linear(4, 3), example_input=(4,))
    only = space.sample(np.random.default_rng(0))
    np.testing.assert_allclose(CostModel(space).predict([only]), [[15, 24]])


# ---------------------------------------------------------------------- the edges of what there is


def test_edges_that_bring_no_parameters_have_no_weight():
    """Where edges and nodes decide different things, "least" is taken over both; 'pass' counts as weighted here."""
    space = aw.Space(
        model=nn.Sequential(
            aw.cell(
                lambda i, j: aw.choice({"none": None, "pass": nn.Identity()}),
                nodes=2,
                node=lambda j: aw.choice({"conv": nn.Conv2d(2, 2, 1), "relu": nn.ReLU()}),
                output="sum",
                name="cell",
            )
        ),
        example_input=(2, 3, 3),
    )
    names = ["cell.edge_0_1", "cell.edge_0_2", "cell.edge_1_2", "cell.op_1", "cell.op_2"]
    architecture = space.canonical(dict(zip(names, ["pass", "pass", "pass", "conv", "relu"], strict=True)))
    (found,) = cell_features(space, [architecture])
    # pass 3, conv 1, relu 1; paths: conv; relu; conv relu. Longest 1, shortest 0, one conv at most; one unweighted,
    # of passes alone none, of relus alone none (a pass stands before it).
    assert found.tolist() == [3, 1, 1, 3, 1, 0, 1, 1, 0, 0]


def test_no_features_where_there_is_no_cell():
    plain = aw.Space(model=nn.Linear(4, aw.choice(2, 3)), example_input=(4,))
    assert cell_features(plain, list(plain.enumerate())).shape == (2, 0)


def test_no_architectures_have_no_features():
    assert cell_features(NB201, []).shape[0] == 0


@pytest.mark.parametrize(("name", "options"), [("digits-cells", {}), ("mlp", {"input_shape": (16,)})])
def test_no_network_has_less_than_no_parameters(name, options):
    space = aw.spaces.create(name, **options)
    for seed in (5, 7):
        rng = np.random.default_rng(seed)
        assert (CostModel(space).predict([space.sample(rng) for _ in range(20)]) >= 0).all()


def test_a_space_none_of_whose_networks_can_be_built():
    space = aw.Space(model=nn.Conv2d(4, aw.choice(6, 7), 1, groups=4))
    space = aw.Space.from_json({**space.to_json(), "example_input": [{"shape": [4, 2, 2], "dtype": "float32"}]})
    assert CostModel(space).predict(list(space.enumerate())).shape == (2, 2)
    assert kernel_for(space, "network")
