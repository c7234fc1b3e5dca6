"""Strategies, schedulers and fidelities as text on the command line."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright import schedulers, spaces, strategies
from archwright._registry import split_settings
from archwright.errors import (
    ArchitectureError,
    EvaluationError,
    SchedulerError,
    SpaceError,
    StrategyError,
    StudyError,
    unknown,
)
from archwright.schedulers import Scheduler
from archwright.space import Architecture, Space, load_code
from archwright.strategies import LLM, OneShot, Strategy

if TYPE_CHECKING:
    from archwright.bench import Entry
    from archwright.callbacks import Tracker
    from archwright.evaluate import Evaluator, Training
    from archwright.execute import Cluster

EVALUATORS = {
    "training": "Train each network from scratch.",
    "supernet": "Train one supernet first; evaluate each network with its shared weights.",
}
"""The ways to evaluate networks on data, by name."""

_NEXT = re.compile(r",(?!\s*\w+\s*=)")  # a comma before name=value separates settings
_SCHEDULED = re.compile(r"\s*\+\s*(?=[A-Za-z])")  # no plus sign of a number, such as 1e+3


def evaluator_for(name: str, training: Training, strategy: str | Strategy, repeats: int) -> Evaluator:
    """Return the evaluator of a search."""
    if name not in EVALUATORS:
        raise unknown("evaluator", name, EVALUATORS)
    from archwright.evaluate import Repeats

    made: Evaluator = training
    if name == "supernet":
        from archwright.supernet import SupernetEvaluator

        if isinstance(strategy, OneShot):
            made = SupernetEvaluator.of(training, strategy, judge="shared")
        else:
            made = SupernetEvaluator(training)
    return made if repeats == 1 else Repeats(made, repeats)


def default_trials(strategy: str | Strategy, evaluator: str) -> int:
    """Return the number of trials of a search without a budget."""
    if evaluator == "supernet":
        return 100  # each takes a moment
    # What a supernet prefers is tried a few times over; other strategies learn from their trials alone.
    return 3 if isinstance(strategy, OneShot) else 20


def parse_strategy(text: str) -> Strategy:
    """Return the strategy of a text such as "evolution:population=20,sample=5"."""
    name, settings = split_settings(text, error=StrategyError)
    return strategies.create(name, **{key: _value(value) for key, value in settings.items()})


def asking(strategy: Strategy, server: str) -> Strategy:
    """Return the strategy of a record, which may ask a server.

    Raises:
        StrategyError: It asks none.
    """
    if not isinstance(strategy, LLM):
        name = strategies.name_of(strategy) or type(strategy).__name__
        raise StrategyError(f"--server {server}: the strategy of this search, {name}, asks no server; llm does")
    return replace(strategy, base_url=server)


def parse_scheduler(text: str) -> Scheduler:
    """Return the scheduler of a text such as "asha:eta=4"."""
    name, settings = split_settings(text, error=SchedulerError)
    return schedulers.create(name, **{key: _value(value) for key, value in settings.items()})


def parse_priors(texts: Iterable[str]) -> dict[str, Any]:
    """Return the priors of texts such as "width=64@0.9".

    Raises:
        StudyError: A text has another form.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, given = text.partition("=")
        value, at, sure = given.rpartition("@")
        try:
            found[name.strip()] = (_value(value), float(sure)) if at else _value(given)
        except ValueError:
            raise StudyError(f"--prior {text}: the confidence is a number from 0 to 1, not {sure!r}") from None
        if not equals or not name.strip():
            raise StudyError(f"--prior {text}: give NAME=VALUE or NAME=VALUE@CONFIDENCE, such as width=64@0.9")
    return found


def parse_options(texts: Iterable[str]) -> dict[str, Any]:
    """Return the options of a task, of texts such as "horizon=96".

    Raises:
        EvaluationError: A text has another form.
    """
    found = {}
    for each in texts:
        name, given, value = each.partition("=")
        if not given or not name.isidentifier():
            raise EvaluationError(f"--option {each}: an option reads name=value, such as unit=words")
        if name in ("source", "task"):
            raise EvaluationError(f"--option {each}: the data are the argument DATA, and the task is named by --task")
        found[name] = _value(value)
    return found


