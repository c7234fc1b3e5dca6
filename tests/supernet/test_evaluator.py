"""Supernets in a search, on real digits."""

from __future__ import annotations

import signal
import time

import numpy as np
import pytest
import torch
from tests import processes

import archwright as aw
from archwright.evaluate import Preparation, Stopped
from archwright.evaluate._feed import Feed, compute_metrics


@pytest.fixture(scope="module")
def digits(few_digits):
    return aw.data(few_digits)


@pytest.fixture(scope="module")
def training(digits):
    return aw.Training(digits, epochs=1)


def test_darts_tries_what_it_derives_alone(digits, training, tmp_path):
    strategy = aw.strategies.DARTS(epochs=2)
    study = aw.search("digits-cells", training, strategy=strategy, budget=aw.Budget(trials=2), path=tmp_path / "run")
    learned = study.learned
    assert [trial.architecture for trial in study.trials] == list(learned.architectures[:2])
    assert len(learned.curve) == len(learned.probabilities) == 2
    for shares in learned.probabilities:
        assert set(shares) == set(study.space.decisions)
        for each in shares.values():
            assert sum(each) == pytest.approx(1.0, abs=1e-5)
    metrics = study.trials[0].metrics
    alone = aw.Training(digits, epochs=1)
    candidate = aw.Candidate(study.space, study.trials[0].architecture, seed=study.trials[0].seed)
    assert metrics["accuracy"] == alone.evaluate(candidate)["accuracy"]  # nothing is inherited
    assert 0 <= metrics["shared_accuracy"] <= 1
    assert "test_accuracy" in study.test
    found = study.diagnosis()
    assert found["epochs"] == 2
    assert found["derived"] == learned.architectures[0].id
    assert 0 <= found["entropy"] <= 1
    loaded = aw.load(tmp_path / "run")
    assert loaded.learned == learned
    assert loaded.evaluator.to_json() == study.evaluator.to_json()
    assert isinstance(loaded.evaluator.relaxation, aw.supernet.Softmax)
    assert loaded.strategy == strategy


def test_the_network_that_is_kept_has_the_accuracy_on_record(training, tmp_path):
    study = aw.search(
        "resnet",
        aw.SupernetEvaluator(training, epochs=1),
        strategy="evolution",
        budget=aw.Budget(trials=4),
        final=False,
        path=tmp_path / "run",
    )
    model, setup = study.best.load(), training.setup("cpu")
    found = compute_metrics(model, Feed(training.task, training.task.validation, setup), setup)
    assert found["accuracy"] == pytest.approx(study.best.metrics["accuracy"])
    assert found["loss"] == pytest.approx(study.best.metrics["loss"], rel=1e-4)
    assert sum(each.numel() for each in model.parameters()) == study.best.metrics["parameters"]
    assert study.learned.architectures == ()


def test_the_order_of_evaluations_does_not_matter(training):
    space = aw.spaces.create("digits-cells")
    evaluator = aw.SupernetEvaluator(training, "path", epochs=1)
    evaluator.prepare(Preparation(space, seed=3))
    drawn = [space.sample(np.random.default_rng(seed)) for seed in range(4)]
    forward = [evaluator.shared(each) for each in drawn]
    assert [evaluator.shared(each) for each in reversed(drawn)] == forward[::-1]


def test_the_same_seed_learns_the_same_whatever_is_drawn_elsewhere(training):
    space, found = aw.spaces.create("digits-cells"), []
    for _ in range(2):
        torch.rand(3)
        learned = aw.SupernetEvaluator(training, "gumbel", epochs=1).prepare(Preparation(space, seed=5))
        found.append((learned.architectures, learned.probabilities))
    assert found[0] == found[1]


def test_the_global_generator_is_left_alone(training):
    before = torch.get_rng_state()
    aw.SupernetEvaluator(training, "dirichlet", epochs=1).prepare(Preparation(aw.spaces.create("digits-cells")))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_deadline_ends_it(training):
    start = time.monotonic()
    evaluator = aw.SupernetEvaluator(training, "softmax")
    learned = evaluator.prepare(Preparation(aw.spaces.create("digits-cells"), deadline=start + 1.0))
    assert 1 <= len(learned.curve) < 30
    assert evaluator.supernet is not None


def test_it_stops_when_it_is_told(training):
    def report(step, metrics):
        raise Stopped("enough")

    evaluator = aw.SupernetEvaluator(training, "softmax", epochs=5)
    assert len(evaluator.prepare(Preparation(aw.spaces.create("digits-cells"), report=report)).curve) == 1


def test_too_many_skips_end_it(training):
    space = aw.spaces.create("digits-cells")
    evaluator = aw.SupernetEvaluator(training, "softmax", epochs=8, early_stop=1)
    learned = evaluator.prepare(Preparation(space, seed=1))
    skips = aw.supernet.skips(space, evaluator.supernet.derive())
    assert (len(learned.curve) < 8) == (skips >= 1)
    assert len(learned.curve) < 8


def test_what_is_missed_most_is_chosen(training):
    space = aw.spaces.create("digits-cells")
    evaluator = aw.SupernetEvaluator(training, "softmax", epochs=1, selection="perturbation")
    learned = evaluator.prepare(Preparation(space, seed=1))
    assert learned.architectures[0] in space
    assert len(set(learned.architectures)) == len(learned.architectures)


def test_half_the_precision_and_a_table(digits):
    training = aw.Training(digits, epochs=1, precision="bf16")
    learned = aw.SupernetEvaluator(training, "softmax", epochs=1).prepare(Preparation(aw.spaces.create("digits-cells")))
    assert np.isfinite(learned.curve[0]["loss"])
    iris = aw.Training(aw.data("iris"), epochs=1)
    space = aw.spaces.create("mlp", input_shape=(4,), classes=3, depth=(1, 2), widths=(4, 8))
    for name in ("darts", "pc-darts", "enas"):
        strategy = aw.strategies.create(name, epochs=2)
        study = aw.search(space, iris, strategy=strategy, budget=aw.Budget(trials=1), final=False)
        assert study.trials[0].architecture == study.learned.architectures[0]


