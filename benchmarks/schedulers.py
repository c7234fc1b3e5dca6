"""How soon schedulers find what full trainings find, on tables of measured networks, by simulated time.

    python benchmarks/schedulers.py [--tables a,b] [--strategies random,tpe] [--schedulers a,b] [--trials 150]

A run has the simulated time of so many full trainings ($ARCHWRIGHT_DATA holds the tables). A trial costs the seconds of
its epochs, less those of the trial that it goes on from; a final training of what was found costs the same for all, and
is left out. The best so far is the best by what it has shown in validation, among those that were given most; it is
judged by the test value of its full training. Printed as Markdown are, for each strategy with each scheduler: the time
until the best so far first came within a tolerance of the best in the table, in full trainings, the median over the
seeds (a dash: half of them never did); that time as a share of what full trainings took with the same strategy; how
many of the seeds came there; the mean regret at the end; and the mean number of evaluations.
"""

import argparse
import math

import numpy as np

from archwright import bench, schedulers

HALVING = ("successive-halving", "hyperband", "asha", "pasha", "bohb", "dehb")
APART = ("successive-halving:eta=17", "hyperband:eta=17", "asha:eta=17")  # there are two rungs, 17 times apart
CURVES = ("median", "patience")
TABLES = {
    # table and data set: schedulers besides "full", tolerances
    ("nasbench201", "cifar10"): (HALVING + APART, (0.1, 1.0)),
    ("nasbench201", "cifar100"): (HALVING + APART, (0.1, 1.0)),
    ("nasbench101", "cifar10"): (HALVING, (0.1, 1.0)),
    ("nasbench-nlp", "wikitext2"): (HALVING + CURVES, (0.1, 0.3)),
}
ALONE = {"dehb": ("random",)}  # it proposes by itself
BLIND = ("random", "grid")  # nothing for "bohb"


def create(text):
    """A scheduler from its name, or from "name:eta=number"."""
    name, _, eta = text.partition(":eta=")
    return schedulers.create(name, **({"eta": float(eta)} if eta else {}))


def entries(strategy, chosen):
    """What a strategy is given, by label, "full" first."""
    return {
        scheduler: (strategy, create(scheduler))
        for scheduler in ("full", *chosen)
        if strategy in ALONE.get(scheduler, (strategy,)) and not (scheduler == "bohb" and strategy in BLIND)
    }


def times(result, tolerance, unit):
    """(seeds,) when the best so far first came within a tolerance, in full trainings; infinity where it never did."""
    within = result.final <= tolerance + 1e-9
    first = within.argmax(1)
    return np.where(within.any(1), result.clock[range(len(first)), first] / unit, math.inf)


def share(time, full, budget):
    """A time as a share of that of full trainings; at most that where these did not come there in their budget."""
    if math.isinf(time):
        return "-"
    return f"{time / full:.2f}" if math.isfinite(full) else f"< {time / budget:.2f}"


def head(loaded, trials, seeds, tolerances):
    kind = "points" if loaded.scale == 100 else loaded.table.metric
    heads = [f"within {tolerance:g} {kind} | of full | seeds" for tolerance in tolerances]
    hours = trials * loaded.table.mean_seconds / 3600
    print(
        f"\n{loaded.name}, {loaded.dataset}: the time of {trials} full trainings ({hours:,.0f} hours), {seeds} seeds\n"
    )
    print(f"| strategy | scheduler | {' | '.join(heads)} | regret | evaluations |")
    print("|" + "---|" * (4 + 3 * len(tolerances)), flush=True)


def show(strategy, comparison, tolerances):
    full = {}
    for scheduler, result in comparison.results.items():
        cells = []
        for tolerance in tolerances:
            found = times(result, tolerance, comparison.seconds / comparison.trials)
            median = float(np.median(found))
            reference = full.setdefault(tolerance, median)
            told = "-" if math.isinf(median) else f"{median:.1f}"
            cells += [told, share(median, reference, comparison.trials), f"{np.isfinite(found).sum()}"]
        print(
            f"| `{strategy}` | `{scheduler}` | {' | '.join(cells)} | {result.final[:, -1].mean():.2f} | "
            f"{result.evaluations:,.0f} |",
            flush=True,
        )


def main():
    names = sorted({name for name, _ in TABLES})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default=",".join(names), help=f"some of {', '.join(names)}")
    parser.add_argument("--strategies", default="random,tpe", help="strategies, separated by commas")
    parser.add_argument("--schedulers", help="schedulers besides full; all that make sense when not given")
    parser.add_argument("--trials", type=int, default=150, help="the time of a run, in full trainings")
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args()
    for (name, dataset), (fitting, tolerances) in TABLES.items():
        if name not in given.tables.split(","):
            continue
        loaded = bench.load(name, dataset=dataset)
        chosen = fitting if given.schedulers is None else tuple(given.schedulers.split(","))
        head(loaded, given.trials, given.seeds, tolerances)
        for strategy in given.strategies.split(","):
            comparison = bench.compare(
                loaded.space,
                loaded.table,
                entries(strategy, chosen),
                trials=given.trials,
                seeds=given.seeds,
                scale=loaded.scale,
            )
            show(strategy, comparison, tolerances)


if __name__ == "__main__":
    main()
