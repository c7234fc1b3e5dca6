"""Output of fronts, costs and devices."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from archwright._words import counted
from archwright.cli._console import Output, document
from archwright.cost import Microcontroller, Published, targets
from archwright.trials import metrics_to_json

if TYPE_CHECKING:
    from archwright.export import Measured
    from archwright.study import Study


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
        document({"front": listed, "hypervolume": study.hypervolume})
        return
    out = Output()
    out.line(", ".join(map(str, study.objectives)), label="Pareto front")
    if study.constraints:
        out.line(", ".join(map(str, study.constraints)), label="constraints")
    if not found:
        out.line("no trial is complete yet")
        return
    metrics = [each.metric for each in study.objectives] + [each.metric for each in study.constraints]
    names = [name for name in dict.fromkeys(metrics) if any(name in each.metrics for each in found)]
    rows = [
        [str(each.trial.number), *(f"{each.metrics[name]:.6g}" if name in each.metrics else "" for name in names)]
        for each in found
    ]
    out.table(["trial", *names], rows, [each.architecture for each in found])
    broken = len(study.history.infeasible)
    volume = f", hypervolume {study.hypervolume:.6g}" if study.hypervolume else ""
    out.line(f"{len(found)} of {counted(len(study.history.complete), 'complete trial')}, {broken} infeasible{volume}")
    if picture is not None:
        out.line(f"wrote {picture}")
    if study.path is not None:
        run = shlex.quote(str(study.path))
        out.line(f"export one: archwright export {run} --trial {found[0].trial.number} --out DIR")


def show_costs(measured: Sequence[Measured], on: str, *, as_json: bool) -> None:
    """Show what networks cost here, beside what was measured in the search."""
    if as_json:
        document(
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
    out = Output()
    out.line(f"on {on}", label="measured")
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
    names = ["trial", "latency_ms", "spread", "during search", "samples/s", "parameters", "MFLOPs"]
    out.table(names, rows, [each.saved.architecture for each in measured])


def show_devices(*, as_json: bool) -> None:
    """List the targets of this machine, and the published devices."""
    here, published = targets(), Published.devices()
    if as_json:
        document({"targets": here, "microcontrollers": list(Microcontroller.cores), "published": dict(published)})
        return
    out = Output()
    out.line("on this machine (settings after a colon: onnx:threads=1,batch_size=8)", style="bold")
    out.listed(here.items())
    out.line("compiled, for the metrics arena_kb and flash_kb of 8-bit integers (extra executorch)", style="bold")
    out.listed([(", ".join(Microcontroller.cores), "memory of a microcontroller")])
    out.line("published, for the space nasbench201", style="bold")
    out.listed(sorted(published.items()))
