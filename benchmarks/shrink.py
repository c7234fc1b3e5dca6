"""Trained networks shrunk to half of their FLOPs, beside pruning, uniform width and training from scratch.

    python benchmarks/shrink.py [--task fashion,sst2] [--seed 0]

A small network of plain PyTorch is trained: a residual network on 12,000 images of Fashion-MNIST, of which some are
for validation, and a transformer encoder on SST-2 ($ARCHWRIGHT_DATA). Then, each from the same trained network, and
tuned for a tenth of its epochs with the trained network as the teacher:

- shrink: `aw.shrink(network, training, "flops <= 0.5x")`;
- uniform: all widths (heads, hidden units) by the largest common share that halves the FLOPs; important units are kept;
- magnitude: half of the weights set to zero by `torch.nn.utils.prune.global_unstructured`, which saves FLOPs on sparse
  hardware alone;
- scratch: the architecture that shrink found, from random weights, for the CPU seconds that shrink took in all (its
  tuning, and its judging of options too).

A line is printed for each: FLOPs, accuracy on the test part, CPU seconds.
"""

import argparse
import copy
import gzip
import os
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune

import archwright as aw
from archwright.evaluate import Feed, TrainingLoop, TrainingProgress, compute_metrics

DATA = Path(os.environ.get("ARCHWRIGHT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "train"
SHARES = (0.25, 0.5, 0.625, 0.75)


class Block(nn.Module):
    def __init__(self, before, after, stride=1):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.norm2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        same = before == after and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(before, after, 1, stride)

    def forward(self, x):
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, task, width=16):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.stages = nn.Sequential(
            *(Block(width, width), Block(width, width)),
            *(Block(width, 2 * width, 2), Block(2 * width, 2 * width)),
            *(Block(2 * width, 4 * width, 2), Block(4 * width, 4 * width)),
        )
        self.head = nn.Linear(4 * width, 10)

    def forward(self, x):
        return self.head(self.stages(self.stem(x)).mean((2, 3)))


class Positions(nn.Module):
    """Adds a learned vector for each place; texts of a batch are as long as its longest."""

    def __init__(self, length, width):
        super().__init__()
        self.vectors = nn.Parameter(0.02 * torch.randn(1, length, width))

    def forward(self, x):
        return x + self.vectors[:, : x.shape[1]]


class Transformer(nn.Module):
    def __init__(self, task, width=64):
        super().__init__()
        (length,) = task.example_input.shape
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, 0.1, "gelu", batch_first=True, norm_first=True)
        self.embed = nn.Embedding(task.space_options["vocabulary"], width)
        self.places = Positions(length, width)
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, len(task.classes))

    def forward(self, tokens):
        x = self.encoder(self.places(self.embed(tokens)), src_key_padding_mask=tokens == 0)
        return self.head(x.mean(dim=1))


def fashion(folder):
    """Return 12,000 images for training and validation, and all of the test images."""
    arrays = {}
    for name, part in (("train", "train"), ("test", "t10k")):
        for key, kind, start in (("x", "images-idx3", 16), ("y", "labels-idx1", 8)):
            raw = gzip.decompress((DATA / "fashion" / f"{part}-{kind}-ubyte.gz").read_bytes())
            arrays[f"{key}_{name}"] = np.frombuffer(raw, np.uint8, offset=start)
    chosen = np.random.default_rng(0).permutation(60_000)[:12_000]
    arrays["x_train"], arrays["y_train"] = arrays["x_train"].reshape(-1, 28, 28)[chosen], arrays["y_train"][chosen]
    arrays["x_test"] = arrays["x_test"].reshape(-1, 28, 28)
    np.savez(folder / "data.npz", **arrays)
    return aw.data(folder / "data.npz")


