"""Whole searches by the command, as a user runs them: `python benchmarks/searches.py digits` or `fashion`.

digits: 30 trials of 10 epochs, three seeds. fashion: ten minutes in all, final training included; the data is looked
for in `$ARCHWRIGHT_DATA/train/fashion`. Time and memory are those of the whole process.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATA = Path(os.environ.get("ARCHWRIGHT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
PLAIN = ["--strategy", "evolution", "--scheduler", "full"]  # benchmarks/fashion.py has what is chosen by itself
SEARCHES = {
    "digits": (["digits", "--trials", "30", "--epochs", "10", *PLAIN], (0, 1, 2)),
    "fashion": (
        [str(DATA / "train" / "fashion"), "--minutes", "10", "--augment", "flip", "--precision", "bf16", *PLAIN],
        (0,),
    ),
}


def run(arguments, seed):
    """Return what `archwright search` printed, with the seconds that the process took."""
    with tempfile.TemporaryDirectory() as folder:
        out = ["--seed", str(seed), "--out", str(Path(folder) / "run"), "--json"]
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "archwright", "search", *arguments, *out], check=True, capture_output=True
        )
        return json.loads(done.stdout), time.perf_counter() - start


def main():
    name, *more = sys.argv[1:] or ["digits"]
    arguments, seeds = SEARCHES[name]
    print("archwright search", *arguments, *more)
    accuracies, times = [], []
    for seed in seeds:
        summary, seconds = run([*arguments, *more], seed)
        accuracies.append(summary["test"]["test_accuracy"])
        times.append(seconds)
        trials = {state: n for state, n in summary["trials"].items() if n}
        best = summary["best"]["metrics"]["accuracy"]
        print(
            f"seed {seed}: {seconds:6.1f} s, trials {trials}, validation {best:.4f}, "
            f"test {accuracies[-1]:.4f}, final epochs {summary['test']['epochs']:.0f}",
            flush=True,
        )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"test accuracy {statistics.mean(accuracies):.4f} ({min(accuracies):.4f} to {max(accuracies):.4f}), "
        f"seconds {statistics.median(times):.1f} (most {max(times):.1f}), peak memory {peak:,.0f} MB"
    )


if __name__ == "__main__":
    main()
