"""The published tables: what is in them, on the real files; and their form, on files made here."""

from __future__ import annotations

import functools
import itertools
import json
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch
from tests.data import absent

from archwright import _files, bench, spaces
from archwright._files import Content
from archwright.bench import _nasbench101, _nasbench_nlp
from archwright.bench._nasbench101 import Cells, key
from archwright.bench._nasbench_nlp import listed_cells, same_cell
from archwright.errors import EvaluationError, TableError, UnknownName
from archwright.evaluate import Candidate
from archwright.space import Architecture
from archwright.spaces.nasbench101 import canonical, from_matrix, to_matrix

CLOSED = [("nasbench201", "cifar10"), ("nasbench201", "cifar100"), ("natsbench-size", "cifar10")]


@functools.cache
def held(name: str, root: Path, dataset: str | None = None) -> bench.Benchmark:
    return bench.load(name, dataset=dataset, path=root)


@pytest.fixture(scope="session")
def load(data_root: Path):
    """Return a table of the data folder, read once."""

    def load(name: str, dataset: str | None = None) -> bench.Benchmark:
        try:
            return held(name, data_root, dataset)
        except TableError as error:
            if "was not found" in str(error):
                absent(error)
            raise

    return load


def ask(found: bench.Benchmark, architecture: Architecture, fidelity: int | None = None) -> dict[str, float]:
    return found.table.evaluate(
        Candidate(found.space, architecture, seed=0, fidelity=None if fidelity is None else {"epochs": fidelity})
    )


def parameters(space, architecture: Architecture) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in space.build(architecture).parameters())


# ---------------------------------------------------------------------- all of them


def test_tables_are_listed_with_a_line_each() -> None:
    listed = bench.entries()
    assert [entry.name for entry in listed] == bench.tables()
    assert {"accel-nasbench", "digits-cells", "nasbench-nlp", "nasbench101", "nasbench201"} <= set(bench.tables())
    assert all(entry.summary.endswith(".") for entry in listed)


def test_an_unknown_table_or_data_set_brings_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"unknown table 'nasbench_101'\. Did you mean 'nasbench101'"):
        bench.load("nasbench_101")
    with pytest.raises(UnknownName, match=r"table 'nasbench201'.*'cifar1000'\. Did you mean 'cifar100'"):
        bench.load("nasbench201", dataset="cifar1000")


@pytest.mark.parametrize(("name", "dataset"), CLOSED)
def test_a_closed_table_knows_every_network_of_its_space(load, name: str, dataset: str) -> None:
    found = load(name, dataset)
    rows = [found.table.row(architecture) for architecture in found.space.enumerate()]
    assert sorted(rows) == list(range(len(found.table.architectures)))


@pytest.mark.parametrize("name", ["accel-nasbench", "nasbench101"])
def test_an_open_table_answers_for_every_network_of_its_space(load, name: str) -> None:
    found = load(name)
    rng = np.random.default_rng(0)
    for architecture in [found.space.sample(rng) for _ in range(50)]:
        assert 0 < ask(found, architecture)["accuracy"] < 1


@pytest.mark.parametrize("name", ["accel-nasbench", "nasbench-nlp", "nasbench101", "nasbench201", "natsbench-size"])
def test_each_listed_network_has_the_row_it_stands_in(load, name: str) -> None:
    table = load(name).table
    for row in range(0, len(table.architectures), 97):
        assert table.architectures[row] in table.space
        assert table.row(table.architectures[row]) == row


@pytest.mark.parametrize("name", ["accel-nasbench", "nasbench-nlp", "nasbench101", "nasbench201", "natsbench-size"])
def test_strategies_run_on_it(load, name: str) -> None:
    found = load(name)
    compared = bench.compare(found.space, found.table, ["random", "evolution"], trials=30, seeds=2, scale=found.scale)
    for result in compared.results.values():
        assert (np.diff(result.regret) <= 1e-9).all()
        assert (result.regret >= -1e-9).all()
        assert np.isfinite(result.final[:, -1]).all()


