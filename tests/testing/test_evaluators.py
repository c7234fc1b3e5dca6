"""The suite of evaluators."""

from __future__ import annotations

import pytest
import torch

import archwright as aw
from archwright import nn, proxies
from archwright.evaluate import as_evaluator
from archwright.proxies import ProxyEvaluator
from archwright.testing import EvaluatorSuite


def _reporting(candidate):
    value = candidate.seed / (1 + len(candidate.architecture))
    for step in (1, 2, 3):
        candidate.report(step, value=value / step)
    return value


class TestFunction(EvaluatorSuite):
    @pytest.fixture
    def evaluator(self):
        return as_evaluator(_reporting)

    @pytest.fixture
    def space(self):
        return aw.Space(x=aw.choice(1, 2))


class TestTraining(EvaluatorSuite):
    @pytest.fixture
    def evaluator(self):
        return aw.Training(aw.data("digits"), epochs=2)

    @pytest.fixture
    def space(self):
        model = nn.Sequential(nn.Flatten(), nn.LazyLinear(aw.choice(8, 16)), nn.ReLU(), nn.LazyLinear(10))
        return aw.Space(model=model)


class TestRegression(EvaluatorSuite):
    @pytest.fixture
    def evaluator(self):
        return aw.Training(aw.data("diabetes"), epochs=2)

    @pytest.fixture
    def space(self):
        return aw.Space(model=nn.Sequential(nn.LazyLinear(aw.choice(8, 16)), nn.ReLU(), nn.LazyLinear(1)))


class TestTaskOfTwoInputs(EvaluatorSuite):
    @pytest.fixture
    def evaluator(self):
        numbers, codes = torch.randn(40, 3), torch.randint(4, (40,))
        samples = [((row, code), row.sum(0, keepdim=True) * code) for row, code in zip(numbers, codes, strict=True)]
        return aw.Training(aw.Task(train=samples, validation=samples, loss=torch.nn.functional.mse_loss), epochs=2)

    @pytest.fixture
    def space(self):
        return aw.Space(
            model=aw.graph(
                lambda row, code: nn.LazyLinear(1)(
                    aw.merge(row, nn.Embedding(4, aw.choice(2, 3))(code), kind="concat"),
                )
            )
        )


class TestProxies(EvaluatorSuite):
    @pytest.fixture(params=[name for name in proxies.names() if name != "az-nas"])
    def evaluator(self, request, few_digits):
        return ProxyEvaluator(aw.Training(aw.data(few_digits), epochs=1), request.param, batch_size=16)

    @pytest.fixture
    def space(self):
        block = nn.Sequential(nn.LazyConv2d(aw.choice(8, 16), 3), nn.LazyBatchNorm2d(), nn.ReLU())
        return aw.Space(model=nn.Sequential(block, nn.LazyConv2d(4, 1), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10)))


def test_the_suite_finds_what_is_random():
    draws = iter(range(10))
    with pytest.raises(AssertionError):
        EvaluatorSuite().test_the_same_seed_measures_the_same(
            as_evaluator(lambda candidate: float(next(draws))), aw.Space(x=aw.choice(1, 2))
        )


def test_the_suite_finds_what_goes_on_when_its_time_is_over():
    def busy(candidate):
        for step in range(5):
            candidate.record(step, value=0.5)
        return 0.5

    with pytest.raises(AssertionError):
        EvaluatorSuite().test_its_time_ends_it(as_evaluator(busy), aw.Space(x=aw.choice(1, 2)))
