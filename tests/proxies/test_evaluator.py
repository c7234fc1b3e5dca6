"""The evaluator that does not train."""

from __future__ import annotations

import json
import math

import pytest
import torch
from tests.evaluate.stubs import candidate, convnet, images, mlp, table

import archwright as aw
from archwright import nn, proxies
from archwright.errors import EvaluationError, UnknownName
from archwright.evaluate import Training
from archwright.proxies import ProxyEvaluator


def test_it_gives_the_scores_of_one_batch_of_the_training_part() -> None:
    data = images(channels=3)
    evaluator = ProxyEvaluator(data, ["snip", "naswot"], batch_size=20)
    one = candidate(lambda: convnet(3), seed=4)
    metrics = evaluator.evaluate(one)
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))[:20]
    inputs = data.normalise(data.train.inputs[order])
    wanted = proxies.score(one.model, inputs, data.train.targets[order], ["snip", "naswot"], seed=4)
    assert list(metrics) == ["snip", "naswot"]
    assert metrics == pytest.approx(wanted, rel=1e-5)
    assert evaluator.objective == "max snip"
    assert evaluator.example_input == data.example_input


def test_all_candidates_see_the_same_batch_and_their_seeds_decide_the_rest() -> None:
    evaluator = ProxyEvaluator(images(), ["snip", "zen"])

    model = convnet()

    def scores(seed: int) -> dict[str, float]:
        return evaluator.evaluate(candidate(lambda: model, seed=seed))

    assert scores(1) == scores(1)
    assert scores(1)["snip"] == scores(2)["snip"]
    assert scores(1)["zen"] != scores(2)["zen"]


def test_another_seed_is_another_batch() -> None:
    torch.manual_seed(0)
    model = mlp()
    found = {ProxyEvaluator(table(), "snip", seed=seed).evaluate(candidate(lambda: model))["snip"] for seed in range(3)}
    assert len(found) == 3


def test_the_network_is_left_as_it_was_and_laid_out_plainly() -> None:
    one = candidate(lambda: convnet(3))
    before = {name: value.clone() for name, value in one.model.state_dict().items()}
    ProxyEvaluator(images(channels=3), ["naswot", "grasp", "zen", "synflow", "zico"], batch_size=8).evaluate(one)
    after = one.model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert all(value.is_contiguous() for value in after.values())


def test_small_data_give_a_small_batch() -> None:
    metrics = ProxyEvaluator(table((6, 5, 5)), "zico").evaluate(candidate(mlp))
    assert math.isfinite(metrics["zico"])


def test_a_search_goes_by_it_and_trains_what_it_finds(tmp_path) -> None:
    model = aw.nn.Sequential(aw.nn.Flatten(), aw.nn.LazyLinear(aw.choice(8, 64)), aw.nn.ReLU(), aw.nn.LazyLinear(10))
    training = Training(aw.data("digits"), epochs=1)
    evaluator = ProxyEvaluator(training, ["parameters", "synflow"])
    study = aw.search(
        aw.Space(model=model), evaluator, strategy="random", budget=aw.Budget(trials=2), path=tmp_path / "run"
    )
    assert study.best.metrics["parameters"] == max(trial.metrics["parameters"] for trial in study.trials)
    assert dict(study.best.architecture) == {"model.1.out_features": 64}
    assert 0.5 < study.test["test_accuracy"] < 1
    study.close()
    again = aw.load(tmp_path / "run")
    assert again.evaluator.to_json() == evaluator.to_json()
    again.close()


def test_it_is_written_down_and_read_again() -> None:
    data = aw.data("digits")
    evaluator = ProxyEvaluator(
        Training(data, epochs=3),
        ["zico", proxies.Zen(strength=0.1), "az-nas"],
        batch_size=16,
        objective="max zen",
        seed=5,
    )
    written = json.loads(json.dumps(evaluator.to_json()))
    again = ProxyEvaluator.from_json(written)
    assert written["type"] == "proxies"
    assert again.to_json() == evaluator.to_json()
    assert again.proxies == evaluator.proxies
    assert (again.batch_size, again.objective, again.seed) == (16, "max zen", 5)
    assert again.training.recipe == evaluator.training.recipe
    with pytest.raises(EvaluationError, match="not an evaluator by proxies written down"):
        ProxyEvaluator.from_json({"type": "training"})
    assert ProxyEvaluator(images()).to_json() is None


def test_arguments_are_checked() -> None:
    data = images()
    with pytest.raises(UnknownName, match="unknown proxy 'snipe'"):
        ProxyEvaluator(data, "snipe")
    with pytest.raises(EvaluationError, match="batch_size"):
        ProxyEvaluator(data, batch_size=0)
    with pytest.raises(EvaluationError, match="no proxy is asked for"):
        ProxyEvaluator(data, [])
    with pytest.raises(EvaluationError, match="'max snip' is by none of the proxies"):
        ProxyEvaluator(data, ["zico", "naswot"], objective="max snip")
    with pytest.raises(EvaluationError, match=r"'az-nas' ranks the networks of a set.*'max expressivity'"):
        ProxyEvaluator(data, "az-nas")
    assert ProxyEvaluator(data, "az-nas", objective="max trainability").objective == "max trainability"


def test_what_is_undefined_fails_the_candidate() -> None:
    with pytest.raises(EvaluationError, match="proxy 'zen': the network has no batch normalisation"):
        ProxyEvaluator(table(), "zen").evaluate(candidate(lambda: torch.nn.Linear(5, 3)))


class _Normed(torch.nn.Module):
    def __init__(self, statistics: bool) -> None:
        super().__init__()
        self.conv = torch.nn.LazyConv2d(4, 3, padding=1)
        self.norm = torch.nn.LazyBatchNorm2d(affine=False, track_running_stats=statistics)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.norm(self.conv(x))
        return result


@pytest.mark.parametrize("statistics", [True, False])
def test_normalization_without_learned_scales_is_scored(statistics: bool) -> None:
    """The usual setting of DARTS, in a layer of torch and in a class of one's own, lazy both times."""
    norm = nn.LazyBatchNorm2d(affine=False, track_running_stats=statistics)
    layers = (nn.LazyConv2d(4, 3, padding=1), norm, nn.ReLU(), aw.lazy(_Normed)(statistics), nn.ReLU())
    space = aw.Space(model=nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(3)))
    data = images()
    names = [name for name in proxies.names() if name != "az-nas"]
    model = space.build({}, data.example_input)
    one = candidate(lambda: model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    metrics = ProxyEvaluator(data, names, batch_size=8).evaluate(one)
    assert set(metrics) == set(names)
    assert all(map(math.isfinite, metrics.values()))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