# ---------------------------------------------------------------------- NAS-Bench-201 and NATS-Bench


@pytest.mark.parametrize(
    ("dataset", "validation", "test"), [("cifar10", 0.91607, 0.94373), ("cifar100", 0.73493, 0.73513)]
)
def test_nasbench201_has_the_known_optima(load, dataset: str, validation: float, test: float) -> None:
    table = load("nasbench201", dataset).table
    assert len(table.architectures) == 15_625
    assert table.epochs == (12, 200)
    assert table.best == pytest.approx(validation, abs=6e-6)
    assert table.best_test == pytest.approx(test, abs=6e-6)


def test_nasbench201_has_the_usual_units(load) -> None:
    found = load("nasbench201")
    row = ask(found, found.table.architectures[1])
    assert row["accuracy"] == pytest.approx(0.9076933)
    assert row["parameters"] == pytest.approx(802_426, abs=5)  # the file holds millions with five decimals
    assert parameters(found.space, found.table.architectures[1]) == 802_426
    assert row["latency_ms"] == pytest.approx(16.954, abs=1e-3)
    assert row["seconds"] == pytest.approx(2169.64138)
    assert ask(found, found.table.architectures[1], 12)["seconds"] == pytest.approx(2169.64138 * 12 / 200)
    assert ask(found, found.table.architectures[1], 12)["accuracy"] == pytest.approx(0.82834)
    assert found.table.test(found.table.architectures[1]) == pytest.approx(0.9366)


def test_the_file_of_nasbench201_has_no_imagenet(load, data_root: Path) -> None:
    load("nasbench201")
    with pytest.raises(TableError, match=r"imagenet_val12.*docs/tables\.md"):
        bench.load("nasbench201", dataset="imagenet16-120", path=data_root)


@pytest.mark.parametrize(("dataset", "size"), [("cifar10", 32), ("cifar100", 32), ("imagenet16-120", 16)])
def test_natsbench_size_shows_a_search_what_there_is(load, dataset: str, size: int) -> None:
    found = load("natsbench-size", dataset)
    assert len(found.table.architectures) == 32_768
    assert found.table.best == found.table.best_test
    assert found.space.example_input[0].shape == (3, size, size)
    first = Architecture({f"width_{place}": 8 for place in range(5)})
    assert ask(found, first) == {"accuracy": found.table.test(first), "parameters": parameters(found.space, first)}
    with pytest.raises(TableError, match="after 90 epochs"):
        ask(found, first, 12)


# ---------------------------------------------------------------------- NAS-Bench-101


def test_nasbench101_is_as_its_file_says(load) -> None:
    found = load("nasbench101")
    assert len(found.table.architectures) == 30_001
    assert found.table.epochs == (4, 12, 36, 108)
    assert found.table.best == pytest.approx(0.9491186)
    assert found.table.best_test is None
    smallest = from_matrix([[0, 1], [0, 0]], ["input", "output"])
    assert ask(found, smallest) == {"accuracy": 0.83583736, "seconds": 284.24298, "parameters": 882_570}
    assert ask(found, smallest, 4) == {
        "accuracy": 0.54046476,
        "seconds": pytest.approx(284.24298 * 4 / 108),
        "parameters": 882_570,
    }


def test_the_keys_of_nasbench101_are_those_of_the_canonical_forms(load) -> None:
    table = load("nasbench101").table
    for row in range(0, 30_001, 211):
        architecture = table.architectures[row]
        assert key(architecture) == key(canonical(architecture)) == int(table.architectures.keys[row])


