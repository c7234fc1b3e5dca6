"""Predictions with the networks of a study."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archwright.errors import DataError, StudyError

if TYPE_CHECKING:
    from archwright.export import Estimate, Prediction, Predictor
    from archwright.study._results import Results


def load_predictor(study: Results, trial: int | None = None) -> Predictor:
    """Return a trained network of a study together with its preprocessing.

    Raises:
        StudyError: There is no such network, or its preprocessing is not known.
    """
    from archwright.export import Predictor

    if trial is not None and not 0 <= trial < len(study.trials):
        raise StudyError(f"there is no trial {trial}; the study has {len(study.trials)}")
    found = study.history.best if trial is None else study.trials[trial]
    if found is None:
        raise StudyError("there is no network yet: no trial is complete")
    network, preprocess = study._artifacts.load(study.space, found.architecture, found.fidelity, found.number)
    if preprocess is None:
        raise StudyError(
            "how the inputs of this network were preprocessed is not known, because its evaluator has no data of "
            "`aw.data`. Take study.best.load() and give it what it was trained on; an evaluator of your own may set "
            "candidate.preprocess"
        )
    return Predictor(network, preprocess)


def predict(predictor: Predictor, inputs: Any, *, batch_size: int, max_gigabytes: float) -> list[Prediction | Estimate]:
    """Return predictions for inputs of any kind, see `Study.predict`.

    Raises:
        DataError: An input cannot be read, or is not of the kind that the network was trained on.
    """
    from archwright.datasets import InputError

    try:
        return list(predictor.predict(_as_inputs(inputs), batch_size=batch_size, max_gigabytes=max_gigabytes))
    except InputError as error:
        raise DataError(str(error)) from error


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
