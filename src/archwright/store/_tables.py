"""The tables of a database of studies, and how trials become rows."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sql

from archwright._fields import number, whole
from archwright.errors import ArchitectureError, StoreError
from archwright.store._store import Record
from archwright.trials import Trial

FORMAT = 2
"""The version of the tables; a study of a later version is refused."""

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
)
_JSON = ("architecture", "metrics", "curve", "fidelity")
_FIXED = {"study", "number", "architecture", "seed", "fidelity", "share", "origin", "seen"}  # when the trial exists
CHANGES = [column.name for column in trials.columns if column.name not in _FIXED]
"""The columns of a trial that change after it was added."""

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


def row_of(record: Record, study: int) -> dict[str, Any]:
    """Return the row of a trial."""
    row = record.trial.to_json()
    for name in ("worker", "error"):  # text that is no Unicode cannot be stored as it is
        row[name] = row[name] and row[name].encode(errors="backslashreplace").decode()
    row |= {name: json.dumps(row[name], allow_nan=False) for name in _JSON}
    return row | {"study": study, "elapsed": record.elapsed, "ended": record.ended, "seen": record.seen}


def record_of(row: dict[str, Any], position: int) -> Record:
    """Return the trial of a row.

    Raises:
        StoreError: It is not the trial of that number, or cannot be read.
    """
    what = f"trial {row['number']}"
    if row["number"] != position:
        raise StoreError(f"trial {position} is missing, {what} follows")
    row |= {name: load(row[name], f"{name} of {what}") for name in _JSON}
    try:
        trial = Trial.from_json(row)
        ended = None if row["ended"] is None else whole(row["ended"], "ended")
        if trial.ended != (ended is not None):
            raise ValueError(f"state is {trial.state!r}, and ended is {ended}")
        seen = None if row["seen"] is None else whole(row["seen"], "seen", below=position + 1)
        return Record(trial, number(row["elapsed"], "elapsed", least=0.0), ended, seen)
    except (ValueError, ArchitectureError) as error:
        raise StoreError(f"{what} cannot be read ({error})") from error


def load(text: str | None, what: str) -> Any:
    """Return a JSON value.

    Raises:
        StoreError: It is none.
    """
    try:
        return None if text is None else json.loads(text)
    except RecursionError:
        raise StoreError(f"{what} is nested too deeply") from None
    except (TypeError, ValueError) as error:
        raise StoreError(f"{what} is not JSON ({error})") from error