def sst2(folder):
    with tarfile.open(DATA / "text_small.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return aw.task(folder / "sst2/data/SST2")


TASKS = {"fashion": (fashion, ResNet, 10), "sst2": (sst2, Transformer, 10)}


def train(network, training, epochs, *, seed, teacher=None, steps=None, after=lambda: None):
    """Train a network for some epochs, or for so many steps."""
    task, setup = training.task, training.setup("cpu")
    feed, size = Feed(task, task.train, setup), training.recipe.batch_for(task)
    count = epochs * feed.steps(size) if steps is None else steps
    pace = TrainingProgress(count)
    loop = TrainingLoop(network, feed, setup, training.recipe, batch_size=size, seed=seed, pace=pace, teacher=teacher)
    while loop.step < count:
        loop.epoch(limit=count - loop.step)
    loop.settle()
    after()
    return network.eval()


def accuracy(network, training):
    task, setup = training.task, training.setup("cpu")
    return 100 * compute_metrics(network, Feed(task, task.test, setup), setup)["accuracy"]


def report(name, flops, found, seconds):
    print(f"{name:<12}{flops / 1e6:>9.2f}{found:>10.2f}{seconds:>9.0f}", flush=True)


def uniform(space, whole, bound):
    """Return the architecture with the largest common share of all widths that keeps the bound."""
    for share in np.linspace(1, 0.1, 91):
        values = {}
        for name, decision in space.decisions.items():
            options = list(decision.values())
            fits = [each for each in options if isinstance(each, int) and each <= share * options[-1] + 1e-9]
            values[name] = options[-1] if isinstance(options[-1], str) else (fits or options[:1])[-1]
        architecture = space.canonical(values)
        if aw.cost.measures(space, architecture)[1] <= bound:
            return architecture
    raise SystemExit("no common share halves the FLOPs")


def run(name, seed):
    load, make, epochs = TASKS[name]
    with tempfile.TemporaryDirectory() as folder:
        training = aw.Training(load(Path(folder)), epochs=epochs, device="cpu")
    rate = 0.3 * (training.recipe.rate_for(training.task) or 0.02)  # that of Muon
    tuning = aw.Training(training.task, epochs=max(1, epochs // 10), lr=rate, device="cpu")
    torch.manual_seed(seed)
    print(f"{name}: {len(training.task.train):,} training samples, {epochs} epochs, tuned for {tuning.recipe.epochs}")
    print(f"{'':<12}{'MFLOPs':>9}{'test %':>10}{'CPU s':>9}", flush=True)
    start = time.process_time()
    network = train(make(training.task), training, epochs, seed=seed)
    spent = time.process_time() - start
    trained = copy.deepcopy(network)

    start = time.process_time()
    whole = [path for path, each in network.named_modules() if isinstance(each, Positions)]
    sizes = {"width": SHARES, "feed_forward": SHARES, "whole": whole}
    shrunk = aw.shrink(network, tuning, "flops <= 0.5x", **sizes, samples=512, seed=seed)
    taken = time.process_time() - start
    flops = shrunk.costs["before"]["flops"]
    report("original", flops, accuracy(trained, training), spent)
    report("shrink", shrunk.costs["after"]["flops"], accuracy(shrunk.model, training), taken)
    print(f"            untuned {100 * shrunk.untuned['test_accuracy']:.2f} %; {shrunk.architecture}", flush=True)

    fine = aw.elastic(
        network,
        training.task.example_input,
        width=np.linspace(0.1, 1, 19).tolist(),
        heads=True,
        feed_forward=np.linspace(0.1, 1, 19).tolist(),
        whole=whole,
    )
    start = time.process_time()
    narrow = uniform(fine, None, 0.5 * flops)
    found = train(fine.build(narrow), tuning, tuning.recipe.epochs, seed=seed, teacher=trained)
    report("uniform", aw.cost.measures(fine, narrow)[1], accuracy(found, training), time.process_time() - start)

    start = time.process_time()
    pruned = copy.deepcopy(network)
    layers = [each for each in pruned.modules() if type(each) in (nn.Conv2d, nn.Linear)]  # attention hides its own
    prune.global_unstructured([(each, "weight") for each in layers], prune.L1Unstructured, amount=0.5)
    train(pruned, tuning, tuning.recipe.epochs, seed=seed, teacher=trained)
    report("magnitude", flops, accuracy(pruned, training), time.process_time() - start)

    torch.manual_seed(seed + 1)
    fresh = shrunk.space.build(shrunk.architecture)
    for layer in fresh.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    for parameter in fresh.parameters():
        if parameter.ndim == 3:  # positions
            nn.init.normal_(parameter, std=0.02)
    timed = copy.deepcopy(fresh)
    start = time.process_time()
    train(timed, training, 1, seed=seed, steps=20)
    steps = int(20 * taken / (time.process_time() - start))
    start = time.process_time()
    train(fresh, training, 1, seed=seed, steps=steps)
    report("scratch", shrunk.costs["after"]["flops"], accuracy(fresh, training), time.process_time() - start)
    print(f"            {steps} steps", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="fashion,sst2")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for name in given.task.split(","):
        run(name, given.seed)


if __name__ == "__main__":
    main()
