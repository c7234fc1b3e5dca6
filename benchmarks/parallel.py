"""How many evaluations of a search are lost where many run side by side: NAS-Bench-201 on a simulated clock.

`OMP_NUM_THREADS=1 python benchmarks/parallel.py [--dataset cifar10] [--strategies random,evolution,bo]
[--workers 1,8,64] [--trials 200] [--seeds 20] [--first 0]`: an evaluation takes the training time of the table.
Printed are, for each number of workers, the mean regret of what a search sees after a half of the evaluations and after
all of them, in percentage points; and how many evaluations it takes to the mean regret that one worker has there.
"""

import argparse

import numpy as np

import archwright as aw

TINY = 1e-9  # percentage points, of rounding


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--strategies", default="random,evolution,bo")
    parser.add_argument("--workers", default="1,8,64")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    given = parser.parse_args()
    table = aw.bench.load("nasbench201", dataset=given.dataset).table
    points = [given.trials // 2, given.trials]
    for strategy in given.strategies.split(","):
        alone = None
        for workers in map(int, given.workers.split(",")):
            # Half as many more, in which a slower search may reach what one worker does.
            comparison = aw.bench.compare(
                table.space,
                table,
                [strategy],
                trials=given.trials if workers == 1 else given.trials * 3 // 2,
                seeds=range(given.first, given.first + given.seeds),
                workers=workers,
                scale=100.0,
            )
            result = comparison.results[strategy]
            mean = result.regret.mean(axis=0)
            alone = mean if alone is None else alone
            told = []
            for point in points:
                first = np.flatnonzero(alone <= alone[point - 1] + TINY)[0] + 1
                reached = np.flatnonzero(mean <= alone[point - 1] + TINY)
                needs = f"{reached[0] + 1}" if len(reached) else f"more than {len(mean)}"
                told.append(f"{mean[point - 1]:.3f} after {point} ({needs} to what one had after {first})")
            found = np.sort(result.found)
            found = f"best cell after {found[len(found) // 2]:g} in the median, {found[-1]:g} at most"
            told.append(f"{found}; {result.ms_per_trial:.1f} ms a trial")
            print(f"{strategy}, {workers} workers, {given.dataset}: regret {', '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
