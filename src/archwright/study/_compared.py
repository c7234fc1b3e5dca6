"""Searches side by side."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from archwright.study._results import Results
from archwright.study._study import Study

if TYPE_CHECKING:
    from archwright.report import SearchComparison


def compare(
    searches: Iterable[Results | str | os.PathLike[str]],
    *,
    code: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
) -> SearchComparison:
    """Return searches side by side: best values with intervals, test metrics, trials, time, cost, and what differs.

    Args:
        searches: Studies or run folders, two or more.
        code: Python files with the classes and functions of the spaces, as for `load`.

    Raises:
        StoreError: A folder holds no study, or it is damaged.
        StudyError: There are fewer than two.

    Example:
        >>> space, budget = aw.Space(x=aw.integer(0, 9)), aw.Budget(trials=3)
        >>> studies = [aw.Study(space, strategy=name) for name in ("grid", "random")]
        >>> found = aw.compare([study.run(lambda candidate: candidate.settings["x"], budget) for study in studies])
        >>> [row.strategy for row in found.rows]
        ['grid', 'random']
    """
    from archwright.report import compared

    listed = [searches] if isinstance(searches, Results | str | os.PathLike) else list(searches)
    studies = [each if isinstance(each, Results) else Study.open(Path(each), code=code) for each in listed]
    return compared([study.searched() for study in studies])
