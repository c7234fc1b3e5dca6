"""The default search against random search, one fixed network and classical methods, on real data, in equal time.

`python benchmarks/honest.py --rows digits,adult --seeds 0,1,2 --out honest.jsonl` runs each arm once for each seed, one
after the other; nothing else is to run on the machine:

- auto: `aw.search` as it is when nothing is said but data and time;
- random: random search without a scheduler, with the same space and training;
- fixed: a small network in plain PyTorch, for 40 epochs or as many as fit into the time, without a search, in the
  precision of the search;
- classical: the better of the classical methods by validation.

All learn from the same samples, and are tested once. The results go, a line of JSON for each run, to standard output
and to --out; --table prints those of an --out file. The data is looked for in `$ARCHWRIGHT_DATA/train`. Rows marked
with a star were looked at only when all rules were settled.
"""

import argparse
import gzip
import json
import os
import statistics
import tarfile
import tempfile
import time
import wave
from pathlib import Path

import numpy as np
import torch
from torch import nn

import archwright as aw
from archwright.tasks import as_task, fit_within

DATA = Path(os.environ.get("ARCHWRIGHT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "train"
PHOTOGRAPHS = "airplane", "automobile", "bird"
HELD_OUT = "theo"  # a speaker of the spoken digits


def fashion(folder, samples=None):
    """Return Fashion-MNIST, or so many of its training images with all its test images."""
    if samples is None:
        return aw.data(DATA / "fashion")
    arrays = {}
    for name, part in (("train", "train"), ("test", "t10k")):
        for key, kind, start in (("x", "images-idx3", 16), ("y", "labels-idx1", 8)):
            raw = gzip.decompress((DATA / "fashion" / f"{part}-{kind}-ubyte.gz").read_bytes())
            arrays[f"{key}_{name}"] = np.frombuffer(raw, np.uint8, offset=start)
    chosen = np.random.default_rng(0).permutation(60_000)[:samples]
    arrays["x_train"] = arrays["x_train"].reshape(-1, 28, 28)[chosen]
    arrays["y_train"] = arrays["y_train"][chosen]
    arrays["x_test"] = arrays["x_test"].reshape(-1, 28, 28)
    return saved(folder, arrays)


def cifar(folder, classes=None, each=None):
    """Return the folder of CIFAR-10, or so many training images of some classes with all their test images."""
    with tarfile.open(DATA / "cifar10_jpg.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    if each is None:
        return aw.data(folder)
    from PIL import Image

    arrays = {}
    names = classes or sorted(path.name for path in (folder / "train").iterdir())
    for part in ("train", "test"):
        files = [
            (file, name) for name in names for file in sorted((folder / part / name).iterdir())[: each_of(part, each)]
        ]
        arrays[f"x_{part}"] = np.stack([np.asarray(Image.open(file).convert("RGB")) for file, _ in files])
        arrays[f"y_{part}"] = np.array([name for _, name in files])
    return saved(folder, arrays)


def each_of(part, each):
    """Return how many images of a class are taken."""
    return each if part == "train" else None


def table(folder, name, rows=None, **options):
    """Return a table of the archive, or so many of its rows, drawn at random."""
    with tarfile.open(DATA / "tabular.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    file = folder / name
    lines = [line.replace(", ", ",") for line in file.read_text().splitlines() if line.strip()]
    if rows is not None:
        lines = [lines[place] for place in np.random.default_rng(0).permutation(len(lines))[:rows]]
    file.write_text("\n".join(lines) + "\n")
    return aw.data(file, header=False, **options)


def spoken(folder):
    """Return log-mel spectrograms of spoken digits, 32 bands and 48 frames; one speaker is the test part."""
    with tarfile.open(DATA / "fsdd.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    edges = 700 * (10 ** (np.linspace(*(2595 * np.log10(1 + np.array([20, 4000]) / 700)), 34) / 2595) - 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = np.linspace(0, 4000, 129)[None]
    bands = torch.tensor(np.maximum(0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))))
    parts = {"train": ([], []), "test": ([], [])}
    for file in sorted(folder.rglob("*.wav")):
        digit, speaker, _ = file.stem.split("_")
        with wave.open(str(file)) as sound:
            signal = torch.from_numpy(np.frombuffer(sound.readframes(sound.getnframes()), np.int16) / 32768)
        power = torch.stft(signal, 256, 64, window=torch.hann_window(256).double(), return_complex=True).abs().square()
        image = torch.log(bands @ power + 1e-6)[None, None]
        image = nn.functional.interpolate(image, size=(32, 48), mode="bilinear", antialias=True, align_corners=False)
        inputs, targets = parts["test" if speaker == HELD_OUT else "train"]
        inputs.append(image[0, 0].float().numpy())
        targets.append(int(digit))
    arrays = {
        f"{key}_{part}": np.stack(found[place]) for part, found in parts.items() for place, key in enumerate("xy")
    }
    return saved(folder, arrays)


def saved(folder, arrays):
    """Return the data of arrays, by way of a file."""
    np.savez(folder / "data.npz", **arrays)
    return aw.data(folder / "data.npz")


ROWS = {
    "fashion": (600, fashion),
    "fashion-3": (180, fashion),
    "cifar10": (600, cifar),
    "photographs-600": (90, lambda folder: cifar(folder, PHOTOGRAPHS, 200)),
    "cifar10-3000": (90, lambda folder: cifar(folder, None, 300)),
    "fashion-600*": (90, lambda folder: fashion(folder, 600)),
    "fashion-3000": (90, lambda folder: fashion(folder, 3000)),
    "digits": (90, lambda folder: aw.data("digits")),
    "adult": (90, lambda folder: table(folder, "adult-train.csv")),
    "adult-3000": (90, lambda folder: table(folder, "adult-train.csv", 3000)),
    "phoneme*": (90, lambda folder: table(folder, "phoneme.csv")),
    "mammography": (90, lambda folder: table(folder, "mammography.csv")),
    "wine": (90, lambda folder: table(folder, "winequality-white.csv", task="regression")),
    "spoken*": (90, spoken),
}


def network(data):
    """Return a small network: three convolutions, or two hidden layers."""
    outputs = len(data.classes) or len(data.targets)
    shape = data.example_input.shape
    if len(shape) == 1:
        hidden = [nn.Linear(shape[0], 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()]
        return nn.Sequential(*hidden, nn.Linear(128, outputs))
    layers, width = [], shape[0]
    for wider in (32, 64, 128):
        layers += [nn.Conv2d(width, wider, 3, padding=1, bias=False), nn.BatchNorm2d(wider), nn.ReLU(), nn.MaxPool2d(2)]
        width = wider
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, outputs))


def fixed(data, task, seconds, seed):
    """Train the network on training and validation samples, and return its outputs for the test part."""
    torch.manual_seed(seed)
    start, part = time.monotonic(), data.train + data.validation
    model, size = network(data).to(memory_format=torch.channels_last), min(64, len(part) // 16)
    steps, epochs, step = len(part) // size, 40, 0
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    half = aw.Training(data, precision="auto").setup("cpu").bf16  # as the search, where it is faster
    has_flips = data.kind == "image" and data.example_input.shape[0] == 3
    while time.monotonic() < start + seconds and step < epochs * steps:
        for chosen in torch.randperm(len(part)).split(size)[:steps]:
            inputs = data.normalise(part.inputs[chosen])
            if has_flips and torch.rand(()) < 0.5:
                inputs = inputs.flip(3)
            progress = max(step / (epochs * steps), (time.monotonic() - start) / seconds)
            for group in optimizer.param_groups:
                group["lr"] = 4e-3 * min(1, 5 * progress + 0.04) * max(0.0, 1 - progress)
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                outputs = model(inputs)
            task.loss(outputs.float(), part.targets[chosen]).backward()
            optimizer.step()
            step += 1
            if time.monotonic() > start + seconds:
                break
    model.eval()
    meter = task.meter()
    with torch.no_grad():
        for inputs, targets in zip(data.test.inputs.split(256), data.test.targets.split(256), strict=True):
            meter.update(model(data.normalise(inputs)), targets)
    return {"test": meter.compute()[task.objective.split()[1]], "epochs": step / steps}


def classical(task, seconds):
    """Fit the classical methods, and return the test figure of the one that is best by validation."""
    direction, metric = task.objective.split()
    found = [(method.name, fit_within(task, method, seconds=seconds / 2)) for method in task.baselines]
    name, best = (max if direction == "max" else min)(
        (pair for pair in found if not isinstance(pair[1], float)), key=lambda pair: pair[1].metrics[metric]
    )
    return {"test": best.metrics[f"test_{metric}"], "method": name}


def searched(data, arm, seconds, seed):
    """Search, and return the test figure of what was found."""
    training = aw.Training(data, precision="auto")  # as the command does
    name = aw.spaces.default_for(data.example_input.shape)
    space = aw.spaces.create(name, **aw.spaces.fitting(name, training.task.space_options))
    how = {"strategy": "random", "scheduler": "full"} if arm == "random" else {"baseline": False}
    study = aw.search(space, training, budget=aw.Budget(seconds=seconds), seed=seed, **how)
    metric = training.objective.split()[1]
    return {
        "test": (study.test or {}).get(f"test_{metric}"),
        "networks": len({trial.architecture for trial in study.trials}),
        "best": dict(study.best.architecture),
        "first": study.best.trial.number == 0,
        "epochs": (study.test or {}).get("epochs"),
        "why": study.why,
    }


def show(file):
    """Print the table of the runs in a file: mean and standard error of the test figures."""
    rows = [json.loads(line) for line in Path(file).read_text().splitlines()]
    arms = ("auto", "random", "fixed", "classical")
    print("| data | seconds | " + " | ".join(arms) + " |\n|" + "---|" * (len(arms) + 2))
    for name in dict.fromkeys(row["row"] for row in rows):
        cells = []
        for arm in arms:
            tests = [row["test"] for row in rows if (row["row"], row["arm"]) == (name, arm) and row["test"] is not None]
            error = statistics.stdev(tests) / len(tests) ** 0.5 if len(tests) > 1 else None
            spread = "" if error is None else f" ± {error:.4f}"
            cells.append(f"{statistics.fmean(tests):.4f}{spread} ({len(tests)})" if tests else "-")
        print(f"| {name} | {ROWS[name][0]} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--arms", default="auto,random,fixed,classical")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--seconds", type=float, help="instead of the time of the row")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    if given.table is not None:
        show(given.table)
        return
    for name in given.rows.split(","):
        seconds, load = ROWS[name]
        seconds = given.seconds or seconds
        with tempfile.TemporaryDirectory() as folder:
            data = load(Path(folder))
            task = as_task(data)
            for seed in map(int, given.seeds.split(",")):
                for arm in given.arms.split(","):
                    start = time.monotonic()
                    if arm == "classical":
                        if seed != int(given.seeds.split(",")[0]):
                            continue  # it is the same for every seed
                        result = classical(task, seconds)
                    else:
                        result = (
                            fixed(data, task, seconds, seed) if arm == "fixed" else searched(data, arm, seconds, seed)
                        )
                    took = round(time.monotonic() - start, 1)
                    line = json.dumps({"row": name, "arm": arm, "seed": seed, "seconds": took, **result})
                    print(line, flush=True)
                    if given.out is not None:
                        with given.out.open("a") as file:
                            file.write(line + "\n")


if __name__ == "__main__":
    main()
