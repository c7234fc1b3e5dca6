"""How the time to ask and tell grows with the number of trials, for every strategy.

    python benchmarks/growth.py [--strategies a,b,c] [--limit 300] [--constraint "accuracy >= 0.85"]

The table is NAS-Bench-201, CIFAR-10 ($ARCHWRIGHT_DATA). One run of each strategy: milliseconds of a trial, as the mean
over the fifty trials that end at the number named, and the longest of all. A run that has taken `limit` seconds ends,
and what it did not reach is a dash. What is worked out once for a space is done by a run of 30 trials before. With a
constraint the share of the trials that kept to it is printed too.
"""

import argparse
import statistics
import time

import archwright as aw

POINTS = (100, 150, 300, 1_000, 3_000)
WINDOW = 50


def milliseconds(table, name, trials, limit, constraints):
    """Return what each trial took, and the share of them that kept to the constraints."""
    study = aw.Study(table.space, strategy=name, objective=table.objective, constraints=constraints, seed=0)
    costs, spent = [], 0.0
    while len(costs) < trials and spent < limit:
        start = time.perf_counter()
        trial = study.ask()
        asked = time.perf_counter() - start
        metrics = table.evaluate(aw.Candidate(table.space, trial.architecture, seed=0))
        start = time.perf_counter()
        study.tell(trial, metrics)
        costs.append(1e3 * (asked + time.perf_counter() - start))
        spent += costs[-1] / 1e3
    return costs, len(study.history.complete) / len(costs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategies", default=",".join(aw.strategies.names()))
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for each strategy")
    parser.add_argument("--constraint", action="append", default=[], help="what a trial has to keep to")
    parser.add_argument("--trials", type=int, default=POINTS[-1])
    given = parser.parse_args()
    table = aw.bench.load("nasbench201", dataset="cifar10").table
    print(f"{'ms of a trial at':<18}" + "".join(f"{point:>9,}" for point in POINTS) + f"{'longest':>9}", flush=True)
    for name in given.strategies.split(","):
        milliseconds(table, name, 30, given.limit, given.constraint)
        costs, kept = milliseconds(table, name, given.trials, given.limit, given.constraint)
        means = [statistics.mean(costs[point - WINDOW : point]) if point <= len(costs) else None for point in POINTS]
        shown = "".join(f"{'-' if mean is None else f'{mean:.2f}':>9}" for mean in means)
        print(f"{name:<18}{shown}{max(costs):>9.1f}" + (f"  {kept:.0%} kept" if given.constraint else ""), flush=True)


if __name__ == "__main__":
    main()
