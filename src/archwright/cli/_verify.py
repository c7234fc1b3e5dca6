"""`archwright verify`: the proposals of a search from its record, and trials again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from archwright.cli._options import Code, Json, Run

if TYPE_CHECKING:
    from archwright.cli._console import Output

_LISTED = 10  # trials that are told of


def verify(
    run: Run,
    trials: Annotated[int, typer.Option(min=0, help="Number of complete trials to run again.")] = 0,
    code: Code = None,
    json: Json = False,
) -> None:
    """Replay all proposals of a search, run trials again, and compare; the exit status is 1 if something differs."""
    from archwright._words import counted
    from archwright.cli._console import Output, document, warnings_as_lines
    from archwright.study import load
    from archwright.study import verify as verify_study

    with warnings_as_lines():
        found = verify_study(load(run, code=code or ()), trials=trials)
    if json:
        document(found.to_json())
    else:
        out = Output()
        _tell(out, "proposals", found.proposals, "are proposed again from the record")
        if found.unknown:
            told = f"{counted(len(found.unknown), 'proposal')} of an earlier version, which cannot be replayed"
            out.line(told, label="")
        if trials:
            _tell(out, "trials", found.trials, "have the metrics on record again")
        if found.measured:
            out.line(f"not compared, as they are measured: {', '.join(found.measured)}", label="")
        if found.versions and not found.agrees:
            told = ", ".join(f"{name} {was} on record, {now} now" for name, (was, now) in found.versions.items())
            out.line(told, label="versions")
    raise typer.Exit(int(not found.agrees))


def _tell(out: Output, label: str, found: Mapping[int, str], what: str) -> None:
    """Say how many agree, and which do not."""
    different = {number: told for number, told in found.items() if told}
    out.line(f"{len(found) - len(different)} of {len(found)} {what}", label=label)
    for number, told in list(different.items())[:_LISTED]:
        out.line(f"trial {number}: {told}", label="")
    if len(different) > _LISTED:
        out.line(f"and {len(different) - _LISTED} more", label="")
