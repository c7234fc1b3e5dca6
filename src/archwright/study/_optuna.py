"""Studies for Optuna: as a storage that is read, and as copies. Optuna is imported when one is made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright import _disk
from archwright.errors import StudyError, require

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from archwright.study._results import Results

_JOURNAL = b'{"op_code":'  # what a line of Optuna's journal begins with


def optuna_storage(place: str | os.PathLike[str]) -> BaseStorage:
    """Return the studies of a folder or a database as a storage of Optuna, to read.

    For `optuna.load_study`, `optuna.importance`, `optuna.visualization`, and optuna-dashboard, which shows running
    searches through it. Each call reads what has been recorded since. Writing raises `StudyError`.

    Decisions are parameters: choices categorical ones, numbers and depths integers or floats, with their logarithmic
    scales, each option of a subset a parameter of its own. A trial has those that are active. Metrics, the fidelity and
    the error are user attributes. Constraints are those of Optuna: at most 0 where they are satisfied. Optuna compares
    trials regardless of their fidelity: complete trials below a full evaluation are therefore shown as pruned.
    Infeasible trials are complete if their objectives were measured, and otherwise failed. Interrupted trials are
    waiting. The times of trials are by the clock of the search, which stands still between its sessions.

    Args:
        place: A run folder, a folder with run folders, the path of an SQLite file, or the URL of a database.

    Raises:
        StudyError: There is no such folder.
        StoreError: The database cannot be opened, or is damaged.
        MissingExtra: Optuna is not installed.

    Example:
        >>> import optuna
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 9)), strategy="grid", path="runs/first")
        >>> study = study.run(lambda candidate: candidate.settings["x"], aw.Budget(trials=3))
        >>> optuna.load_study(study_name="first", storage=aw.optuna_storage("runs")).best_params
        {'x': 2}
    """
    require("optuna", extra="optuna", purpose="a storage of Optuna")
    from archwright.study._optuna_storage import ReadOnlyStorage

    return ReadOnlyStorage(place)


def copy_study(study: Results, storage: Any, name: str | None) -> str:
    """Copy a study into a storage of Optuna: see `Study.to_optuna`."""
    optuna = require("optuna", extra="optuna", purpose="a copy for Optuna")
    place = study._recorder.place
    name = name or (place.name if place.store is not None else None if study.path is None else study.path.name)
    if not name:
        raise StudyError("this study has no name: give the copy one, to_optuna(..., name=...)")
    if isinstance(storage, str | os.PathLike):
        storage = _journal(Path(storage))
    if not isinstance(storage, optuna.storages.BaseStorage):
        raise StudyError(f"storage is the path of a journal file or a storage of Optuna, not {storage!r}")
    if name in {each.study_name for each in storage.get_all_studies()}:
        raise StudyError(f"the storage has a study {name!r} already: give the copy another name, to_optuna(..., name=)")
    from archwright.study._optuna_storage import Translation

    translation = Translation(study)
    copies = [translation.trial(record) for record in study._recorder.records()]
    key = storage.create_new_study(translation.directions, study_name=name)
    for attribute, value in translation.attributes.items():
        storage.set_study_user_attr(key, attribute, value)
    for copy in copies:
        storage.create_new_trial(key, template_trial=copy)
    return name


def _journal(path: Path) -> Any:
    """Return Optuna's journal in a file.

    Raises:
        StudyError: The file holds something else.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if os.path.lexists(path):
        _disk.refuse_links([path])
        with open(path, "rb", opener=_disk.regular) as file:
            start = file.read(len(_JOURNAL))
        if start not in (b"", _JOURNAL):
            raise StudyError(f"{path} is no journal of Optuna, and is not overwritten: give another file")
    return JournalStorage(JournalFileBackend(str(path)))
