"""Recursive spaces: rules against the same expression written out, and strategies in a space of blocks.

`python benchmarks/recursive.py [--depth 6]`: the seconds that it takes to make a space of blocks that hold two smaller
ones, in a row or side by side, and the milliseconds of a sample, a mutation, a crossover and a network, as medians.

`python benchmarks/recursive.py --search [--trials 40] [--seeds 3]`: random search, evolution and Bayesian optimisation
on the digits of scikit-learn, each network trained for two epochs: the best validation accuracy of each seed.
"""

import argparse
import statistics
import time

import numpy as np

import archwright as aw
from archwright import nn

WIDTH = 8


def layer():
    """Return a convolution with three decisions."""
    kernel = aw.choice(1, 3, 5)
    return nn.Sequential(
        nn.Conv2d(WIDTH, WIDTH, kernel, padding=kernel // 2, groups=aw.choice(1, 4)),
        nn.BatchNorm2d(WIDTH),
        aw.choice(nn.ReLU(), nn.SiLU(), nn.Identity()),
    )


def block(block):
    """Return a convolution, two blocks in a row, or two side by side."""

    def both(x):
        return block()(x) + block()(x)

    return aw.choice({"layer": layer(), "pair": nn.Sequential(block(), block()), "sum": aw.graph(both)})


def written_out(depth):
    """Return a block in which all smaller ones are written out, as it takes without rules."""
    if depth > 1:
        return block(lambda: written_out(depth - 1))
    return aw.choice({"layer": layer()})


def by_rule(depth):
    return aw.recursive(lambda symbol: block(lambda: symbol), depth=depth)


def space_of(blocks, **given):
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, 10))
    return aw.Space(model=nn.Sequential(nn.Conv2d(1, WIDTH, 3, padding=1), blocks, head), **given)


def milliseconds(call, repeats=50):
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(1e3 * (time.perf_counter() - start))
    return statistics.median(taken)


def compare(depth):
    print(f"{'':<14}{'decisions':>12}{'make s':>9}{'sample ms':>11}{'mutate ms':>11}{'cross ms':>11}{'build ms':>11}")
    by_name = {"written out": written_out, "rule": by_rule}
    rules = space_of(by_rule(depth))
    drawn = [rules.sample(np.random.default_rng(seed)) for seed in range(100)]  # the same for both
    for name, make in by_name.items():
        start = time.perf_counter()
        made = space_of(make(depth))
        seconds = time.perf_counter() - start
        assert len(made.decisions) == len(rules.decisions)
        space = rules if name == "rule" else rules.expand()  # in which decisions have the same names
        rng, places = np.random.default_rng(0), iter(range(10**6))

        def one(places=places):
            return drawn[next(places) % 100]

        moves = {
            "sample": lambda space=space, rng=rng: space.sample(rng),
            "mutate": lambda space=space, rng=rng, one=one: space.mutate(one(), rng),
            "cross": lambda space=space, rng=rng, one=one: space.crossover(one(), one(), rng),
            "build": lambda space=space, one=one: space.build(one(), (1, 8, 8)),
        }
        costs = "".join(
            f"{milliseconds(move):>{width}.2f}" for move, width in zip(moves.values(), (11, 11, 10, 10), strict=True)
        )
        print(f"{name:<14}{len(made.decisions):>12,}{seconds:>9.3f}{costs}")


def search(trials, seeds):
    data = aw.data("digits")
    strategies = {
        "random": aw.strategies.Random(),
        "evolution": aw.strategies.Evolution(population=15, sample=5),
        "bo": aw.strategies.BayesianOptimisation(),
    }
    for name, strategy in strategies.items():
        found, start = [], time.perf_counter()
        for seed in range(seeds):
            space = space_of(by_rule(5), example_input=(1, 8, 8))
            study = aw.Study(space, strategy=strategy, objective="max accuracy", seed=seed)
            study.run(aw.Training(data, epochs=2), aw.Budget(trials=trials), final=False, progress=False)
            found.append(study.best.trial.metrics["accuracy"])
        print(f"{name:<12}{' '.join(f'{each:.3f}' for each in found)}  mean {statistics.mean(found):.4f}", end="")
        print(f"  {(time.perf_counter() - start) / seeds / trials:.2f} s per trial", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    search(given.trials, given.seeds) if given.search else compare(given.depth)
