"""Classical methods that networks are compared with; scikit-learn is the referee."""

from __future__ import annotations

from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import accuracy_score, f1_score, log_loss, mean_absolute_error, r2_score, root_mean_squared_error
from tests.evaluate.stubs import images, table

import archwright as aw
from archwright.errors import EvaluationError
from archwright.tasks import ClassicalMethod, Fitted, as_task, fit_within
from archwright.tasks import _baseline as baseline


def fit(task, name: str, seconds: float = 60.0) -> Fitted:
    (method,) = [each for each in task.baselines if each.name == name]
    fitted = fit_within(task, method, seconds=seconds)
    assert isinstance(fitted, Fitted)
    return fitted


def names(task) -> list[str]:
    return [method.name for method in task.baselines]


# --------------------------------------------------------------------------- figures


def test_what_can_be_told_apart_is_told_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(300) % 3
    inputs = torch.randn(300, 4, generator=generator) / 10 + torch.eye(4)[targets]
    task = as_task(aw.data((inputs, targets)))
    assert names(task) == ["logistic regression", "gradient boosting"]
    for name in names(task):
        fitted = fit(task, name)
        assert fitted.samples == len(task.train)
        assert {fitted.metrics[each] for each in ("accuracy", "f1", "test_accuracy", "test_f1")} == {1.0}


def test_figures_of_a_classification_are_those_of_scikit_learn() -> None:
    data = aw.data("wine")

    def scored(train, part) -> dict[str, float]:
        model = LogisticRegression().fit(data.normalise(train.inputs).double(), train.targets)
        probabilities = model.predict_proba(data.normalise(part.inputs).double())
        found = probabilities.argmax(1)
        return {
            "loss": log_loss(part.targets, probabilities, labels=[0, 1, 2]),
            "accuracy": accuracy_score(part.targets, found),
            "f1": f1_score(part.targets, found, average="macro"),
        }

    metrics = fit(as_task(data), "logistic regression").metrics
    on_validation, on_test = scored(data.train, data.validation), scored(data.train + data.validation, data.test)
    # The samples are fitted in another order, which changes where the solver stops by a little.
    for name, value in {**on_validation, **{f"test_{name}": value for name, value in on_test.items()}}.items():
        assert metrics[name] == pytest.approx(value, abs=1e-3)
    assert set(metrics) == {prefix + name for prefix in ("", "test_") for name in as_task(data).metrics}


def test_figures_of_a_regression_with_two_targets_are_those_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(200, 3, generator=generator)
    noise = torch.randn(200, 2, generator=generator)
    values = inputs @ torch.tensor([[2.0, 0.0], [0.0, 300.0], [1.0, 0.0]]) + noise * torch.tensor([0.5, 50.0]) + 1000
    data = aw.data((inputs, values), task="regression")
    task = as_task(data)
    found = []
    for place in range(2):
        model = RidgeCV(alphas=np.logspace(-2, 4, 7))
        model.fit(data.normalise(data.train.inputs), data.train.targets[:, place])
        found.append(model.predict(data.normalise(data.validation.inputs)))
    predicted, wanted = np.stack(found, 1), data.validation.targets
    metrics = fit(task, "ridge regression").metrics
    assert metrics["rmse"] == pytest.approx(root_mean_squared_error(wanted, predicted), rel=1e-5)
    assert metrics["mae"] == pytest.approx(mean_absolute_error(wanted, predicted), rel=1e-5)
    assert metrics["r2"] == pytest.approx(r2_score(wanted, predicted), rel=1e-5)
    assert fit(task, "gradient boosting").metrics["test_r2"] > 0.5


def test_images_are_reduced_for_a_linear_model() -> None:
    generator = torch.Generator().manual_seed(2)
    targets = torch.arange(120) % 2
    pixels = torch.randint(256, (120, 3, 20, 40), generator=generator, dtype=torch.uint8)
    pixels[targets == 1, :, :10] //= 2  # the upper half is dark
    task = as_task(aw.data((pixels, targets)))
    (method,) = task.baselines
    assert (method.name, method.note) == ("logistic regression", "images averaged to 10x14 pixels")
    assert fit(task, "logistic regression").metrics["test_accuracy"] == 1.0
    assert as_task(images()).baselines[0].note == ""
    brightness = pixels.float().mean((1, 2, 3))
    regression = as_task(aw.data((pixels, brightness), task="regression"))
    assert names(regression) == ["ridge regression"]
    assert fit(regression, "ridge regression").metrics["test_r2"] > 0.9


def test_a_class_without_a_training_sample_is_improbable() -> None:
    task = as_task(table(classes=3))
    task.train.targets[task.train.targets == 2] = 0
    metrics = fit(task, "gradient boosting").metrics
    assert metrics["loss"] > np.mean(task.validation.targets.numpy() == 2) * 30
    assert metrics["accuracy"] <= np.mean(task.validation.targets.numpy() != 2)


