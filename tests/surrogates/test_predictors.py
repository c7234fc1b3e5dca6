"""Predictors: what they learn, how sure they are, and how they are judged."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import r2_score

import archwright as aw
from archwright import nn
from archwright.errors import DataError, StrategyError
from archwright.space import Architecture
from archwright.surrogates import (
    ENCODINGS,
    PREDICTORS,
    BoostedTrees,
    Ensemble,
    Fitted,
    GraphNetwork,
    Predictor,
    encode_rows,
    evaluate_predictor,
)
from archwright.surrogates._base import standardise
from archwright.surrogates._members import GraphNetworks, Perceptrons, predict, train
from archwright.testing import random_spaces

FLAT = aw.Space(**{f"e{i}": aw.choice(*"abcd") for i in range(5)})
WORTH = np.random.default_rng(1).normal(size=(5, 4))
QUICK = [Ensemble(members=2, steps=5), BoostedTrees(members=2, trees=3), GraphNetwork(members=2, steps=5)]


def additive(architecture):
    return sum(WORTH[i]["abcd".index(architecture[f"e{i}"])] for i in range(5))


def cells(**more):
    def edge(i, j):
        return aw.choice({"none": None, "skip": nn.Identity(), "pool": nn.AvgPool2d(3, 1, 1), "conv": nn.ReLU()})

    return aw.Space(model=nn.Sequential(aw.cell(edge, nodes=3, name="cell")), **more)


CELLS = cells()
EDGES = ("0_1", "0_2", "1_2", "0_3", "1_3", "2_3")


def cell(*operations, **more):
    return Architecture(
        {**{f"cell.edge_{edge}": operation for edge, operation in zip(EDGES, operations, strict=True)}, **more}
    )


def fit(predictor, space, architectures, value, seed=0):
    scores = np.array([value(architecture) for architecture in architectures], dtype=float)
    return predictor.fit(space, architectures, scores, np.random.default_rng(seed))


def drawn(space, count, seed=0):
    """Return distinct architectures in random order."""
    listed = list(space.enumerate())
    return [listed[i] for i in np.random.default_rng(seed).permutation(len(listed))[:count]]


# --------------------------------------------------------------------------- what they learn


@pytest.mark.parametrize(
    ("predictor", "least"),
    [
        (Ensemble("vector"), 0.88),
        (BoostedTrees("vector"), 0.88),
        (Ensemble("path"), 0.88),  # which is "vector" where there are no cells
        (PREDICTORS["gaussian-process"](), 0.95),
    ],
    ids=str,
)
def test_a_sum_over_decisions_is_learnt_from_a_few_architectures(predictor, least):
    some = drawn(FLAT, 400)
    known, others = some[:100], some[100:]
    mean, _ = fit(predictor, FLAT, known, additive).predict(others)
    assert kendalltau(mean, [additive(a) for a in others]).statistic > least


def longest(architecture):
    """The most convolutions on a way from input to output: what a cell computes, not what its edges are called."""
    most = [0.0] + [-math.inf] * 3
    for edge in sorted(EDGES, key=lambda name: name[2]):
        operation = architecture[f"cell.edge_{edge}"]
        if operation != "none":
            i, j = int(edge[0]), int(edge[2])
            most[j] = max(most[j], most[i] + (operation == "conv"))
    return max(most[3], -1.0)


@pytest.mark.parametrize("predictor", [GraphNetwork(), Ensemble("path"), BoostedTrees("path")], ids=str)
def test_what_cells_compute_is_learnt_better_from_their_graphs_and_paths_than_from_their_edges(predictor):
    some = drawn(CELLS, 400)
    known, others = some[:100], some[100:]
    truth = [longest(architecture) for architecture in others]
    graphs, edges = (
        kendalltau(fit(one, CELLS, known, longest).predict(others)[0], truth).statistic
        for one in (predictor, Ensemble("vector"))
    )
    assert graphs > 0.65
    assert graphs > edges


def test_a_graph_network_sees_the_graph_and_not_how_its_nodes_are_numbered():
    fitted = fit(GraphNetwork(steps=20), CELLS, drawn(CELLS, 30), longest)
    #                 0_1     0_2     1_2     0_3     1_3     2_3
    first = cell("conv", "pool", "none", "none", "skip", "conv")
    swapped = cell("pool", "conv", "none", "none", "conv", "skip")
    dead = cell("conv", "pool", "none", "none", "skip", "none")  # then what is on 0_2 leads nowhere
    also_dead = cell("conv", "conv", "none", "none", "skip", "none")
    turned = cell("skip", "pool", "none", "none", "conv", "conv")  # the same operations in another order
    mean, deviation = fitted.predict([first, swapped, dead, also_dead, turned])
    np.testing.assert_allclose([mean[0], deviation[0]], [mean[1], deviation[1]], rtol=1e-4)
    np.testing.assert_allclose([mean[2], deviation[2]], [mean[3], deviation[3]], rtol=1e-4)
    assert abs(mean[0] - mean[2]) > 1e-3
    assert abs(mean[0] - mean[4]) > 1e-3


def test_a_graph_network_sees_which_way_an_edge_leads():
    model = GraphNetworks([0], 2, 0, width=8, depth=1)
    labels, edges = torch.tensor([[0, 1], [0, 1], [1, 0]]), torch.zeros(3, 2, 2)
    edges[0, 1, 0] = edges[1, 0, 1] = edges[2, 0, 1] = 1  # 0 to 1; 1 to 0; and 0 to 1 again, numbered the other way
    there, back, again = predict(model, (labels, edges, torch.zeros(3, 0)))[0]
    assert abs(there - back) > 1e-3
    assert there == pytest.approx(again, abs=1e-6)


def test_a_graph_network_sees_what_is_beside_the_cells_and_inside_of_their_options():
    def edge(i, j):
        return aw.choice({"pool": nn.AvgPool2d(aw.choice(3, 5, name="size"), 1, "same"), "conv": nn.ReLU()})

    space = aw.Space(model=nn.Sequential(aw.cell(edge, nodes=1, name="cell")), rate=aw.integer(0, 4, name="rate"))
    listed = list(space.enumerate())
    fitted = fit(GraphNetwork(steps=60), space, listed, lambda a: a["rate"] + 10 * (a.get("size") == 5))
    mean, _ = fitted.predict(listed)
    assert np.argmax(mean) == next(i for i, a in enumerate(listed) if a["rate"] == 4 and a.get("size") == 5)
    assert len(set(mean.round(6))) == len(listed)


def test_architectures_far_from_what_was_measured_are_less_certain():
    space = aw.Space(x=aw.real(0.0, 1.0), y=aw.real(0.0, 1.0))
    rng = np.random.default_rng(0)
    known = [space.canonical({"x": x / 4, "y": y / 4}) for x, y in rng.random((40, 2))]
    far = [space.canonical({"x": 1 - x / 4, "y": 1 - y / 4}) for x, y in rng.random((40, 2))]
    fitted = fit(Ensemble(steps=150), space, known, lambda a: math.sin(9 * a["x"]) + a["y"])
    assert np.median(fitted.predict(far)[1]) > 3 * np.median(fitted.predict(known)[1])


def test_operations_that_were_never_measured_are_no_obstacle():
    without = [architecture for architecture in CELLS.enumerate() if "pool" not in architecture.values()][:40]
    fitted = fit(GraphNetwork(steps=20), CELLS, without, longest)
    assert np.isfinite(fitted.predict([cell("pool", "pool", "pool", "pool", "pool", "pool")])).all()


# --------------------------------------------------------------------------- members


@pytest.mark.parametrize("batch", [100, 8])
def test_members_that_are_trained_together_are_those_trained_alone(batch):
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.normal(size=(30, 6))).float()
    scores = torch.from_numpy(rng.normal(size=30)).float()
    labels = torch.from_numpy(rng.integers(-1, 4, size=(30, 5)))
    edges = torch.from_numpy(np.tril(rng.integers(0, 2, size=(30, 5, 5)), -1)).float()
    for make, inputs in (
        (lambda seeds: Perceptrons(seeds, 6, width=7, depth=2), (rows,)),
        (lambda seeds: GraphNetworks(seeds, 4, 6, width=5, depth=2), (labels, edges, rows)),
    ):

        def values(seeds, make=make, inputs=inputs):
            model = make(seeds)
            before = predict(model, inputs)
            train(model, inputs, scores, steps=10, rate=0.02, batch=batch, seed=3)
            return before, predict(model, inputs)

        together = values([1, 2, 3])
        alone = [values([seed]) for seed in (1, 2, 3)]
        for moment in range(2):
            np.testing.assert_allclose(together[moment], np.concatenate([one[moment] for one in alone]), atol=2e-3)
        assert np.abs(together[0] - together[1]).mean() > 0.05  # they were trained at all
        assert np.abs(together[1][0] - together[1][1]).mean() > 0.05  # and differ from each other


def test_training_lowers_the_absolute_error():
    known = drawn(FLAT, 60)
    scores = np.array([additive(a) for a in known])
    errors = [
        np.abs(fit(Ensemble("vector", steps=steps), FLAT, known, additive).predict(known)[0] - scores).mean()
        for steps in (1, 20, 80)
    ]
    assert errors[0] > 3 * errors[1] > 3 * errors[2]


def test_nothing_global_is_touched():
    torch.manual_seed(5)
    np.random.seed(5)
    threads = torch.get_num_threads()
    before = (torch.get_rng_state(), np.random.get_state()[1].tolist())
    for predictor in (Ensemble(steps=3), BoostedTrees(trees=3), GraphNetwork(steps=3)):
        known = drawn(CELLS, 8)
        first = fit(predictor, CELLS, known, longest).predict(known)
        np.testing.assert_array_equal(fit(predictor, CELLS, known, longest).predict(known), first)
        assert not np.array_equal(fit(predictor, CELLS, known, longest, seed=1).predict(known), first)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]
    assert torch.get_num_threads() == threads


def test_draws_are_independent_and_follow_the_predictions():
    known = drawn(FLAT, 20)
    fitted = fit(Ensemble("vector", steps=20), FLAT, known, additive)
    others = drawn(FLAT, 3, seed=1)
    rng = np.random.default_rng(0)
    draws = np.array([fitted.draw(others, rng) for _ in range(4000)])
    mean, deviation = fitted.predict(others)
    np.testing.assert_allclose(draws.mean(0), mean, atol=5 * deviation.max() / math.sqrt(4000))
    np.testing.assert_allclose(draws.std(0), deviation, rtol=0.06)
    np.testing.assert_allclose(np.corrcoef(draws.T), np.eye(3), atol=0.08)


# --------------------------------------------------------------------------- whatever the scores


@settings(max_examples=15)
@given(random_spaces(networks=False), st.sampled_from(QUICK[:2]), st.data())
def test_predictions_are_finite_whatever_is_measured(space, predictor, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    known = [space.sample(rng) for _ in range(data.draw(st.integers(1, 6)))]
    scores = data.draw(arrays(float, len(known), elements=st.floats(-1e300, 1e300)))
    fitted = predictor.fit(space, known, scores, rng)
    mean, deviation = fitted.predict([space.sample(rng) for _ in range(4)])
    assert mean.shape == deviation.shape == (4,)
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()
    assert (deviation >= 0).all()


@pytest.mark.parametrize("predictor", QUICK, ids=str)
@pytest.mark.parametrize("value", [0.1, -3.0, 0.0, 1e300])
def test_equal_scores_are_predicted_as_they_are(predictor, value):
    known = drawn(CELLS, 7)
    predictor = type(predictor)()
    mean, deviation = fit(predictor, CELLS, known, lambda _: value).predict(known)
    size = abs(value) or 1.0
    np.testing.assert_allclose(mean / size, value / size, atol=0.2)
    assert (deviation / size < 0.2).all()


@pytest.mark.parametrize("predictor", [Ensemble("both"), BoostedTrees("both"), GraphNetwork()], ids=str)
def test_predictions_are_in_the_unit_of_the_scores(predictor):
    known = drawn(CELLS, 60)
    plain = fit(predictor, CELLS, known, longest).predict(known)
    scaled = fit(predictor, CELLS, known, lambda a: 1000 * longest(a) - 5).predict(known)
    np.testing.assert_allclose(scaled[0], 1000 * plain[0] - 5, rtol=0.05, atol=150)
    assert np.abs(plain[0] - [longest(a) for a in known]).mean() < 0.5


@given(arrays(float, st.integers(1, 8), elements=st.floats(-1e300, 1e300)))
def test_standardised_scores_lead_back(scores):
    standard, centre, spread = standardise(scores)
    size = np.abs(scores).max() or 1.0
    np.testing.assert_allclose((centre + spread * standard) / size, scores / size, atol=1e-11)
    if standard.any():
        assert abs(standard.mean()) < 1e-6
        assert abs(standard.std() - 1) < 1e-6


# --------------------------------------------------------------------------- what they see


def test_rows_of_paths_have_a_column_for_each_path():
    space = aw.Space(
        model=nn.Sequential(
            aw.cell(lambda i, j: aw.choice({"none": None, "a": nn.ReLU(), "b": nn.Tanh()}), nodes=2, name="cell")
        )
    )
    listed = list(space.enumerate())
    rows = encode_rows(space, listed, "path")
    assert rows.shape == (27, 2 + 4)  # one or two operations on a way
    for row, architecture in zip(rows, listed, strict=True):
        assert row.sum() == len(space.encode(architecture, "paths")["cell"])
    alike = {tuple(row): space.encode(a, "paths")["cell"] for row, a in zip(rows, listed, strict=True)}
    assert len(alike) == len(set(alike.values()))
    both = encode_rows(space, listed, "both")
    np.testing.assert_array_equal(both, np.hstack([rows, encode_rows(space, listed, "vector")]))


def test_spaces_without_cells_have_vectors():
    some = drawn(FLAT, 5)
    vectors = np.array([FLAT.encode(a) for a in some], dtype=np.float32)
    for encoding in ENCODINGS:
        rows = encode_rows(FLAT, some, encoding)
        np.testing.assert_array_equal(rows[:, : vectors.shape[1]], vectors)
        assert encoding == "network" or rows.shape == vectors.shape


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_was_seen_before_makes_no_difference(encoding):
    spaces = [aw.spaces.create("digits-cells") for _ in range(2)]
    some = drawn(spaces[0], 12)
    whole = encode_rows(spaces[0], some, encoding)
    parts = [encode_rows(spaces[1], some[i : i + 1], encoding) for i in reversed(range(12))]
    np.testing.assert_array_equal(whole, np.concatenate(parts[::-1]))
    np.testing.assert_array_equal(whole[[3, 3, 1]], encode_rows(spaces[0], [some[3], some[3], some[1]], encoding))


def test_a_space_too_large_to_remember_is_seen_alike():
    def space(choices):
        return aw.Space(**{f"e{i}": aw.choice(*"abcd") for i in range(choices)})

    small, large = space(3), space(20)
    some = [large.sample(np.random.default_rng(i)) for i in range(4)]
    short = [small.canonical({name: a[name] for name in small.decisions}) for a in some]
    np.testing.assert_array_equal(encode_rows(large, some, "vector")[:, :12], encode_rows(small, short, "vector"))


# --------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (Ensemble, {"members": 0}, "members must be an integer of 1 or more, not 0"),
        (Ensemble, {"encoding": "graph"}, "encoding must be one of 'path', .*, not 'graph'"),
        (Ensemble, {"rate": 0.0}, "rate must be a number above 0, not 0.0"),
        (BoostedTrees, {"trees": 1.5}, "trees must be an integer of 1 or more, not 1.5"),
        (BoostedTrees, {"rate": 2}, "rate must be a number above 0 and at most 1, not 2"),
        (BoostedTrees, {"encoding": ""}, "encoding must be one of"),
        (GraphNetwork, {"depth": True}, "depth must be an integer of 1 or more, not True"),
        (GraphNetwork, {"rate": math.inf}, "rate must be a number above 0, not inf"),
    ],
)
def test_settings_are_checked_at_once(make, settings, message):
    with pytest.raises(StrategyError, match=message):
        make(**settings)


def test_a_graph_network_needs_cells():
    for refuse in (GraphNetwork().check, lambda space: fit(GraphNetwork(), space, drawn(space, 3), additive)):
        with pytest.raises(StrategyError, match=r"sees cells \(aw.cell\).*use 'mlp', 'boosted-trees'"):
            refuse(FLAT)


# --------------------------------------------------------------------------- how they are judged


@dataclass(frozen=True)
class Recalls(Predictor, Fitted):
    """Predicts from a table, and notes how many architectures it was given."""

    table: dict
    sizes: list

    def fit(self, space, architectures, scores, rng):
        assert len(architectures) == len(scores) == len(set(architectures))
        self.sizes.append([*architectures])
        return self

    def predict(self, architectures):
        return np.array([self.table[a] for a in architectures]), np.zeros(len(architectures))


def test_a_judgement_is_what_scipy_and_scikit_learn_say():
    line = aw.Space(x=aw.integer(0, 9))
    listed = list(line.enumerate())
    scores = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 9])
    predicted = np.array([1.0, 3, 2, 4, 6, 5, 7, 7, 10, 8])
    predictor = Recalls(dict(zip(listed, predicted, strict=True)), [])
    judged = evaluate_predictor(predictor, line, listed, scores, sizes=(2, 4), seeds=(7, 8, 9))
    assert judged.kendall.shape == (2, 3)
    for column, seed in enumerate(judged.seeds):
        order = np.random.default_rng(seed).permutation(10)
        held_out = order[4:]
        for row in range(2):
            given = [predicted[held_out], scores[held_out]]
            assert judged.kendall[row, column] == pytest.approx(kendalltau(*given).statistic)
            assert judged.spearman[row, column] == pytest.approx(spearmanr(*given).statistic)
            assert judged.r2[row, column] == pytest.approx(r2_score(given[1], given[0]))
        learnt = predictor.sizes[2 * column : 2 * column + 2]
        assert [len(known) for known in learnt] == [2, 4]
        assert learnt[1][:2] == learnt[0]
        assert not {listed[i] for i in held_out} & set(learnt[1])


def test_a_judgement_of_what_is_constant_is_not_a_number_and_can_be_written():
    line = aw.Space(x=aw.integer(0, 9))
    listed = list(line.enumerate())
    predictor = Recalls(dict.fromkeys(listed, 1.0), [])
    judged = evaluate_predictor(predictor, line, listed, np.arange(10.0), sizes=[3], seeds=2)
    assert np.isnan(judged.kendall).all()
    assert np.isnan(judged.spearman).all()
    assert (judged.r2 <= 0).all()
    written = json.loads(json.dumps(judged.to_json(), allow_nan=False))
    assert written["kendall"] == [[None, None]]
    assert written["r2"] == judged.r2.tolist()
    assert (written["sizes"], written["seeds"]) == ([3], [0, 1])
    constant = evaluate_predictor(predictor, line, listed, np.ones(10), sizes=[3], seeds=1)
    assert np.isnan(constant.r2).all()


def test_a_judgement_reads_as_a_table():
    some = drawn(FLAT, 300)
    judged = evaluate_predictor(
        Ensemble("vector", steps=40), FLAT, some, [additive(a) for a in some], sizes=(10, 100), seeds=2, held_out=50
    )
    header, *lines = str(judged).splitlines()
    assert header.split() == ["architectures", "Kendall", "Spearman", "R2"]
    assert [line.split()[0] for line in lines] == ["10", "100"]
    assert lines[1].split()[1] == f"{judged.kendall[1].mean():.3f}"
    assert judged.kendall[1].mean() > judged.kendall[0].mean() + 0.1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"scores": [1.0]}, "10 architectures need as many scores"),
        ({"sizes": (9,)}, r"of 10, sizes=\(9,\) leaves 1"),
        ({"held_out": 1}, "held_out=1 was given"),
        ({"sizes": (0,)}, "sizes 1 or more"),
        ({"seeds": 0}, "at least one of each"),
        ({"sizes": ()}, "at least one of each"),
    ],
)
def test_judgements_that_cannot_be_made_are_refused(more, message):
    line = aw.Space(x=aw.integer(0, 9))
    given = {"scores": np.arange(10.0), "sizes": (3,), **more}
    scores = given.pop("scores")
    with pytest.raises(DataError, match=message):
        evaluate_predictor(Ensemble(), line, list(line.enumerate()), scores, **given)
