"""Which ready-made spaces become ONNX files: `python benchmarks/exports.py [--count 10] [--spaces NAME ...]`.

Random architectures of each space, with its default options, are exported for batches of any size. A file counts only
if ONNX Runtime gives the outputs of PyTorch for batches of 1, 2 and 5 samples; `write_onnx` refuses the others.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from archwright import spaces
from archwright.build import write_onnx
from archwright.errors import BuildError

SHAPES = {"audio": (8000,), "speech": (8000,), "forecaster": (24, 12), "recommender": (2,), "detector": (3, 64, 64)}
OPTIONS = {
    "forecaster": {"horizon": 6},
    "language": {"vocabulary": 100},
    "recommender": {"users": 50, "items": 70},
    "tagger": {"vocabulary": 100},
    "text": {"vocabulary": 100},
    "translator": {"length": 12},
}


def space_of(name):
    images = name == "unet" or (name in spaces.suiting(3) and name != "mlp")
    shape = SHAPES.get(name, (3, 32, 32) if images else (12,))
    return spaces.create(name, input_shape=shape, classes=10, **OPTIONS.get(name, {}))


def outcome(space, seed):
    torch.manual_seed(seed)
    model = space.build(space.sample(np.random.default_rng(seed)))
    with tempfile.TemporaryDirectory() as folder:
        try:
            write_onnx(model, space.example_input, Path(folder) / "model.onnx")
        except BuildError as error:
            return str(error)
    return "agrees"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10, help="architectures of each space (default: 10)")
    parser.add_argument("--spaces", nargs="+", default=spaces.names(), metavar="NAME", help="default: all")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'space':<16}{'agrees':>8}{'refused':>9}{'s':>7}", flush=True)
    for name in arguments.spaces:
        start, space = time.perf_counter(), space_of(name)
        results = [outcome(space, seed) for seed in range(arguments.count)]
        refused = [one for one in results if one != "agrees"]
        print(
            f"{name:<16}{len(results) - len(refused):>8}{len(refused):>9}{time.perf_counter() - start:>7.0f}",
            flush=True,
        )
        for reason in sorted(set(refused)):
            print(f"    {refused.count(reason)}: {reason}", flush=True)
