"""The report of a search: one page, the answer first."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

from archwright._disk import is_folder
from archwright._words import counted
from archwright.errors import ArchwrightError
from archwright.explain import name_of
from archwright.report._html import block, figure, listed, page, table, told
from archwright.report._plots import Plots
from archwright.report._searched import Searched, clock, number, value_of
from archwright.space import written
from archwright.trials import Trial, metrics_from_json

_TOP = 10  # trials in the table
_KINDS = 12  # of failures
_LINES = 4  # of the explanation that are shown at once


def report(searched: Searched) -> str:
    """Return the report of a search as one HTML page that loads nothing.

    Args:
        searched: The search.

    Example:
        >>> from archwright.report import report
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 9)), strategy="random")
        >>> study = study.run(lambda candidate: candidate.settings["x"], aw.Budget(trials=5))
        >>> report(study.searched()).startswith("<!doctype html>")
        True
    """
    explanation = searched.explanation  # first: what it says of decisions, charts use too
    plots = Plots(searched)
    body = [
        *_answer(searched),
        *_network(searched),
        *_progress(searched, plots),
        *_front(searched, plots),
        *_decisions(searched, plots, explanation),
        *_curves(plots),
        *_trials(searched),
        *_failures(searched),
        *_again(searched),
    ]
    return page(f"{searched.name}: {', '.join(map(str, searched.objectives))}", body)


def _answer(searched: Searched) -> Iterator[str]:
    summary, best = searched.summary, searched.history.best
    states = ", ".join(f"{count:,} {state}" for state, count in summary["trials"].items() if count) or "no trials"
    aims = ", ".join(map(str, searched.objectives))
    yield f"<h1>{told(searched.name)}</h1>"
    bounds = f", subject to {', '.join(summary['constraints'])}" if summary["constraints"] else ""
    where = f"{aims}{bounds} in the space {summary['space']}, by {summary['strategy']}"
    yield f'<p class="mute">{told(where, 1_000)}; trials: {told(states)}, in {clock(summary["seconds"])}.</p>'
    if best is None:
        yield '<p class="big">No network yet</p><p>No trial is complete.</p>'
        return
    objective = searched.objectives[0]
    value = value_of(objective, best.metrics)
    error = None if value is None else searched.error(name_of(objective), value)
    interval = "" if error is None else f' <span class="mute">± {error:.2g}</span>'
    shown = "" if value is None else f"{told(name_of(objective))} {number(value)}{interval}"
    yield f'<p class="big">Best network: trial {best.number}, {shown}</p>'
    if len(searched.objectives) > 1:
        front = counted(len(searched.history.front), "network")
        yield f"<p>It is the best in {told(name_of(objective))}; the Pareto front has {front}.</p>"
    if best.state != "complete":
        yield f'<p class="warn">It is {told(best.state)}: no trial is complete.</p>'
    if best.share < 1:
        yield '<p class="warn">No trial was a full evaluation: its value is that of a shorter training.</p>'
    yield _metrics(searched, best)
    if summary["ahead"] is not None:
        ahead = f"The baseline {summary['ahead']} is ahead of the network: use it, or give the search more time."
        yield f'<p class="warn">{told(ahead)}</p>'
    if searched.samples is not None:
        parts = [counted(searched.samples[part], f"{part} sample") for part in ("validation", "test")]
        yield (
            f'<p class="mute">± is half of a 95 % interval over {" and ".join(parts)}. The best of many trials is '
            "partly luck, which the interval does not have; test metrics are free of that.</p>"
        )
    yield from _use(searched)


def _metrics(searched: Searched, best: Trial) -> str:
    """Return the numbers of the best network beside those of the ensemble and the baselines."""
    test, others = searched.test, searched.baselines
    ensemble = searched.summary["ensemble"]
    if ensemble is not None:
        others.insert(0, (f"ensemble of {len(ensemble['members'])}", metrics_from_json(ensemble["metrics"])))
    own = {**{name: value for name, value in best.metrics.items() if not name.startswith("test_")}, **test}
    own |= {name: value for name, value in best.metrics.items() if name not in own}
    wanted = [name_of(each) for each in searched.objectives]
    names = [*(name for name in wanted if name in own), *(f"test_{name}" for name in wanted if f"test_{name}" in own)]
    names += [name for name in own if name not in names and not name.startswith("train_")]
    rows = []
    for name in names[:24]:
        cells = []
        for metrics in (own, *(metrics for _, metrics in others)):
            value = metrics.get(name)
            error = None if value is None else searched.error(name, value)
            cells.append("" if value is None else f"{number(value)} ± {error:.2g}" if error else number(value))
        rows.append([name, *cells])
    heads = ["metric", "best network", *(name for name, _ in others)]
    return table(heads, rows, numbers=range(1, len(heads)), own=1)


def _use(searched: Searched) -> Iterator[str]:
    if searched.folder is None:
        return
    run, best = str(searched.folder), searched.history.best
    assert best is not None
    quoted = shlex.quote(run)
    yield "<h3>How to use it</h3>"
    weights = searched.folder / "best" / "weights.safetensors"
    if not is_folder(weights.parent) or not weights.is_file():
        yield '<p class="mute">No trained network is kept; these are its decisions.</p>'
        made = searched.space is not None and "model" in searched.space.parts
        lines = [f"import archwright as aw\nstudy = aw.load({run!r})\narchitecture = study.best.architecture"]
        lines += ["network = study.space.build(architecture)   # untrained"] * made
        yield block("\n".join(lines))
        return
    yield block(
        f"import archwright as aw\nstudy = aw.load({run!r})\nnetwork = study.best.load()     # a torch.nn.Module\n"
        "results = study.predict(inputs)   # from raw inputs, such as files"
    )
    yield block(
        f"archwright predict {quoted} FILE\n"
        f"archwright export {quoted} --out network   # source and weights, for plain PyTorch"
    )


def _network(searched: Searched) -> Iterator[str]:
    best = searched.history.best
    if best is None:
        return
    yield "<h2>The network</h2>"
    rows = [(name, value if isinstance(value, str) else written(value)) for name, value in best.architecture.items()]
    decisions = table(["decision", "value"], rows[:60])
    if len(rows) > 60:
        decisions += f'<p class="mute">and {len(rows) - 60} more.</p>'
    drawn = ""
    if searched.space is None:
        drawn = f'<p class="mute">There is no drawing: {told(searched.without_space, 600)}</p>'
    elif "model" in searched.space.parts:
        from archwright.draw import svg

        try:
            drawn = figure(svg(searched.space, best.architecture), look="network")
        except ArchwrightError as error:
            drawn = f'<p class="mute">It cannot be drawn: {told(error, 600)}</p>'
    yield f'<div class="two"><div>{decisions}</div><div>{drawn}</div></div>'


def _progress(searched: Searched, plots: Plots) -> Iterator[str]:
    if not searched.full:
        return
    yield "<h2>How the search went</h2>"
    left = len(searched.history.complete) - len(searched.full)
    short = f" {counted(left, 'complete trial')} at a lower fidelity left out." if left else ""
    caption = f"Dots are trials, the line is the best so far.{short}"
    baselines = " Dashed: baselines, on the validation part." if searched.baselines else ""
    shown = [figure(plots.history(), caption + baselines)]
    shown += [figure(plots.history(metric=name_of(each)), caption) for each in searched.objectives[1:3]]
    shown.append(figure(plots.history(by="seconds"), "The same over the time of the search."))
    yield f'<div class="charts">{"".join(shown)}</div>'


def _front(searched: Searched, plots: Plots) -> Iterator[str]:
    if len(searched.objectives) < 2 or not searched.full:
        return
    yield "<h2>Pareto front</h2>"
    names = [name_of(each) for each in searched.objectives]
    many = len(names) > 2
    told_ = "Blue: networks that no other one beats in every objective. Grey: other trials; crosses: infeasible ones."
    shown = [figure(plots.front(x=name), told_ if place == 0 else "") for place, name in enumerate(names[1:4])]
    yield f'<div class="charts">{"".join(shown)}{"" if many else _front_table(searched, names)}</div>'
    if many:
        yield _front_table(searched, names)
    volume = searched.history.hypervolume()
    if volume:
        yield f'<p class="mute">Hypervolume {number(volume)}.</p>'
    if searched.folder is not None:
        yield block(f"archwright export {shlex.quote(str(searched.folder))} --trial NUMBER --out DIR")


def _front_table(searched: Searched, names: list[str]) -> str:
    front = searched.history.front
    rows = []
    for trial in front[:20]:
        values = (value_of(each, trial.metrics) for each in searched.objectives)
        rows.append([trial.number, *("" if value is None else number(value) for value in values)])
    more = f'<p class="mute">and {len(front) - 20} more: archwright front lists them.</p>' if len(front) > 20 else ""
    return f"<div>{table(['trial', *names], rows, numbers=range(len(names) + 1))}{more}</div>"


def _decisions(searched: Searched, plots: Plots, explanation: Any) -> Iterator[str]:
    if not searched.full:
        return
    yield "<h2>Which decisions mattered</h2>"
    text = explanation if isinstance(explanation, str) else explanation.text
    shown = [
        *_drawn(plots.importance, "Share of the variance that a decision explains by itself, with a 90 % interval.")
    ]
    caption = "A line is a trial, from its decisions down to its value. Blue: the best tenth; orange: the best."
    shown += _drawn(plots.parallel, caption)
    lines = [f"<p>{told(line, 1_500)}</p>" for line in text.splitlines()]
    yield "".join(lines[:_LINES])
    yield f'<div class="charts">{"".join(shown)}</div>'
    if len(lines) > _LINES:
        yield f"<details><summary>Options, and changes of the best network</summary>{''.join(lines[_LINES:])}</details>"


def _curves(plots: Plots) -> Iterator[str]:
    shown = "".join(_drawn(plots.curves, "Learning curves of the best trials."))
    if shown:
        yield f'<h2>Learning curves</h2><div class="charts">{shown}</div>'


def _drawn(plot: Callable[[], str], caption: str) -> Iterator[str]:
    """Draw a chart, where there is something to draw."""
    try:
        yield figure(plot(), caption)
    except ArchwrightError:
        return


def _trials(searched: Searched) -> Iterator[str]:
    ranked = searched.history.best_first(searched.history.complete, _TOP)
    if not ranked:
        return
    names = list(dict.fromkeys([*(name_of(each) for each in searched.objectives), *ranked[0].metrics]))
    names = [name for name in names if not name.startswith("train_")][:5]
    rows = []
    for trial in ranked:
        metrics = {name_of(each): value_of(each, trial.metrics) for each in searched.objectives}
        values = [metrics.get(name, trial.metrics.get(name)) for name in names]
        rows.append(
            [trial.number, *("" if v is None else number(v) for v in values), clock(trial.seconds), _decided(trial)]
        )
    yield "<h2>Best trials</h2>"
    yield table(["trial", *names, "time", "decisions"], rows, numbers=range(len(names) + 2), long=len(names) + 2)


def _decided(trial: Trial) -> str:
    return ", ".join(f"{name}={value}" for name, value in trial.architecture.items())


def _failures(searched: Searched) -> Iterator[str]:
    ended = [trial for trial in searched.history.finished if trial.state in ("failed", "infeasible")]
    counts = searched.summary["trials"]
    if not ended and not counts["pruned"]:
        return
    yield "<h2>What failed, and why</h2>"
    if counts["pruned"]:
        yield f"<p>{counted(counts['pruned'], 'trial')} pruned: stopped early, as not promising.</p>"

    def kind(trial: Trial) -> tuple[str, str]:
        return trial.state, re.sub(r"\d+(\.\d+)?(e[-+]?\d+)?", "…", trial.cause)

    groups = [list(group) for _, group in groupby(sorted(ended, key=kind), kind)]
    groups.sort(key=len, reverse=True)
    rows = []
    for group in groups[:_KINDS]:
        numbers = ", ".join(str(trial.number) for trial in group[:8]) + (", …" if len(group) > 8 else "")
        rows.append([len(group), group[0].state, group[0].cause or "no reason is on record", numbers])
    if rows:
        yield table(["trials", "state", "reason, as of the first", "numbers"], rows, numbers=[0], long=2)
    if len(groups) > _KINDS:
        yield f'<p class="mute">and {counted(len(groups) - _KINDS, "other reason")}.</p>'
    for group in groups[:3]:
        error = group[0].error or ""
        if len(error.splitlines()) > 1:
            yield f"<details><summary>Traceback of trial {group[0].number}</summary>{block(error)}</details>"


def _again(searched: Searched) -> Iterator[str]:
    summary = searched.summary
    yield "<h2>How to reproduce it</h2>"
    if searched.folder is not None:
        run = shlex.quote(str(searched.folder))
        yield block(
            f"archwright verify {run} --trials 1   # proposes every trial again from the record, and runs one again\n"
            f"archwright resume {run} --trials N   # continues the search"
        )
    yield "<p>The command or the program that began the search is not on record. These are its settings:</p>"
    options = ", ".join(f"{name}={value!r}" for name, value in (summary["options"] or {}).items())
    budget = ", ".join(
        f"{name} {value:g}" for name, value in (summary["budget"] or {}).items() if isinstance(value, int | float)
    )
    data = "not on record"
    if searched.data is not None:
        data = ", ".join(f"{name} {value}" for name, value in searched.data.items())
    yield listed(
        [
            ("seed", summary["seed"]),
            ("strategy", f"{summary['strategy']}{f' ({options})' if options else ''}"),
            ("objective", ", ".join(summary["objectives"])),
            *([("constraints", ", ".join(summary["constraints"]))] if summary["constraints"] else []),
            ("budget", budget or "none"),
            ("space", f"{summary['space']}, fingerprint {summary['fingerprint']}"),
            ("data", data),
            ("versions", ", ".join(f"{name} {value}" for name, value in summary["versions"].items())),
            ("begun", summary["created"]),
            *(("automatic", line) for line in searched.why),
        ]
    )
    if summary["evaluator"] is not None:
        text = json.dumps(summary["evaluator"], indent=1, ensure_ascii=True)
        yield f"<details><summary>The evaluator, as it is on record</summary>{block(text)}</details>"
