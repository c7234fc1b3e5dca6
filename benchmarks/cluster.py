"""Whether one search keeps 1,000 workers busy, on a clock that is simulated.

`OMP_NUM_THREADS=1 python benchmarks/cluster.py [--strategies random,evolution,bo] [--space letters] [--workers 1000]
[--trials 10000] [--seconds 60]`: evaluations take log-normal times (sigma 0.5, by default 60 seconds on average) and no
processor. The search itself is a real one, with an SQLite file; what it does takes as long on the clock as it takes
processor time here, one thing after the other: proposals, jobs and reports as JSON, and the record. Busy is the share
of the workers' time with an evaluation, from the start of the search until the last trial begins.

The spaces: "letters", 5^20 architectures without networks; or one of `archwright list spaces`. The score is a linear
function of the encoding with noise.
"""

import argparse
import heapq
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import archwright as aw
from archwright.execute import Cluster, Executor, Report, report_of
from archwright.execute._cluster import CLUSTERS

SIGMA = 0.5


class Clock(Executor):
    """Workers on a simulated clock, on which the search takes the processor time of this process."""

    def __init__(self, worker, size, seconds):
        self.capacity = size
        self.now = 0.0
        self.began = []  # when each evaluation begins, and when it ends
        self._worker, self._seconds = worker, seconds
        self._running = []
        space, rng = worker.space, np.random.default_rng(0)
        self._weights = rng.normal(size=len(space.encode(space.sample(rng))))
        self._mark = time.process_time()

    def start(self, job, listen):
        json.dumps(job.to_json())
        self._tick()
        rng = np.random.default_rng(job.seed)
        took = self._seconds * rng.lognormal(-(SIGMA**2) / 2, SIGMA)
        score = float(self._weights @ self._worker.space.encode(job.architecture) + 0.1 * rng.normal())
        written = json.dumps(report_of(job.trial, {"value": score}, curve=(), seconds=took).to_json())
        heapq.heappush(self._running, (self.now + took, job.trial, written, job))
        self.began.append((self.now, self.now + took))
        self._mark = time.process_time()

    def wait(self):
        self._tick()
        end, _, written, job = heapq.heappop(self._running)
        self.now = max(self.now, end)
        return Report.from_json(json.loads(written)), self._worker.candidate(job)

    def _tick(self):
        now = time.process_time()
        self.now, self._mark = self.now + now - self._mark, now


@CLUSTERS.register("simulated")
@dataclass(frozen=True)
class Simulated(Cluster):
    """A cluster on a simulated clock."""

    seconds: float = 60.0
    threads = 1

    def launcher(self, content, setting):
        raise NotImplementedError

    def room(self):
        return 1

    def executor(self, make, worker, *, size, **limits):
        Simulated.clock = Clock(worker, size, self.seconds)
        return Simulated.clock


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategies", default="random,evolution,bo")
    parser.add_argument("--space", default="letters")
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    for name in given.strategies.split(","):
        letters = {f"e{place}": aw.choice(*"abcde") for place in range(20)}
        space = aw.Space(**letters) if given.space == "letters" else aw.spaces.create(given.space)
        with tempfile.TemporaryDirectory() as folder:
            study = aw.Study(space, strategy=name, path=Path(folder) / "run", seed=0)
            budget, cluster = aw.Budget(trials=given.trials), Simulated(seconds=given.seconds)
            start = time.process_time()
            study.run(lambda candidate: 0.0, budget, workers=given.workers, executor=cluster)
            took = time.process_time() - start
        began = np.array(Simulated.clock.began)
        until = began[:, 0].max()
        busy = (np.minimum(began[:, 1], until) - began[:, 0]).sum() / until / given.workers
        count = len(began)
        print(f"{name}, {given.workers} workers in {given.space}: {busy:.1%} busy, {count} trials begun in", end=" ")
        print(f"{until:.0f} s, {count / until:.1f} per second;", end=" ")
        print(
            f"{1e3 * took / count:.2f} ms of processor time each, so at most {count / took:.0f} per second", flush=True
        )


if __name__ == "__main__":
    main()
