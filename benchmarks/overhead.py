"""What a trial costs besides its evaluation: ask and tell, regularised evolution, the NAS-Bench-201 space.

`python benchmarks/overhead.py [--trials 10000] [--repeats 3]`; every evaluation gives the same constant.
For each store the cost per trial is the median over the repeats of the mean over a window of trials that ends at the
number given.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import archwright as aw

POINTS = (100, 1_000, 3_000, 10_000)


def window(end):
    return range(max(0, end - max(50, end // 10)), end)


def milliseconds(space, path, trials, strategy):
    """Return the milliseconds of each trial."""
    study = aw.Study(space, strategy=strategy, objective="max accuracy", seed=0, path=path)
    costs = []
    for _ in range(trials):
        start = time.perf_counter()
        trial = study.ask()
        study.tell(trial, {"accuracy": 0.5})
        costs.append(1e3 * (time.perf_counter() - start))
    study.close()
    return costs


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--strategy", default="evolution")
    options = parser.parse_args()
    space = aw.spaces.create("nasbench201")
    points = [point for point in POINTS if point <= options.trials]
    print(f"{'ms per trial at':<18}" + "".join(f"{point:>9,}" for point in points) + f"{'last / 1,000':>14}")
    for kept in ("memory", "SQLite"):
        runs = []
        for _ in range(options.repeats):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "run" if kept == "SQLite" else None
                runs.append(milliseconds(space, path, options.trials, options.strategy))
        costs = {
            point: statistics.median(statistics.mean(run[i] for i in window(point)) for run in runs) for point in points
        }
        ratio = f"{costs[points[-1]] / costs[1_000]:>14.2f}" if 1_000 in costs else ""
        print(f"{kept:<18}" + "".join(f"{costs[point]:>9.3f}" for point in points) + ratio)


if __name__ == "__main__":
    main()