# --------------------------------------------------------------------------- a killed process

KILLED = """
import sys, time
import archwright as aw
class Waits(aw.Callback):
    def on_prepare(self, study, step, metrics):
        if step == int(sys.argv[2]):
            print("waiting", flush=True)
            time.sleep(600)
training = aw.Training(aw.data(sys.argv[3]), epochs=1)
study = aw.search(
    "digits-cells", training, strategy=aw.strategies.GDAS(epochs=3), budget=aw.Budget(trials=1), final=False,
    path=sys.argv[1], callbacks=[Waits()], resume=True,
)
"""


def test_a_killed_training_goes_on_as_if_nothing_had_been(training, few_digits, tmp_path):
    options = {"strategy": aw.strategies.GDAS(epochs=3), "budget": aw.Budget(trials=1), "final": False}
    whole = aw.search("digits-cells", training, **options)
    process = processes.start("-c", KILLED, tmp_path / "run", 2, few_digits)
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    steps = []

    class Counts(aw.Callback):
        def on_prepare(self, study, step, metrics):
            steps.append(step)

    study = aw.load(tmp_path / "run").resume(callbacks=[Counts()])
    assert steps == [3]  # the two epochs before were not trained again
    assert study.learned.architectures == whole.learned.architectures
    assert study.learned.probabilities == whole.learned.probabilities
    assert dict(study.trials[0].metrics) == dict(whole.trials[0].metrics)


@pytest.mark.parametrize(("damage", "told"), [(b"", "cannot be read"), (b"\x00" * 999, "cannot be read")])
def test_a_damaged_checkpoint_is_told_and_not_used(training, tmp_path, damage, told):
    space = aw.spaces.create("digits-cells")
    whole = aw.SupernetEvaluator(training, "path", epochs=1).prepare(Preparation(space, folder=tmp_path))
    (tmp_path / "supernet.pt").write_bytes(damage)
    with pytest.warns(UserWarning, match=f"supernet.pt {told}.*trained from the start"):
        again = aw.SupernetEvaluator(training, "path", epochs=1).prepare(Preparation(space, folder=tmp_path))
    assert [row["loss"] for row in again.curve] == [row["loss"] for row in whole.curve]


def test_a_checkpoint_with_wrong_parts_is_told_and_not_used(tmp_path):
    training = aw.Training(aw.data("iris"), epochs=1, batch_size=64)
    space = aw.Space(
        model=aw.nn.Sequential(aw.nn.Linear(4, 3), aw.choice(aw.nn.ReLU(), aw.nn.Tanh(), name="activation"))
    )
    whole = aw.SupernetEvaluator(training, "softmax", epochs=1).prepare(Preparation(space, folder=tmp_path))
    state = torch.load(tmp_path / "supernet.pt", weights_only=True)
    parts = {f"trainer {name}": {**state, "trainer": {**state["trainer"], name: [7]}} for name in state["trainer"]}
    del parts["trainer paced"]  # true or false, which anything is
    parts |= {name: {**state, name: 7} for name in ("trainer", "curve", "probabilities")}
    parts["a list"] = [state]
    for name, damaged in parts.items():
        torch.save(damaged, tmp_path / "supernet.pt")
        with pytest.warns(UserWarning, match=r"(is damaged|is that of another|cannot be read).*trained from the start"):
            again = aw.SupernetEvaluator(training, "softmax", epochs=1).prepare(Preparation(space, folder=tmp_path))
        assert [row["loss"] for row in again.curve] == [row["loss"] for row in whole.curve], name
        assert (tmp_path / "supernet.pt.old").exists()
        (tmp_path / "supernet.pt.old").unlink()


def test_the_checkpoint_of_another_supernet_is_not_used(training, tmp_path):
    space = aw.spaces.create("digits-cells")
    aw.SupernetEvaluator(training, "path", epochs=1).prepare(Preparation(space, folder=tmp_path))
    with pytest.warns(UserWarning, match="is that of another supernet"):
        aw.SupernetEvaluator(training, "path", epochs=1).prepare(Preparation(space, folder=tmp_path, seed=1))


# --------------------------------------------------------------------------- bad use


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"relaxation": "softmaxx"}, "unknown relaxation 'softmaxx'. Did you mean 'softmax'"),
        ({"judge": "both"}, "unknown judge 'both'"),
        ({"selection": "luck"}, "unknown selection 'luck'"),
        ({"epochs": 0}, "epochs must be an integer of 1 or more"),
        ({"early_stop": -1}, "early_stop is how many skips are too many"),
        ({"relaxation": "path", "early_stop": 2}, "'path' does not"),
    ],
)
def test_settings_that_are_not_allowed(training, settings, told):
    with pytest.raises(aw.errors.ArchwrightError, match=told):
        aw.SupernetEvaluator(training, **settings)


def test_no_supernet_yet(training):
    space = aw.spaces.create("digits-cells")
    candidate = aw.Candidate(space, space.sample(np.random.default_rng(0)), seed=0)
    with pytest.raises(aw.errors.EvaluationError, match="no supernet has been trained yet"):
        aw.SupernetEvaluator(training).evaluate(candidate)


def test_data_that_the_space_does_not_fit(training):
    space = aw.spaces.create("digits-cells", input_shape=(3, 8, 8))
    with pytest.raises(aw.errors.ShapeError):
        aw.search(space, training, strategy="darts", budget=aw.Budget(trials=1))
