"""Studies as a storage of Optuna. Importing this loads Optuna."""

from __future__ import annotations

import copy
import os
import threading
import warnings
from collections.abc import Container, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from archwright.errors import ArchwrightError, EvaluationError, StudyError
from archwright.space import Choice, Decision, Integer, Real, Subset
from archwright.store import Record
from archwright.study._found import Found, find_studies
from archwright.trials import metrics_to_json

if TYPE_CHECKING:
    from archwright.study._results import Results

_ROOM = 10_000_000  # numbers of trials of a study: the id of a trial is that of its study times this, plus its number
_CONSTRAINTS = "constraints"  # the system attribute that Optuna keeps them in


class Translation:
    """Translates the trials of a study into those of Optuna.

    Args:
        study: The study.
        key: The id of the study in its storage.

    Raises:
        ArchwrightError: The space cannot be restored.
    """

    def __init__(self, study: Results, key: int = 0) -> None:
        self._study = study
        self._key = key
        self._decisions = study.space.decisions
        self._distributions = {name: _distributions(name, each) for name, each in self._decisions.items()}
        self._began = datetime.fromisoformat(study._recorder.document["created"]).astimezone().replace(tzinfo=None)
        self.directions = [
            StudyDirection.MAXIMIZE if objective.maximise else StudyDirection.MINIMIZE for objective in study.objectives
        ]
        self.attributes: dict[str, Any] = {
            "objectives": list(map(str, study.objectives)),
            "constraints": list(map(str, study.constraints)),
            "seed": study.seed,
        }

    def trial(self, record: Record, *, is_held: bool = False) -> FrozenTrial:
        """Return a trial as Optuna has it.

        Args:
            record: The trial as it is stored.
            is_held: Whether a process writes to the study; otherwise a trial that has not ended is interrupted.
        """
        trial, study = record.trial, self._study
        values = None if trial.state in ("running", "failed") else self._values(trial.metrics)
        if not trial.ended:
            state = TrialState.RUNNING if is_held else TrialState.WAITING
        elif values is None and trial.state != "pruned":
            state = TrialState.FAIL
        elif trial.state == "pruned" or trial.share < 1:
            state = TrialState.PRUNED
        else:
            state = TrialState.COMPLETE
        params: dict[str, Any] = {}
        distributions: dict[str, BaseDistribution] = {}
        for name, value in trial.architecture.items():
            decision, here = self._decisions[name], self._distributions[name]
            several = [label in value for label in decision.labels] if isinstance(decision, Subset) else [value]  # type: ignore[operator]  # a subset is a tuple
            params.update(zip(here, several, strict=True))
            distributions.update(here)
        attributes: dict[str, Any] = {**metrics_to_json(trial.metrics), "id": trial.architecture.id}
        attributes |= {} if trial.fidelity is None else {"fidelity": dict(trial.fidelity)}
        attributes |= {} if trial.origin is None else {"origin": trial.origin}
        attributes |= {} if trial.error is None else {"error": trial.cause}
        violations = [
            (trial.metrics[each.metric] - each.bound) * (1 if each.at_most else -1)
            for each in study.constraints
            if each.metric in trial.metrics
        ]
        end = self._began + timedelta(seconds=record.elapsed)
        return FrozenTrial(
            number=trial.number,
            trial_id=self._key * _ROOM + trial.number,
            state=state,
            value=None,
            values=values,
            datetime_start=end - timedelta(seconds=trial.seconds),
            datetime_complete=end if trial.ended else None,
            params=params,
            distributions=distributions,
            user_attrs=attributes,
            system_attrs={_CONSTRAINTS: violations} if violations else {},
            intermediate_values=self._curve(trial.curve if trial.ended else study.curve(trial.number)),
        )

    def _values(self, metrics: Any) -> list[float] | None:
        """Return the values of the objectives, or `None` where one is missing or no number."""
        aims = self._study.objectives
        try:
            scores = [objective.score(metrics) for objective in aims]
        except EvaluationError:
            return None
        values = [score if objective.maximise else -score for score, objective in zip(scores, aims, strict=True)]
        return None if any(value != value for value in values) else values

    def _curve(self, rows: Sequence[Any]) -> dict[int, float]:
        """Return the values of the first objective by step."""
        found: dict[int, float] = {}
        for row in rows:
            try:
                score = self._study.objective.score(row)
            except EvaluationError:  # it was not reported in this step
                continue
            found[int(row["step"])] = score if self._study.objective.maximise else -score
        return found


def _distributions(name: str, decision: Decision) -> dict[str, BaseDistribution]:
    """Return the parameters of a decision by name."""
    if isinstance(decision, Choice):
        return {name: CategoricalDistribution(decision.labels)}
    if isinstance(decision, Subset):
        return {f"{name}[{label!r}]": CategoricalDistribution((False, True)) for label in decision.labels}
    if isinstance(decision, Real):
        return {name: FloatDistribution(decision.low, decision.high, log=decision.log)}
    if isinstance(decision, Integer):
        return {name: IntDistribution(decision.low, decision.high, log=decision.log, step=decision.step)}
    numbers: list[Any] = list(decision.values())  # a depth
    return {name: IntDistribution(min(numbers), max(numbers))}


