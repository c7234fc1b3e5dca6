"""Tasks of one's own: any data set, loss and metric, with every strategy."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import r2_score
from torch.utils.data import Dataset, TensorDataset

import archwright as aw
from archwright import nn
from archwright.errors import EvaluationError
from archwright.evaluate._device import Setup
from archwright.evaluate._feed import Feed
from archwright.tasks import as_task


class Pairs(Dataset[Any]):
    """Samples of two inputs, numbers and a token; the target depends on both."""

    def __init__(self, count: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.numbers = torch.randn(count, 6, generator=generator)
        self.tokens = torch.randint(5, (count,), generator=generator)
        self.targets = self.numbers[:, :1] * (self.tokens[:, None] > 2)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, place: int) -> tuple[tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
        return (self.numbers[place], self.tokens[place]), self.targets[place]


class Unreadable(Pairs):
    """A data set whose samples cannot be read."""

    def __init__(self) -> None:
        super().__init__(4, 0)

    def __getitem__(self, place: int) -> Any:
        raise OSError("disk")


def pairs(**options: Any) -> aw.Task:
    given = {
        "train": Pairs(96, 0),
        "validation": Pairs(40, 1),
        "test": Pairs(40, 2),
        "loss": F.mse_loss,
        "metrics": {"mae": lambda outputs, targets: (outputs - targets).abs().mean()},
        "objective": "min mae",
        **options,
    }
    return aw.Task(**given)


def network(numbers: Any, token: Any) -> Any:
    hidden = aw.merge(numbers, nn.Embedding(5, 4)(token), kind="concat")
    hidden = nn.LazyLinear(aw.ordinal(16, 32, name="width"))(hidden)
    hidden = aw.choice(nn.ReLU(), nn.Tanh(), name="activation")(hidden)
    return nn.LazyLinear(1)(hidden)


def space(task: aw.Task) -> aw.Space:
    return aw.Space(model=aw.graph(network), example_input=task.example_input)


def test_what_goes_in_is_read_off_the_first_sample() -> None:
    assert pairs().example_input == (aw.TensorSpec((6,)), aw.TensorSpec((), "int64"))
    one = aw.Task(
        train=(torch.rand(4, 3), torch.rand(4)), validation=(torch.rand(2, 3), torch.rand(2)), loss=F.mse_loss
    )
    assert one.example_input == aw.TensorSpec((3,))
    assert one.objective == "min loss"
    assert len(one.test) == 0


@pytest.mark.parametrize(
    "options",
    [
        {"strategy": "random", "scheduler": "asha", "fidelity": {"epochs": (1, 3)}},
        {"strategy": "random", "scheduler": "hyperband", "fidelity": {"data": (0.3, 1)}},
        {"strategy": "evolution", "inherit": True},
        {"strategy": "random", "screen": "snip"},
        {"strategy": "darts"},
        {"strategy": "enas"},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_every_strategy_serves_a_network_of_two_inputs(options: dict[str, Any], tmp_path: Any) -> None:
    task = pairs()
    study = aw.search(
        space(task), aw.Training(task, epochs=3), budget=aw.Budget(trials=3), path=tmp_path / "run", **options
    )
    assert study.test is not None
    model = study.best.load().eval()
    with torch.no_grad():
        outputs = model(task.test.dataset.numbers, task.test.dataset.tokens)
    found = F.l1_loss(outputs, task.test.dataset.targets).item()
    assert study.test["test_mae"] == pytest.approx(found, rel=1e-4)
    assert study.test["test_loss"] == pytest.approx(F.mse_loss(outputs, task.test.dataset.targets).item(), rel=1e-4)


@pytest.mark.parametrize("relaxation", ["path", "sandwich", "fair"])
def test_shared_weights_serve_it_too(relaxation: str) -> None:
    task = pairs()
    evaluator = aw.SupernetEvaluator(aw.Training(task, epochs=1), relaxation, epochs=2)
    study = aw.search(space(task), evaluator, budget=aw.Budget(trials=3), final=False)
    assert study.best.metrics["mae"] == min(trial.metrics["mae"] for trial in study.trials)


def test_a_loss_of_distillation_is_used() -> None:
    calls = []

    def distil(outputs: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        assert not teacher.requires_grad
        calls.append(1)
        return F.mse_loss(outputs, teacher)

    task = pairs(distillation=distil)
    evaluator = aw.SupernetEvaluator(aw.Training(task, epochs=1), "sandwich", epochs=1)
    aw.search(space(task), evaluator, budget=aw.Budget(trials=1), final=False)
    assert calls


class Two(Dataset[Any]):
    """Samples with two targets, by name."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, place: int) -> Any:
        inputs = torch.arange(4.0) + place
        return inputs, {"sum": inputs.sum(0, keepdim=True) / 100, "sign": place % 2}


