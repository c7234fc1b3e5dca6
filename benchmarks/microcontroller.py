"""Networks for a microcontroller on CIFAR-10: `python benchmarks/microcontroller.py --trials 16 --epochs 3`.

Searches of the space `mcunet` under `arena_kb <= 256` and `flash_kb <= 1024`, by ExecuTorch with 8-bit integers for a
Cortex-M7, on 300 training images of each class. The arms have the same number of trained networks and seeds:

- random: random search of the whole space;
- bo: Bayesian optimisation of the whole space;
- two stages: the resolution and the width whose networks within limits on counted costs have the most FLOPs
  (`rank_options`), then Bayesian optimisation of the rest.

Printed are the best network by validation accuracy, and its memory.
"""

import argparse
import io
import os
import tarfile
import time
from pathlib import Path

import numpy as np
import torch

import archwright as aw

DATA = Path(os.environ.get("ARCHWRIGHT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "train"

LIMITS = ["arena_kb <= 256", "flash_kb <= 1024"]
COUNTED = ["activation_mb <= 1.05", "size_mb <= 4"]  # the same with four bytes for each number
SHAPE = {"input_shape": (3, 32, 32), "classes": 10}


def cifar(each):
    """Return so many training images of each class."""
    from PIL import Image

    images, labels = [], []
    with tarfile.open(DATA / "cifar10_jpg.tar.xz") as archive:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            part, _, name = member.name.removeprefix("./").partition("/")
            label = name.partition("/")[0]
            if part == "train" and member.isfile() and labels.count(label) < each:
                images.append(np.asarray(Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB")))
                labels.append(label)
    return aw.data((np.stack(images), np.array(labels)))


def arm(name, data, arguments):
    space, strategy = aw.spaces.create("mcunet", **SHAPE), "random" if name == "random" else "bo"
    if name == "two stages":
        best = aw.cost.rank_options(space, ["resolution", "width"], COUNTED, samples=20)[0]
        options = {"resolutions": [best.options["resolution"]], "widths": [best.options["width"]]}
        space = aw.spaces.create("mcunet", **SHAPE, **options)
    training = aw.Training(data, epochs=arguments.epochs)
    options = {"constraints": LIMITS, "costs": ["cortex-m7"], "final": False, "path": None, "progress": False}
    budget = aw.Budget(trials=arguments.trials)
    return aw.search(space, training, strategy=strategy, budget=budget, baseline=False, seed=arguments.seed, **options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = cifar(300)
    for name in ("random", "bo", "two stages"):
        start = time.perf_counter()
        study = arm(name, data, arguments)
        metrics, states = study.best.metrics, [trial.state for trial in study.history.trials]
        print(
            f"{name:<12}accuracy {metrics['accuracy']:.4f}, arena {metrics['arena_kb']:.0f} kB, flash "
            f"{metrics['flash_kb']:.0f} kB; {states.count('complete')} trained, "
            f"{states.count('infeasible')} infeasible, {time.perf_counter() - start:.0f} s",
            flush=True,
        )
