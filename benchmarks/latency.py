"""Whether latency can be believed: measured twice, summed up from a table, and predicted.

`python benchmarks/latency.py --space resnet --on eager:threads=1` draws networks, measures 50 of them twice, each time
all taking turns, and prints how far the two medians are apart; then the rank correlation and the error of a table of
operations that was filled from 30 other networks, and of predictors that learned from 60. Nothing else is to run.
"""

import argparse
import statistics
import time

import numpy as np

import archwright as aw
from archwright.cost import Agreement, Latency, LatencyTable, Target, time_networks
from archwright.cost._network import fresh
from archwright.errors import CostError
from archwright.surrogates import PredictedCost


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="resnet")
    parser.add_argument("--shape", default="3,32,32")
    parser.add_argument("--on", default="eager:threads=1")
    parser.add_argument("--networks", type=int, default=50)
    parser.add_argument("--limit", type=float, default=0.1)
    parser.add_argument("--predictors", default="ridge,boosted-trees,mlp")
    given = parser.parse_args()
    shape = tuple(map(int, given.shape.split(",")))
    space, target = aw.spaces.create(given.space, input_shape=shape), Target.parse(given.on)
    rng = np.random.default_rng(0)
    held_out = [space.sample(rng) for _ in range(given.networks)]
    models = [fresh(space, architecture, space.example_input, "cpu") for architecture in held_out]
    runs = []
    for _ in range(2):
        begun = time.perf_counter()
        timings = time_networks(models, space.example_input, target, limit=given.limit)
        runs.append([timing.milliseconds for timing in timings])
        spread = statistics.median(timing.spread for timing in timings)
        print(
            f"{given.networks} networks in {time.perf_counter() - begun:.0f} s, median spread {spread:.1%}", flush=True
        )
    apart = [abs(one / other - 1) for one, other in zip(*runs, strict=True)]
    print(f"measured twice: {statistics.median(apart):.1%} apart in the median, {max(apart):.1%} at most")
    factor = statistics.median(one / other for one, other in zip(*runs, strict=True))
    apart = [abs(one / other / factor - 1) for one, other in zip(*runs, strict=True)]
    told = f"{statistics.median(apart):.1%} apart in the median, {max(apart):.1%} at most"
    print(f"all together {factor:.2f} times as slow; but for that {told}: {Agreement.of(*runs)}", flush=True)
    table, begun = LatencyTable(target), time.perf_counter()
    count = table.fill(space, [space.sample(rng) for _ in range(30)])
    filled = time.perf_counter() - begun
    begun = time.perf_counter()
    new = table.fill(space, held_out)
    more = time.perf_counter() - begun
    print(f"table: {count} operations in {filled:.0f} s; {new} more of those held out in {more:.0f} s")
    begun = time.perf_counter()
    expected = [table.of(space, architecture)["latency_ms"] for architecture in held_out]
    told = f"{(time.perf_counter() - begun) / len(held_out) * 1e3:.0f} ms each"
    print(f"table, {told}: {Agreement.of(expected, runs[0])}", flush=True)
    for by in filter(None, given.predictors.split(",")):
        try:
            predicted = PredictedCost(space, Latency(target, limit=given.limit), by=by, seed=1)
        except CostError as error:
            print(f"{by}: {error}")
            continue
        expected = [predicted.of(space, architecture)["latency_ms"] for architecture in held_out]
        print(f"{by}, from 60 networks: {Agreement.of(expected, runs[0])}", flush=True)


if __name__ == "__main__":
    main()