class _Open:
    """A study that is read through a storage, and its trials by number."""

    def __init__(self, found: Found, key: int) -> None:
        self.key = key
        self.name = found.name
        self.study = found.open()
        self.translation = Translation(self.study, key)
        self.trials: list[FrozenTrial] = []
        self._take(self.study._recorder.records())

    def refresh(self) -> None:
        self._take(self.study._recorder.refresh())

    def _take(self, records: list[Record]) -> None:
        is_held = any(not record.trial.ended for record in records) and self.study.is_held
        for record in records:
            number = record.trial.number
            self.trials[number : number + 1] = [self.translation.trial(record, is_held=is_held)]


class ReadOnlyStorage(BaseStorage):
    """The studies of a folder or a database; each call reads what has been recorded since.

    Args:
        place: A run folder, a folder with run folders, the path of an SQLite file, or the URL of a database.
    """

    def __init__(self, place: str | os.PathLike[str]) -> None:
        self._place = place
        self._lock = threading.RLock()
        self._open: dict[str, _Open] = {}
        self._refused: set[str] = set()
        self._find()

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process makes the same storage of."""
        return {"place": self._place}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the studies again."""
        self.__init__(state["place"])  # type: ignore[misc]  # its state is its argument

    # ------------------------------------------------------------------ studies

    def get_all_studies(self) -> list[FrozenStudy]:
        """Return the studies."""
        with self._lock:
            self._find()
            return [
                FrozenStudy(each.name, None, each.translation.attributes, {}, each.key, directions=self._aims(each))
                for each in self._open.values()
            ]

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return the id of a study."""
        with self._lock:
            if study_name not in self._open:
                self._find()
            if study_name not in self._open:
                names = ", ".join(map(repr, self._open)) or "none"
                raise KeyError(f"there is no study {study_name!r}; the studies are: {names}")
            return self._open[study_name].key

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return the name of a study."""
        return self._of(study_id).name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Return the directions of the objectives."""
        return self._aims(self._of(study_id))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the objectives, the constraints and the seed."""
        return dict(self._of(study_id).translation.attributes)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return nothing: samplers note nothing here."""
        self._of(study_id)
        return {}

    # ------------------------------------------------------------------ trials

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial."""
        with self._lock:
            each = self._of(trial_id // _ROOM)
            number = trial_id % _ROOM
            if number >= len(each.trials) or not each.trials[number].state.is_finished():
                each.refresh()
            if number >= len(each.trials):
                raise KeyError(f"there is no trial with the id {trial_id}")
            return copy.deepcopy(each.trials[number])

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials of a study by number."""
        with self._lock:
            each = self._of(study_id)
            each.refresh()
            chosen = [trial for trial in each.trials if states is None or trial.state in states]
            return copy.deepcopy(chosen) if deepcopy else chosen

    # ------------------------------------------------------------------ what is refused

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> NoReturn:
        """Refuse it; `optuna.create_study(load_if_exists=True)` goes on with a study that is there."""
        if study_name is not None and study_name in self._open:
            raise DuplicatedStudyError(f"there is a study {study_name!r}")
        self._refuse()

    def delete_study(self, study_id: int) -> NoReturn:
        """Refuse it."""
        self._refuse()

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> NoReturn:
        """Refuse it."""
        self._refuse()

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> NoReturn:
        """Refuse it."""
        self._refuse()

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> NoReturn:
        """Refuse it."""
        self._refuse()

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> NoReturn:
        """Refuse it."""
        self._refuse()

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> NoReturn:
        """Refuse it."""
        self._refuse()

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> NoReturn:
        """Refuse it."""
        self._refuse()

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> NoReturn:
        """Refuse it."""
        self._refuse()

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> NoReturn:
        """Refuse it."""
        self._refuse()

    # ------------------------------------------------------------------ inside

    def _refuse(self) -> NoReturn:
        raise StudyError(
            "this storage of Optuna is read-only: only archwright writes to its studies. study.to_optuna(...) makes a "
            "copy that Optuna can write to"
        )

    def _find(self) -> None:
        """Open the studies that were not there before; one that cannot be opened is left out, with a warning."""
        for found in find_studies(self._place):
            if found.name in self._open or found.name in self._refused:
                continue
            try:
                self._open[found.name] = _Open(found, len(self._open))
            except ArchwrightError as error:
                self._refused.add(found.name)
                warnings.warn(f"the study {found.name!r} is left out: {error}", stacklevel=4)

    def _of(self, study_id: int) -> _Open:
        with self._lock:
            for each in self._open.values():
                if each.key == study_id:
                    return each
        raise KeyError(f"there is no study with the id {study_id}")

    def _aims(self, each: _Open) -> list[StudyDirection]:
        return list(each.translation.directions)