def test_the_nearest_cell_is_the_nearest_by_brute_force(load) -> None:
    """Every naming of the inner vertices is tried, with matrices and lists instead of bits."""
    table, rng = load("nasbench101").table, np.random.default_rng(0)
    cells = table.architectures[::600]
    some = Cells(
        *(np.array(column) for column in zip(*((n, bits) for n, bits, _ in _raw(cells)), strict=True)),
        [digits for _, _, digits in _raw(cells)],
    )
    padded = [_padded(cell) for cell in cells]
    queries = [table.space.sample(rng) for _ in range(6)] + [table.space.mutate(cell, rng) for cell in cells[:6]]
    for query in queries:
        matrix, labels = _padded(query)
        distances = [99] * len(cells)
        for order in itertools.permutations(range(1, 6)):
            moved = matrix[np.ix_([0, *order, 6], [0, *order, 6])]
            names = [labels[vertex] for vertex in order]
            for row, (other, theirs) in enumerate(padded):
                apart = np.abs(moved - other).sum() + 2 * sum(a != b for a, b in zip(names, theirs[1:6], strict=True))
                distances[row] = min(distances[row], int(apart))
        assert some.nearest(query) == distances.index(min(distances))


def _padded(architecture: Architecture) -> tuple[np.ndarray, list[str]]:
    small, operations = to_matrix(architecture)
    n = len(operations)
    places = [*range(n - 1), 6]
    matrix = np.zeros((7, 7), dtype=int)
    matrix[np.ix_(places, places)] = small
    return matrix, [*operations[:-1], *[""] * (7 - n), "output"]


def _raw(cells: list[Architecture]) -> list[tuple[int, int, str]]:
    """Return cells in the form of the file."""
    raw = []
    for matrix, operations in map(to_matrix, cells):
        n = len(operations)
        upper = [matrix[early][late] for late in range(n) for early in range(late)]
        digits = "".join(str(_nasbench101.OPERATIONS.index(name)) for name in operations[1:-1])
        raw.append((n, sum(bit << place for place, bit in enumerate(upper)), digits))
    return raw


def test_the_nearest_cell_of_nasbench101_says_something(load) -> None:
    """Of 200 listed cells, the accuracy of the nearest other one goes with their own."""
    from scipy.stats import spearmanr

    table = load("nasbench101").table
    raw = [table.architectures._given[row] for row in range(30_001)]
    asked = range(0, 30_001, 150)
    kept = [row for row in range(30_001) if row % 150]
    n, bits, digits = zip(*(raw[row] for row in kept), strict=True)
    rest = Cells(np.array(n), np.array(bits), digits)
    accuracy = table._validation[108]
    near = [accuracy[kept[rest.nearest(table.architectures[row])]] for row in asked]
    assert spearmanr(accuracy[list(asked)], near).statistic > 0.6


def test_there_are_as_many_cells_as_the_paper_counts() -> None:
    """Ying et al. count 423,624 cells; here matrices without labels are classed, and labels counted by symmetries."""
    total = 0
    for n in range(2, 8):
        places = [(early, late) for late in range(n) for early in range(late)]
        bits = np.arange(1 << len(places))
        good = np.bitwise_count(bits) <= 9
        for vertex in range(n):
            into = sum(1 << bit for bit, (_, late) in enumerate(places) if late == vertex)
            out = sum(1 << bit for bit, (early, _) in enumerate(places) if early == vertex)
            good &= (bits & into != 0) | (vertex == 0)
            good &= (bits & out != 0) | (vertex == n - 1)
        bits = bits[good]
        cells = Cells(np.full(len(bits), n), bits, ["0" * (n - 2)] * len(bits))
        _, first = np.unique(cells.keys, return_index=True)
        orders = list(itertools.permutations(range(1, n - 1)))
        for row in first.tolist():
            matrix = np.array(to_matrix(cells[row])[0])
            same = [o for o in orders if (matrix[np.ix_([0, *o, n - 1], [0, *o, n - 1])] == matrix).all()]
            total += sum(3 ** _cycles(order) for order in same) // len(same)
    assert total == 423_624


