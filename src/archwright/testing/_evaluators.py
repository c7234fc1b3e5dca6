"""Conformance tests of evaluators."""

from __future__ import annotations

import json
import math
import runpy
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from archwright.errors import SpaceError, StudyError
from archwright.evaluate import Candidate, Evaluator, Stopped
from archwright.execute import Job, Report, Worker
from archwright.space import Space
from archwright.study import Budget, Study, restore_evaluator
from archwright.testing._process import elsewhere
from archwright.trials import Objective

Listener: TypeAlias = Callable[[float, Mapping[str, float]], None]


class EvaluatorSuite:
    """Conformance tests of an evaluator: it measures its objective, is reproducible, and can be stopped.

    Example:
        >>> class TestMine(aw.testing.EvaluatorSuite):
        ...     @pytest.fixture
        ...     def evaluator(self):
        ...         return aw.Training(aw.data("iris"), epochs=1)
    """

    @pytest.fixture
    def evaluator(self) -> Evaluator:
        """The evaluator under test, made to be quick; a subclass gives it."""
        raise NotImplementedError(f"{type(self).__name__} gives no fixture named 'evaluator'")

    @pytest.fixture
    def space(self) -> Space:
        """A space that it can evaluate; a subclass gives it."""
        raise NotImplementedError(f"{type(self).__name__} gives no fixture named 'space'")

    @pytest.fixture
    def candidate(self, evaluator: Evaluator, space: Space) -> Candidate:
        """A candidate of the space."""
        return _candidate(evaluator, space)

    def test_the_objective_is_measured(self, evaluator: Evaluator, candidate: Candidate) -> None:
        """The metrics are finite numbers, and include the objective."""
        metrics = evaluator.evaluate(candidate)
        assert math.isfinite(Objective.parse(evaluator.objective).score(metrics))
        assert dict(metrics) == {str(name): float(value) for name, value in metrics.items()}

    def test_the_same_seed_measures_the_same(self, evaluator: Evaluator, space: Space) -> None:
        """Everything random in an evaluation follows from the candidate's seed."""
        first, second = (evaluator.evaluate(_candidate(evaluator, space)) for _ in range(2))
        metric = Objective.parse(evaluator.objective).metric
        assert first[metric] == second[metric]

    def test_it_lets_itself_be_stopped(self, evaluator: Evaluator, space: Space) -> None:
        """Exceptions of `report` are not caught, and the points of the curve have finite steps in order."""
        steps: list[float] = []

        def listen(step: float, metrics: Mapping[str, float]) -> None:
            steps.append(step)
            raise Stopped("enough")

        candidate = _candidate(evaluator, space, listen)
        if not _reports(evaluator, space):
            pytest.skip("the evaluator reports no curve")
        with pytest.raises(Stopped):
            evaluator.evaluate(candidate)
        assert len(steps) == 1

    def test_its_time_ends_it(self, evaluator: Evaluator, space: Space) -> None:
        """When the deadline has passed, it returns or is stopped at its first report."""
        candidate = _candidate(evaluator, space, deadline=time.monotonic())
        with suppress(Stopped):
            evaluator.evaluate(candidate)
        assert len(candidate.curve) <= 1

    def test_what_is_saved_gives_the_test_metrics_from_raw_inputs(
        self, evaluator: Evaluator, space: Space, tmp_path: Path
    ) -> None:
        """The files of a network predict from raw inputs as the evaluator does."""
        task = evaluator.task
        if evaluator.preprocess is None or not evaluator.retrains or task is None or not len(task.test):
            pytest.skip("the evaluator has no preprocessing, or trains no network that it could test")
        from archwright.export import save_best

        candidate = _candidate(evaluator, space)
        candidate.preprocess = evaluator.preprocess
        metrics = evaluator.retrain(candidate)
        assert metrics is not None
        without = save_best(
            tmp_path, space=space, architecture=candidate.architecture, candidate=candidate, metrics=metrics
        )
        if without is not None:
            pytest.skip(f"the network has no source: {without}")
        # By the file beside the network, which knows nothing of archwright.
        predictor = runpy.run_path(str(tmp_path / "best" / "predict.py"))["load"](tmp_path / "best")
        raw, targets = task.test.inputs, task.test.targets
        found = list(predictor.predict(raw))
        if evaluator.preprocess.classes:
            right = [evaluator.preprocess.classes[target] for target in targets]
            hits = sum(each.label == label for each, label in zip(found, right, strict=True))
            assert hits / len(right) == pytest.approx(metrics["test_accuracy"], abs=1.5 / len(right))
        else:
            errors = np.array([list(each.values.values()) for each in found]) - targets.numpy()
            rmse = float(np.sqrt(np.square(errors).mean(0)).mean())
            assert rmse == pytest.approx(metrics["test_rmse"], rel=1e-4)

    def test_a_job_survives_json_and_another_process(self, evaluator: Evaluator, space: Space) -> None:
        """A job written as JSON gives the same report in another process."""
        try:
            written, place = evaluator.to_json(), space.to_json()
        except SpaceError as error:
            pytest.skip(f"the space cannot be written down: {error}")
        if written is None:
            pytest.skip("the evaluator cannot be written down")
        job = Job(7, space.fingerprint, space.sample(np.random.default_rng(0)), 3, stages=({},))
        text = json.dumps({"evaluator": written, "space": place, "job": job.to_json()})
        assert Job.from_json(json.loads(text)["job"]) == job
        report, _ = Worker(space, evaluator).run(job)
        told = json.loads(elsewhere(_evaluated, text))
        assert replace(Report.from_json(told), seconds=report.seconds) == report

    def test_files_of_the_user_are_neither_removed_nor_replaced(
        self, evaluator: Evaluator, space: Space, tmp_path: Path
    ) -> None:
        """What the user adds to a run folder, or changes in it, is there after the search, maybe under another name."""
        options: dict[str, Any] = {"strategy": "random", "objective": evaluator.objective, "path": tmp_path / "run"}
        Study(space, **options).run(evaluator, Budget(trials=1), final=False)
        files = {name: f"mine: {name}" for name in ("notes.txt", "best/notes.txt", "best/model.py", "checkpoints/1.pt")}
        for name, text in files.items():
            path = tmp_path / "run" / name
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_text(text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a network could not be kept is a warning
            Study(space, **options, resume=True).run(evaluator, Budget(trials=3))
        kept = {path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()}
        assert set(files.values()) <= kept

    def test_what_cannot_be_judged_is_not_kept(self, evaluator: Evaluator, space: Space) -> None:
        """A constraint or an objective on a metric that is not measured is an error, or fails the trial."""
        for objective, constraints in ((evaluator.objective, "unknown <= 1"), ("max unknown", ())):
            study = Study(space, strategy="random", objective=objective, constraints=constraints)
            with suppress(StudyError):
                study.run(evaluator, Budget(trials=1), final=False)
            assert all(trial.state == "failed" for trial in study.trials)
            assert study.best is None

    def test_it_understands_the_space(self, evaluator: Evaluator, space: Space) -> None:
        """The parts of the space besides the model are settings of the evaluator."""
        assert evaluator.settings is None or set(space.parts) - {"model"} <= evaluator.settings

    def test_what_is_written_down_is_json(self, evaluator: Evaluator) -> None:
        """What describes the evaluator is JSON, if it can be described."""
        written = evaluator.to_json()
        assert written is None or json.loads(json.dumps(written)) == written


def _evaluated(text: str) -> str:
    """Return the report of a job, both as JSON."""
    given = json.loads(text)
    worker = Worker(Space.from_json(given["space"]), restore_evaluator(given))
    report, _ = worker.run(Job.from_json(given["job"]))
    return json.dumps(report.to_json())


def _candidate(
    evaluator: Evaluator, space: Space, listener: Listener | None = None, deadline: float | None = None
) -> Candidate:
    return Candidate(
        space,
        space.sample(np.random.default_rng(0)),
        seed=3,
        device=evaluator.device,
        deadline=deadline,
        listener=listener,
        example_input=evaluator.example_input,
    )


def _reports(evaluator: Evaluator, space: Space) -> bool:
    candidate = _candidate(evaluator, space)
    evaluator.evaluate(candidate)
    steps = [row["step"] for row in candidate.curve]
    assert steps == sorted(set(steps))
    return bool(steps)
