"""Trials that begin with the weights of others."""

from __future__ import annotations

import warnings
from typing import ClassVar

import pytest
import torch
from tests.evaluate.stubs import images
from tests.study.helpers import function

import archwright as aw
from archwright.execute import Checkpoints

LAYERS = [aw.nn.Sequential(aw.nn.LazyLinear(aw.ordinal(4, 6, 8, name=f"w{i}")), aw.nn.ReLU()) for i in range(4)]
SPACE = aw.Space(
    model=aw.nn.Sequential(aw.nn.Flatten(), *LAYERS, aw.nn.LazyLinear(3)),
    example_input=aw.TensorSpec((1, 8, 8)),
    name="widths",
)


class Looking(aw.Evaluator):
    """Looks at the weights that its candidates begin with, and leaves others."""

    example_input = SPACE.example_input

    def __init__(self):
        self.began, self.left, self.retrained = {}, {}, []

    def evaluate(self, candidate):
        number = len(self.began)
        candidate.restore()
        self.began[number] = (candidate, {k: v.clone() for k, v in candidate.model.state_dict().items()})
        with torch.no_grad():
            for weight in candidate.model.parameters():
                weight += number + 1
        self.left[number] = {k: v.clone() for k, v in candidate.model.state_dict().items()}
        candidate.save({})
        return {"value": function(candidate)}

    def retrain(self, candidate):
        self.retrained.append((candidate, {k: v.clone() for k, v in candidate.model.state_dict().items()}))
        return {"test_value": 1.0}


def apart(one, other):
    return sum(one[name] != other[name] for name in one)


def nearest(history, architecture):
    """Which of the best sixteen is nearest, if it has at least half of the decisions."""
    ranked = sorted(history, key=lambda trial: trial.metrics["value"], reverse=True)[:16]
    near = [trial for trial in ranked if 0 < apart(trial.architecture, architecture) <= 2]
    least = min((apart(trial.architecture, architecture) for trial in near), default=None)
    return next((trial.number for trial in near if apart(trial.architecture, architecture) == least), None)