def _cycles(order: tuple[int, ...]) -> int:
    seen: set[int] = set()
    count = 0
    for start in range(1, len(order) + 1):
        count += start not in seen
        while start not in seen:
            seen.add(start)
            start = order[start - 1]
    return count


def test_cells_that_cannot_be_are_refused() -> None:
    def one(n: int, bits: int, operations: str) -> None:
        Cells(np.array([n]), np.array([bits]), [operations])

    one(3, 0b101, "2")
    with pytest.raises(ValueError, match="2 to 7 vertices"):
        one(3, 0b101, "22")
    with pytest.raises(ValueError, match="2 to 7 vertices"):
        one(8, 1, "000000")
    with pytest.raises(ValueError, match="0, 1 or 2"):
        one(3, 0b101, "3")
    with pytest.raises(ValueError, match="way from input to output"):
        one(3, 0b010, "2")  # the inner vertex is not used
    with pytest.raises(ValueError, match="up to 9 edges"):
        one(7, (1 << 21) - 1, "00000")


def test_a_table_of_cells_without_leading_zeros_and_with_a_test_part() -> None:
    lines = ["n,adj_bits,ops,val108,test108,train_s,params", "4,39,1,0.9,0.8,100,5", "2,1,,0.7,0.75,10,3"]
    table = _nasbench101.read(Content("made", "\n".join(lines).encode()), "cifar10")
    assert to_matrix(table.architectures[0])[1] == ["input", "conv3x3-bn-relu", "conv1x1-bn-relu", "output"]
    assert table.epochs == (108,)
    assert table.best_test == 0.8
    assert table.test(table.architectures[1]) == 0.75


# ---------------------------------------------------------------------- Accel-NASBench


def test_accel_nasbench_names_what_each_device_does(load) -> None:
    found = load("accel-nasbench")
    assert len(found.table.architectures) == 5_125  # 13 of the 5,138 rows are repeats
    first = ask(found, found.table.architectures[0])
    assert first["accuracy"] == pytest.approx((0.59368 + 0.59248) / 2)
    assert first["seconds"] == pytest.approx((2660.431460380554 + 2199.3042109012604) / 2)
    assert first["parameters"] == pytest.approx(2_501_160)
    assert first["macs"] == pytest.approx(415_361_072)
    assert first["latency_ms_zcu102"] == pytest.approx(5.0229, abs=1e-4)
    assert {name.rpartition("_")[2] for name in first if "_" in name} == {
        "zcu102",
        "vck190",
        "a100",
        "3090",
        "tpuv2",
        "tpuv3",
    }
    assert found.table.best_test is None
    assert found.table.epochs == (1,)


def test_a_device_that_did_not_run_a_network_is_left_out(load) -> None:
    found = load("accel-nasbench")
    full = set(ask(found, found.table.architectures[0]))
    lacking = [full - set(ask(found, architecture)) for architecture in found.table.architectures]
    counts = {name: sum(name in names for names in lacking) for name in full}
    assert counts["accuracy"] == counts["parameters"] == counts["throughput_a100"] == 0
    assert (counts["throughput_tpuv2"], counts["latency_ms_zcu102"], counts["throughput_3090"]) == (37, 2, 3)


def test_the_nearest_mobile_network_is_weighed_by_what_matters(load) -> None:
    table = load("accel-nasbench").table
    nearest = table.nearest
    names = [name for name, decision in table.space.decisions.items() for _ in range(decision.width)]
    weights = {name: nearest.weights[names.index(name)] for name in table.space.decisions}
    assert weights["block_6.expansion"] > 5 * weights["block_6.kernel"]
    rng = np.random.default_rng(0)
    vectors = np.array([table.space.encode(architecture) for architecture in table.architectures])
    for other in [table.space.sample(rng) for _ in range(5)]:
        distances = [
            sum(
                weight * abs(a - b)
                for weight, a, b in zip(nearest.weights, vector, table.space.encode(other), strict=True)
            )
            for vector in vectors
        ]
        assert distances[table.row(other)] == pytest.approx(min(distances))


