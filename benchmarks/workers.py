"""Trials per hour with one worker and with several, and the share of the time that workers train.

`python benchmarks/workers.py [--trials 24] [--epochs 6] [--strategies random,bo]`: trainings of convolutional networks
on the digits, of the same number of epochs each. One worker with all threads, one with one thread, and one worker for
each core, with its share of the threads. Counted is the time from the first to the last end of a trial; the processes
have started by then. Nothing else is to run on the machine.
"""

import argparse
import os
import time

import torch

import archwright as aw


class Clock(aw.Callback):
    """Notes when trials end, and how long they took."""

    def __init__(self):
        self.ends = []

    def on_trial_end(self, study, trial):
        self.ends.append((time.perf_counter(), trial.seconds))


def measured(strategy, workers, trials, epochs):
    """Return trials per hour, and the share of the time that workers train."""
    clock = Clock()
    space = aw.spaces.create("convnet", input_shape=(1, 8, 8), classes=10)
    study = aw.Study(space, strategy=strategy, objective="max accuracy", seed=0)
    training = aw.Training(aw.data("digits"), epochs=epochs, device="cpu")
    study.run(training, aw.Budget(trials=trials), workers=workers, final=False, callbacks=[clock])
    counted = clock.ends[workers:]  # those that began when the first ones had ended
    took = counted[-1][0] - clock.ends[workers - 1][0]
    return 3600 * len(counted) / took, sum(seconds for _, seconds in counted) / took / workers


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--strategies", default="random,bo")
    given = parser.parse_args()
    cores = os.cpu_count() or 1
    for strategy in given.strategies.split(","):
        for workers, threads in ((1, cores), (1, 1), (cores, cores)):
            torch.set_num_threads(threads)
            rate, busy = measured(strategy, workers, given.trials, given.epochs)
            print(f"{strategy}: {workers} workers, {threads} threads in all: {rate:.0f} trials/hour, {busy:.1%} busy")


if __name__ == "__main__":
    main()
