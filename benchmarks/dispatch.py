"""How many trials a second a search hands to its workers: evaluations that do nothing, with an SQLite file.

`python benchmarks/dispatch.py [--executor processes] [--workers 8] [--trials 3000] [--ms 0]`: random proposals in a
space of 5^20 architectures; each evaluation sleeps so many milliseconds. The rate is that from the 200th trial on, when
all workers run; beside it the processor time of the process of the search. With `--executor ray`, each worker takes an
eighth of a CPU of a Ray cluster, which is started on this machine where there is none.
"""

import argparse
import tempfile
import time
from pathlib import Path

import archwright as aw

WARM = 200


class Clock(aw.Callback):
    """Notes when trials end."""

    def __init__(self):
        self.ends = []

    def on_trial_end(self, study, trial):
        self.ends.append((time.perf_counter(), time.process_time()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--executor", default="processes")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--trials", type=int, default=3000)
    parser.add_argument("--ms", type=float, default=0.0)
    given = parser.parse_args()
    seconds = given.ms / 1000

    def evaluate(candidate):
        time.sleep(seconds)
        return 0.5

    space = aw.Space(**{f"e{i}": aw.choice(*"abcde") for i in range(20)})
    executor = aw.Ray(cpus=0.125) if given.executor == "ray" else given.executor
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        study = aw.Study(space, strategy="random", path=Path(folder) / "run")
        study.run(evaluate, aw.Budget(trials=given.trials), workers=given.workers, executor=executor, callbacks=[clock])
        states = {trial.state for trial in study.trials}
    (start, used), (end, used_up) = clock.ends[WARM], clock.ends[-1]
    trials = len(clock.ends) - WARM - 1
    rate, cost = trials / (end - start), 1e3 * (used_up - used) / trials
    print(f"{given.executor}, {given.workers} workers, {given.ms:g} ms: {rate:.0f} trials/s, {cost:.2f} ms CPU", states)


if __name__ == "__main__":
    main()