def parse_space(text: str, *, input_shape: tuple[int, ...], classes: int, **others: Any) -> Space:
    """Return a ready-made space by its name, or one of the user's own: "my_spaces.py:small".

    Args:
        text: The name; or a file, which is executed, and a name in it, of a space or of a function of `input_shape`
            and `classes` that returns one.
        input_shape: The shape of one sample, without the batch.
        classes: The number of classes, or of the target values of a regression.
        **others: What else the task knows, such as the size of a vocabulary.

    Raises:
        UnknownName: There is no ready-made space of that name.
        SpaceError: The file cannot be executed, or has no such space.
    """
    file, _, name = text.rpartition(":")
    options: dict[str, Any] = {"input_shape": input_shape, "classes": classes}
    if not file.endswith(".py"):
        if text.endswith(".py"):
            raise SpaceError(f"--space {text}: name the space in the file too, for example {text}:space")
        return spaces.create(text, **spaces.fitting(text, {**options, **others}))
    found = vars(load_code(file)).get(name)
    if callable(found):
        parameters = inspect.signature(found).parameters
        takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        wanted = {key: value for key, value in options.items() if takes_all or key in parameters}
        wanted |= {key: value for key, value in others.items() if key in parameters}
        try:
            inspect.signature(found).bind(**wanted)
        except TypeError as error:
            raise SpaceError(
                f"--space {text}: a function that returns a space is called with the keywords input_shape and classes, "
                f"as far as it has them: {error}"
            ) from None
        found = found(**wanted)
    if not isinstance(found, Space):
        there = [key for key, value in vars(load_code(file)).items() if isinstance(value, Space)]
        told = f"the file defines {', '.join(there)}" if there else "the file defines none"
        raise SpaceError(f"--space {text}: {name!r} is not a Space or a function that returns one; {told}")
    return found


def parse_strategies(text: str) -> dict[str, Entry]:
    """Return the strategies of a text such as "random,evolution:population=20,sample=5", by their labels.

    A scheduler stands behind a plus sign: "random,bo:kernel=wl+hyperband:eta=4".

    Raises:
        UnknownName: There is no such strategy or scheduler.
        StrategyError: There is none, one stands there twice, or a setting is not allowed.
        SchedulerError: A setting of a scheduler is not allowed.
    """
    found: dict[str, Entry] = {}
    for label in filter(None, map(str.strip, _NEXT.split(text))):
        if label in found:
            raise StrategyError(f"the strategy {label!r} is named twice")
        strategy, *scheduler = _SCHEDULED.split(label, maxsplit=1)
        made = parse_strategy(strategy)
        found[label] = (made, parse_scheduler(scheduler[0])) if scheduler else made
    if not found:
        raise StrategyError("--strategy names no strategy: give names separated by commas")
    return found


def parse_start(text: str) -> dict[str, Any]:
    """Return the decisions of the best network of a run folder, or those that stand in a JSON file.

    The file may be the architecture.json of a network that a search has kept.

    Raises:
        ArchitectureError: There is neither, or the file holds no JSON object.
        StudyError: The run has found nothing yet.
    """
    path = Path(text)
    if path.is_dir():
        from archwright.study import load

        best = load(path).best
        if best is None:
            raise StudyError(f"--start {text}: no trial of that run is complete yet")
        return dict(best.architecture)
    return dict(Architecture.from_json(read_decisions(text, f"--start {text}: give a run folder, or")))


def read_decisions(text: str, what: str) -> dict[str, Any]:
    """Return the decisions in a JSON file, as they stand there; "-" is standard input.

    The file may be the architecture.json of a network that a search has kept.

    Args:
        text: The path.
        what: What the message of an error begins with.

    Raises:
        ArchitectureError: It holds no JSON object.
    """
    path = Path(text)
    try:
        if text == "-":
            decisions = json.loads(sys.stdin.read())
        else:
            if path.exists() and not path.is_file():
                raise OSError("it is a pipe or a device")
            decisions = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ArchitectureError(f"{what} a JSON file with the decisions of an architecture ({reason})") from None
    if isinstance(decisions, dict) and "fingerprint" in decisions:
        decisions = decisions.get("decisions", {})
    if not isinstance(decisions, dict):
        kind = type(decisions).__name__
        raise ArchitectureError(f"{what} a JSON file that holds an object of decisions, not {kind}")
    return decisions


