"""How long the command and the package take to answer, warm: `python benchmarks/startup.py`."""

import statistics
import subprocess
import sys
import time

FIRST_TRIAL = """
import os
import archwright as aw
class Stop(aw.Callback):
    def on_trial_start(self, study, trial):
        os._exit(0)
data = aw.data("digits")
options = dict(budget=aw.Budget(minutes=0.5), path=None, callbacks=[Stop()])
aw.search(aw.spaces.default_for(data.example_input.shape), data, baseline=BASELINE, **options)
"""

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import archwright": [sys.executable, "-c", "import archwright"],
    "archwright --help": [sys.executable, "-m", "archwright", "--help"],
    "archwright list spaces": [sys.executable, "-m", "archwright", "list", "spaces"],
    "import torch": [sys.executable, "-c", "import torch"],
    "first trial on digits": [sys.executable, "-c", FIRST_TRIAL.replace("BASELINE", "False")],
    "after baselines": [sys.executable, "-c", FIRST_TRIAL.replace("BASELINE", "True")],
}


def seconds(command):
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    print(f"{'command':<24}{'median s':>9}{'min':>7}{'max':>7}   (11 runs after two to warm up)")
    for name, command in COMMANDS.items():
        runs = [seconds(command) for _ in range(13)][2:]
        print(f"{name:<24}{statistics.median(runs):>9.3f}{min(runs):>7.3f}{max(runs):>7.3f}")
