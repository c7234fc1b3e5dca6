"""What one-shot methods derive, in seconds of supernet training on a CPU, judged by tables and by training alone.

    python benchmarks/oneshot.py digits --seconds 10
    python benchmarks/oneshot.py nasbench201 --data cifar10.npz --seconds 75
    python benchmarks/oneshot.py fashion --data FASHION --seconds 25 --samples 5000
    python benchmarks/oneshot.py ranks --seconds 10 --methods path,fair,sandwich,softmax

nasbench201: a supernet (C=8, N=1) learns from images; the derived cell's test accuracy is looked up in the table, whose
networks (C=16, N=5) were trained for 200 epochs. Beside it stand the mean of the space and the share of it that is
beaten.
digits: the space digits-cells; the derived network is looked up among the 1,458 that were trained.
fashion: the space digits-cells on Fashion-MNIST; the derived network is trained alone, and so are ten drawn ones.
ranks: how well the accuracy with shared weights ranks 100 drawn networks of digits-cells, by those of the table.
"""

import argparse
import dataclasses
import statistics
import time

import numpy as np
import torch
from scipy import stats

import archwright as aw
from archwright.datasets import Part
from archwright.evaluate import Candidate, Preparation

METHODS = ("darts", "pc-darts", "gdas", "drnas", "proxyless", "enas", "spos", "fair")
_SHARED = {"spos": "path", "fair": "fair"}
_EVALUATIONS = 100  # of shared weights by evolution, for the methods that derive nothing


def derive(method, space, data, seconds, seed, batch_size):
    """Return the architecture that a method takes, and how many epochs its supernet had."""
    training = aw.Training(data, batch_size=batch_size)
    if method in _SHARED:
        evaluator = aw.SupernetEvaluator(training, _SHARED[method], epochs=10_000)
    else:
        strategy = aw.strategies.create(method)
        relaxation = aw.supernet.create(strategy.relaxation, **strategy.relaxation_settings())
        evaluator = aw.SupernetEvaluator(training, relaxation, epochs=10_000)
    learned = evaluator.prepare(Preparation(space, seed=seed, deadline=time.monotonic() + seconds))
    if method not in _SHARED:
        return learned.architectures[0], learned
    study = aw.Study(space, strategy="evolution", objective="max accuracy", seed=seed)
    for _ in range(_EVALUATIONS):
        trial = study.ask()
        study.tell(trial, evaluator.shared(trial.architecture))
    return study.best.architecture, learned


def alone(space, data, architecture, seed, epochs):
    """Return the test accuracy of an architecture that is trained alone, on all but the test part."""
    training = aw.Training(data, final_epochs=epochs)
    example = training.example_input
    return training.retrain(Candidate(space, architecture, seed=seed, example_input=example))["test_accuracy"]


def on_nasbench201(options):
    arrays = np.load(options.data)
    inputs, targets = arrays["x"], arrays["y"]
    data = aw.data((inputs, targets), test=0.1)
    space = aw.spaces.create("nasbench201", C=8, N=1, input_shape=tuple(data.example_input.shape))
    table = aw.bench.load("nasbench201", dataset="cifar10").table
    everything = np.array([table.test(architecture) for architecture in space.enumerate()])
    print(f"{data!r}; the space: mean {everything.mean():.2f}, best {everything.max():.2f}")

    def judge(architecture, seed):
        test = table.test(architecture)
        return test, f"{test:.2f} (better than {(everything < test).mean():.0%})"

    compare(options, space, data, judge, 64)


def on_digits(options):
    data = aw.data("digits")
    space = aw.spaces.create("digits-cells")
    table = aw.bench.load("digits-cells").table
    everything = np.array([table.test(architecture) for architecture in space.enumerate()])
    print(f"{data!r}; the space: mean {everything.mean():.2f}, best {everything.max():.2f}")

    def judge(architecture, seed):
        rng = np.random.default_rng(seed)
        drawn = statistics.median(table.test(space.sample(rng)) for _ in range(10))
        test = table.test(architecture)
        return test, f"{test:.2f} (median of ten drawn {drawn:.2f}: {'beaten' if test > drawn else 'NOT beaten'})"

    compare(options, space, data, judge, None)


def on_fashion(options):
    data = aw.data(options.data)
    rng = np.random.default_rng(0)
    chosen = torch.from_numpy(rng.permutation(len(data.train))[: options.samples])
    part = Part(data.train.inputs[chosen], data.train.targets[chosen])
    data = dataclasses.replace(data, train=part)
    space = aw.spaces.create("digits-cells", input_shape=tuple(data.example_input.shape))
    medians = {}
    for seed in range(options.seeds):
        rng = np.random.default_rng(seed)
        drawn = [alone(space, data, space.sample(rng), seed, options.epochs) for _ in range(10)]
        medians[seed] = statistics.median(drawn)
        print(f"seed {seed}: ten drawn networks, trained alone: {' '.join(f'{each:.3f}' for each in sorted(drawn))}")

    def judge(architecture, seed):
        test = alone(space, data, architecture, seed, options.epochs)
        verdict = "beaten" if test > medians[seed] else "NOT beaten"
        return test, f"{test:.4f} (median of ten drawn {medians[seed]:.4f}: {verdict})"

    compare(options, space, data, judge, None)


def on_ranks(options):
    data, space = aw.data("digits"), aw.spaces.create("digits-cells")
    table = aw.bench.load("digits-cells").table
    for relaxation in options.methods.split(","):
        found = []
        for seed in range(options.seeds):
            evaluator = aw.SupernetEvaluator(aw.Training(data), relaxation, epochs=10_000)
            learned = evaluator.prepare(Preparation(space, seed=seed, deadline=time.monotonic() + options.seconds))
            rng = np.random.default_rng(seed)
            drawn = list(dict.fromkeys(space.sample(rng) for _ in range(100)))
            shared = [evaluator.shared(each)["accuracy"] for each in drawn]
            alone = [table.test(each) for each in drawn]
            rho, tau = stats.spearmanr(shared, alone).statistic, stats.kendalltau(shared, alone).statistic
            found.append((rho, tau))
            print(f"  {relaxation} seed {seed}: {len(learned.curve)} epochs, Spearman {rho:.2f}, Kendall {tau:.2f}")
        means = [statistics.mean(column) for column in zip(*found, strict=True)]
        print(f"{relaxation:<10} Spearman {means[0]:.2f}, Kendall {means[1]:.2f}", flush=True)


def compare(options, space, data, judge, batch_size):
    for method in options.methods.split(","):
        values = []
        for seed in range(options.seeds):
            architecture, learned = derive(method, space, data, options.seconds, seed, batch_size)
            value, told = judge(architecture, seed)
            values.append(value)
            words = " ".join(str(each) for each in architecture.values())
            entropy = learned.diagnosis.get("entropy")
            undecided = "" if entropy is None else f", entropy {entropy:.2f}"
            print(f"  {method} seed {seed}: {len(learned.curve)} epochs{undecided}: {words}: {told}", flush=True)
        print(f"{method:<10} mean {statistics.mean(values):.4g}, {min(values):.4g} to {max(values):.4g}", flush=True)


WHAT = {"nasbench201": on_nasbench201, "digits": on_digits, "fashion": on_fashion, "ranks": on_ranks}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=tuple(WHAT), nargs="?", default="digits")
    parser.add_argument("--data")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--epochs", type=int, default=4, help="of a network that is trained alone")
    parser.add_argument("--samples", type=int, default=10_000, help="of Fashion-MNIST to learn from")
    options = parser.parse_args()
    WHAT[options.what](options)


if __name__ == "__main__":
    main()
