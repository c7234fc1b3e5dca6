"""The selection of an ensemble: known answers, and the law that it is never worse than its best member."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss

import archwright as aw
from archwright.errors import EvaluationError
from archwright.evaluate import Library, select_members

COUNT = 40


def data() -> aw.Data:
    generator = torch.Generator().manual_seed(0)
    return aw.data((torch.randn(200, 4, generator=generator), torch.arange(200) % 3))


class Fixed(torch.nn.Module):
    """A network whose scores do not depend on what goes in, but on the number of the sample in the batch."""

    def __init__(self, scores: torch.Tensor) -> None:
        super().__init__()
        self.scores = scores

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.scores[: len(inputs)]


def reference(errors: list[list[float]], size: int) -> tuple[int, ...]:
    """Forward selection as the paper has it, written down the long way: the mean of predictions of 0 is best."""
    bag: list[int] = []
    ways: list[tuple[float, list[int]]] = []
    for _ in range(size):
        found = [
            (sum(abs(sum(errors[each][row] for each in [*bag, new])) for row in range(len(errors[0]))), new)
            for new in range(len(errors))
        ]
        least = min(value / (len(bag) + 1) for value, _ in found)
        bag = [*bag, next(new for value, new in found if value / (len(bag) + 1) == least)]
        ways.append((least, bag))
    best = min(value for value, _ in ways)
    chosen = next(bag for value, bag in ways if value == best)
    return tuple(chosen.count(each) for each in range(len(errors)))


def score(errors: list[list[float]]):
    def of(counts: tuple[int, ...]) -> float:
        total = sum(counts)
        sums = [sum(c * each[row] for c, each in zip(counts, errors, strict=True)) for row in range(len(errors[0]))]
        return -sum(map(abs, sums)) / total

    return of


def test_errors_that_cancel_are_combined_as_often_as_they_must() -> None:
    # +1 and -3: three parts of the first and one of the second are exact; the third candidate helps nobody.
    assert select_members(score([[1.0], [-3.0], [7.0]]), 3, size=4) == (3, 1, 0)
    assert select_members(score([[1.0], [-3.0], [7.0]]), 3, size=2) == (1, 0, 0)  # (1 - 3) / 2 is no better than 1
    assert select_members(score([[2.0], [-2.0]]), 2, size=6) == (1, 1)  # and not (2, 2) or (3, 3)


numbers = st.integers(-8, 8).map(float)


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(numbers, min_size=n, max_size=n), min_size=1, max_size=5)))
def test_it_is_forward_selection_with_replacement(errors: list[list[float]]) -> None:
    for size in (1, 2, 5):
        assert select_members(score(errors), len(errors), size) == reference(errors, size)


@given(seed=st.integers(0, 10**6), networks=st.integers(1, 5), size=st.integers(1, 6))
def test_an_ensemble_is_never_worse_than_its_best_member(seed: int, networks: int, size: int) -> None:
    task = aw.Training(data(), device="cpu").task
    generator = torch.Generator().manual_seed(seed)
    library = Library(task, "cpu")
    for _ in range(networks):
        library.add(Fixed(torch.randn(COUNT, 3, generator=generator)))

    def rank(counts: tuple[int, ...]) -> tuple[float, float]:
        metrics = library.metrics(counts)
        return metrics["accuracy"], -metrics["loss"]

    counts = select_members(rank, networks, size)
    assert 1 <= sum(counts) <= size
    singles = [tuple(int(each == place) for each in range(networks)) for place in range(networks)]
    assert rank(counts) >= max(map(rank, singles))


def test_the_metrics_are_those_of_the_mean_probabilities() -> None:
    task = aw.Training(data(), device="cpu").task
    size, targets = len(task.validation), task.validation.targets.numpy()
    assert size < COUNT
    scores = [torch.randn(COUNT, 3, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    library = Library(task, "cpu")
    for each in scores:
        library.add(Fixed(each))
    found = library.metrics((2, 0, 1))
    mean = ((2 * scores[0].double().softmax(1) + scores[2].double().softmax(1)) / 3)[:size].numpy()
    assert found["accuracy"] == pytest.approx(accuracy_score(targets, mean.argmax(1)))
    assert found["loss"] == pytest.approx(log_loss(targets, mean, labels=[0, 1, 2]), rel=1e-5)


def test_a_regression_averages_values_and_a_test_is_made_once_asked_for() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs, targets = torch.randn(100, 2, generator=generator), torch.randn(100, generator=generator)
    task = aw.Training(aw.data((inputs, targets), task="regression"), device="cpu").task
    library = Library(task, "cpu")
    for value in (0.0, 3.0):
        library.add(Fixed(torch.full((100, 1), value)))
    wanted = Library(task, "cpu")
    wanted.add(Fixed(torch.full((100, 1), 1.0)))
    assert library.metrics((2, 1)) == pytest.approx(wanted.metrics((1,)))
    tested = library.test(Fixed(torch.full((100, 1), 1.0)))
    assert set(tested) == {"test_loss", "test_rmse", "test_mae", "test_r2"}


def test_outputs_that_are_pairs_are_averaged_tensor_by_tensor() -> None:
    class Pair(torch.nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = value

        def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.full((len(inputs),), self.value), torch.full((len(inputs), 2), -self.value)

    parts = (torch.rand(300, 3), torch.zeros(300))
    task = aw.Task(train=parts, validation=parts, loss=lambda out, targets: F.mse_loss(out[0] + out[1][:, 0], targets))
    library = Library(task, "cpu")
    for value in (1.0, 5.0):
        library.add(Pair(value))
    assert library.metrics((1, 1)) == {"loss": 0.0}
    assert library.test(Pair(1.0)) == {}


def test_outputs_that_do_not_fit_the_task_are_refused() -> None:
    task = aw.Training(data(), device="cpu").task
    with pytest.raises(EvaluationError, match="one score"):
        Library(task, "cpu").add(Fixed(torch.zeros(COUNT, 2)))


def test_evaluators_say_why_their_networks_are_not_combined() -> None:
    training = aw.Training(data(), epochs=1, device="cpu")
    training.check_ensemble()
    aw.Repeats(training, 2).check_ensemble()
    aw.SupernetEvaluator(training, judge="alone").check_ensemble()
    refused = [
        (aw.SupernetEvaluator(training), 'share the weights of a supernet.*judge="alone"'),
        (aw.Repeats(aw.SupernetEvaluator(training), 2), "share the weights"),
        (aw.ProxyEvaluator(training, "snip"), "untrained networks.*screen='snip'"),
        (aw.evaluate.as_evaluator(abs), "has no task: give data, a Training, or an Evaluator that sets task"),
    ]
    for evaluator, told in refused:
        with pytest.raises(EvaluationError, match=told):
            evaluator.check_ensemble()
