"""The default search against random choice, one fixed network and classical methods, on real data, in equal time.

`python benchmarks/baselines.py --rows digits,sst2 --seeds 0,1,2 --out runs.jsonl` runs each arm once for each seed,
one after the other; nothing else is to run on the machine:

- auto: `aw.search` as it is when nothing is said but data and time;
- random: random search without a scheduler, with the same space and training;
- fixed: one network without a search, in the precision of the search, for the same time. For images and tables it is a
  small network in plain PyTorch, trained for 40 epochs at most; for the other tasks the first known design of the
  task's space, trained as the final training of a search;
- drawn: the same, with a network drawn at random from the space;
- classical: the better of the classical methods by validation.

All learn from the same samples, and are tested once. The results go, a line of JSON for each run, to standard output
and to --out; --table prints those of an --out file. The data is looked for in `$ARCHWRIGHT_DATA/train`. Rows marked
with a star were looked at only when all rules were settled.
"""

import argparse
import gzip
import itertools
import json
import os
import statistics
import tarfile
import tempfile
import time
import wave
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import nn

import archwright as aw
from archwright.evaluate import Candidate, Feed
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


def unpacked(folder, archive):
    """Return a folder with the files of an archive."""
    with tarfile.open(DATA / archive) as opened:
        opened.extractall(folder, filter="data")
    return folder


def trec(folder):
    """Return the questions of TREC, which are in Latin-1."""
    texts = unpacked(folder, "text_small.tar.xz") / "sentconv"
    options = {"test_file": texts / "TREC.test.all", "encoding": "latin-1"}
    return aw.task(texts / "TREC.train.all", "text-classification", **options)


def tags(folder):
    """Return sentences of a hidden Markov model of 6 tags and 60 words, and the best accuracy that can be had."""
    rng = np.random.default_rng(0)
    step, word = rng.dirichlet(np.full(6, 0.3), 6), rng.dirichlet(np.full(60, 0.15), 6)
    right = total = 0
    parts = {"train": 3000, "dev": 400, "test": 1000}
    for part, count in parts.items():
        sentences = []
        for _ in range(count):
            states, seen = [rng.integers(6)], []
            for _ in range(rng.integers(8, 25)):
                seen.append(rng.choice(60, p=word[states[-1]]))
                states.append(rng.choice(6, p=step[states[-1]]))
            states = states[:-1]
            if part == "test":  # forward and backward: the most probable tag of each word
                ahead, behind = [np.full(6, 1 / 6) * word[:, seen[0]]], [np.ones(6)]
                for token in seen[1:]:
                    ahead.append(ahead[-1] @ step * word[:, token])
                for token in reversed(seen[1:]):
                    behind.append(step @ (word[:, token] * behind[-1]))
                best = np.argmax(np.stack(ahead) * np.stack(behind[::-1]), 1)
                right, total = right + int((best == states).sum()), total + len(seen)
            sentences.append("\n".join(f"w{token} T{state}" for token, state in zip(seen, states, strict=True)))
        (folder / f"{part}.conll").write_text("\n\n".join(sentences) + "\n")
    print(f"tags: the best accuracy that can be had is {right / total:.4f}", flush=True)
    return aw.task(folder, "tagging")


def wikitext(folder):
    """Return the validation part of WikiText-2 to learn from, and its test part for the test."""
    texts = unpacked(folder, "text_small.tar.xz") / "wikitext2" / "word_language_model" / "data" / "wikitext-2"
    return aw.task(texts / "valid.txt", "language", unit="words", test_file=str(texts / "test.txt"))


def translation(folder):
    """Return Multi30k from German to English, with the test part of 2016."""
    raw = unpacked(folder, "multi30k_task1_raw.tar") / "data" / "task1" / "raw"
    return aw.task(raw, "translation", pair="de-en", test_file="test_2016_flickr")


def ratings(folder):
    """Return 200,000 ratings of a model of rank 2, popular items oftener, whose noise has a deviation of 0.5."""
    rng = np.random.default_rng(0)
    users, items = rng.normal(0, 0.5, (1000, 2)), rng.normal(0, 1, (500, 2))
    mean = 3.5 + rng.normal(0, 0.3, (1000, 1)) + rng.normal(0, 0.4, 500) + users @ items.T
    popularity = 1 / np.arange(10, 510)
    pairs = rng.choice(500_000, 200_000, replace=False, p=np.tile(popularity / popularity.sum() / 1000, 1000))
    lines = [f"u{pair // 500},i{pair % 500},{mean.flat[pair] + rng.normal(0, 0.5):.3f}" for pair in pairs]
    (folder / "ratings.csv").write_text("\n".join(["user,item,rating", *lines]) + "\n")
    return aw.task(folder / "ratings.csv", "recommendation")


