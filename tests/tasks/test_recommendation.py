"""Recommendation: metrics, files, and a model whose noise is known."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, ndcg_score, roc_auc_score
from tests.processes import run_alone

import archwright as aw
from archwright import spaces
from archwright.datasets import Estimate, InputError, InteractionPreprocess, Ranking, Target, preprocess_from_json
from archwright.errors import DataError
from archwright.evaluate._stages import fidelities
from archwright.export import export_network
from archwright.tasks import Recommendation, fit_within
from archwright.tasks._classical_ratings import _alternating
from archwright.tasks._recommendation import ranking_metrics

NOISE = 0.5

PREDICT = """
import json
sys.path.insert(0, sys.argv[1])
import predict
predictor = predict.load(sys.argv[1])
found = list(predictor.predict(sys.argv[2])) + list(predictor.predict([{"user": "u3"}]))
print(json.dumps([each.to_json() for each in found]))
"""


def ratings(count: int, *, users: int = 60, items: int = 40, rank: int = 2, seed: int = 0) -> list[str]:
    """Return rows of a low-rank model with skewed popularity, and noise of a known deviation; each pair once."""
    rng = np.random.default_rng(seed)
    tastes, kinds = rng.standard_normal((users, rank)), rng.standard_normal((items, rank))
    popular = rng.gumbel(size=(users, items)) - np.log(np.arange(1, items + 1))
    who, chosen = np.unravel_index(rng.permutation(np.argsort(-popular.ravel())[:count]), popular.shape)
    means = 3 + 0.4 * rng.standard_normal(users)[who] + 0.4 * rng.standard_normal(items)[chosen]
    value = means + (tastes[who] * kinds[chosen]).sum(1) / np.sqrt(rank) + NOISE * rng.standard_normal(count)
    return [
        f"u{user},i{item},{each:.4f},{time}"
        for time, (user, item, each) in enumerate(zip(who, chosen, value, strict=True))
    ]


def written(path: Path, rows: list[str], head: str = "user,item,rating,time") -> Path:
    path.write_text("\n".join([head, *rows] if head else rows) + "\n")
    return path


# ---------------------------------------------------------------------- metrics


def test_rankings_are_judged_as_by_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    users = rng.integers(30, size=600)
    scores, clicks = rng.standard_normal(600), (rng.random(600) < 0.2).astype(float)
    found = ranking_metrics(torch.tensor(scores), torch.tensor(clicks), torch.tensor(users), top=5)
    gains, hits = [], []
    for user in range(30):
        mine = users == user
        if clicks[mine].any():
            gains.append(ndcg_score([clicks[mine]], [scores[mine]], k=5))
            hits.append(clicks[mine][np.argsort(-scores[mine])[:5]].any())
    assert found == (pytest.approx(np.mean(hits)), pytest.approx(np.mean(gains)))


def test_a_ranking_by_hand() -> None:
    scores, clicks = torch.tensor([3.0, 2.0, 1.0, 9.0]), torch.tensor([0.0, 1.0, 0.0, 0.0])
    hit_rate, ndcg = ranking_metrics(scores, clicks, torch.tensor([4, 4, 4, 8]), top=2)
    assert (hit_rate, ndcg) == (1.0, pytest.approx(1 / np.log2(3)))
    assert ranking_metrics(scores, clicks, torch.tensor([4, 4, 4, 8]), top=1) == (0.0, 0.0)


def test_ratings_are_judged_in_their_own_units(tmp_path: Path) -> None:
    task = aw.task(written(tmp_path / "ratings.csv", ratings(500)), "recommendation")
    assert isinstance(task, Recommendation)
    outputs = torch.randn(50, 1, generator=torch.Generator().manual_seed(0))
    _, targets = task.test.at(slice(50))
    meter = task.meter()
    meter.update(outputs[:20], targets[:20])
    meter.update(outputs[20:], targets[20:])
    found = meter.compute()
    error = torch.tensor(task.decode(outputs)) - targets[:, 0]
    assert found["rmse"] == pytest.approx(error.square().mean().sqrt().item())
    assert found["mae"] == pytest.approx(error.abs().mean().item())
    assert task.loss(outputs, targets).item() == pytest.approx((found["rmse"] / task.target.std) ** 2, rel=1e-5)


# ---------------------------------------------------------------------- files


def test_the_last_interactions_are_the_test_part(tmp_path: Path) -> None:
    rows = ratings(300)
    path = written(tmp_path / "ratings.csv", rows[::-1])
    task = aw.task(path, "recommendation", validation=30, test=60)
    values = [float(row.split(",")[2]) for row in rows]
    assert task.train.targets[:, 0].tolist() == values[:210]
    assert task.validation.targets[:, 0].tolist() == values[210:240]
    assert task.test.targets[:, 0].tolist() == values[240:]
    assert "splits" not in fidelities(task, 3, 32)
    known = {row.split(",")[0] for row in rows[:210]}
    assert set(task.preprocess.users) == known
    for row, (user, item) in zip(rows[240:], task.test.inputs.tolist(), strict=True):
        name = row.split(",")[0]
        assert (user == 0) == (name not in known)
        assert user == 0 or task.preprocess.users[user - 1] == name
        assert item == 0 or task.preprocess.items[item - 1] == row.split(",")[1]


def test_without_times_the_parts_are_drawn_at_random(tmp_path: Path) -> None:
    rows = [row.rpartition(",")[0] for row in ratings(300)]
    path = written(tmp_path / "ratings.csv", rows, "user,item,rating")
    first, again, other = (aw.task(path, "recommendation", seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.test.targets, again.test.targets)
    assert not torch.equal(first.test.targets, other.test.targets)
    assert (len(first.train), len(first.validation), len(first.test)) == (210, 30, 60)


@pytest.mark.parametrize(("name", "mark", "head"), [
    ("u.data", "\t", ""), ("ratings.dat", "::", ""), ("ratings.csv", ",", "userId,movieId,rating,timestamp"),
    ("bought.csv", ",", "user,item,rating,time"), ("bought.tsv", "\t", "Customer ID\tProduct ID\tStars\tDate"),
])  # fmt: skip
def test_movielens_files_are_recognised(tmp_path: Path, name: str, mark: str, head: str) -> None:
    rows = [f"{time % 7 + 1},{time % 5 + 1},{time % 3 + 2},{978300000 + time}" for time in range(60)]
    task = aw.task(written(tmp_path / name, [row.replace(",", mark) for row in rows], head))
    assert task.told[0].startswith("task: recommendation")
    assert task.objective == "min rmse"
    assert len(task.preprocess.users) == 7
    assert len(task.preprocess.items) == 5
    assert task.test.targets[:, 0].tolist() == [float(row.split(",")[2]) for row in rows[-12:]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("user,item,rating\n" + "a,b,3\n" * 5, "holds 5 interactions"),
        ("user,item,rating\n" + "a,b,3\n" * 20 + "a,b,good\n", "row 22: the rating or click 'good' is no number"),
        ("user,item,rating\n" + "a,b,3\n" * 20 + "a,,3\n", "row 22: the item is missing"),
        ("user,item,rating\n" + "a,b,3\n" * 20 + ",b,3\n", "row 22: the user is missing"),
        ("user,item,mark\n" + "a,b,3\n" * 20, "names no column of the target"),
        ("who,what,mark\n" + "a,b,3\n" * 20, "row 1.*'mark' is no number.*user=, item=, target="),
        ("a,b\n" * 20, "2 columns, and none for the target"),
        ("user,item,rating,time\n" + "a,b,3,7\n" * 20 + "a,b,3,soon\n", "row 22: the time 'soon' is unlike others"),
        ("user,item,rating,time\n" + "a,b,3,2024-01-31\n" * 20 + "a,b,3,7\n", "row 22: the time '7' is unlike others"),
        ("user,item,click\n" + "a,b,1\n" * 40, "all targets of the training part are equal"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_row(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        aw.task(path, "recommendation")
    assert str(path) in str(caught.value)


def test_long_names_count_in_the_limit(tmp_path: Path) -> None:
    rows = [f"{'u' * 5_000}{number},i{number},1.0" for number in range(100)]
    path = written(tmp_path / "ratings.csv", rows, "user,item,rating")
    with pytest.raises(DataError, match=r"as interactions in memory, more than the limit of 0\.0004"):
        aw.task(path, "recommendation", max_gigabytes=0.0004)


NAMED, BARE = "who,what,mark\n", ""
ROWS = "".join(f"u{n % 5},i{n % 4},{n % 3 + 1}\n" for n in range(60))


@pytest.mark.parametrize(
    ("head", "options", "users"),
    [
        (NAMED, {"user": "who", "item": "2", "target": "mark"}, 5),  # names and positions
        (NAMED, {"user": "2", "item": "who", "target": "3"}, 4),
        (BARE, {"user": "2", "item": "1"}, 4),
        (BARE, {}, 5),
        ("userId,movieId,rating\n", {"item": "2"}, None),  # positions alone: the first row is one of data
        (NAMED, {"user": "who"}, "names no column of the item; tell which one it is: item=, target="),
        (NAMED, {"user": "who", "item": "0", "target": "mark"}, "no column '0'; it has 3 columns, 1 to 3"),
        (NAMED, {"user": "who", "item": "4", "target": "mark"}, "no column '4'; it has 3 columns, 1 to 3"),
        (BARE, {"user": "0"}, "no column '0'"),
        (BARE, {"user": "2"}, "none for the item; tell which one it is: item="),  # which is not the second one, too
    ],
)
def test_columns_are_named_or_numbered(tmp_path: Path, head: str, options: dict[str, str], users: Any) -> None:
    path = tmp_path / "table.csv"
    path.write_text(head + ROWS)
    if isinstance(users, int):
        task = aw.task(path, "recommendation", **options)
        assert len(task.preprocess.users) == users
        found = list(task.preprocess.read(path))
        assert len(found) == 60
        assert all(raw.min() > 0 for _, raw in found)
    else:
        with pytest.raises(DataError, match=users or "row 1: the rating or click 'rating' is no number"):
            aw.task(path, "recommendation", **options)


def test_a_short_row_is_named_in_training_and_in_prediction(tmp_path: Path) -> None:
    path = written(tmp_path / "ratings.dat", [f"u{n % 5}::i{n % 4}::{n % 3 + 1}" for n in range(60)], "")
    preprocess = aw.task(path, "recommendation").preprocess
    with path.open("a") as file:
        file.write("u1\n")
    with pytest.raises(DataError, match=r"ratings\.dat, row 61: there are 1 cells; 3 are needed"):
        aw.task(path, "recommendation")
    with pytest.raises(InputError, match=r"ratings\.dat, row 61: there are 1 cells"):
        list(preprocess.read(path))


@pytest.mark.parametrize(
    "options", [{"validation": 0}, {"test": 1.0}, {"test": 299}, {"time": "when"}, {"user": "who"}]
)
def test_options_are_checked(tmp_path: Path, options: dict[str, Any]) -> None:
    path = written(tmp_path / "ratings.csv", ratings(300))
    (name, value), *_ = options.items()
    with pytest.raises(DataError, match=f"{name}={value}|no column '{value}'"):
        aw.task(path, "recommendation", **options)


# ---------------------------------------------------------------------- networks


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, aw.Study]:
    """A file of ratings, the run folder of a search on it, and the study."""
    root = tmp_path_factory.mktemp("rated")
    path = written(root / "ratings.csv", ratings(1500))
    training = aw.Training(aw.task(path, "recommendation"), epochs=2, final_epochs=2, device="cpu")
    return path, root / "run", aw.search("recommender", training, budget=aw.Budget(trials=2), path=root / "run")


def test_the_biases_are_means_that_are_shrunk(tmp_path: Path) -> None:
    task = aw.task(written(tmp_path / "ratings.csv", ratings(400)), "recommendation")
    predict = task.baselines[0].fit(task.train, 1.0)
    users, items = task.train.inputs.T
    values = task.train.targets[:, 0]
    mean = values.mean()
    of_item = [float((values[items == each] - mean).sum() / ((items == each).sum() + 25)) for each in (1, 2)]
    left = values - mean - torch.tensor([
        float((values[items == each] - mean).sum() / ((items == each).sum() + 25)) for each in items
    ])  # fmt: skip
    of_user = float(left[users == 3].sum() / ((users == 3).sum() + 10))
    found = task.decode(predict(torch.tensor([[3, 1], [0, 2], [0, 0]])))
    assert found == pytest.approx([float(mean) + of_user + of_item[0], float(mean) + of_item[1], float(mean)])


def test_matrix_factorisation_comes_near_the_noise(tmp_path: Path) -> None:
    task = aw.task(written(tmp_path / "ratings.csv", ratings(7000, users=120, items=80)), "recommendation")
    biases, factors = (fit_within(task, each, seconds=60) for each in task.baselines)
    assert not isinstance(biases, float)
    assert not isinstance(factors, float)
    space = aw.spaces.create("recommender", **task.space_options)
    known = space.canonical({**spaces.starts(space)[0], "width": 2, "dropout": 0.0})
    training = aw.Training(task, device="cpu")
    found = training.evaluate(aw.Candidate(space, known, seed=0))["rmse"]
    # 600 numbers are estimated from 4,900 ratings: 6 % above the noise are to be expected of the true model, too.
    assert factors.metrics["rmse"] < 1.1 * NOISE < 0.7 * biases.metrics["rmse"]
    assert found < 1.02 * factors.metrics["rmse"]


def test_factors_are_those_of_penalised_least_squares(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [f"u{user},i{item},{rng.standard_normal():.4f}" for user in range(12) for item in range(9)]
    task = aw.task(written(tmp_path / "ratings.csv", rows, "user,item,rating"), "recommendation")
    assert isinstance(task, Recommendation)
    values = task.standardised(task.train.targets)
    predict = _alternating(task, task.train.inputs, values, 2, 0.5, 200)
    features = [cell.cell_contents for cell in predict.__closure__ or ()]
    tables = [each.clone().requires_grad_() for each in features if isinstance(each, torch.Tensor) and each.ndim == 2]
    items, users = sorted(tables, key=len)
    pairs = task.train.inputs
    outputs = values.mean() + (users[pairs[:, 0]] * items[pairs[:, 1]]).sum(1)
    penalty = sum((table[:, place:].square().sum() - 0) for table, place in ((users, 1), (items, 0)))
    loss = (outputs - values).square().sum() + 0.5 * penalty
    loss.backward()
    assert users.grad[1:, 1:].abs().max() < 1e-4
    assert items.grad[1:, [0, 2, 3]].abs().max() < 1e-4


def test_clicks_are_probabilities(tmp_path: Path) -> None:
    rows = ratings(2000)
    clicks = [f"{row.split(',')[0]},{row.split(',')[1]},{int(float(row.split(',')[2]) > 3)}" for row in rows]
    task = aw.task(written(tmp_path / "clicks.csv", clicks, "user,item,click"), "recommendation")
    assert task.objective == "max auc"
    study = aw.search("recommender", aw.Training(task, epochs=1, device="cpu"), budget=aw.Budget(trials=1), final=False)
    assert study.best.metrics.keys() >= {"auc", "log_loss", "hit_rate", "ndcg"}
    (baseline,) = study.baselines
    assert (baseline.name, baseline.metrics["test_auc"] > 0.6) == ("logistic regression", True)
    scores = study.predictor().scores(task.validation.inputs)[:, 0].numpy()
    truth = task.validation.targets[:, 0].numpy()
    assert roc_auc_score(truth, scores) == pytest.approx(study.best.metrics["auc"], abs=1e-6)
    assert log_loss(truth, scores) == pytest.approx(study.best.metrics["log_loss"], rel=1e-4)


def test_pairs_are_rated_and_items_ranked(rated: tuple[Path, Path, aw.Study], tmp_path: Path) -> None:
    _, run, study = rated
    task = aw.load(run).evaluator.task
    assert task.preprocess == study.evaluator.task.preprocess
    error = study.predictor().scores(task.test.inputs)[:, 0] - task.test.targets[:, 0]
    assert error.square().mean().sqrt().item() == pytest.approx(study.test["test_rmse"], rel=1e-4)
    estimate, ranking, unknown = study.predict([{"user": "u3", "item": "i5"}, {"user": "u3"}, {"user": "nobody"}])
    assert isinstance(estimate, Estimate)
    assert isinstance(ranking, Ranking)
    assert isinstance(unknown, Ranking)
    every = study.predict([{"user": "u3", "item": item} for item in task.preprocess.items])
    best = sorted(every, key=lambda each: -each.value)[:10]
    assert ranking.scores == pytest.approx([each.value for each in best], rel=1e-4)
    assert estimate.value == pytest.approx(every[task.preprocess.items.index("i5")].value, rel=1e-4)
    assert unknown.user == "unknown"

    new = written(tmp_path / "new.csv", ["u3,i5", "u3,i999"], "user,item")
    export_network(run, tmp_path / "network", space=study.space, onnx=find_spec("onnxscript") is not None)
    done = run_alone(PREDICT, tmp_path / "network", new)
    first, second, third = json.loads(done.stdout)
    assert first["value"] == pytest.approx(estimate.value, rel=1e-4)
    assert second["row"] == 3
    assert third["items"] == ranking.items
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(tmp_path / "network" / "model.onnx")
    raw = task.preprocess.item({"user": "u3", "item": "i5"})[None].expand(4, 2)
    (values,) = session.run(None, {session.get_inputs()[0].name: raw.numpy()})
    assert values[:, 0].tolist() == pytest.approx([estimate.value] * 4, rel=1e-4)


def test_preprocessing_is_read_back(rated: tuple[Path, Path, aw.Study]) -> None:
    preprocess = rated[2].evaluator.task.preprocess
    data = json.loads(json.dumps(preprocess.to_json()))
    assert preprocess_from_json(data) == preprocess
    for name, value in (("users", []), ("target", None), ("top", 0), ("columns", {})):
        with pytest.raises(InputError):
            InteractionPreprocess.from_json({**data, name: value})
    for raw in (torch.tensor([[1.0, 2.0]]), torch.tensor([[1, 999]]), torch.tensor([[-1, 2]]), torch.tensor([1, 2])):
        with pytest.raises(InputError):
            preprocess.batch(raw)


def test_unknown_users_and_items_of_a_file_are_told(tmp_path: Path) -> None:
    preprocess = InteractionPreprocess(("ann", "bob"), ("jam", "tea"), Target("rating", mean=3.0, std=1.0))
    (tmp_path / "pairs.csv").write_text("user,item\nann,tea\neve,tea\nbob,oil\nroy,jam\n")
    with pytest.warns(UserWarning, match="not in the training part") as told:
        rows = [sample.tolist() for _, sample in preprocess.read(tmp_path / "pairs.csv")]
    assert rows == [[1, 2], [0, 2], [2, 0], [0, 1]]
    messages = [str(each.message) for each in told]
    assert "users that are not in the training part: 'eve' in row" in messages[0]
    assert "'oil' in row" in messages[1]
