"""The results of a study."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from archwright._disk import is_folder
from archwright.errors import DataError, StudyError
from archwright.evaluate import Evaluator, Learned
from archwright.schedulers import Ladder, Scheduler
from archwright.space import Architecture, Space
from archwright.strategies import Strategy
from archwright.study import _describe as describe
from archwright.study._auto import BY_LOSS
from archwright.study._baseline import Baseline, ahead
from archwright.study._best import Artifacts, Best
from archwright.study._budget import Budget
from archwright.study._ensemble import Ensemble
from archwright.study._explained import Explained
from archwright.study._folder import TRIAL_LOGS
from archwright.study._followed import Followed
from archwright.study._picture import draw_front, draw_learned
from archwright.study._propose import Planner
from archwright.study._recorder import Recorder
from archwright.study._reduced import describe_spent
from archwright.study._reported import Reported
from archwright.trials import Constraint, History, Objective, State, Trial, metrics_to_json

if TYPE_CHECKING:
    from archwright.datasets import Result
    from archwright.export import Predictor


class Results(Explained, Reported, Followed):
    """All there is to read of a study; `Study` adds to it.

    Attributes:
        path: The run folder, or `None`.
    """

    path: Path | None
    _space: Space | None
    _strategy: Strategy | None
    _evaluator: Evaluator | None
    _planner: Planner | None
    _recorder: Recorder
    _artifacts: Artifacts

    # ------------------------------------------------------------------ what it is

    @property
    def space(self) -> Space:
        """The search space; restored from the record if it was not given."""
        if self._space is None:
            self._space = describe.restore_space(self._recorder.document)
        return self._space

    @property
    def strategy(self) -> Strategy:
        """The strategy; restored from the record if it was not given."""
        if self._strategy is None:
            self._strategy = describe.restore_strategy(self._recorder.document)
        return self._strategy

    @property
    def evaluator(self) -> Evaluator:
        """The evaluator; restored from the record if it was not given."""
        if self._evaluator is None:
            self._evaluator = describe.restore_evaluator(self._recorder.document)
        return self._evaluator

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The objectives."""
        return self.history.objectives

    @property
    def objective(self) -> Objective:
        """The objective; of several the first."""
        return self.history.objective

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The constraints."""
        return self.history.constraints

    @property
    def starts(self) -> tuple[Architecture, ...]:
        """The architectures of the first trials."""
        stored = self._recorder.document["scheduler"] or {}
        return tuple(map(Architecture.from_json, stored.get("starts", [])))

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler; restored from the record if it was not given."""
        return self._plan.scheduler

    @property
    def ladder(self) -> Ladder:
        """The rungs; empty if all trials are full evaluations."""
        return self._plan.ladder

    @property
    def seed(self) -> int:
        """The random seed."""
        return int(self._recorder.document["seed"])

    @property
    def budget(self) -> Budget | None:
        """The budget of the last `run`; `None` before the first."""
        stored = self._recorder.document["budget"]
        return None if stored is None else Budget.from_json(stored)

    @property
    def why(self) -> tuple[str, ...]:
        """The automatic choices of the search and their reasons, as lines of text."""
        return tuple(self._recorder.document["why"] or ())

    # ------------------------------------------------------------------ what has come of it

    @property
    def history(self) -> History:
        """The history, as strategies see it."""
        return self._recorder.history

    @property
    def trials(self) -> Sequence[Trial]:
        """All trials, by number."""
        return self.history.trials

    def given(self, trial: Trial) -> str:
        """Return the fidelity of a trial as text, such as "epochs 3 of 9"; empty for a full evaluation."""
        return "" if trial.fidelity is None else describe_spent(self.space, self.ladder, trial.fidelity)

    def log_file(self, number: int) -> Path | None:
        """Return the file with what a trial printed in its worker process; `None` if there is none.

        Args:
            number: The number of the trial.
        """
        folder = None if self._recorder.folder is None else self._recorder.folder / TRIAL_LOGS
        if folder is None or not is_folder(folder):
            return None
        file = folder / f"{number}.log"
        return file if file.is_file() and not file.is_symlink() else None

    @property
    def learned(self) -> Learned | None:
        """The result of the evaluator's preparation before the first trial, such as the training of a supernet."""
        return self.history.learned

    def diagnosis(self) -> dict[str, Any] | None:
        """Return diagnostics of the preparation before the first trial; `None` without one.

        Returns:
            "epochs" and "seconds" of the supernet; of the derived architecture the "derived" id, the shares of "skips"
            and of "nothing" among its operations, the "entropy" of the probabilities, in 0..1, and why it is
            "degenerate", or `None`; the number of trials with both accuracies, "compared", and, for three or more
            different ones, the rank correlations "spearman" and "kendall" of shared-weight and stand-alone accuracy.
        """
        learned = self.learned
        if learned is None:
            return None
        seconds = sum(row.get("seconds", 0.0) for row in learned.curve)
        found: dict[str, Any] = {"epochs": len(learned.curve), "seconds": seconds, **learned.diagnosis}
        pairs = [
            (trial.metrics["shared_accuracy"], trial.metrics["accuracy"])
            for trial in self.history.complete
            if {"shared_accuracy", "accuracy"} <= trial.metrics.keys()
        ]
        found["compared"] = len(pairs)
        if len(pairs) > 2:
            from scipy import stats

            shared, alone = zip(*pairs, strict=True)
            if len(set(shared)) > 1 and len(set(alone)) > 1:  # where all are equal there is no order to compare
                found["spearman"] = float(stats.spearmanr(shared, alone).statistic)
                found["kendall"] = float(stats.kendalltau(shared, alone).statistic)
        return found

    def draw_learned(self, path: str | os.PathLike[str]) -> None:
        """Plot the probabilities of the options of each decision by epoch into an image file.

        Raises:
            StudyError: There are no probabilities, or the file name has no image extension.
            MissingExtra: Matplotlib is not installed.
        """
        draw_learned(self.space, self.learned, Path(path))

    @property
    def best(self) -> Best | None:
        """The best trial, with several objectives in the first of them, or `None`."""
        trial = self.history.best
        return None if trial is None else self._found(trial)

    def top(self, count: int) -> list[Best]:
        """Return the best trials with different architectures, best first; with several objectives by Pareto rank.

        The network of the first can be loaded; those of the others if the study was run with `final=count` or more.

        Args:
            count: The maximum number, at least 1.

        Raises:
            StudyError: The count is not an integer of 1 or more.
        """
        given: object = count
        if isinstance(given, bool) or not isinstance(given, Integral) or given < 1:
            raise StudyError(f"top takes how many of the best there are to be, such as top(3), not {count!r}")
        return [self._found(trial) for trial in self.history.top(int(count))]

    @property
    def front(self) -> list[Best]:
        """The Pareto front of the feasible trials, sorted by the first objective."""
        return [self._found(trial) for trial in self.history.front]

    @property
    def hypervolume(self) -> float:
        """The hypervolume of the front; 0 until ten trials are complete, unless a reference point is given."""
        return self.history.hypervolume()

    @property
    def finals(self) -> dict[int, dict[str, float]]:
        """The metrics of the final trainings by the number of the trial."""
        return self._recorder.finals

    @property
    def test(self) -> dict[str, float] | None:
        """The metrics of the best network's final training, or `None` before it.

        Metrics on the test set are named "test_...".
        """
        best = self.history.best
        return None if best is None else self.finals.get(best.number)

    @property
    def is_held(self) -> bool:
        """Whether a process writes to the study; if not, trials that have not ended are interrupted.

        After a crash that takes a minute to show for a study in a store, until the lease of its writer has ended.
        """
        return self._recorder.is_held

    @property
    def samples(self) -> dict[str, int] | None:
        """The numbers of "validation" and "test" samples, if the task's accuracies are shares of them."""
        stored: dict[str, int] | None = self._recorder.document["samples"]
        return stored

    @property
    def ensemble(self) -> Ensemble | None:
        """The ensemble that was made last, or `None`."""
        stored = self._recorder.ensemble
        if stored is None:
            return None
        return Ensemble.from_json(stored, self.history, lambda: self._artifacts.load_ensemble(self.space)[0])

    def predictor(self, trial: int | None = None, *, ensemble: bool = False) -> Predictor:
        """Return a trained network with its preprocessing, for repeated predictions.

        Args:
            trial: The number of a trial whose network is kept; by default the best.
            ensemble: Whether to take the ensemble instead.

        Raises:
            StudyError: There is no such network, or its preprocessing is unknown; or both a trial and the ensemble are
                asked for.
        """
        from archwright.export import Predictor

        if trial is not None and ensemble:
            raise StudyError(f"a trial or the ensemble: trial={trial} and ensemble=True were given")
        if trial is not None and not 0 <= trial < len(self.trials):
            raise StudyError(f"there is no trial {trial}; the study has {len(self.trials)}")
        found = self.history.best if trial is None else self.trials[trial]
        if ensemble:
            network, preprocess = self._artifacts.load_ensemble(self.space)
        elif found is None:
            raise StudyError("there is no network yet: no trial is complete")
        else:
            network, preprocess = self._artifacts.load(self.space, found.architecture, found.fidelity, found.number)
        if preprocess is None:
            raise StudyError(
                "how the inputs of this network were preprocessed is not known, because its evaluator has no data of "
                "`aw.data`. Take study.best.load() and give it what it was trained on; an evaluator of your own may "
                "set candidate.preprocess"
            )
        return Predictor(network, preprocess)

    def predict(
        self,
        inputs: Any,
        *,
        trial: int | None = None,
        ensemble: bool = False,
        batch_size: int = 256,
        max_gigabytes: float = 4.0,
    ) -> list[Result]:
        """Return predictions of a trained network for raw inputs, with the preprocessing of the training data.

        Args:
            inputs: One or several files: images, folders of images, or tables; or table rows: mappings from column
                names to values, or a data frame; or an array or tensor of raw inputs, as for `aw.data`. A text is a
                mapping `{"text": "a fine film"}`, a sentence to tag `{"tokens": ["in", "Berlin"]}`.
            trial: The number of a trial whose network is kept; by default the best.
            ensemble: Whether to take the ensemble instead.
            batch_size: Number of samples in a batch.
            max_gigabytes: The limit of a file's uncompressed size; a sixteenth of it for a single image.

        Returns:
            For each sample the class, its probability, and those of all classes; for regression the target values in
            their units.

        Raises:
            StudyError: There is no such network, or its preprocessing is unknown.
            DataError: An input cannot be read, or differs in kind from the training data.
        """
        from archwright.datasets import InputError

        predictor = self.predictor(trial, ensemble=ensemble)
        try:
            return list(predictor.predict(_as_inputs(inputs), batch_size=batch_size, max_gigabytes=max_gigabytes))
        except InputError as error:
            raise DataError(str(error)) from error

    def export(
        self,
        out: str | os.PathLike[str],
        *,
        trial: int | None = None,
        ensemble: bool = False,
        formats: Sequence[str] | None = None,
        imports: Sequence[str] = (),
        quantise: str | None = None,
        docker: bool = False,
        licence: str | None = None,
    ) -> list[Path]:
        """Write a trained network with a model card into a new folder.

        The files of each format are run on raw inputs in a new process without archwright, and written only if their
        outputs are those of the trained network.

        Args:
            out: A new or empty folder.
            trial: The number of a trial whose network is kept; by default the best.
            ensemble: Whether to take the ensemble instead.
            formats: "torch": source, weights, and a script for predictions; "source": the source alone; "onnx":
                model.onnx; "pt2": model.pt2, a program of `torch.export`; "executorch": model.pte, for one sample, with
                the size of its arena in metrics.json. By default "torch", without source where it
                cannot be written.
            imports: Packages that model.py may import besides torch.
            quantise: "int8" to write model.onnx and model.int8.onnx, with weights and activations of 8 bits, calibrated
                on training samples. The metrics and the latency of both are measured.
            docker: Whether to write serve.py, requirements.txt and a Dockerfile, which serve predictions over HTTP.
            licence: The licence of the network for the card, such as "apache-2.0".

        Returns:
            The files written.

        Raises:
            UnknownName: There is no such format.
            StudyError: There is no such network, the folder is not empty, or the study has no run folder.
            BuildError: A format cannot carry the network; the message says why.
            MissingExtra: The ONNX exporter, or the server of a Dockerfile, is not installed.
        """
        from archwright.study._export import export

        return export(
            self,
            Path(out),
            trial=trial,
            ensemble=ensemble,
            formats=formats,
            imports=imports,
            quantise=quantise,
            docker=docker,
            licence=licence,
        )

    @property
    def baselines(self) -> tuple[Baseline, ...]:
        """The classical methods that were fitted before the first trial, in order."""
        return tuple(map(Baseline.from_json, self._recorder.document["baselines"] or ()))

    @property
    def ahead(self) -> tuple[Baseline, str] | None:
        """The best classical baseline that is ahead of the best network, and the metric; `None` if there is none.

        The metric is the objective on the test part, or on the validation part if there was no final training; the
        accuracy if "auto" chose the loss.
        """
        best, chosen = self.history.best, any(line.startswith(BY_LOSS) for line in self.why)
        aims = (Objective("accuracy"),) if chosen else self.objectives
        return None if best is None else ahead(self.baselines, aims, best.metrics, self.test or {})

    @property
    def elapsed(self) -> float:
        """Wall-clock time of the search in seconds, over all sessions."""
        return self._recorder.clock.elapsed

    def summary(self) -> dict[str, Any]:
        """Return a summary of the study, as a JSON object."""
        recorder, history, test = self._recorder, self.history, self.test
        document = recorder.document
        states = Counter(trial.state for trial in history.trials)
        best, strategy = history.best, document["strategy"]
        return {
            "path": None if recorder.folder is None else str(recorder.folder),
            "space": document["space"]["name"] or "custom",
            "fingerprint": document["fingerprint"],
            "strategy": strategy["name"] or strategy["class"],
            "options": strategy["options"],
            "seed": document["seed"],
            "objectives": list(map(str, history.objectives)),
            "constraints": list(map(str, history.constraints)),
            "budget": document["budget"],
            "evaluator": document["evaluator"],
            "created": document["created"],
            "versions": document["versions"],
            "trials": {state: states[state] for state in get_args(State)},
            "seconds": recorder.clock.elapsed,
            "best": None if best is None else _told(best),
            "front": [_told(trial) for trial in history.front] if len(history.objectives) > 1 else None,
            "hypervolume": history.hypervolume() if len(history.objectives) > 1 else None,
            "learned": self.diagnosis(),
            "replies": history.outside.totals() or None,
            "test": None if test is None else metrics_to_json(test),
            "baselines": [baseline.to_json() for baseline in self.baselines],
            "ahead": None if self.ahead is None else self.ahead[0].name,
            "ensemble": recorder.ensemble,
        }

    def draw_front(self, path: str | os.PathLike[str]) -> None:
        """Plot the trials of a search with two or three objectives, the front, and its hypervolume over time.

        Raises:
            StudyError: There is one objective, there are no complete trials, or the file name has no image extension.
            MissingExtra: Matplotlib is not installed.
        """
        draw_front(self.history, Path(path))

    # ------------------------------------------------------------------ inside

    @property
    def _plan(self) -> Planner:
        """What says what comes next; made from the record when the study was opened."""
        if self._planner is None:
            self._planner = describe.restore_planner(self._recorder.document, self.space, self.strategy)
        return self._planner

    def _found(self, trial: Trial) -> Best:
        def load() -> Any:
            return self._artifacts.load(self.space, trial.architecture, trial.fidelity, trial.number)[0]

        return Best(trial, load)


def _told(trial: Trial) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "id": trial.architecture.id,
        "architecture": trial.architecture.to_json(),
        "metrics": metrics_to_json(trial.metrics),
    }


def _as_inputs(inputs: Any) -> Any:
    """Return paths, rows and tensors as they are, a data frame as rows, and arrays and nested lists as a tensor."""
    import torch

    from archwright.datasets import to_array

    if isinstance(inputs, str | os.PathLike | Mapping | torch.Tensor):
        return inputs
    if hasattr(inputs, "columns") and hasattr(inputs, "to_dict"):
        return inputs.to_dict("records")
    several = list(inputs) if not hasattr(inputs, "dtype") else inputs
    if all(isinstance(each, str | os.PathLike | Mapping) for each in several):
        return several
    array = to_array(several, "inputs")
    if array.dtype.kind not in "biuf":
        raise DataError(f"inputs are files, rows by column, or numbers; these are of dtype {array.dtype}")
    return torch.tensor(array if array.dtype == "uint8" else array.astype("float32"))