def from_scratch(architecture, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return SPACE.build(architecture).state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_child_begins_with_the_weights_of_the_nearest_of_the_best(tmp_path):
    evaluator = Looking()
    study = aw.search(SPACE, evaluator, strategy="evolution", inherit=True, budget=aw.Budget(trials=30), path=tmp_path)
    heirs = 0
    for trial in study.trials:
        assert trial.origin == nearest(study.trials[: trial.number], trial.architecture)
        _, began = evaluator.began[trial.number]
        if trial.origin is None:
            assert same(began, from_scratch(trial.architecture, trial.seed))
            continue
        parent = evaluator.left[trial.origin]
        heirs += 1
        for name, weight in began.items():
            corner = tuple(slice(min(sizes)) for sizes in zip(weight.shape, parent[name].shape, strict=True))
            assert torch.equal(weight[corner], parent[name][corner]), name
    assert heirs > 15
    assert len(list((tmp_path / "checkpoints").iterdir())) == 16  # of the best alone


def test_the_final_training_starts_from_scratch():
    evaluator = Looking()
    study = aw.search(SPACE, evaluator, strategy="evolution", inherit=True, final=3, budget=aw.Budget(trials=20))
    chosen = [study.trials[number] for number in study.finals]
    assert any(trial.origin is not None for trial in chosen)
    for trial, (candidate, weights) in zip(chosen, evaluator.retrained, strict=True):
        assert candidate.architecture == trial.architecture
        assert same(weights, from_scratch(trial.architecture, trial.seed))


@pytest.mark.parametrize("loss", ["gone", "damaged", "of another network"])
def test_weights_that_are_lost_are_told_and_done_without(tmp_path, loss):
    class Lose(aw.Callback):
        def on_trial_end(self, study, trial):
            for path in (tmp_path / "checkpoints").glob("*.pt"):
                if loss == "gone":
                    path.unlink()
                elif loss == "damaged":
                    path.write_bytes(b"PK\x03\x04 and no more")
                else:
                    digest = Checkpoints(tmp_path).keep(int(path.stem), {"model": {"weight": torch.zeros(2)}})
                    study._recorder.document["digests"][path.stem] = digest

    evaluator = Looking()
    said = {"gone": "is gone", "damaged": "cannot be read", "of another network": "is of no use"}[loss]
    options = {"strategy": "evolution", "inherit": True, "callbacks": [Lose()], "path": tmp_path}
    with pytest.warns(UserWarning, match=rf"trial \d+ {said}.*: trial \d+ begins from scratch"):
        study = aw.search(SPACE, evaluator, budget=aw.Budget(trials=12), **options)
    assert {trial.state for trial in study.trials} == {"complete"}
    assert any(trial.origin is not None for trial in study.trials)
    for trial in study.trials:
        assert same(evaluator.began[trial.number][1], from_scratch(trial.architecture, trial.seed))


def test_evaluators_that_leave_nothing_are_left_in_peace():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = aw.search(SPACE, function, strategy="evolution", inherit=True, budget=aw.Budget(trials=12))
    assert any(trial.origin is not None for trial in study.trials)


def test_a_search_that_is_gone_on_with_inherits_the_same(tmp_path):
    whole = Looking()
    aw.search(SPACE, whole, strategy="evolution", inherit=True, budget=aw.Budget(trials=16))
    parts = Looking()
    study = aw.Study(SPACE, strategy="evolution", inherit=True)
    for trials in (5, 11, 16):
        study.run(parts, aw.Budget(trials=trials))
    assert all(same(parts.began[number][1], whole.began[number][1]) for number in range(16))
    parts = Looking()
    for trials in (5, 11, 16):  # each as in a process of its own
        with aw.Study(SPACE, strategy="evolution", inherit=True, path=tmp_path, resume=True) as study:
            study.run(parts, aw.Budget(trials=trials))
    assert all(same(parts.began[number][1], whole.began[number][1]) for number in range(16))


def test_what_goes_on_begins_as_it_did_where_its_checkpoint_is_lost(tmp_path):
    class Graded(Looking):
        fidelities: ClassVar = {"epochs": aw.evaluate.Fidelity(1, 3, whole=True)}

    class See(aw.Callback):
        """Finds a trial that goes on from one that has inherited, while what that inherited is still there."""

        found = None

        def on_trial_start(self, study, trial):
            before = study.history.before(trial)
            if before is not None and (tmp_path / "kept" / "checkpoints" / f"{before.origin}.pt").exists():
                self.found = self.found or (before.number, trial.number)

    class Lose(aw.Callback):
        def on_trial_end(self, study, trial):
            if trial.number == see.found[0]:
                (tmp_path / "lost" / "checkpoints" / f"{trial.number}.pt").unlink()

    see, kept, lost = See(), Graded(), Graded()
    options = {"strategy": "evolution", "scheduler": "asha", "inherit": True, "budget": aw.Budget(trials=12)}
    study = aw.search(SPACE, kept, callbacks=[see], path=tmp_path / "kept", **options)
    for trial in study.trials:
        if study.history.before(trial) is not None:
            assert same(kept.began[trial.number][1], kept.left[trial.origin])
    first, later = see.found
    with pytest.warns(UserWarning, match=f"checkpoint of trial {first} is gone: trial {later} starts again"):
        aw.search(SPACE, lost, callbacks=[Lose()], path=tmp_path / "lost", **options)
    assert same(lost.began[later][1], kept.began[first][1])


def test_a_real_training_inherits():
    training = aw.Training(images(), epochs=2, optimizer="adamw", augment=())
    options = {"strategy": "evolution", "scheduler": "full", "inherit": True, "final": False}
    options["budget"] = aw.Budget(trials=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = aw.search(SPACE, training, **options)
        plain = aw.search(SPACE, training, **{**options, "inherit": False})
    heirs = [trial for trial in study.trials if trial.origin is not None]
    assert heirs
    for trial in study.trials:
        same_network = next((each for each in plain.trials if each.architecture == trial.architecture), None)
        if same_network is not None and same_network.seed == trial.seed:
            assert (trial.metrics == same_network.metrics) == (trial.origin is None)