def commands(folder):
    """Return spoken digits, of which one speaker is the test part."""
    return aw.task(unpacked(folder, "fsdd.tar.xz") / "recordings", "speech-commands", test_speakers=HELD_OUT)


def dictation(folder):
    """Return sequences of two to four spoken digits; one speaker is the test part."""
    words = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    files = sorted(unpacked(folder, "fsdd.tar.xz").rglob("*.wav"))
    rng, found, kept = np.random.default_rng(0), folder / "dictation", {}
    for file in files:  # other recordings of a speaker for training and validation
        _, speaker, number = file.stem.split("_")
        part = "test" if speaker == HELD_OUT else "val" if number.endswith("0") else "train"
        kept.setdefault(part, {}).setdefault(speaker, []).append(file)
    for part, count in (("train", 1500), ("val", 150), ("test", 250)):
        (found / part).mkdir(parents=True)
        for number in range(count):
            one = kept[part][rng.choice(sorted(kept[part]))]
            chosen = [one[place] for place in rng.integers(len(one), size=rng.integers(2, 5))]
            with wave.open(str(found / part / f"{number}.wav"), "wb") as out:
                out.setparams((1, 2, 8000, 0, "NONE", ""))
                for file in chosen:
                    with wave.open(str(file)) as sound:
                        out.writeframes(sound.readframes(sound.getnframes()))
            (found / part / f"{number}.txt").write_text(" ".join(words[int(file.name[0])] for file in chosen))
    return aw.task(found, "speech-recognition")


def census(folder):
    """Return Adult with its official test part, whose classes have a point at their end."""
    tables = unpacked(folder, "tabular.tar.xz")
    for name in ("adult-train.csv", "adult-test.csv"):
        lines = (tables / name).read_text().replace(", ", ",").replace("K.", "K").splitlines()
        (tables / name).write_text("\n".join(filter(None, lines)) + "\n")
    return aw.data(tables / "adult-train.csv", header=False, test_file=tables / "adult-test.csv")


