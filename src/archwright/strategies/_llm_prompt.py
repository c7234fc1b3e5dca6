"""What a language model is asked: the task, the space, the objectives, and the trials so far."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from archwright.space import Architecture, Space, examine, grammar, json_schema
from archwright.trials import History, Trial

_GRAMMAR = 16_000  # characters of the list of decisions
_SCHEMA = 8_000  # and of the JSON schema, which is left out where it is longer
_TRIALS = 16_000  # and of the trials
_SHOWN = 10  # best trials, and latest ones
_METRICS = 12  # of a trial

_TASK = """\
You propose neural network architectures for a neural architecture search. The search space is a list of decisions; an
architecture is a JSON object with a value for each active decision. A decision with a condition is active only if the
condition holds, and is left out otherwise. Each architecture that you propose is trained and measured; you see the
measured metrics of earlier ones. Propose architectures that are likely to be better than the best so far, that differ
from each other, and that were not tried yet. Answer with one JSON object and nothing else, of the form
{"architectures": [{...}, {...}]}. Decisions that you leave out keep their value of the best architecture."""


def messages(space: Space, history: History, *, count: int, about: str) -> list[dict[str, str]]:
    """Return the messages of a chat in which so many architectures are asked for.

    Args:
        space: The space.
        history: The trials so far.
        count: How many architectures are asked for.
        about: What the user tells about the problem; may be empty.
    """
    parts = [f"The problem: {about}"] if about else []
    parts.append("The decisions:\n" + _within(grammar(space), _GRAMMAR, "decisions"))
    schema = _short_schema(space, conditions=True)
    if schema is not None:
        parts.append(f"The JSON schema of an architecture:\n{json.dumps(schema, ensure_ascii=False)}")
    parts.append("The objectives: " + ", ".join(map(str, history.objectives)))
    if history.constraints:
        parts.append("The constraints: " + ", ".join(map(str, history.constraints)))
    parts.append(_trials(space, history))
    parts.append(f"Trial {len(history.trials)} is next. Propose {count} architectures.")
    return [{"role": "system", "content": _TASK}, {"role": "user", "content": "\n\n".join(parts)}]


def response_schema(space: Space, count: int) -> dict[str, Any] | None:
    """Return the JSON schema of a reply, of properties alone; `None` for a large or a recursive space."""
    one = _short_schema(space, conditions=False)
    if one is None:
        return None
    listed = {"type": "array", "items": one, "minItems": 1, "maxItems": count}
    return {
        "type": "object",
        "properties": {"architectures": listed},
        "required": ["architectures"],
        "additionalProperties": False,
    }


def base_of(history: History) -> Architecture | None:
    """Return the architecture that proposals start from: the best one."""
    return None if history.best is None else history.best.architecture


def _short_schema(space: Space, *, conditions: bool) -> dict[str, Any] | None:
    """Return the JSON schema of a space; `None` where it is long, or the space recursive."""
    schema = None if space.is_recursive else json_schema(space, conditions=conditions)
    return schema if schema is not None and len(json.dumps(schema, ensure_ascii=False)) <= _SCHEMA else None


def _trials(space: Space, history: History) -> str:
    best = history.best_first(history.complete, _SHOWN)
    shown = {trial.number for trial in best}
    latest = [trial for trial in history.finished[-_SHOWN:] if trial.number not in shown]
    if not best and not latest:
        example = json.dumps(examine(space, {}).architecture.to_json(), ensure_ascii=False)
        return f"No trial has ended yet. An architecture, as an example:\n{example}"
    texts = ["The best trials, best first:\n" + _within(_told(best, history), _TRIALS // 2, "trials")] if best else []
    if latest:
        texts.append("The latest of the others:\n" + _within(_told(latest, history), _TRIALS // 2, "trials"))
    return "\n\n".join(texts)


def _told(trials: Iterable[Trial], history: History) -> list[str]:
    return [json.dumps(_described(trial, history), ensure_ascii=False) for trial in trials]


def _described(trial: Trial, history: History) -> Mapping[str, Any]:
    names = [objective.metric for objective in history.objectives] + [each.metric for each in history.constraints]
    names = [name for name in dict.fromkeys([*names, *trial.metrics]) if name in trial.metrics][:_METRICS]
    metrics = {name: float(f"{trial.metrics[name]:.5g}") for name in names}
    return {"state": trial.state, "metrics": metrics, "architecture": trial.architecture.to_json()}


def _within(lines: list[str], most: int, what: str) -> str:
    """Return lines up to a length, and say how many are left out."""
    kept, length = [], 0
    for line in lines:
        length += len(line) + 1
        if length > most:
            break
        kept.append(line)
    left = len(lines) - len(kept)
    return "\n".join([*kept, *([f"({left} more {what} are left out here)"] if left else [])])
