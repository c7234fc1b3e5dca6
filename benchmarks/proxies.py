"""Zero-cost proxies on NAS-Bench-201: milliseconds, and how well each ranks the cells.

    python benchmarks/proxies.py [--count 500] [--timed 20] [--batch 32] [--C 16] [--N 5]

Networks of cells drawn at random, each with weights of its own seed, on one batch of 3x32x32. The batch is CIFAR-10's
training images where `$ARCHWRIGHT_DATA/train/cifar10_jpg.tar.xz` is there (as many of each class as of any other), and
Gaussian numbers where it is not. Spearman's correlation is with the accuracy on CIFAR-10's test part after 200 epochs
of the table, over the cells for which the proxy is defined; ± is the deviation of 1000 bootstrap samples. Times are
those of each proxy alone in one thread, means over the first `--timed` networks; they are the processor's, which other
work on the machine disturbs little.
"""

import argparse
import io
import math
import os
import tarfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

import archwright as aw
from archwright import proxies

DATA = Path(os.environ.get("ARCHWRIGHT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of CIFAR-10
SHARED = ("naswot", "jacov", "snip", "grad-norm", "fisher")


def batch(size):
    """Return inputs and targets, and what they are."""
    generator = torch.Generator().manual_seed(0)
    file = DATA / "train" / "cifar10_jpg.tar.xz"
    if not file.exists():
        targets = torch.arange(size) % 10
        return torch.randn(size, 3, 32, 32, generator=generator), targets, "Gaussian numbers"
    from PIL import Image

    found = defaultdict(list)
    with tarfile.open(file) as archive:
        for member in archive:
            part, _, name = member.name.partition("/")
            label = name.partition("/")[0]
            if part == "train" and member.isfile() and len(found[label]) < math.ceil(size / 10):
                pixels = np.asarray(Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB"))
                found[label].append(torch.tensor(pixels).permute(2, 0, 1))
    pairs = [(image, target) for target, label in enumerate(sorted(found)) for image in found[label]]
    chosen = [pairs[place] for place in torch.randperm(len(pairs), generator=generator)[:size]]
    pixels = torch.stack([image for image, _ in chosen]).float() / 255
    inputs = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    return inputs, torch.tensor([target for _, target in chosen]), "CIFAR-10 training images"


def correlation(scores, accuracies):
    """Return Spearman's correlation over the finite scores, its deviation, and how many are not finite."""
    finite = np.isfinite(scores)
    scores, accuracies = scores[finite], accuracies[finite]
    rng = np.random.default_rng(0)
    samples = (rng.integers(len(scores), size=len(scores)) for _ in range(1000))
    spread = np.nanstd([spearmanr(scores[each], accuracies[each]).statistic for each in samples])
    return spearmanr(scores, accuracies).statistic, spread, int((~finite).sum())


def seconds(model, inputs, targets, names):
    start = time.process_time()
    proxies.score(model, inputs, targets, names, undefined=-math.inf)
    return time.process_time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--timed", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--C", type=int, default=16)
    parser.add_argument("--N", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    layout = torch.channels_last
    inputs, targets, what = batch(given.batch)
    inputs = inputs.contiguous(memory_format=layout)
    table = aw.bench.load("nasbench201", dataset="cifar10").table
    space = aw.spaces.create("nasbench201", C=given.C, N=given.N)
    rows = np.random.default_rng(0).permutation(len(table.architectures))[: given.count]
    names = [name for name in proxies.names() if name != "az-nas"]
    times, found = defaultdict(list), []
    for place, row in enumerate(rows):
        model = aw.Candidate(space, table.architectures[row], seed=place).model.to(memory_format=layout)
        if place == 0:
            seconds(model, inputs, targets, names)  # warms up
        if place < given.timed:
            for name in names:
                times[name].append(seconds(model, inputs, targets, name))
            times["shared"].append(seconds(model, inputs, targets, SHARED))
            times["az-nas"].append(seconds(model, inputs, targets, "az-nas"))
        start = time.process_time()
        found.append(proxies.score(model, inputs, targets, names, seed=place, undefined=-math.inf))
        times["all"].append(time.process_time() - start)
    accuracies = np.array([table.test(table.architectures[row]) for row in rows])
    columns = {name: np.array([each[name] for each in found]) for name in names}
    columns["az-nas"] = proxies.aggregate(found, proxies.create("az-nas").parts)
    print(f"{len(rows)} cells, C={given.C}, N={given.N}, {given.batch} {what}")
    print(f"{'proxy':<16}{'ms':>8}{'Spearman':>18}{'undefined':>11}")
    for name in sorted(columns):
        value, spread, undefined = correlation(columns[name], accuracies)
        print(f"{name:<16}{1e3 * np.mean(times[name]):8.0f}{value:10.3f} ± {spread:.3f}{undefined:11}")
    alone = sum(np.mean(times[name]) for name in SHARED)
    together = np.mean(times["shared"])
    print(f"{', '.join(SHARED)}: {1e3 * together:.0f} ms together, {1e3 * alone:.0f} ms one by one")
    print(f"that is {together / alone:.2f} of the sum; all {len(names)} together {1e3 * np.mean(times['all']):.0f} ms")


if __name__ == "__main__":
    main()