def grouped_wine(folder):
    """Return white wine with equal rows in one part, as a regression."""
    lines = (unpacked(folder, "tabular.tar.xz") / "winequality-white.csv").read_text().split()
    groups = {}
    for line in lines:
        groups.setdefault(line.rsplit(",", 1)[0], []).append(line)
    order = np.random.default_rng(0).permutation(len(groups))
    parts = {"test": order[: len(order) // 5], "valid": order[len(order) // 5 : 3 * len(order) // 10]}
    parts["train"] = order[3 * len(order) // 10 :]
    for part, places in parts.items():
        chosen = [line for place in places for line in list(groups.values())[place]]
        (folder / f"{part}.csv").write_text("\n".join(chosen) + "\n")
    files = {"validation_file": folder / "valid.csv", "test_file": folder / "test.csv"}
    return aw.data(folder / "train.csv", header=False, task="regression", **files)


def hourly(folder):
    """Return ETTh1 with the usual borders: 12, 4 and 4 months."""
    file = unpacked(folder, "ett.tar.xz") / "ETTh1.csv"
    return aw.task(file, "forecasting", horizon=96, train=8640, validation=2880, test=2880)


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
    "bccd": (300, lambda folder: aw.task(unpacked(folder, "bccd.tar.xz") / "BCCD", "detection", size=128)),
    "membrane": (300, lambda folder: aw.task(unpacked(folder, "membrane.tar") / "membrane", "segmentation")),
    "sst2": (300, lambda folder: aw.task(unpacked(folder, "text_small.tar.xz") / "sst2/data/SST2")),
    "trec": (300, trec),
    "tags": (60, tags),
    "shakespeare": (300, lambda folder: aw.task(unpacked(folder, "text_small.tar.xz") / "tinyshakespeare/input.txt")),
    "wikitext-2": (300, wikitext),
    "multi30k": (300, translation),
    "ratings": (300, ratings),
    "commands": (300, commands),
    "dictation": (300, dictation),
    "census": (300, census),
    "wine-grouped": (300, grouped_wine),
    "etth1": (300, hourly),
}
OBJECTIVES = {"census": "max auc"}  # where it is not that of the task


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


def trained(task, space, architecture, seconds, seed):
    """Train a network of a space as the final training of a search does; return the test figures, and "loading".

    That is the share of the time that went into batches: to select, augment and prepare samples.
    """
    training, shuffled, waited = aw.Training(task, precision="auto"), Feed.shuffled, 0.0

    def timed(*args, **options):
        nonlocal waited
        batches = shuffled(*args, **options)
        while True:
            began = time.monotonic()
            batch = next(batches, None)
            waited += time.monotonic() - began
            if batch is None:
                return
            yield batch

    start = time.monotonic()
    candidate = Candidate(space, architecture, seed=seed, deadline=start + seconds, preprocess=training.preprocess)
    with mock.patch.object(Feed, "shuffled", timed):
        found = training.retrain(candidate)
    return {**found, "loading": waited / (time.monotonic() - start)}


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
    return {f"test_{name}": value for name, value in meter.compute().items()} | {"epochs": step / steps}


def classical(task, seconds, objective):
    """Fit the classical methods, and return the test figures of the one that is best by validation."""
    direction, metric = objective.split()
    found = [(method.name, fit_within(task, method, seconds=seconds / 2)) for method in task.baselines]
    fitted = [pair for pair in found if not isinstance(pair[1], float)]
    if not fitted:
        return {}
    name, best = (max if direction == "max" else min)(fitted, key=lambda pair: pair[1].metrics[metric])
    return {**best.metrics, "method": name}


def searched(task, space, arm, seconds, seed, objective):
    """Search, and return the test figures of what was found."""
    how = {"strategy": "random", "scheduler": "full"} if arm == "random" else {"baseline": False}
    training, budget = aw.Training(task, precision="auto"), aw.Budget(seconds=seconds)  # as the command does
    study = aw.search(space, training, objective=objective, budget=budget, seed=seed, **how)
    return {
        **(study.test or {}),
        "networks": len({trial.architecture for trial in study.trials}),
        "best": dict(study.best.architecture),
        "first": study.best.trial.number == 0,
        "why": study.why,
    }


def measured(task, row, arm, seconds, seed):
    """Return the test figures of one arm."""
    objective, name = OBJECTIVES.get(row, task.objective), task.space
    if arm == "classical":
        found = classical(task, seconds, objective)
    elif arm == "fixed" and hasattr(task, "data"):  # images and tables
        found = fixed(task.data, task, seconds, seed)
    else:
        space = aw.spaces.create(name, **aw.spaces.fitting(name, task.space_options))
        if arm == "fixed":
            found = trained(task, space, aw.spaces.starts(space)[0], seconds, seed)
        elif arm == "drawn":
            found = trained(task, space, space.sample(np.random.default_rng(seed)), seconds, seed)
        else:
            found = searched(task, space, arm, seconds, seed, OBJECTIVES.get(row))
    return {"test": found.get(f"test_{objective.split()[1]}"), **found}


def show(file):
    """Print the table of the runs in a file: mean and standard error of the test figures."""
    rows = [json.loads(line) for line in Path(file).read_text().splitlines()]
    arms = ("auto", "random", "fixed", "drawn", "classical")
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
    parser.add_argument("--arms", default="auto,fixed,drawn,classical")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--seconds", type=float, help="instead of the time of the row")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    if given.table is not None:
        show(given.table)
        return
    seeds = [int(seed) for seed in given.seeds.split(",")]
    for name in given.rows.split(","):
        seconds, load = ROWS[name]
        seconds = given.seconds or seconds
        with tempfile.TemporaryDirectory() as folder:
            task = as_task(load(Path(folder)))
            for seed, arm in itertools.product(seeds, given.arms.split(",")):
                if arm == "classical" and seed != seeds[0]:
                    continue  # it is the same for every seed
                start = time.monotonic()
                result = measured(task, name, arm, seconds, seed)
                took = round(time.monotonic() - start, 1)
                line = json.dumps({"row": name, "arm": arm, "seed": seed, "seconds": took, **result})
                print(line, flush=True)
                if given.out is not None:
                    with given.out.open("a") as file:
                        file.write(line + "\n")


if __name__ == "__main__":
    main()
