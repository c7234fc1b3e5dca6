"""The documents of a study, validated when they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from archwright._fields import fields, items, number, text, whole
from archwright.errors import ArchwrightError
from archwright.evaluate import Learned
from archwright.study import _workers
from archwright.study._baseline import Baseline
from archwright.study._budget import Budget
from archwright.study._ensemble import check_written
from archwright.transfer import Background
from archwright.trials import Constraint, metrics_from_json, parse_objectives

_DIGITS = 9  # of the number of a trial


def check_document(document: Mapping[str, Any]) -> None:
    """Refuse a document with a field that holds what does not belong there."""
    for name, check in _CHECKS.items():
        if document[name] is None and name in _NEEDED:
            raise ValueError(f"{name} is missing")
        if document[name] is not None:
            try:
                check(document[name], name)
            except ArchwrightError as error:
                raise ValueError(f"{name}: {error}") from error


def _texts(value: Any, what: str) -> None:
    for each in items(value, what):
        text(each, f"a line of {what}")


def _named_texts(value: Any, what: str) -> None:
    for name, each in fields(value, what).items():
        text(each, f"{name!r} of {what}")


def _objective(value: Any, what: str) -> None:
    if isinstance(value, list):
        _texts(value, what)
    else:
        text(value, what)
    parse_objectives(value)


def _space(value: Any, what: str) -> None:
    if fields(value, what, "name")["name"] is not None:  # what else it has is checked where the space is made
        text(value["name"], f"the name of {what}")


def _made(value: Any, what: str) -> None:
    """Check what makes a strategy or a scheduler again."""
    said = fields(value, what, "name", "class", "options")
    if said["name"] is not None:
        text(said["name"], f"the name of {what}")
    text(said["class"], f"the class of {what}")
    if said["options"] is not None:
        fields(said["options"], f"the options of {what}")


def _scheduler(value: Any, what: str) -> None:
    _made(fields(value, what, "rungs", "inherit", "screen", "constraints"), what)
    for each in items(value["rungs"], f"the rungs of {what}"):
        said = fields(each, f"a rung of {what}", "rung", "cost")
        number(said["cost"], f"the cost of a rung of {what}", least=0.0)
        for name, given in fields(said["rung"], f"a rung of {what}").items():
            number(given, f"{name!r} of a rung of {what}", least=0.0)
    if not isinstance(value["inherit"], bool):
        raise ValueError(f"'inherit' of {what} is neither true nor false")
    if value["screen"] is not None:
        text(value["screen"], f"the screen of {what}")
    _texts(value["constraints"], f"the constraints of {what}")
    for each in value["constraints"]:
        Constraint.parse(each)
    for each in items(value.get("starts", []), f"the starts of {what}"):
        fields(each, f"a start of {what}")


def _evaluator(value: Any, what: str) -> None:
    text(fields(value, what, "type")["type"], f"the type of {what}")


def _budget(value: Any, what: str) -> None:
    known = {"trials", "minutes", "seconds", "target"}
    if not fields(value, what).keys() <= known:
        raise ValueError(f"{what} holds {', '.join(sorted(value.keys() - known))}, besides {', '.join(sorted(known))}")
    Budget.from_json(value)


def _number_of_trial(name: str, what: str) -> None:
    if not (name.isascii() and name.isdecimal() and len(name) <= _DIGITS):
        raise ValueError(f"{what} holds {name[:50]!r}, which is not the number of a trial")


def _results(value: Any, what: str) -> None:
    for trial, result in fields(value, what).items():
        _number_of_trial(trial, what)
        said = fields(result, f"the result of trial {trial}", "metrics", "seconds", "elapsed")
        metrics_from_json(said["metrics"], f"the result of trial {trial}")
        number(said["seconds"], f"the seconds of the result of trial {trial}", least=0.0)
        number(said["elapsed"], f"the elapsed time of the result of trial {trial}", least=0.0)


def _learned(value: Any, what: str) -> None:
    said = fields(value, what, "elapsed", "outcome")
    number(said["elapsed"], f"the elapsed time of {what}", least=0.0)
    if said["outcome"] is not None:
        Learned.from_json(said["outcome"])


def _baselines(value: Any, what: str) -> None:
    for each in items(value, what):
        Baseline.from_json(each)


def _samples(value: Any, what: str) -> None:
    for part, count in fields(value, what, "validation", "test").items():
        whole(count, f"the number of {part[:50]} {what}")


def _data(value: Any, what: str) -> None:
    for name, each in fields(value, what, "train", "validation", "test", "checksum").items():
        text(each, f"{name!r} of {what}") if name == "checksum" else whole(each, f"{name[:50]!r} of {what}")


def _background(value: Any, what: str) -> None:
    Background.from_json(value)


def _checkpoints(value: Any, what: str) -> None:
    for each in items(value, what):
        whole(each, f"a trial of {what}")


def _digests(value: Any, what: str) -> None:
    for trial, digest in fields(value, what).items():
        _number_of_trial(trial, what)
        text(digest, f"{trial} of {what}")


_CHECKS: dict[str, Callable[[Any, str], object]] = {
    "created": text,
    "versions": _named_texts,
    "space": _space,
    "fingerprint": text,
    "strategy": _made,
    "scheduler": _scheduler,
    "objective": _objective,
    "reference": metrics_from_json,
    "seed": partial(whole, below=10**1000),
    "evaluator": _evaluator,
    "budget": _budget,
    "final": whole,
    "results": _results,
    "learned": _learned,
    "checkpoints": _checkpoints,
    "digests": _digests,
    "why": _texts,
    "elapsed": partial(number, least=0.0),
    "settings": fields,
    "baselines": _baselines,
    "ensemble": check_written,
    "workers": _workers.check_written,
    "samples": _samples,
    "data": _data,
    "background": _background,
}
_NEEDED = {"created", "versions", "space", "fingerprint", "strategy", "objective", "seed", "results"}