class Heads(torch.nn.Module):
    """A network with two outputs, by name."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = torch.nn.Linear(4, width)
        self.sum, self.sign = torch.nn.Linear(width, 1), torch.nn.Linear(width, 2)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        hidden = self.body(x).relu()
        return {"sum": self.sum(hidden), "sign": self.sign(hidden)}


def both(outputs: dict[str, torch.Tensor], targets: dict[str, torch.Tensor]) -> torch.Tensor:
    return F.mse_loss(outputs["sum"], targets["sum"]) + F.cross_entropy(outputs["sign"], targets["sign"])


@pytest.mark.parametrize("strategy", ["random", "evolution"])
def test_outputs_and_targets_may_be_dictionaries(strategy: str) -> None:
    def hits(outputs: dict[str, torch.Tensor], targets: dict[str, torch.Tensor]) -> torch.Tensor:
        assert len(outputs["sign"]) == len(targets["sign"]) == 24  # the whole part at once
        return (outputs["sign"].argmax(1) == targets["sign"]).float().mean()

    task = aw.Task(train=Two(), validation=Two(), loss=both, metrics={"hits": hits}, objective="max hits")
    where = aw.Space(model=aw.lazy(Heads)(aw.ordinal(4, 8, name="width")))
    evaluator = aw.SupernetEvaluator(aw.Training(task, epochs=1), epochs=1) if strategy == "evolution" else task
    found = aw.search(where, evaluator, strategy=strategy, budget=aw.Budget(trials=2), final=False)
    assert 0 <= found.best.metrics["hits"] <= 1


class MeanSquaredError:
    """A metric as an object."""

    def __init__(self) -> None:
        self.sum, self.count = 0.0, 0

    def update(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        self.sum += (outputs - targets).square().sum().item()
        self.count += targets.numel()

    def compute(self) -> float:
        return self.sum / self.count


@given(st.integers(1, 300), st.integers(1, 3))
def test_metrics_are_those_of_the_whole_part(count: int, columns: int) -> None:
    generator = torch.Generator().manual_seed(count)
    inputs, targets = torch.randn(count, columns, generator=generator), torch.randn(count, columns, generator=generator)
    metrics = {
        "mine": lambda outputs, targets: ((outputs - targets) ** 4).mean() ** 0.25,
        "mse": MeanSquaredError(),
    }
    task = aw.Task(
        train=(inputs.repeat(2, 1), targets.repeat(2, 1)),
        validation=(inputs, targets),
        loss=F.mse_loss,
        metrics=metrics,
    )
    feed, meter = Feed(task, task.validation, Setup("cpu")), task.meter()
    for batch, wanted in feed.in_order(64):
        meter.update(feed.run(torch.nn.Identity(), batch), wanted)
    found = meter.compute()
    assert found["mine"] == pytest.approx(((inputs - targets) ** 4).mean().item() ** 0.25, rel=1e-4)
    assert found["mse"] == pytest.approx(F.mse_loss(inputs, targets).item(), rel=1e-4)


def test_a_metric_of_torchmetrics_is_copied() -> None:
    import torchmetrics  # here, for it takes seconds

    metric = torchmetrics.MeanSquaredError()
    task = pairs(metrics={"mse": metric}, objective="min mse")
    study = aw.search(space(task), aw.Training(task, epochs=2), budget=aw.Budget(trials=1), strategy="random")
    assert not metric.update_called
    assert study.test["test_mse"] == pytest.approx(study.test["test_loss"], rel=1e-4)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_same_seed_gives_the_same(workers: int) -> None:
    class Noisy(Pairs):
        def __getitem__(self, place: int) -> Any:
            (numbers, token), target = super().__getitem__(place)
            return (numbers + 0.1 * torch.randn(6), token), target

    task = pairs(train=Noisy(64, 0), num_workers=workers)
    search = {"strategy": "random", "budget": aw.Budget(trials=1), "final": False}
    one, same = (aw.search(space(task), aw.Training(task, epochs=2), **search).best.metrics for _ in range(2))
    assert one == same


def test_tensors_and_a_data_set_of_them_are_the_same() -> None:
    generator = torch.Generator().manual_seed(0)
    given = [(torch.randn(40, 3, generator=generator), torch.randn(40, 1, generator=generator)) for _ in range(2)]
    tensors = aw.Task(train=given[0], validation=given[1], loss=F.mse_loss)
    dataset = aw.Task(train=TensorDataset(*given[0]), validation=TensorDataset(*given[1]), loss=F.mse_loss)
    samples = aw.Task(
        train=list(zip(*given[0], strict=True)), validation=list(zip(*given[1], strict=True)), loss=F.mse_loss
    )
    where = aw.Space(model=nn.Sequential(nn.Linear(3, aw.choice(4, 8)), nn.ReLU(), nn.LazyLinear(1)))
    search = {"strategy": "random", "budget": aw.Budget(trials=1)}
    found = [
        aw.search(where, aw.Training(task, epochs=2), **search).best.metrics for task in (tensors, dataset, samples)
    ]
    assert found[0] == found[1]
    assert found[2] == pytest.approx(found[0], rel=1e-5)


def test_arrays_are_taken_as_tensors() -> None:
    rng = np.random.default_rng(0)
    given = rng.normal(size=(20, 3)).astype(np.float32), rng.normal(size=(20, 1)).astype(np.float32)
    assert aw.Task(train=given, validation=given, loss=F.mse_loss).example_input == aw.TensorSpec((3,))


def test_what_goes_on_has_the_supernet_and_the_costs_that_it_had(tmp_path: Any) -> None:
    task = pairs()
    for name, options in {
        "darts": {"strategy": "darts"},
        "costs": {"strategy": "random", "objective": ["min mae", "min flops"]},
        "measured": {"strategy": "random", "constraints": "latency_ms <= 1000"},
    }.items():
        evaluator, budget = aw.Training(task, epochs=1), aw.Budget(trials=1)
        aw.search(space(task), evaluator, budget=budget, path=tmp_path / name, final=False, **options)
        study = aw.load(tmp_path / name, evaluator=task if name == "costs" else evaluator).resume(aw.Budget(trials=2))
        first, second = (set(trial.metrics) for trial in study.trials)
        assert first == second
        assert ("shared_mae" in first) == (name == "darts")


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e9])
def test_values_far_from_zero_are_learned_as_those_near_it(offset: float) -> None:
    inputs = np.random.default_rng(0).normal(size=(120, 3)).astype(np.float32)
    data = aw.data((inputs, offset + inputs.sum(1).astype(np.float64)), task="regression")
    study = aw.search("mlp", aw.Training(data, epochs=4), budget=aw.Budget(trials=1), strategy="random")
    assert study.test["test_rmse"] == pytest.approx(study.test["test_loss"] ** 0.5 * data.targets[0].std, rel=1e-3)
    assert study.test["test_r2"] < 0.999


def test_a_run_of_a_task_in_memory_goes_on_with_the_task(tmp_path: Any) -> None:
    task = pairs()
    evaluator = aw.Training(task, epochs=1)
    aw.search(space(task), evaluator, strategy="random", budget=aw.Budget(trials=1), path=tmp_path / "run", final=False)
    with pytest.raises(aw.errors.StudyError, match="evaluator"):
        aw.load(tmp_path / "run").resume(aw.Budget(trials=2))
    study = aw.load(tmp_path / "run", evaluator=evaluator).resume(aw.Budget(trials=2))
    assert len(study.trials) == 2
    other = aw.Training(pairs(), epochs=2, lr=0.5)
    with pytest.warns(UserWarning, match="differs from the one on record in epochs, lr: its trials"):
        aw.load(tmp_path / "run", evaluator=other).resume(aw.Budget(trials=3), final=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": 3}, "train must be a data set with __len__ and __getitem__ .* not int"),
        ({"validation": torch.utils.data.DataLoader(Pairs(4, 0))}, "not DataLoader. Of a DataLoader give its dataset"),
        ({"train": Pairs(1, 0)}, "1 training and 40 validation samples: there must be at least 2 training"),
        ({"train": (torch.rand(4, 6), torch.rand(3))}, r"\(4, 6\), but targets \(3,\)"),
        ({"train": (torch.rand(4, 6), torch.rand(4))}, "must be all data sets, or all pairs of tensors"),
        ({"train": [(torch.rand(3), 1.0, 2.0)] * 4}, "a sample must be a pair .* not a list of 3"),
        ({"train": [torch.rand(3)] * 4}, "a sample must be a pair"),
        ({"train": [([1.0, 2.0], 1.0)] * 4}, "the inputs of a sample are a list"),
        ({"train": [({"a": torch.rand(3)}, 1.0)] * 4}, "must be a tensor, or a tuple of tensors .* not a dict of 1"),
        ({"train": [(torch.rand(3).double(), 1.0)] * 4}, r"inputs are float64.* inputs\.float\(\)"),
        ({"example_input": (6,)}, r"example_input is float32 \(6,\), and the first sample of train has .*int64 \(\)"),
        ({"example_input": ((6,), (1,))}, r"example_input is float32 \(6,\), float32 \(1,\)"),
        ({"train": Unreadable()}, "sample 0 cannot be read: OSError: disk"),
        ({"loss": 3}, "loss must be a function, not 3"),
        ({"loss": torch.nn.MSELoss}, r"loss must be a function: give an instance, MSELoss\(\)"),
        ({"metrics": {"loss": F.mse_loss}}, "cannot be called 'loss'"),
        ({"metrics": {"a b": F.mse_loss}}, "without spaces, not 'a b'"),
        ({"metrics": {"mse": 3}}, "metric 'mse' must be a function"),
        ({"objective": "max accuracy"}, "the metrics of this task are loss, mae"),
        ({"objective": "mae"}, '"max" or "min" and the name of a metric'),
        ({"objective": ""}, '"max" or "min" and the name of a metric'),
        ({"num_workers": -1}, "num_workers must be a whole number of 0 or more, not -1"),
    ],
)
def test_what_cannot_be_used_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        pairs(**options)


def test_settings_that_a_task_has_no_use_for_are_refused() -> None:
    with pytest.raises(EvaluationError, match=r"label_smoothing=0\.1 is for classification"):
        aw.Training(pairs(), label_smoothing=0.1)
    with pytest.raises(EvaluationError, match="there are no augmentations for"):
        aw.Training(pairs(), augment="flip")
    task = pairs()
    where = aw.Space(**space(task).parts, label_smoothing=aw.choice(0.0, 0.1), example_input=task.example_input)
    with pytest.raises(aw.errors.SpaceError, match="label_smoothing"):
        aw.search(where, task, budget=aw.Budget(trials=1))


def test_the_example_may_have_another_length_where_samples_may() -> None:
    texts = [(torch.zeros(length, dtype=torch.int64), 1.0) for length in (3, 5, 4)]
    options: dict[str, Any] = {"train": texts, "validation": texts, "loss": F.mse_loss}
    wanted = aw.TensorSpec((9,), "int64")
    assert aw.Task(**options, example_input=wanted).example_input == wanted
    doubles = (torch.rand(4, 2).double(), torch.rand(4, 1))
    double = aw.TensorSpec((2,), "float64")
    task = aw.Task(train=doubles, validation=doubles, loss=F.mse_loss, example_input=double)
    assert task.example_input == double
    with pytest.raises(EvaluationError, match="example_input is float64"):
        aw.Task(train=doubles, validation=doubles, loss=F.mse_loss, example_input=aw.TensorSpec((3,), "float64"))


@pytest.mark.parametrize(("targets", "warns"), [((8,), True), ((8, 1), False), ((1,), False), ((8, 3), False)])
def test_a_loss_that_would_broadcast_is_warned_of_once(targets: tuple[int, ...], warns: bool) -> None:
    parts = (torch.rand(8, 2), torch.rand(8, 1))
    task = aw.Task(train=parts, validation=parts, loss=lambda outputs, targets: (outputs - targets).abs().mean())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            task.loss(torch.rand(8, 1), torch.rand(targets))
    assert [str(each.message).startswith("outputs have shape (8, 1), and targets (8,)") for each in caught] == [
        True
    ] * warns


def test_a_metric_that_is_text_is_no_number() -> None:
    parts = (torch.rand(8, 2), torch.rand(8, 1))
    task = aw.Task(train=parts, validation=parts, loss=F.mse_loss, metrics={"told": lambda outputs, targets: "0.5"})
    meter = task.meter()
    meter.update(torch.rand(8, 1), parts[1])
    with pytest.raises(EvaluationError, match=r"metric 'told' must be a number, not '0\.5'"):
        meter.compute()


@pytest.mark.parametrize("given", [torch.zeros(3), 1.5, None])
def test_a_loss_that_is_no_scalar_fails_the_trial(given: Any) -> None:
    task = pairs(loss=lambda outputs, targets: given)
    with pytest.raises(EvaluationError, match="the loss of a batch must be a scalar tensor"):
        task.loss(None, None)


# ---------------------------------------------------------------------- regression


@given(st.integers(2, 200), st.integers(1, 3), st.integers(0, 10))
def test_the_errors_of_a_regression_are_those_of_scikit_learn(count: int, columns: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    targets = 50 + 20 * torch.randn(count + 30, columns, generator=generator)
    task = as_task(aw.data((torch.randn(count + 30, 4, generator=generator), targets), task="regression"))
    part = task.train
    outputs = torch.randn(len(part), columns, generator=generator)
    meter = task.meter()
    for rows in torch.arange(len(part)).split(17):
        meter.update(outputs[rows], part.targets[rows])
    found = meter.compute()
    values = torch.tensor(task.decode(outputs))
    errors = (values - part.targets).double()
    assert found["rmse"] == pytest.approx(errors.square().mean(0).sqrt().mean().item(), rel=1e-4)
    assert found["mae"] == pytest.approx(errors.abs().mean().item(), rel=1e-4)
    assert found["r2"] == pytest.approx(r2_score(part.targets.numpy(), values.numpy()), rel=1e-3, abs=1e-4)
    assert task.loss(outputs, part.targets).item() == pytest.approx(
        F.mse_loss(outputs, (part.targets - targets_mean(task)) / targets_std(task)).item(), rel=1e-4
    )


def targets_mean(task: Any) -> torch.Tensor:
    return task.train.targets.mean(0)


def targets_std(task: Any) -> torch.Tensor:
    return task.train.targets.std(0, correction=0)


def test_a_constant_target_has_a_coefficient_all_the_same() -> None:
    task = as_task(aw.data((torch.randn(40, 2), torch.full((40,), 3.0)), task="regression"))
    meter = task.meter()
    meter.update(torch.zeros(5, 1), torch.full((5, 1), 3.0))
    assert meter.compute() == {"rmse": 0.0, "mae": 0.0, "r2": 1.0}


def test_a_network_learns_values_in_their_own_units(tmp_path: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(300, 3, generator=generator)
    targets = 1000 + 300 * inputs[:, 0]
    file = tmp_path / "houses.csv"
    rows = [
        ",".join(f"{value:.6f}" for value in (*row, target))
        for row, target in zip(inputs.tolist(), targets.tolist(), strict=True)
    ]
    file.write_text("\n".join(["a,b,c,price", *rows]))
    study = aw.search(
        "mlp",
        aw.Training(aw.data(file, task="regression"), epochs=20, lr=0.01),
        strategy="random",
        budget=aw.Budget(trials=1),
        path=tmp_path / "run",
    )
    assert study.objective.metric == "rmse"
    assert study.test["test_r2"] > 0.9
    found = study.predict([{"a": 1.0, "b": 0.0, "c": 0.0}])[0]
    assert found.values == {"price": found.value}
    assert found.value == pytest.approx(1300, abs=100)
    again = aw.load(tmp_path / "run").resume(aw.Budget(trials=2))
    assert len(again.trials) == 2
    assert aw.data(file).classes == ()  # such a column is one of values, without a word