def test_a_class_of_one_sample_is_no_obstacle() -> None:
    targets = torch.arange(2000) % 2
    targets[:4] = 2  # one or none is left where some samples are held out
    task = as_task(aw.data((torch.randn(2000, 3) + targets[:, None], targets)))
    assert fit(task, "gradient boosting").samples == len(task.train)


def test_a_task_of_ones_own_has_none_unless_it_says_so() -> None:
    parts = [(torch.rand(40, 2), torch.rand(40, 1)) for _ in range(3)]
    given = {"train": parts[0], "validation": parts[1], "test": parts[2], "loss": torch.nn.functional.mse_loss}
    assert list(aw.Task(**given).baselines) == []

    class Compared(aw.Task):
        @property
        def baselines(self):
            def fit(samples, share):
                return lambda inputs: samples.targets.mean(0).expand(len(inputs), 1)

            return [ClassicalMethod("mean", fit)]

    wanted = (parts[1][1] - parts[0][1].mean()).square().mean()
    task = Compared(**given)
    assert fit(task, "mean").metrics["loss"] == pytest.approx(wanted.item())
    mean = torch.cat([parts[0][1], parts[1][1]]).mean()
    assert fit(task, "mean").metrics["test_loss"] == pytest.approx((parts[2][1] - mean).square().mean().item())


def test_outputs_that_are_no_outputs_of_a_network_are_refused() -> None:
    with pytest.raises(EvaluationError, match="one score"):
        fit_within(as_task(table()), ClassicalMethod("odd", lambda samples, share: torch.Tensor.sum), seconds=1)


# --------------------------------------------------------------------------- time


def pretended(
    samples: int, seconds_per_sample: float, *, fixed: float, seconds: float
) -> tuple[object, float, list[int]]:
    """Fit a method whose time is known, by a clock that it moves; return the outcome, the time it took, the samples."""
    clock = SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)
    sizes = []

    def fit(part, share):
        clock.now += fixed + share * seconds_per_sample * len(part)
        sizes.append(len(part))
        return lambda inputs: torch.zeros(len(inputs), 3)

    task = as_task(table((samples, 40, 40)))
    with mock.patch.object(baseline, "time", clock):
        outcome = fit_within(task, ClassicalMethod("pretended", fit), seconds=seconds)
    return outcome, clock.now, sizes


@given(
    samples=st.integers(100, 20_000),
    seconds_per_sample=st.floats(1e-6, 0.1),
    fixed=st.floats(0.0, 0.5),
    seconds=st.floats(0.5, 30.0),
)
def test_time_is_kept_by_choosing_fewer_samples(
    samples: int, seconds_per_sample: float, fixed: float, seconds: float
) -> None:
    outcome, taken, _ = pretended(samples, seconds_per_sample, fixed=fixed, seconds=seconds)
    first = 2 * fixed + 0.02 * seconds_per_sample * (50 + min(samples, 500))  # without them nothing is known
    assert taken <= max(seconds, first) * (1 + 1e-9)
    if isinstance(outcome, Fitted):
        assert outcome.seconds == pytest.approx(taken)
    else:
        assert outcome > seconds - taken  # it would not have fitted


def test_as_many_samples_are_used_as_time_allows() -> None:
    everything, _, sizes = pretended(10_000, 1e-4, fixed=0.0, seconds=10.0)
    assert everything.samples == 10_000
    assert sizes == [50, 500, 500, 500, 2000, 8000, 10_000, 10_040]  # three to estimate, one more for the test
    some, taken, _ = pretended(10_000, 1e-3, fixed=0.0, seconds=10.0)
    assert 2000 <= some.samples < 10_000
    assert taken <= 10.0
    none, taken, sizes = pretended(10_000, 1.0, fixed=0.0, seconds=10.0)
    assert none > 100
    assert taken == 11.0
    assert sizes == [50, 500]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.data())
def test_the_first_samples_have_each_class_in_its_share(counts: list[int], data: st.DataObject) -> None:
    targets = torch.cat([torch.full((count,), 7 * place) for place, count in enumerate(counts)])
    part = aw.data((torch.rand(40, 2), torch.arange(40) % 2)).train
    order = baseline._order(type(part)(torch.zeros(len(targets), 1), targets))
    assert sorted(order.tolist()) == list(range(len(targets)))
    size = data.draw(st.integers(len(counts), len(targets)))
    chosen = targets[order[:size]]
    for place, count in enumerate(counts):
        share = size * count / len(targets)
        assert abs((chosen == 7 * place).sum() - share) < len(counts)
        assert (chosen == 7 * place).any()


def test_outputs_that_are_larger_than_inputs_are_predicted_in_small_batches(monkeypatch) -> None:
    monkeypatch.setattr(baseline, "_VALUES", 60)
    task, sizes = as_task(aw.data((torch.rand(90, 1), torch.arange(90) % 30))), []

    def predict(inputs):
        sizes.append(len(inputs))
        return torch.zeros(len(inputs), 30)

    fit_within(task, ClassicalMethod("uniform", lambda samples, share: predict), seconds=60)
    assert max(sizes) == 2