def test_other_answers_for_booleans_are_refused() -> None:
    names = [f"block{block}_{letter}" for block in range(7) for letter in ("e", "k", "l", "se")]
    lines = [",".join([*names, "val_top1", "val_top5", "train_time", "macs", "params"])]
    lines += [",".join([*["1", "3", "1", "yes"] * 7, "50", "60", "1", "1", "1"])]
    content = Content("made", "\n".join(lines).encode())
    with pytest.raises(KeyError, match="yes"):
        bench._accel_nasbench.read(content, "imagenet")


# ---------------------------------------------------------------------- NAS-Bench-NLP

LSTM = "1000001"


def test_nasbench_nlp_lists_each_cell_once(load) -> None:
    found = load("nasbench-nlp")
    assert len(found.table.architectures) == found.space.size == 265
    assert set(found.space.enumerate()) == set(found.table.architectures)
    assert found.table.epochs == tuple(range(1, 51))
    assert found.scale == 1.0
    best = int(np.nanargmin(found.table._validation[50]))
    assert LSTM in found.table.architectures[best].values()
    assert found.table.best == pytest.approx(4.569469676)
    assert found.table.best_test == pytest.approx(4.520790381)


def test_nasbench_nlp_has_a_curve_and_a_clock(load) -> None:
    found = load("nasbench-nlp")
    (first,) = [one for one in found.table.architectures if "1000000" in one.values()]
    curve = [ask(found, first, epoch) for epoch in (1, 2, 50)]
    assert curve[0]["loss"] > curve[1]["loss"] > curve[2]["loss"] == pytest.approx(5.247, abs=2e-3)
    assert curve[0]["seconds"] < curve[1]["seconds"] < curve[2]["seconds"] == pytest.approx(8156.648, abs=1e-3)
    assert found.table.test(first) == pytest.approx(5.1548, abs=1e-4)
    with pytest.raises(TableError, match="those after 51"):
        ask(found, first, 51)


def test_a_loss_that_became_nan_is_a_failed_training(load) -> None:
    found = load("nasbench-nlp")
    failed = [found.table.architectures[row] for row in found.table._failed]
    assert len(failed) == 2
    for architecture in failed:
        with pytest.raises(EvaluationError, match="its loss became NaN"):
            ask(found, architecture)
    (later,) = [one for one in failed if "1007257" in one.values()]
    assert ask(found, later, 10)["loss"] > 5


def test_recurrent_networks_have_the_published_parameters(load) -> None:
    found = load("nasbench-nlp")
    for architecture in found.table.architectures[::13]:
        published = found.table._metrics["parameters"][found.table.row(architecture)]
        assert parameters(found.space, architecture) == published


def test_isomorphic_recipes_are_one_cell_and_others_are_not(data_root: Path, load) -> None:
    """NetworkX is the referee, over all recipes of the file."""
    load("nasbench-nlp")
    content = _files.read(bench._tables._TABLES["nasbench-nlp"].source, data_root, verify=True)
    recipes = [_nasbench_nlp._recipe(text) for text in dict.fromkeys(run["recepie"] for run in content.json())]
    classes: dict[str, nx.DiGraph] = {}
    for recipe in recipes:
        graph = _graph(recipe)
        first = classes.setdefault(same_cell(recipe), graph)
        assert _isomorphic(first, graph)
    assert len(classes) == 265
    alike = {}
    for name, graph in classes.items():
        alike.setdefault((len(graph), graph.size()), []).append((name, graph))
    for group in alike.values():
        assert not any(_isomorphic(a, b) for (_, a), (_, b) in itertools.combinations(group, 2))


def _graph(recipe) -> nx.DiGraph:
    graph = nx.DiGraph()
    for name, (operation, *taken) in recipe.items():
        graph.add_node(name, label=(operation, name if name.startswith("h_new_") and name[6:].isdigit() else ""))
        for place, source in enumerate(taken):
            if source not in recipe:
                graph.add_node(source, label=source)
            graph.add_edge(source, name, place=place if operation == "blend" else 0)
    return graph


