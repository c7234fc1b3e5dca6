"""Arguments that several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[
    bool,
    typer.Option(
        "--json", help="Print one JSON document on standard output, and nothing else there; of an error, its message."
    ),
]
Code = Annotated[
    list[Path] | None,
    typer.Option(
        "--code",
        metavar="FILE",
        help="Python file with the classes and functions of the space; it is executed. May be repeated.",
    ),
]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a search.")]
Trials = Annotated[
    int | None,
    typer.Option(
        help="Search budget in full evaluations; a trial at a lower fidelity counts as its share of one. Default: 20 "
        "where no time is given."
    ),
]
Ensemble = Annotated[bool, typer.Option("--ensemble", help="Take the ensemble instead (of a search with --ensemble).")]
OfTrial = Annotated[
    int | None,
    typer.Option(
        "--trial",
        help="Trial whose network to take (of the Pareto front, or kept by --final); default: the best.",
    ),
]
Track = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TOOL:NAME",
        help="Record the trials in another tool too: tensorboard:FOLDER, mlflow:EXPERIMENT, wandb:PROJECT or "
        "trackio:PROJECT. May be repeated.",
    ),
]
SkipBroken = Annotated[
    bool | None,
    typer.Option("--skip-broken", help="Leave out images of a folder that cannot be decoded, and say which."),
]
Minutes = Annotated[float | None, typer.Option(help="Search budget in minutes, the final training included.")]
Starts = Annotated[
    list[str] | None,
    typer.Option(
        help="Architecture to try first: a run folder, for its best network, or a JSON file of decisions; may be "
        "repeated. By default, the strategy auto tries a few known designs."
    ),
]
WarmStart = Annotated[
    list[str] | None,
    typer.Option(
        metavar="RUN",
        help="Earlier search with the same objective, to learn from: a run folder, a folder of runs, or a database. "
        "May be repeated.",
    ),
]
Priors = Annotated[
    list[str] | None,
    typer.Option(
        "--prior",
        metavar="NAME=VALUE[@CONFIDENCE]",
        help="Value of a decision that is believed to be good, such as width=64@0.9; may be repeated.",
    ),
]
Workers = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        help="Number of trials at a time, each in a process of its own; auto: one for each core or GPU, if that pays. "
        "Default: 1, and for resume as before.",
    ),
]
Executor = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Where trials run: processes (of this machine), ray or slurm, with settings after a colon: "
        "ray:address=auto,gpus=0.5. Default: processes; resume needs it for a search on a cluster.",
    ),
]
TrialSeconds = Annotated[float | None, typer.Option(help="Time limit of a trial, in seconds.")]
TrialMemory = Annotated[
    float | None, typer.Option(help="Memory limit of a trial, in gigabytes; one that exceeds it fails.")
]
Retries = Annotated[int, typer.Option(help="How often a trial is started again whose process died.")]
Final = Annotated[
    int,
    typer.Option(
        min=1,
        help="Number of best networks that get a final training: from scratch, for longer, on training and "
        "validation data. They are tested and kept.",
    ),
]
Baseline = Annotated[
    bool | None,
    typer.Option(
        help="Fit quick classical methods (a linear model, gradient boosting) before the first trial, and compare "
        "the network with them. Default: with the strategy auto."
    ),
]
EnsembleSize = Annotated[
    int,
    typer.Option(
        help="Largest number of networks of the search to combine, 2 or more; 0 for none. They are selected on "
        "validation data, and tested beside the best single one."
    ),
]
StoreUrl = Annotated[
    str | None,
    typer.Option(
        help="Database of the trials, in place of the run folder's own: the path of an SQLite file, or a URL such "
        "as postgresql://user@host/database. Other commands find it by the environment variable ARCHWRIGHT_STORE."
    ),
]
