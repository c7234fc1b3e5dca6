"""The task of given data."""

from __future__ import annotations

import difflib
import inspect
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from archwright._scalars import scalar
from archwright.datasets import TASKS, Data, InputError, advice, data, series_doubt, to_gigabytes
from archwright.errors import DataError, EvaluationError, unknown
from archwright.tasks._classification import Classification
from archwright.tasks._multilabel import MultiLabel
from archwright.tasks._registry import recognised, register, registry
from archwright.tasks._regression import Regression
from archwright.tasks._task import Task


def as_task(given: Any) -> Task:
    """Return a task unchanged, or the task of data.

    Raises:
        EvaluationError: The argument is neither.

    Example:
        >>> from archwright.tasks import as_task
        >>> as_task(aw.data((torch.rand(40, 4), torch.arange(40) % 2))).objective
        'max accuracy'
    """
    if isinstance(given, Task):
        return given
    if isinstance(given, Data) and given.is_multilabel:
        return MultiLabel(given)
    if isinstance(given, Data):
        return Classification(given) if given.classes else Regression(given)
    shown = " ".join(repr(given).split())
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    raise EvaluationError(
        f"networks are trained on data that aw.data(...) loaded or on an aw.Task(...), not {shown} "
        f"({type(given).__name__}). {advice(given)}".rstrip(" .")
    )


def task(source: Any, task: str | None = None, **options: Any) -> Task:
    """Load data as a task: training, validation and test samples with their loss, metrics and preprocessing.

    Args:
        source: The path of a file or folder; or what `aw.data` takes.
        task: "classification", "regression" or "multilabel" (see `aw.data`), or one of `aw.tasks.entries()`, such as
            "segmentation".
            By default what the data look like: `Task.told` says so.
        **options: The options of the task, or of `aw.data`.

    Raises:
        UnknownName: There is no such task.
        DataError: The data cannot be read.
        EvaluationError: An option is unknown, or no text where one is needed.

    Example:
        >>> aw.task("iris").objective
        'max accuracy'
    """
    told: tuple[str, ...] = ()
    path = Path(os.path.expanduser(source)) if isinstance(source, str | os.PathLike) else None  # not ~ of nobody
    if task is None and path is not None and path.exists() and (found := recognised(path, options)) is not None:
        task, holds = found
        told = (f"task: {task}, because {path.name} holds {holds}; name another with task=, or --task",)
    if task is None or task in TASKS:
        what = "a table, an array or a folder of classes" if task is None else f"task {task!r}"
        _check_options(what, data, options)
        doubt = series_doubt(path) if task is None and path is not None else None
        told = (f"looks like a time series (task='forecasting', or --task forecasting), but {doubt}",) if doubt else ()
        with _placed(path, options):
            try:
                made: Task = as_task(data(source, task=task, **_with_texts(options, data)))
            except DataError as error:
                if not told:
                    raise
                raise DataError(f"{str(error).rstrip('.')}. It {told[0]}") from error
        made.told = (*told, *made.told)
        return made
    if task not in registry:
        raise unknown("task", task, registry.names())
    if not isinstance(source, str | os.PathLike):
        raise EvaluationError(f"the task {task!r} reads a file or folder, not a {type(source).__name__}")
    load = registry.entry(task).make
    _check_options(f"task {task!r}", load, options)
    given = {"source": Path(source).expanduser().resolve(), **_with_texts(options, load)}
    limit: dict[str, float] = {}
    with _placed(path, options):
        if "max_gigabytes" in options:
            limit = {"max_gigabytes": to_gigabytes(options["max_gigabytes"])}
        made = registry.create(task, given | limit, error=EvaluationError)
    # A task that was loaded with another limit is loaded again with it.
    made.spec = {**(made.spec or _spec(task, load, given)), **limit}
    made.told = (*told, *made.told)
    return made


@contextmanager
def _placed(path: Path | None, options: Mapping[str, Any]) -> Iterator[None]:
    """Have errors of data name the file or folder, unless they name it or another that is given."""
    try:
        yield
    except (DataError, InputError) as error:
        told, others = str(error), (options.get(name) for name in ("validation_file", "test_file"))
        files = [Path(each) for each in (path, *others) if isinstance(each, str | os.PathLike)]
        is_placed = (
            path is None or not path.exists() or any(each.name in told or repr(each.stem) in told for each in files)
        )
        raise DataError(told if is_placed else f"{path}: {told}") from error


def _check_options(what: str, load: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Raise where a function that loads data does not take an option; the message says which task does."""
    known = inspect.signature(load).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return
    allowed = [name for name in known if name not in ("source", "task")]
    for name, value in options.items():
        if name in allowed:
            continue
        others = [entry.name for entry in registry if name in inspect.signature(entry.make).parameters]
        near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.75)
        hint = ""
        if near:
            hint = f". Did you mean {near[0]}={value!r}, or --option {near[0]}={value}?"
        elif others:
            first = others[0] if len(others) == 1 else "one of them"
            hint = f". {name}= is an option of {', '.join(others)}: name {first}, by task= or --task"
        raise EvaluationError(f"{what} has no option {name!r}; it has: {', '.join(allowed)}{hint}")


def _spec(task: str, load: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `task` that load the same again, also where another version has other defaults."""
    arguments = {name: parameter.default for name, parameter in inspect.signature(load).parameters.items()}
    arguments |= given
    kept = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in arguments.items()
        if name != "max_gigabytes" and value is not None and value is not inspect.Parameter.empty
    }
    return {"task": task, **kept}


def _with_texts(options: Mapping[str, Any], load: Callable[..., Any]) -> dict[str, Any]:
    """Return options as a function takes them.

    Numbers are texts where it takes texts, so that user=1 is the column "1"; paths of files are full ones.

    Raises:
        EvaluationError: What is given for a text is none.
    """
    found = dict(options)
    for name, parameter in inspect.signature(load).parameters.items():
        kinds = re.split(r"\s*\|\s*", str(parameter.annotation))  # texts, by `from __future__ import annotations`
        if found.get(name) is None or not {"str", "Path"} & set(kinds):
            continue
        if "Path" in kinds:
            found[name] = Path(_text(name, found[name])).expanduser().resolve()
        elif "Sequence[str]" in kinds and isinstance(found[name], Iterable) and not isinstance(found[name], str):
            found[name] = [_text(name, each) for each in found[name]]
        else:
            found[name] = _text(name, found[name])
    return found


def _text(name: str, given: Any) -> str:
    given = scalar(given)
    if not isinstance(given, str | os.PathLike | bool | int | float):
        raise EvaluationError(f"{name}={given!r} must be a text")
    return json.dumps(given) if isinstance(given, bool | int | float) else os.fsdecode(given)


@register("classification")
def classification(source: Any, **options: Any) -> Task:
    """Classification of images or table rows; options as in `aw.data`."""
    return as_task(data(source, task="classification", **options))


@register("regression")
def regression(source: Any, **options: Any) -> Task:
    """Regression: one or several numbers for each image or table row; options as in `aw.data`."""
    return as_task(data(source, task="regression", **options))


@register("multilabel")
def multilabel(source: Any, **options: Any) -> Task:
    """Multi-label classification: any number of labels for each table row; options as in `aw.data`."""
    return as_task(data(source, task="multilabel", **options))
