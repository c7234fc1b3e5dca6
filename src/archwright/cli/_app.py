"""The commands and their arguments."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from archwright.cli import _check, _draw, _explain, _export, _kb, _report, _serve, _store, _ui, _verify
from archwright.cli._listing import Kind, entries
from archwright.cli._options import (
    Baseline,
    Code,
    Ensemble,
    EnsembleSize,
    Executor,
    Final,
    Json,
    Minutes,
    OfTrial,
    Priors,
    Retries,
    Run,
    SkipBroken,
    Starts,
    StoreUrl,
    Track,
    TrialMemory,
    Trials,
    TrialSeconds,
    WarmStart,
    Workers,
)
from archwright.errors import ArchwrightError

app = typer.Typer(
    name="archwright",
    help="Neural architecture search for PyTorch: search a space on your data, and keep the trained network.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line; user errors are printed in one line, without a traceback."""
    began = time.monotonic()
    # PyTorch's threads spin while they wait for each other, for milliseconds: beside one other busy process that keeps
    # the one that is waited for from its core, thousands of times a second. What GNU's OpenMP is to do must be known
    # before torch is loaded. A user's own choice stands.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        app(obj=began)
    except (ArchwrightError, OSError) as error:
        if isinstance(error, OSError) and error.filename is None:
            raise  # no path of the user's is the cause
        from archwright.cli._console import refuse

        refuse(str(error), as_json="--json" in sys.argv)
        sys.exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("archwright"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def search(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Name of a data set (`archwright list data`), or path of images, masks, boxes, tables, time series, "
            "ratings, texts, tagged tokens, parallel texts or recordings.",
        ),
    ],
    space: Annotated[
        str | None,
        typer.Option(
            help="Search space (`archwright list spaces`), or FILE.py:NAME for your own: a Space, or a function of "
            "input_shape and classes that returns one. The file is executed. Default: one that suits the data."
        ),
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(
            help="Search strategy (`archwright list strategies`), with settings after a colon: "
            "evolution:population=20,sample=5. auto chooses one for the space and the budget."
        ),
    ] = "auto",
    scheduler: Annotated[
        str,
        typer.Option(
            help="Scheduler (`archwright list schedulers`): how much training each trial gets. Settings after a colon: "
            "asha:eta=4. auto chooses one for the data and the budget."
        ),
    ] = "auto",
    fidelity: Annotated[
        str | None,
        typer.Option(
            help="Range of the fidelity, from the least to the full: epochs=1:9. Fidelities are epochs, seconds, data, "
            "resolution, and decisions of the space: epochs=1:9,*.width=0.25:1."
        ),
    ] = None,
    screen: Annotated[
        str | None,
        typer.Option(
            help="Zero-cost proxy (`archwright list proxies`) that selects one of 4 proposals; naswot:16: one of 16."
        ),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(help="Constraint, such as 'parameters<=1e6' or 'latency_ms<=5'; may be repeated."),
    ] = None,
    start: Starts = None,
    warm_start: WarmStart = None,
    prior: Priors = None,
    inherit: Annotated[
        bool, typer.Option(help="Initialise each trial with the weights of the most similar good trial before it.")
    ] = False,
    repeats: Annotated[int, typer.Option(help="Number of evaluations of each trial, with different seeds.")] = 1,
    evaluator: Annotated[
        str, typer.Option(help="How networks are evaluated (`archwright list evaluators`).")
    ] = "training",
    trials: Trials = None,
    minutes: Minutes = None,
    target: Annotated[float | None, typer.Option(help="Stop when the objective reaches this value.")] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="Objective: max or min, and a metric. Repeat it for several objectives and their Pareto front: "
            "--objective 'max accuracy' --objective 'min latency_ms'. Default: max accuracy, or min loss "
            "with the strategy auto and few validation samples; min rmse for regression."
        ),
    ] = None,
    on: Annotated[
        list[str] | None,
        typer.Option(
            "--on",
            help="Device for latency and energy (`archwright devices`): onnx:threads=1, or a published device such as "
            "pixel3. Default: PyTorch on this machine.",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of each trial; the default depends on the size of the data.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Batch size; the default depends on the size of the data.")
    ] = None,
    augment: Annotated[
        str,
        typer.Option(
            help="Augmentation of images, any of: flip,crop,cutout; none; or auto: crop, and flip where mirrored "
            "images keep their class."
        ),
    ] = "auto",
    precision: Annotated[str, typer.Option(help="float32, bf16, or auto: bf16 for images, and on GPUs.")] = "auto",
    device: Annotated[str, typer.Option(help="Device to train on: auto, cpu, cuda, mps.")] = "auto",
    processes: Annotated[
        int, typer.Option(help="Number of processes that train a network together, each on a GPU of its own.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    workers: Workers = None,
    trial_seconds: TrialSeconds = None,
    trial_memory: TrialMemory = None,
    retries: Retries = 2,
    executor: Executor = None,
    final: Final = 1,
    no_final: Annotated[bool, typer.Option("--no-final", help="Skip the final training.")] = False,
    baseline: Baseline = None,
    ensemble: EnsembleSize = 0,
    out: Annotated[Path | None, typer.Option(help="Run folder to write; default: runs/DATA.")] = None,
    store: StoreUrl = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the study in the store; default: that of the run folder.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Column of a table to predict, or several, if repeated; default: the last one."),
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Column of a table to leave out; may be repeated.")] = None,
    validation: Annotated[
        Path | None, typer.Option(help="Table with the validation samples; default: a tenth of DATA.")
    ] = None,
    test: Annotated[Path | None, typer.Option(help="Table with the test samples; default: a fifth of DATA.")] = None,
    task: Annotated[
        str | None, typer.Option(help="Task (`archwright list tasks`); default: what the data look like.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="Option of the task, such as unit=words for language models. May be repeated."),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Resize the images of a folder to SIZE x SIZE.")] = None,
    max_gigabytes: Annotated[
        float | None, typer.Option(help="Limit of the uncompressed size of data files; default: 4.")
    ] = None,
    skip_broken: SkipBroken = None,
    track: Track = None,
    json: Json = False,
) -> None:
    """Search for a network on data, and train the best one."""
    from archwright.cli import _named as named
    from archwright.cli._console import warnings_as_lines
    from archwright.cli._render import Display
    from archwright.evaluate import Training
    from archwright.study import Budget, check_run_folder, counting_from
    from archwright.study import search as run_search
    from archwright.tasks import task as load_task

    path = out or named.free_folder(Path("runs") / Path(data).stem)
    check_run_folder(path)
    target_column = label[0] if label and len(label) == 1 else label
    given: dict[str, Any] = {"target": target_column, "ignore": ignore, "size": size, "max_gigabytes": max_gigabytes}
    given |= {"validation_file": validation, "test_file": test, "skip_broken": skip_broken}
    given |= named.parse_options(option or ())
    with warnings_as_lines():
        trackers = named.parse_trackers(track or ())
        chosen_strategy = strategy if strategy == "auto" else named.parse_strategy(strategy)
        chosen_scheduler = scheduler if scheduler == "auto" else named.parse_scheduler(scheduler)
        aim = load_task(data, task, **{name: value for name, value in given.items() if value is not None})
    assert aim.space is not None
    chosen = named.parse_space(space or aim.space, **aim.space_options)
    training = Training(
        aim,
        epochs=epochs,
        batch_size=batch_size,
        augment=augment if augment == "auto" else () if augment == "none" else tuple(augment.split(",")),
        precision=precision,
        device=device,
        processes=processes,
    )
    if trials is None and minutes is None:
        trials = named.default_trials(chosen_strategy, evaluator)
    shown = Display(quiet=json)
    shown.loaded(aim)
    with warnings_as_lines(None if json else shown.err), counting_from(context.obj):
        study = run_search(
            chosen,
            named.evaluator_for(evaluator, training, chosen_strategy, repeats),
            strategy=chosen_strategy,
            scheduler=chosen_scheduler,
            fidelity=None if fidelity is None else named.parse_fidelity(fidelity),
            screen=screen,
            constraints=constraint or (),
            starts=None if start is None else [named.parse_start(each) for each in start],
            warm_start=warm_start or (),
            priors=named.parse_priors(prior or ()),
            inherit=inherit,
            objective=objective,
            costs=on or (),
            budget=Budget(trials=trials, minutes=minutes, target=target),
            path=path,
            store=store,
            name=name,
            seed=seed,
            final=0 if no_final else final,
            baseline=baseline,
            ensemble=ensemble,
            workers=named.parse_workers(workers or "1"),
            trial_seconds=trial_seconds,
            trial_memory=trial_memory,
            retries=retries,
            executor=named.parse_executor(executor or "processes"),
            callbacks=[*shown.callbacks, *trackers],
            progress=False,
        )
    raise typer.Exit(shown.conclude(study, as_json=json))


@app.command()
def resume(
    context: typer.Context,
    run: Run,
    trials: Annotated[
        int | None, typer.Option(help="New budget in full evaluations, those on record included; default: as before.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="New budget in minutes, those on record included; default: as before.")
    ] = None,
    final: Annotated[
        int | None, typer.Option(min=0, help="Number of best networks that get a final training; default: as before.")
    ] = None,
    ensemble: Annotated[
        int | None, typer.Option(help="Largest number of networks in the ensemble; 0 for none; default: as before.")
    ] = None,
    workers: Workers = None,
    executor: Executor = None,
    track: Track = None,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Server that the strategy llm goes on to ask, such as the base_url of before; without it, the "
            "replies on record are used up, and bo proposes. The address on record is never asked by itself.",
        ),
    ] = None,
    code: Code = None,
    json: Json = False,
) -> None:
    """Continue a search, also with a larger budget."""
    from archwright.cli._console import warnings_as_lines
    from archwright.cli._named import asking, parse_executor, parse_trackers, parse_workers
    from archwright.cli._render import Display
    from archwright.study import Budget, counting_from, load

    study, trackers = load(run, code=code or ()), parse_trackers(track or ())
    if server is not None:
        study = load(run, code=code or (), strategy=asking(study.strategy, server))
    display = Display(quiet=json)
    budget = None if trials is None and minutes is None else Budget(trials=trials, minutes=minutes)
    with warnings_as_lines(None if json else display.err), counting_from(context.obj):
        display.continued(study)
        display.loaded(study.evaluator.task)
        count = None if workers is None else parse_workers(workers)
        where, called = None if executor is None else parse_executor(executor), [*display.callbacks, *trackers]
        study.resume(
            budget, final=final, ensemble=ensemble, workers=count, executor=where, callbacks=called, progress=False
        )
    raise typer.Exit(display.conclude(study, as_json=json))


@app.command()
def show(
    run: Run,
    top: Annotated[int, typer.Option(help="Number of the best trials to list.")] = 10,
    trial: Annotated[int | None, typer.Option(help="Show this trial: its decisions, metrics, error and log.")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Plot the training of the supernet into this file (png, svg, pdf).")
    ] = None,
    code: Code = None,
    json: Json = False,
) -> None:
    """Show the results of a search, also of a running one."""
    from archwright.cli._render import Display
    from archwright.cli._trial import show_trial
    from archwright.study import load

    study = load(run, code=code or ())
    if picture is not None:
        study.draw_learned(picture)
    if trial is not None:
        show_trial(study, trial, as_json=json)
    else:
        Display(quiet=False).show(study, top=top, as_json=json)


@app.command()
def front(
    run: Run,
    picture: Annotated[
        Path | None, typer.Option(help="Plot the trials and the Pareto front into this file (png, svg, pdf).")
    ] = None,
    json: Json = False,
) -> None:
    """Show the Pareto front of a search with several objectives."""
    from archwright.cli._front import show_front
    from archwright.study import load

    show_front(load(run), picture, as_json=json)


@app.command()
def cost(
    run: Run,
    on: Annotated[str, typer.Option("--on", help="Device of this machine (`archwright devices`).")] = "eager",
    limit: Annotated[float, typer.Option(help="Largest accepted relative spread of the measured times.")] = 0.1,
    code: Code = None,
    json: Json = False,
) -> None:
    """Measure the latency of the best networks on this machine."""
    from archwright.cli._front import show_costs
    from archwright.export import measure_networks
    from archwright.study import load

    show_costs(measure_networks(run, load(run, code=code or ()).space, on, limit=limit), on, as_json=json)


@app.command()
def devices(json: Json = False) -> None:
    """List the devices for latency and energy."""
    from archwright.cli._front import show_devices

    show_devices(as_json=json)


app.command()(_export.export)


@app.command()
def predict(
    run: Run,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Files as in training, or folders: images, tables, texts, recordings."),
    ],
    trial: OfTrial = None,
    ensemble: Ensemble = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Batch size.")] = 256,
    max_gigabytes: Annotated[float, typer.Option(help="Limit of the uncompressed size of a file.")] = 4.0,
    out: Annotated[Path | None, typer.Option(help="Folder for files such as masks, boxes and forecasts.")] = None,
    code: Code = None,
    json: Json = False,
) -> None:
    """Predict from new files with a trained network: classes, values, boxes, masks, forecasts, texts."""
    from archwright.export import report
    from archwright.study import load

    status = report(
        load(run, code=code or ()).predictor(trial, ensemble=ensemble),
        files,
        as_json=json,
        batch_size=batch_size,
        max_gigabytes=max_gigabytes,
        out=out,
    )
    raise typer.Exit(status)


