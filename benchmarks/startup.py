"""How long the command and the package take to answer, warm: `python benchmarks/startup.py`."""

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import archwright": [sys.executable, "-c", "import archwright"],
    "archwright --help": [sys.executable, "-m", "archwright", "--help"],
    "archwright list spaces": [sys.executable, "-m", "archwright", "list", "spaces"],
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