def _isomorphic(one: nx.DiGraph, other: nx.DiGraph) -> bool:
    return nx.is_isomorphic(one, other, lambda a, b: a["label"] == b["label"], lambda a, b: a["place"] == b["place"])


GRU = {
    "r": ["linear", "x", "h_prev_0"],
    "r_act": ["activation_sigm", "r"],
    "z": ["linear", "x", "h_prev_0"],
    "z_act": ["activation_sigm", "z"],
    "rh": ["elementwise_prod", "r_act", "h_prev_0"],
    "new": ["linear", "x", "rh"],
    "new_act": ["activation_tanh", "new"],
    "h_new_0": ["blend", "z_act", "h_prev_0", "new_act"],
}
LSTM_RECIPE = {
    **{name: ["linear", "x", "h_prev_0"] for name in ("i", "j", "f", "o")},
    **{f"{name}_act": ["activation_sigm", name] for name in ("i", "f", "o")},
    "j_act": ["activation_tanh", "j"],
    "kept": ["elementwise_prod", "f_act", "h_prev_1"],
    "new": ["elementwise_prod", "i_act", "j_act"],
    "h_new_1": ["elementwise_sum", "kept", "new"],
    "c_act": ["activation_tanh", "h_new_1"],
    "h_new_0": ["elementwise_prod", "c_act", "o_act"],
}
LEAKY = {"a": ["linear", "h_prev_0", "x"], "h_new_0": ["activation_leaky_relu", "a"]}


def test_a_recipe_is_the_network_that_torch_has_under_that_name() -> None:
    """An LSTM by its recipe computes what torch's LSTM does with the same weights."""
    from archwright.spaces._recurrent import RecurrentLayer

    torch.manual_seed(0)
    ours, theirs = RecurrentLayer(LSTM_RECIPE, 5, 4), torch.nn.LSTM(5, 4, batch_first=True)
    order = [ours.linear[name] for name in ("i", "f", "j", "o")]
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(torch.cat([layer.weight[:, :5] for layer in order]))
        theirs.weight_hh_l0.copy_(torch.cat([layer.weight[:, 5:] for layer in order]))
        theirs.bias_ih_l0.copy_(torch.cat([layer.bias for layer in order]))
        theirs.bias_hh_l0.zero_()
    x = torch.randn(3, 6, 5)
    torch.testing.assert_close(ours(x), theirs(x)[0])


def test_a_gru_keeps_its_state_where_its_gate_is_open() -> None:
    from archwright.spaces._recurrent import RecurrentLayer

    layer = RecurrentLayer(GRU, 3, 3)
    with torch.no_grad():
        layer.linear["z"].bias.fill_(100.0)
    assert layer(torch.randn(2, 5, 3)).abs().max() < 1e-6


def test_recipes_that_wait_for_each_other_are_refused() -> None:
    from archwright.spaces._recurrent import RecurrentLayer

    with pytest.raises(ValueError, match="wait for each other"):
        RecurrentLayer({"a": ["activation_tanh", "b"], "b": ["activation_tanh", "a"], "h_new_0": ["linear", "a"]}, 2, 2)


def test_listed_cells_are_the_whole_space_and_are_built() -> None:
    recipes = {"gru": GRU, "lstm": LSTM_RECIPE, "leaky": LEAKY}
    space, architectures = listed_cells(recipes)
    assert list(space.enumerate()) == architectures == [Architecture({"cell": name}) for name in recipes]
    tokens = torch.randint(33_278, (2, 8))
    with torch.no_grad():
        assert space.build(architectures[2])(tokens).shape == (2, 8, 33_278)
    assert "archwright" not in space.source(architectures[0])


