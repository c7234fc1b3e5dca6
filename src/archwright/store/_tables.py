"""The tables of a database of studies, and how trials become rows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from sys import intern
from typing import Any

import sqlalchemy as sql

from archwright._fields import fields, items, number, whole
from archwright.errors import ArchitectureError, StoreError
from archwright.space import Architecture
from archwright.store._store import Record
from archwright.trials import STATES, Trial, metrics_from_json

FORMAT = 2
"""The version of the tables; a study of a later version is refused."""

_ENDS = {(state, state == "running") for state in STATES}
"""Each state, and whether trials in it have no place in the order in which trials ended."""
_FLAT = {bool, int, float, str, type(None)}

SCHEMA = sql.MetaData()

studies = sql.Table(
    "studies",
    SCHEMA,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("name", sql.Text, nullable=False, unique=True),
    sql.Column("format", sql.Integer, nullable=False),
    # The lease of the process that may write. Each change of hands raises the epoch, and every write of a trial or a
    # document names the epoch of its writer: a process that lost the lease, while it was paused say, cannot write.
    sql.Column("epoch", sql.Integer, nullable=False),
    sql.Column("holder", sql.Text),
    sql.Column("expires", sql.Double),  # seconds since 1970 by the clock of the database
)
documents = sql.Table(
    "documents",
    SCHEMA,
    sql.Column("study", sql.Integer, sql.ForeignKey("studies.id"), primary_key=True, autoincrement=False),
    sql.Column("name", sql.String(32), primary_key=True),
    sql.Column("value", sql.Text, nullable=False),  # JSON
)
trials = sql.Table(
    "trials",
    SCHEMA,
    sql.Column("study", sql.Integer, sql.ForeignKey("studies.id"), primary_key=True, autoincrement=False),
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("architecture", sql.Text, nullable=False),
    sql.Column("state", sql.String(16), nullable=False),
    sql.Column("metrics", sql.Text, nullable=False),
    sql.Column("curve", sql.Text, nullable=False),
    sql.Column("seconds", sql.Double, nullable=False),
    sql.Column("seed", sql.BigInteger, nullable=False),
    sql.Column("fidelity", sql.Text),
    sql.Column("share", sql.Double, nullable=False),
    sql.Column("origin", sql.Integer),
    sql.Column("worker", sql.Text, nullable=False),
    sql.Column("error", sql.Text),
    sql.Column("attempts", sql.Integer, nullable=False),
    sql.Column("elapsed", sql.Double, nullable=False),
    sql.Column("ended", sql.Integer),
    sql.Column("seen", sql.Integer),
    sql.Column("saw", sql.Text),  # JSON; the first tables of format 2 lack it, and get it when they are written to
)
_JSON = ("architecture", "metrics", "curve", "fidelity", "saw")
_FIXED = {"study", "number", "architecture", "seed", "fidelity", "share", "origin", "seen", "saw"}  # from the beginning
CHANGES = [column.name for column in trials.columns if column.name not in _FIXED]
"""The columns of a trial that change after it was added."""
COLUMNS = [column for column in trials.columns if column.name != "study"]
"""The columns that `records_of` takes, in this order."""

# PostgreSQL locks the row until the write is committed, so the lease cannot change hands in between; SQLite has one
# writer at a time anyway.
_HELD = (
    sql.select(sql.literal_column("1"))
    .where(studies.c.id == sql.bindparam("of_study"), studies.c.epoch == sql.bindparam("mine"))
    .with_for_update(read=True)
    .exists()
)


def _insert(table: sql.Table) -> Any:
    values = sql.select(*(sql.bindparam(column.name, type_=column.type) for column in table.columns))
    return sql.insert(table).from_select(list(table.columns), values.where(_HELD))


ADD_TRIAL = _insert(trials).execution_options(preserve_rowcount=True)
WRITE_TRIAL = (
    sql.update(trials)
    .where(trials.c.study == sql.bindparam("of_study"), trials.c.number == sql.bindparam("key"), _HELD)
    .values({name: sql.bindparam(name) for name in CHANGES})
)
ADD_DOCUMENT = _insert(documents).execution_options(preserve_rowcount=True)
WRITE_DOCUMENT = (
    sql.update(documents)
    .where(documents.c.study == sql.bindparam("of_study"), documents.c.name == sql.bindparam("key"), _HELD)
    .values(value=sql.bindparam("value"))
)


class Damaged(StoreError):
    """What is stored cannot be read."""


def row_of(record: Record, study: int) -> dict[str, Any]:
    """Return the row of a trial."""
    row = record.trial.to_json() | {"saw": record.saw}
    for name in ("worker", "error"):  # text that is no Unicode cannot be stored as it is
        row[name] = row[name] and row[name].encode(errors="backslashreplace").decode()
    row |= {name: row[name] if row[name] is None else json.dumps(row[name], allow_nan=False) for name in _JSON}
    return row | {"study": study, "elapsed": record.elapsed, "ended": record.ended, "seen": record.seen}


def records_of(rows: Sequence[Sequence[Any]], start: int = 0) -> list[Record]:
    """Return the trials of rows with the columns `COLUMNS`, the first of which is the trial of number `start`.

    Raises:
        Damaged: One is not the trial of its number, or cannot be read.
    """
    try:
        return _records_at_once(rows, start)
    except (ValueError, TypeError, RecursionError, ArchitectureError, Damaged):  # one by one: which is it?
        return [record_of(_named(row), start + index) for index, row in enumerate(rows)]


def record_of(row: dict[str, Any], position: int) -> Record:
    """Return the trial of a row.

    Raises:
        Damaged: It is not the trial of that number, or cannot be read.
    """
    what = f"trial {row['number']}"
    if row["number"] != position:
        raise Damaged(f"trial {position} is missing, {what} follows")
    row |= {name: load(row[name], f"{name} of {what}") for name in _JSON}
    return checked(row, position)


def checked(row: dict[str, Any], position: int) -> Record:
    """Return the trial of a row whose JSON has been parsed.

    Raises:
        Damaged: It cannot be read.
    """
    try:
        trial = Trial.from_json(row)
        ended = None if row["ended"] is None else whole(row["ended"], "ended")
        if trial.ended != (ended is not None):
            raise ValueError(f"state is {trial.state!r}, and ended is {ended}")
        seen = None if row["seen"] is None else whole(row["seen"], "seen", below=position + 1)
        saw = None if row["saw"] is None else fields(row["saw"], "saw")
        return Record(trial, number(row["elapsed"], "elapsed", least=0.0), ended, seen, saw)
    except (ValueError, ArchitectureError) as error:
        raise Damaged(f"trial {position} cannot be read ({error})") from error


def _named(row: Sequence[Any]) -> dict[str, Any]:
    return {column.name: value for column, value in zip(COLUMNS, row, strict=True)}


def _records_at_once(rows: Sequence[Sequence[Any]], start: int) -> list[Record]:
    """Return the trials of rows, checked column by column, in a fifth of the time that `record_of` takes.

    Raises:
        ValueError, TypeError, RecursionError, ArchitectureError, Damaged: One is not as it should be.
    """
    if not rows:
        return []
    by_name = dict(zip((column.name for column in COLUMNS), zip(*rows, strict=True), strict=True))
    _check(by_name, start)
    architectures, metrics = _parsed(by_name["architecture"]), _parsed(by_name["metrics"])
    curves: Iterable[Any] = repeat(())
    if {*by_name["curve"]} != {"[]"}:
        curves = [tuple(map(metrics_from_json, items(curve, "curve"))) for curve in _parsed(by_name["curve"])]
    is_flat = _holds(architectures, _FLAT)  # with a subset of labels an architecture is checked on its own
    is_plain = _holds(metrics, {float})
    fidelities = {text: _fidelity(text) for text in {*by_name["fidelity"]} - {None}}
    found = map(
        Trial,
        by_name["number"],
        map(Architecture if is_flat else Architecture.from_json, architectures),
        by_name["state"],
        metrics if is_plain else map(metrics_from_json, metrics),
        curves,
        by_name["seconds"],
        by_name["seed"],
        [None if text is None else dict(fidelities[text]) for text in by_name["fidelity"]],
        by_name["share"],
        by_name["origin"],
        map(intern, by_name["worker"]),
        by_name["error"],
        by_name["attempts"],
    )
    saw = [None if text is None else fields(json.loads(text), "saw") for text in by_name["saw"]]
    return list(map(Record, found, by_name["elapsed"], by_name["ended"], by_name["seen"], saw))


def _holds(objects: list[Any], kinds: set[type]) -> bool:
    """Tell whether all are dictionaries with values of these types alone."""
    are_objects = {*map(type, objects)} == {dict}
    return are_objects and {*map(type, chain.from_iterable(map(dict.values, objects)))} <= kinds


def _check(columns: dict[str, tuple[Any, ...]], start: int) -> None:
    """Refuse columns with a value that is not as it should be.

    Raises:
        ValueError, TypeError: There is one.
    """
    none, end = type(None), start + len(columns["number"])
    for names, kinds in (
        (("seconds", "share", "elapsed"), {float}),
        (("number", "seed", "attempts"), {int}),
        (("origin", "ended", "seen"), {int, none}),
        (("state", "worker", "architecture", "metrics", "curve"), {str}),
        (("error", "saw", "fidelity"), {str, none}),
    ):
        for name in names:
            if not {*map(type, columns[name])} <= kinds:
                raise ValueError(name)
    least = [min(columns[name]) for name in ("seconds", "elapsed", "seed", "attempts")]
    least += [min(filter(None, columns[name]), default=0) for name in ("ended", "origin", "seen")]
    pairs = zip(columns["number"], columns["origin"], columns["seen"], strict=True)
    if not (
        columns["number"] == tuple(range(start, end))
        and min(least) >= 0  # and all is finite: there is no NaN in a database, but there may be infinity
        and max(max(columns["seconds"]), max(columns["elapsed"])) < math.inf
        and all(0 < share <= 1 for share in {*columns["share"]})
        and {*zip(columns["state"], (ended is None for ended in columns["ended"]), strict=True)} <= _ENDS
        and all((origin is None or origin < number_) and (seen or 0) <= number_ for number_, origin, seen in pairs)
    ):
        raise ValueError("a number is out of range")


def _fidelity(text: str) -> dict[str, Any]:
    found = fields(json.loads(text), "fidelity")
    for name, value in found.items():
        number(value, f"{name!r} of fidelity", least=0.0)
    return found


def _parsed(texts: Sequence[str]) -> list[Any]:
    """Return the values of JSON texts, parsed as one: names that occur in many of them are then one object."""
    values: list[Any] = json.loads(f"[{','.join(texts)}]")
    if len(values) != len(texts):
        raise ValueError("a text holds several values")
    return values


def load(text: str | None, what: str) -> Any:
    """Return a JSON value.

    Raises:
        Damaged: It is none.
    """
    try:
        return None if text is None else json.loads(text)
    except RecursionError:
        raise Damaged(f"{what} is nested too deeply") from None
    except (TypeError, ValueError) as error:
        raise Damaged(f"{what} is not JSON ({error})") from error
