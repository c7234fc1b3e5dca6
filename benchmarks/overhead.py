"""What a trial costs besides its evaluation: ask and tell, regularised evolution.

`python benchmarks/overhead.py [--trials 10000] [--repeats 3]`: the NAS-Bench-201 space, every evaluation gives the same
constant. For each store the cost per trial is the median over the repeats of the mean over a window of trials that ends
at the number given.

`python benchmarks/overhead.py --many [--trials 100000]`: one study of many trials, in an SQLite file, in a space of
5^20 architectures with a known optimum: the cost of a trial in each tenth, the memory, the time to load the study, and
that of `archwright show`.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import archwright as aw

POINTS = (100, 1_000, 3_000, 10_000)
BLOCKS = 10


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


def growth(trials, repeats, strategy):
    space = aw.spaces.create("nasbench201")
    points = [point for point in POINTS if point <= trials]
    print(f"{'ms per trial at':<18}" + "".join(f"{point:>9,}" for point in points) + f"{'last / 1,000':>14}")
    for kept in ("memory", "SQLite"):
        runs = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "run" if kept == "SQLite" else None
                runs.append(milliseconds(space, path, trials, strategy))
        costs = {
            point: statistics.median(statistics.mean(run[i] for i in window(point)) for run in runs) for point in points
        }
        ratio = f"{costs[points[-1]] / costs[1_000]:>14.2f}" if 1_000 in costs else ""
        print(f"{kept:<18}" + "".join(f"{costs[point]:>9.3f}" for point in points) + ratio)


def megabytes():
    """Return the largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def many(trials, strategy):
    space = aw.Space(**{f"e{place}": aw.choice(*"abcde") for place in range(20)}, name="letters")
    before, size = megabytes(), trials // BLOCKS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        study = aw.Study(space, strategy=strategy, objective="max score", seed=0, path=path)
        walls, costs = (
            [],
            [],
        )  # of the clock on the wall, and of the processor: other programs do not count in the latter
        for _ in range(BLOCKS):
            start, began = time.perf_counter(), time.process_time()
            for _ in range(size):
                trial = study.ask()
                letters = trial.architecture.values()
                study.tell(trial, {"score": sum(map("abcde".index, letters)) / 80 + trial.seed % 1009 / 1e5})
            walls.append(1e3 * (time.perf_counter() - start) / size)
            costs.append(1e3 * (time.process_time() - began) / size)
        study.close()
        for name, each in {"ms": walls, "ms of processor time": costs}.items():
            print(f"{name} per trial, by {size:,}: " + " ".join(f"{cost:.3f}" for cost in each), end="; ")
            print(f"last / first {each[-1] / each[0]:.2f}")
        print(f"memory: {megabytes():.0f} MB, {before:.0f} of them before the first trial")
        load = [sys.executable, "-c", f"import archwright as aw; aw.load({str(path)!r}).best"]
        for name, command in {"load": load, "show": [sys.executable, "-m", "archwright", "show", str(path)]}.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            print(f"{name} in a process of its own: {time.perf_counter() - start:.2f} s")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--strategy", default="evolution")
    parser.add_argument("--many", action="store_true")
    options = parser.parse_args()
    if options.many:
        many(options.trials or 100_000, options.strategy)
    else:
        growth(options.trials or 10_000, options.repeats, options.strategy)


if __name__ == "__main__":
    main()