def test_the_names_of_nodes_do_not_matter_and_their_places_do() -> None:
    renamed = {"n1": ["linear", "h_prev_0", "x"], "h_new_0": ["activation_leaky_relu", "n1"]}
    assert same_cell(renamed) == same_cell(LEAKY)
    swapped = {**GRU, "h_new_0": ["blend", "z_act", "new_act", "h_prev_0"]}
    assert same_cell(swapped) != same_cell(GRU)
    assert same_cell({**GRU, "rh": ["elementwise_prod", "h_prev_0", "r_act"]}) == same_cell(GRU)
    shared = {name: parts for name, parts in GRU.items() if name != "z"} | {"z_act": ["activation_sigm", "r"]}
    assert same_cell(shared) != same_cell(GRU)


def test_runs_of_one_cell_are_joined() -> None:
    def run(name: int, recipe, losses: list[float]) -> dict:
        text = json.dumps({node: {"op": op, "input": taken} for node, (op, *taken) in recipe.items()})
        return {
            "recepie_id": name,
            "recepie": text,
            "num_params": 7,
            "wall_times": [2.0] * len(losses),
            "val_losses": losses,
            "test_losses": losses,
        }

    renamed = {"b": ["linear", "x", "h_prev_0"], "h_new_0": ["activation_leaky_relu", "b"]}
    runs = [run(1, LEAKY, [4.0] * 50), run(2, GRU, [3.0]), run(3, renamed, [5.0] * 30)]
    table = _nasbench_nlp.read(Content("made", json.dumps(runs).encode()), "wikitext2")
    leaky, gru = table.architectures
    assert (leaky, gru) == (Architecture({"cell": "1"}), Architecture({"cell": "2"}))
    losses = [
        table.evaluate(Candidate(table.space, leaky, seed=0, fidelity={"epochs": epoch}))["loss"]
        for epoch in (1, 30, 31, 50)
    ]
    assert losses == [4.5, 4.5, 4.0, 4.0]
    assert table.evaluate(Candidate(table.space, leaky, seed=0, fidelity={"epochs": 30}))["seconds"] == 60
    assert table.evaluate(Candidate(table.space, gru, seed=0, fidelity={"epochs": 1})) == {
        "loss": 3,
        "seconds": 2,
        "parameters": 7,
    }
    with pytest.raises(EvaluationError, match="NaN"):
        table.evaluate(Candidate(table.space, gru, seed=0, fidelity={"epochs": 2}))


# ---------------------------------------------------------------------- digits-cells


def test_digits_cells_have_the_mean_over_the_seeds(tmp_path: Path) -> None:
    space = spaces.create("digits-cells")
    rng = np.random.default_rng(0)
    networks = [space.sample(rng) for _ in range(3)]
    names = [
        *space.decisions,
        "seed",
        "val_accuracy_1",
        "val_accuracy_10",
        "val_accuracy_2",
        "val_loss_1",
        "test_accuracy",
        "seconds",
        "parameters",
        "flops",
        "latency_ms_1",
    ]
    lines = [",".join(names)]
    for network in networks:
        for seed in range(2):
            figures = [0.1 + seed / 10, 0.6 + seed / 5, 0.2, 9, 0.5 + seed / 4, 4, 100, 1000, 0.5]
            lines.append(",".join(map(str, [*(network[name] for name in space.decisions), seed, *figures])))
    path = tmp_path / "digits_cells.csv"
    path.write_text("\n".join(lines) + "\n")
    found = bench.load("digits-cells", path=path, verify=False)
    assert found.table.architectures == networks
    assert found.table.epochs == (1, 2, 10)
    assert ask(found, networks[2]) == pytest.approx(
        {"accuracy": 0.7, "seconds": 4, "parameters": 100, "flops": 1000, "latency_ms": 0.5}
    )
    assert ask(found, networks[2], 1)["accuracy"] == pytest.approx(0.15)
    assert found.table.test(networks[0]) == pytest.approx(0.625)
