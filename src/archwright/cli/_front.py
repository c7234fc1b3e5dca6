"""What the command shows of fronts, costs and devices."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from archwright.cost import Published, targets
from archwright.trials import metrics_to_json

if TYPE_CHECKING:
    from archwright.export import Measured
    from archwright.study import Study

__all__ = ["show_costs", "show_devices", "show_front"]


def show_front(study: Study, picture: Path | None, *, as_json: bool) -> None:
    """Show the front of a study, and draw it where a file is named."""
    if picture is not None:
        study.draw_front(picture)
    found = study.front
    if as_json:
        listed = [
            {
                "trial": each.trial.number,
                "id": each.architecture.id,
                "architecture": each.architecture.to_json(),
                "metrics": metrics_to_json(each.metrics),
                "test": metrics_to_json(study.finals.get(each.trial.number, {})),
            }
            for each in found
        ]
        _print_json({"front": listed, "hypervolume": study.hypervolume})
        return
    out = Console(highlight=False, soft_wrap=True)
    out.print(f"[bold]front[/]     of {', '.join(map(str, study.objectives))}")
    if study.constraints:
        out.print(f"[bold]only[/]      {', '.join(map(str, study.constraints))}", markup=True)
    if not found:
        out.print("nothing has been found yet")
        return
    names = list(dict.fromkeys(_named(study)))
    rows = [
        [str(each.trial.number), *(f"{each.metrics[name]:.6g}" if name in each.metrics else "" for name in names)]
        for each in found
    ]
    lasts = [" ".join(f"{name}={value}" for name, value in each.architecture.items()) for each in found]
    _table(out, ["trial", *names], rows, ["architecture", *lasts])
    broken = len(study.history.infeasible)
    volume = f", hypervolume {study.hypervolume:.6g}" if study.hypervolume else ""
    out.print(f"{len(found)} of {len(study.history.complete)} complete trials, {broken} infeasible{volume}")
    if picture is not None:
        out.print(f"drawn into {picture}", markup=False)
    if study.path is not None:
        out.print(f"archwright export {study.path} --trial {found[0].trial.number} --out DIR", markup=False)


def show_costs(measured: Sequence[Measured], on: str, *, as_json: bool) -> None:
    """Show what networks cost here, beside what was measured in the search."""
    if as_json:
        _print_json(
            [
                {
                    "trial": each.saved.trial,
                    "id": each.saved.architecture.id,
                    "on": on,
                    "latency_ms": each.timing.milliseconds,
                    "spread": each.timing.spread,
                    "throughput": each.throughput,
                    "parameters": each.parameters,
                    "flops": each.flops,
                    "on_record": metrics_to_json(each.saved.metrics),
                }
                for each in measured
            ]
        )
        return
    out = Console(highlight=False, soft_wrap=True)
    out.print(f"[bold]measured[/]  on {on}")
    rows = []
    for each in measured:
        before = each.saved.metrics.get("latency_ms")
        rows.append(
            [
                str(each.saved.trial),
                f"{each.timing.milliseconds:.4g}",
                f"{each.timing.spread:.1%}",
                "" if before is None else f"{before:.4g}",
                f"{each.throughput:,.0f}",
                f"{each.parameters:,.0f}",
                f"{each.flops / 1e6:,.2f}",
            ]
        )
    names = ["trial", "latency_ms", "spread", "in the search", "samples/s", "parameters", "MFLOPs"]
    _table(out, names, rows, ["id", *(each.saved.architecture.id for each in measured)])


def show_devices(*, as_json: bool) -> None:
    """List the targets of this machine, and the published devices."""
    here, published = targets(), Published.devices()
    if as_json:
        _print_json({"targets": here, "published": dict(published)})
        return
    out = Console(highlight=False, soft_wrap=True)
    out.print("[bold]on this machine[/] (settings after a colon: onnx:threads=1;batch_size=8)")
    _listed(out, here.items())
    out.print("[bold]published[/], for the space nasbench201")
    _listed(out, sorted(published.items()))


def _named(study: Study) -> Iterable[str]:
    yield from (objective.metric for objective in study.objectives)
    yield from (constraint.metric for constraint in study.constraints)


def _listed(out: Console, items: Iterable[tuple[str, str]]) -> None:
    listed = list(items)
    width = max(len(name) for name, _ in listed)
    for name, told in listed:
        out.print(f"{name:<{width}}  {told}", markup=False)


def _table(out: Console, names: Sequence[str], rows: Sequence[Sequence[str]], lasts: Sequence[str]) -> None:
    lines = [list(names), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    room = max(20, out.width - sum(widths) - 2 * len(widths))
    for line, last in zip(lines, lasts, strict=True):
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        out.print("  ".join([*cells, last if len(last) <= room else f"{last[: room - 1]}…"]), markup=False)


def _print_json(document: Any) -> None:
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
