"""`archwright bench`: strategies compared on a table."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from archwright import bench
from archwright.cli._named import parse_strategies

__all__ = ["run"]


def run(
    table: str,
    strategy: str,
    dataset: str | None,
    trials: int,
    seeds: int,
    workers: int,
    data: Path | None,
    out: Path | None,
    *,
    verify: bool,
    as_json: bool,
) -> None:
    """Run the comparison and show it; arguments are the command's."""
    chosen = parse_strategies(strategy)
    loaded = bench.load(table, dataset=dataset, path=data, verify=verify)
    console = Console(stderr=True, quiet=as_json)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as live:
        task = live.add_task("", total=len(chosen) * seeds)

        def progress(label: str, seed: int) -> None:
            live.update(task, description=f"{label}, seed {seed}", completed=list(chosen).index(label) * seeds + seed)

        comparison = bench.compare(
            loaded.space,
            loaded.table,
            chosen,
            trials=trials,
            seeds=seeds,
            workers=workers,
            scale=loaded.scale,
            progress=progress,
        )
    budget = f"{trials} evaluations" if comparison.seconds is None else f"the time of {trials} full trainings"
    title = f"{loaded.name}, {loaded.dataset}: {budget}, {seeds} seeds"
    written = comparison.save(out, title=title) if out is not None else []
    if as_json:
        print(json.dumps({"table": loaded.name, "dataset": loaded.dataset, **comparison.to_json()}))
        return
    _show(Console(highlight=False, soft_wrap=True), title, loaded, comparison, written)


def _show(
    console: Console, title: str, loaded: bench.Benchmark, comparison: bench.Comparison, written: list[Path]
) -> None:
    console.print(f"[bold]{title}[/]")
    judged = any(result.judged is not None for result in comparison.results.values())
    console.print(
        f"{'Test' if judged else 'Validation'} regret of the best by validation"
        f"{', in percentage points' if loaded.scale == 100 else ''}: mean after "
        f"{'so many evaluations' if comparison.seconds is None else 'the simulated time of so many full trainings'}"
    )
    console.print(str(comparison), markup=False)
    counted = (
        "to best: median evaluations until the best of the table; repeats: proposals of a run that had been made before"
        if comparison.seconds is None
        else "to best: median time until the best of the table, in full trainings; evaluations: of a run"
    )
    console.print(
        f"±: standard error of the last; {counted}; ms: to ask and tell, for each trial; rank: mean over the seeds"
    )
    for path in written:
        console.print(f"wrote {path}")