app.command()(_serve.serve)


@app.command()
def bench(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Tabular benchmark (`archwright list tables`).")],
    strategy: Annotated[
        str,
        typer.Option(
            help="Strategies, separated by commas, with settings after a colon: evolution:population=20,sample=5. A "
            "scheduler stands after a plus sign: random+asha,tpe+hyperband:eta=4."
        ),
    ] = "random,evolution,local-search,bo",
    dataset: Annotated[str | None, typer.Option(help="Data set of the table; default: its first.")] = None,
    trials: Annotated[
        int, typer.Option(help="Evaluations per run; with schedulers, the budget in full trainings of simulated time.")
    ] = 150,
    seeds: Annotated[int, typer.Option(help="Runs per strategy.")] = 50,
    workers: Annotated[int, typer.Option(help="Parallel evaluations, simulated.")] = 1,
    data: Annotated[Path | None, typer.Option(help="File or folder of the table; default: $ARCHWRIGHT_DATA.")] = None,
    verify: Annotated[
        bool, typer.Option(help="Check the SHA256 of the table; --no-verify for a file of your own.")
    ] = True,
    out: Annotated[Path | None, typer.Option(help="Folder to write: results, regret curves, report.")] = None,
    json: Json = False,
) -> None:
    """Compare strategies on a tabular benchmark.

    A search sees the validation metric; the comparison uses the test metric.
    """
    from archwright.cli._bench import run

    run(table, strategy, dataset, trials, seeds, workers, data, out, verify=verify, as_json=json)


for _command in (
    *(_check.check, _check.schema, _draw.draw, _explain.explain, _report.report, _report.compare),
    *(_ui.ui, _verify.verify, _store.studies),
):
    app.command()(_command)
app.add_typer(_store.app)
app.add_typer(_kb.app)


@app.command("list")
def list_(kind: Annotated[Kind, typer.Argument(help="What to list.")], json: Json = False) -> None:
    """List the names of spaces, strategies, data sets and more."""
    from archwright.cli._render import Display

    Display(quiet=False).names(entries(kind), as_json=json)