def named_space(
    text: str, *, shape: str | None, classes: int | None, options: Iterable[str] = (), code: Sequence[Path] = ()
) -> Space:
    """Return the space of a run folder, a ready-made one by its name, or one in a file: "my_spaces.py:small".

    Args:
        text: The folder, name, or file and name.
        shape: The shape of one sample, such as "3,32,32"; only for ready-made spaces and functions.
        classes: The number of classes; likewise.
        options: Further options of a ready-made space, as "name=value".
        code: Files with the code of a run folder's space.

    Raises:
        SpaceError: There is no such space, or its input is not given.
        UnknownName: There is no ready-made space of that name.
    """
    if Path(text).is_dir():
        from archwright.study import load

        return load(text, code=list(code)).space
    file, _, name = text.rpartition(":")
    if file.endswith(".py") and isinstance(found := vars(load_code(file)).get(name), Space):
        return found
    if not file.endswith(".py"):
        spaces.entry(text)
    if shape is None or classes is None:
        raise SpaceError(f"the space {text!r} depends on the data: give --input-shape, such as 3,32,32, and --classes")
    sizes = shape.split(",")
    if not all(size.strip().isdecimal() for size in sizes):
        raise SpaceError(f"--input-shape {shape}: give sizes separated by commas, such as 3,32,32")
    return parse_space(text, input_shape=tuple(map(int, sizes)), classes=classes, **parse_options(options))


def parse_fidelity(text: str) -> dict[str, tuple[float, float]]:
    """Return the ranges of a text such as "epochs=1:9,data=0.25:1"."""
    found: dict[str, tuple[float, float]] = {}
    for part in text.split(","):
        name, equals, range_ = part.partition("=")
        low, colon, high = range_.partition(":")
        ends = _value(low.strip()), _value(high.strip())
        is_read = name.strip() and equals and colon and all(type(end) in (int, float) for end in ends)
        if not is_read or name.strip() in found:
            raise SchedulerError(
                f"--fidelity {text!r}: write name=least:full, each name once, such as epochs=1:9,data=0.25:1"
            )
        found[name.strip()] = ends
    return found


def _value(text: str) -> Any:
    """Return a number, true, false or null as what it is, and anything else as text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def parse_trackers(texts: Iterable[str]) -> list[Tracker]:
    """Return the callbacks of texts such as "tensorboard:board".

    Raises:
        UnknownName: There is no such tool.
        StudyError: A text does not say where the trials are to be recorded.
        MissingExtra: The tool is not installed.
    """
    from archwright import callbacks

    known: dict[str, Callable[[str], Tracker]] = {
        "tensorboard": callbacks.TensorBoard,
        "mlflow": callbacks.MLflow,
        "wandb": callbacks.WandB,
        "trackio": callbacks.Trackio,
    }
    found = []
    for each in texts:
        tool, _, where = each.partition(":")
        if tool not in known:
            raise unknown("tool", tool, known)
        if not where:
            raise StudyError(f"--track {each}: name the folder, experiment or project, such as {tool}:mine")
        found.append(known[tool](where))
    return found


def parse_workers(text: str) -> int | str:
    """Return the number of workers, or "auto", which the search checks."""
    return int(text) if text.isdecimal() else text


def parse_executor(text: str) -> str | Cluster:
    """Return the executor of a text such as "ray:address=auto,gpus=0.5"."""
    from archwright.execute import cluster_of

    name, settings = split_settings(text, error=StudyError)
    return cluster_of(name, **{key: _value(value) for key, value in settings.items()}) or name


def free_folder(path: Path) -> Path:
    """Return the path, or the first of path-2, path-3, ... that is not there yet."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
