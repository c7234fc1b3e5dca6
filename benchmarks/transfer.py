"""Warm starts on tables: evaluations until the quality of 25 evaluations of a cold start.

    python benchmarks/transfer.py [--pairs "a;b"] [--strategy bo] [--seeds 50] [--first 0] [--trials 28]

An earlier search (evolution, 100 trials, other seeds) on one table is the `warm_start` of a search on another one.
The incumbent's validation accuracy is averaged over the seeds after each evaluation; a row says after how many
evaluations this mean has reached that of a cold start after 25. Misleading runs are the same earlier trials with
negated metrics ("negated"), with random metrics ("noise"), and in another space ("other space": decisions and options
exchanged at random).

The tables are looked for in `$ARCHWRIGHT_DATA/benchmarks`; digits-cells comes with the package.
"""

import argparse
from dataclasses import replace

import numpy as np

import archwright as aw
from archwright.study import EarlierTrials

REACHED = 25
PAIRS = {
    "nasbench201: cifar100 to cifar10": (("nasbench201", "cifar100"), ("nasbench201", "cifar10")),
    "nasbench201: cifar10 to cifar100": (("nasbench201", "cifar10"), ("nasbench201", "cifar100")),
    "natsbench-size: cifar100 to cifar10": (("natsbench-size", "cifar100"), ("natsbench-size", "cifar10")),
    "natsbench-size: cifar10 to cifar100": (("natsbench-size", "cifar10"), ("natsbench-size", "cifar100")),
    "digits-cells to nasbench201 cifar10": (("digits-cells", None), ("nasbench201", "cifar10")),
    "nasbench201 cifar10 to digits-cells": (("nasbench201", "cifar10"), ("digits-cells", None)),
}


def search(table, strategy, seed, trials, warm_start=()):
    study = aw.Study(table.space, strategy=strategy, objective=table.objective, seed=seed, warm_start=warm_start)
    return study.run(table, aw.Budget(trials=trials), progress=False)


def negated(run, rng):
    return replace(run, trials=tuple((one, {name: -value for name, value in row.items()}) for one, row in run.trials))


def noise(run, rng):
    return replace(run, trials=tuple((one, dict.fromkeys(row, float(rng.random()))) for one, row in run.trials))


def other_space(run, rng):
    names = list(run.space.decisions)
    sources = dict(zip(names, rng.permutation(names).tolist(), strict=True))
    labels = {name: list(decision.values()) for name, decision in run.space.decisions.items()}
    orders = {name: rng.permutation(len(labels[name])) for name in names}

    def moved(one):
        places = {name: labels[source].index(one[source]) for name, source in sources.items()}
        return {name: labels[name][orders[name][place % len(labels[name])]] for name, place in places.items()}

    found = {run.space.canonical(moved(one)): row for one, row in run.trials}
    return replace(run, trials=tuple(found.items()))


KINDS = {"earlier run": lambda run, rng: run, "negated": negated, "noise": noise, "other space": other_space}


def reached(curve, goal):
    found = np.flatnonzero(curve >= goal - 1e-12)
    return str(found[0] + 1) if len(found) else f"more than {len(curve)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", default=";".join(PAIRS))
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--strategy", default="bo")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--trials", type=int, default=28)
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    print("| from, to | warm start | evaluations to the quality of 25 | accuracy after 8 | after 25 |")
    print("|---|---|---:|---:|---:|")
    for pair in options.pairs.split(";"):
        source, target = (aw.bench.load(name, dataset=dataset).table for name, dataset in PAIRS[pair])
        runs = [EarlierTrials.of(search(source, "evolution", 10_000 + seed, 100)) for seed in seeds]
        goal = None
        for kind in ("none", *options.kinds.split(",")):
            curves = []
            for seed, run in zip(seeds, runs, strict=True):
                warm = () if kind == "none" else [KINDS[kind](run, np.random.default_rng(seed))]
                found = search(target, options.strategy, seed, options.trials, warm)
                curves.append(np.maximum.accumulate(found.history.scores))
            mean = 100 * np.mean(curves, axis=0)
            goal = mean[REACHED - 1] if goal is None else goal
            row = f"{reached(mean, goal)} | {mean[7]:.2f} | {mean[REACHED - 1]:.2f}"
            print(f"| {pair} | {kind} | {row} |", flush=True)


if __name__ == "__main__":
    main()
