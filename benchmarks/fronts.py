"""How fast strategies find the known front of accuracy and cost on NAS-Bench-201, beside Optuna's.

`python benchmarks/fronts.py --seeds 20 --trials 1000` runs each strategy on each device, and prints the hypervolume
regret after 100, 300 and 1,000 evaluations: how much of the volume of the true front is missing, in the mean over the
seeds, with the standard error. Accuracy is that of validation on CIFAR-100, cost what was measured on the device.
Both are scaled by the range of the true front, and volume is measured from a tenth beyond its worst ends. All see the
same space and evaluate no cell twice, but for Optuna, which does not know of what it has seen and is asked for as many
trials. A cell that was not measured on a device is a failed trial, and counts as an evaluation.

The tables are looked for in `$ARCHWRIGHT_DATA`.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np

import archwright as aw
from archwright.bench import load
from archwright.cost import Published
from archwright.errors import CostError
from archwright.trials import Objective, hypervolume, is_on_front

OURS = ("random", "nsga2", "nsga3", "mo-evolution", "mo-local-search", "scalarised:local-search", "mo-bo")
THEIRS = ("optuna-nsga2", "optuna-motpe")
TASKS = (
    "pixel3 latency_ms",
    "raspi4 latency_ms",
    "gold_6226 latency_ms",
    "titan_rtx_32 latency_ms",
    "eyeriss latency_ms",
    "pi5_onnx energy_mj",
)


class Task:
    """Accuracy and a cost of all cells."""

    def __init__(self, text):
        device, self.metric = text.split()
        table = load("nasbench201", dataset="cifar100").table
        self.space, cost = table.space, Published(device)
        self.metrics = {}
        for architecture in table.architectures:
            row = table.row(architecture)
            try:
                value = cost.of(self.space, architecture)[self.metric]
            except CostError:
                continue  # it was not measured on this device
            self.metrics[architecture] = {"accuracy": float(table._validation[200][row]), self.metric: value}
        self.objectives = (Objective("accuracy"), Objective(self.metric, False))
        points = np.array([self.point(metrics) for metrics in self.metrics.values()])
        front = points[is_on_front(points)]
        self.low, self.high = front.min(axis=0), front.max(axis=0)
        self.nothing = tuple(self.low - (self.high - self.low))
        self.whole = self.volume(front)
        self.front = len(front)

    def point(self, metrics):
        return metrics["accuracy"], -metrics[self.metric]

    def volume(self, points):
        scaled = (np.asarray(points) - self.low) / (self.high - self.low)
        return hypervolume(scaled, (-0.1, -0.1))

    def regrets(self, points, marks):
        return [1 - self.volume(points[:mark]) / self.whole for mark in marks]


def ours(task, name, trials, seed):
    name, _, inner = name.partition(":")
    strategy = aw.strategies.create(name, **({"strategy": inner} if inner else {}))
    study = aw.Study(task.space, strategy=strategy, objective=task.objectives, seed=seed)
    points = []
    while len(points) < trials:
        trial = study.ask()
        metrics = task.metrics.get(trial.architecture)
        if metrics is None:
            study.tell(trial, RuntimeError("not measured on this device"))
            points.append(task.nothing)
            continue
        study.tell(trial, metrics)
        points.append(task.point(metrics))
    return points


def theirs(task, name, trials, seed):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = (
        optuna.samplers.NSGAIISampler(seed=seed)
        if name == "optuna-nsga2"
        else optuna.samplers.TPESampler(seed=seed, multivariate=False)
    )
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    decisions = {each: decision.labels for each, decision in task.space.decisions.items()}
    points = []
    while len(points) < trials:
        trial = study.ask()
        chosen = {each: trial.suggest_categorical(each, labels) for each, labels in decisions.items()}
        metrics = task.metrics.get(task.space.canonical(chosen))
        if metrics is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            points.append(task.nothing)
            continue
        study.tell(trial, [metrics["accuracy"], metrics[task.metric]])
        points.append(task.point(metrics))
    return points


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--strategies", default=",".join((*OURS, *THEIRS)))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    marks = [mark for mark in (100, 300, 1000) if mark <= given.trials]
    for text in given.tasks.split(","):
        task = Task(text)
        print(f"{text}: {len(task.metrics):,} cells, {task.front} on the front", flush=True)
        for name in given.strategies.split(","):
            run = theirs if name in THEIRS else ours
            rows, begun = [], time.perf_counter()
            for seed in range(given.seeds):
                rows.append(task.regrets(run(task, name, given.trials, seed), marks))
                if given.out is not None:
                    with given.out.open("a") as file:
                        file.write(
                            json.dumps({"task": text, "strategy": name, "seed": seed, "regrets": rows[-1]}) + "\n"
                        )
            seconds = (time.perf_counter() - begun) / given.seeds
            told = "  ".join(
                f"{mark}: {statistics.mean(column):.4f} ± {statistics.stdev(column) / len(column) ** 0.5:.4f}"
                if len(column) > 1
                else f"{mark}: {column[0]:.4f}"
                for mark, column in zip(marks, zip(*rows, strict=True), strict=True)
            )
            print(f"  {name:24} {told}  ({seconds:.1f} s a run)", flush=True)


if __name__ == "__main__":
    main()
