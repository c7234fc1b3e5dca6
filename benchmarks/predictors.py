"""How well predictors rank networks that they have not seen, by how many they have.

    python benchmarks/predictors.py [--seeds 5] [--held-out 1000]

NAS-Bench-201, CIFAR-10 and CIFAR-100 ($ARCHWRIGHT_DATA), validation accuracy after 200 epochs.
"""

import argparse
import time

import numpy as np

import archwright as aw
from archwright.surrogates import PREDICTORS, evaluate_predictor

SIZES = (20, 50, 100, 200)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--held-out", type=int, default=1000)
    given = parser.parse_args()
    for dataset in ("cifar10", "cifar100"):
        table = aw.bench.load("nasbench201", dataset=dataset).table
        rows = np.random.default_rng(0).permutation(len(table.architectures))[: given.held_out + max(SIZES)]
        chosen = [table.architectures[row] for row in rows]
        scores = np.array([table.evaluate(aw.Candidate(table.space, one, seed=0))["accuracy"] for one in chosen])
        for name, make in PREDICTORS.items():
            start = time.perf_counter()
            quality = evaluate_predictor(make(), table.space, chosen, scores, sizes=SIZES, seeds=range(given.seeds))
            print(f"{dataset}, {name}: {time.perf_counter() - start:.1f} s\n{quality}\n", flush=True)


if __name__ == "__main__":
    main()
