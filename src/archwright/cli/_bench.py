"""`archwright bench`: comparison of strategies on a table."""

from __future__ import annotations

from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from archwright import bench
from archwright._words import counted
from archwright.cli._console import Output, document
from archwright.cli._named import parse_strategies


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
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TimeRemainingColumn(),
        console=Output(stderr=True, quiet=as_json).console,
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
    budget = (
        counted(trials, "evaluation")
        if comparison.seconds is None
        else f"the time of {counted(trials, 'full training')}"
    )
    title = f"{loaded.name}, {loaded.dataset}: {budget}, {counted(seeds, 'seed')}"
    written = comparison.save(out, title=title) if out is not None else []
    if as_json:
        document({"table": loaded.name, "dataset": loaded.dataset, **comparison.to_json()})
        return
    _show(Output(), title, loaded, comparison, written)


def _show(out: Output, title: str, loaded: bench.Benchmark, comparison: bench.Comparison, written: list[Path]) -> None:
    out.line(title, style="bold")
    tested = any(result.test_regret is not None for result in comparison.results.values())
    out.line(
        f"{'Test' if tested else 'Validation'} regret of the best by validation"
        f"{', in percentage points' if loaded.scale == 100 else ''}: mean after the number "
        f"of {'evaluations' if comparison.seconds is None else 'full trainings, as simulated time,'} in the heading"
    )
    out.console.print(str(comparison), soft_wrap=True)  # a table: its rows stay whole
    counted = (
        "to best: median number of evaluations to the best network of the table; repeats: duplicate proposals per run"
        if comparison.seconds is None
        else "to best: median time to the best network of the table, in full trainings; evaluations: per run"
    )
    out.line(
        f"±: standard error of the last mean; {counted}; ms: strategy overhead per trial; rank: mean over the seeds"
    )
    for path in written:
        out.line(f"wrote {path}")
