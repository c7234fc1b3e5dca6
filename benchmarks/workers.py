"""How much faster several workers are than one, and how much faster the machine lets them be.

`python benchmarks/workers.py [--trials 14] [--epochs 8] [--strategies random,bo]`: trainings of convolutional networks
on the digits, of the same number of epochs each, on one thread unless said otherwise. Nothing else is to run on the
machine.

The limit: plain processes without a search train the same list of networks, one process alone and then as many side by
side as there are cores. Random proposals are the same networks for any number of workers, so the speed-up is work for
time: the seconds that the networks took one worker, over the seconds in which several evaluate them. Counted is the
time from when all workers have a trial until the first one gets no more, with parts of trials. Busy is the share of
that time in which workers evaluate a trial; other strategies propose other networks, and have this figure alone.
"""

import argparse
import os
import subprocess
import sys
import time

import torch

import archwright as aw


class Clock(aw.Callback):
    """Notes when trials begin and end, and how long they took."""

    def __init__(self):
        self.begun, self.ended, self.seconds = {}, {}, {}

    def on_trial_start(self, study, trial):
        self.begun[trial.number] = time.perf_counter()

    def on_trial_end(self, study, trial):
        self.ended[trial.number], self.seconds[trial.number] = time.perf_counter(), trial.seconds


def task(epochs):
    return (
        aw.spaces.create("convnet", input_shape=(1, 8, 8), classes=10),
        aw.Training(aw.data("digits"), epochs=epochs, device="cpu"),
    )


def searched(strategy, workers, trials, epochs):
    """Return the times of a search, and the share of one processor that its own process uses."""
    clock, (space, training) = Clock(), task(epochs)
    study = aw.Study(space, strategy=strategy, objective="max accuracy", seed=0)
    start, used = time.perf_counter(), time.process_time()
    study.run(training, aw.Budget(trials=trials), workers=workers, final=False, callbacks=[clock])
    return clock, (time.process_time() - used) / (time.perf_counter() - start)


def rates(clock, workers, alone):
    """Return the work for time, by what the trials took alone, and the share of the time that workers evaluate."""
    order = sorted(clock.begun, key=clock.begun.get)
    start = max(clock.ended[number] - clock.seconds[number] for number in order[:workers])  # processes have started
    stop = min(clock.ended[number] for number in order[-workers:])
    work = busy = 0.0
    for number, ended in clock.ended.items():
        took = clock.seconds[number]
        inside = max(0.0, min(ended, stop) - max(ended - took, start))
        work, busy = work + alone.get(number, 0.0) * inside / took, busy + inside
    return work / (stop - start), busy / (stop - start) / workers


def plain(networks, epochs):
    """Train networks without a search: those of the first random proposals."""
    torch.set_num_threads(1)
    space, training = task(epochs)
    study = aw.Study(space, strategy="random", objective="max accuracy", seed=0)
    trials = [study.ask() for _ in range(networks)]
    evaluate = [aw.Candidate(space, trial.architecture, seed=trial.seed, device="cpu") for trial in trials]
    training.evaluate(aw.Candidate(space, trials[0].architecture, seed=0, device="cpu"))
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    for candidate in evaluate:
        training.evaluate(candidate)
    print(time.perf_counter() - start, flush=True)


def side_by_side(count, networks, epochs):
    """Return the mean seconds of plain processes that run at one time."""
    command = [sys.executable, __file__, "--plain", str(networks), "--epochs", str(epochs)]
    pipe, environment = subprocess.PIPE, {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) for _ in range(count)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    return sum(float(process.communicate()[0]) for process in processes) / count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=14)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--strategies", default="random,bo")
    parser.add_argument("--plain", type=int, help="train so many networks without a search, once told to on stdin")
    given = parser.parse_args()
    if given.plain is not None:
        return plain(given.plain, given.epochs)
    cores, networks = os.cpu_count() or 1, max(1, given.trials // 2)
    alone, beside = (side_by_side(count, networks, given.epochs) for count in (1, cores))
    limit = cores * alone / beside
    print(
        f"plain processes: {cores} take {beside / alone:.2f} times as long as one, so the limit is {limit:.2f}",
        flush=True,
    )
    torch.set_num_threads(1)
    one, _ = searched("random", 1, given.trials, given.epochs)
    for strategy in given.strategies.split(","):
        torch.set_num_threads(cores)
        clock, own = searched(strategy, cores, given.trials, given.epochs)
        rate, busy = rates(clock, cores, one.seconds)
        told = f"{rate:.2f} times one, {rate / limit:.1%} of the limit; " if strategy == "random" else ""
        print(f"{strategy}, {cores} workers: {told}{busy:.1%} busy; the search uses {own:.1%} of a core", flush=True)
    torch.set_num_threads(cores)
    threads, _ = searched("random", 1, given.trials, given.epochs)
    faster = sum(one.seconds.values()) / sum(threads.seconds.values())
    print(f"one worker with {cores} threads: {faster:.2f} times one with one thread")
    return None


if __name__ == "__main__":
    main()
