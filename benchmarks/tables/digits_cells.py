"""Makes the table of the benchmark "digits-cells": every network of the space, trained on digits with three seeds.

    export OMP_NUM_THREADS=1
    python benchmarks/tables/digits_cells.py train WORK       # goes on where it stopped; about a quarter of an hour
    python benchmarks/tables/digits_cells.py latency WORK     # on a machine that does nothing else; a minute
    python benchmarks/tables/digits_cells.py pack WORK TABLE.csv.gz

WORK is a folder: a line of JSON for each training, and one for each measured network. docs/digits-cells.md says what
the columns mean.
"""

import argparse
import csv
import gzip
import hashlib
import io
import json
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn.functional import cross_entropy

import archwright as aw
from archwright.cost import measures

SEEDS = (0, 1, 2)
EPOCHS = 12
BATCH = 60
TRAIN, VALIDATION = 600, 600  # of 1,797; the rest is the test part
REPEATS = 15  # of a latency


def digits():
    """Return the inputs, the targets and the indices of the three parts."""
    images, targets = load_digits(return_X_y=True)
    everything = np.arange(len(targets))
    train, rest = train_test_split(everything, train_size=TRAIN, stratify=targets, random_state=0)
    validation, test = train_test_split(rest, train_size=VALIDATION, stratify=targets[rest], random_state=0)
    inputs = images.reshape(-1, 1, 8, 8).astype(np.float32)
    inputs = (inputs - inputs[train].mean()) / inputs[train].std()
    return torch.from_numpy(inputs), torch.from_numpy(targets), *map(torch.from_numpy, (train, validation, test))


def train_one(space, architecture, seed, data):
    """Return one row: the curve of the validation, and the test at the end."""
    inputs, targets, train, validation, test = data
    torch.manual_seed(seed)
    model = space.build(architecture)
    shuffle = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * TRAIN // BATCH)
    accuracies, losses = [], []
    start = time.perf_counter()
    for _ in range(EPOCHS):
        model.train()
        for batch in train[torch.randperm(TRAIN, generator=shuffle)].split(BATCH):
            loss = cross_entropy(model(inputs[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        model.eval()
        accuracy, loss = judge(model, inputs[validation], targets[validation])
        accuracies.append(accuracy)
        losses.append(loss)
    seconds = time.perf_counter() - start
    return {
        "seed": seed,
        "seconds": round(seconds, 3),
        "val_accuracy": accuracies,
        "val_loss": losses,
        "test_accuracy": judge(model, inputs[test], targets[test])[0],
    }


@torch.no_grad()
def judge(model, inputs, targets):
    scores = model(inputs)
    accuracy = (scores.argmax(1) == targets).float().mean().item()
    return round(accuracy, 5), float(f"{cross_entropy(scores, targets).item():.4g}")


def rows(path):
    """Return what a work file holds; a last line that was cut off is left out."""
    lines = path.read_text().splitlines() if path.exists() else []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def train(work, space):
    path = work / "trainings.jsonl"
    done = {(row["id"], row["seed"]) for row in rows(path)}
    architectures = list(space.enumerate())
    data = digits()
    with path.open("a") as file:
        file.write("\n" if done else "")  # ends a line that was cut off
        for number, architecture in enumerate(architectures):
            left = [seed for seed in SEEDS if (architecture.id, seed) not in done]
            if not left:
                continue
            parameters, flops = measures(space, architecture)
            for seed in left:
                row = train_one(space, architecture, seed, data)
                row |= {"id": architecture.id, "parameters": parameters, "flops": flops}
                print(json.dumps(row), file=file, flush=True)
            if number % 50 == 0:
                print(f"{number:,} of {len(architectures):,} networks", flush=True)


def latency(work, space):
    """Measure each network's forward pass of one image and of 64, on one thread, in milliseconds."""
    torch.set_num_threads(1)
    path = work / "latencies.jsonl"
    done = {row["id"] for row in rows(path)}
    with path.open("a") as file, torch.inference_mode():
        file.write("\n" if done else "")
        for architecture in space.enumerate():
            if architecture.id in done:
                continue
            model = space.build(architecture).eval()
            row = {"id": architecture.id}
            for batch in (1, 64):
                inputs = torch.zeros(batch, 1, 8, 8)
                times = []
                for _ in range(3 + REPEATS):
                    start = time.perf_counter()
                    model(inputs)
                    times.append(time.perf_counter() - start)
                row[f"latency_ms_{batch}"] = round(float(np.median(times[3:])) * 1e3, 4)
            print(json.dumps(row), file=file, flush=True)


def pack(work, space, out):
    trainings = {(row["id"], row["seed"]): row for row in rows(work / "trainings.jsonl")}
    latencies = {row["id"]: row for row in rows(work / "latencies.jsonl")}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    epochs = range(1, EPOCHS + 1)
    table.writerow(
        [*space.decisions, "seed", "parameters", "flops", "latency_ms_1", "latency_ms_64", "seconds", "test_accuracy"]
        + [f"val_accuracy_{epoch}" for epoch in epochs]
        + [f"val_loss_{epoch}" for epoch in epochs]
    )
    for architecture in space.enumerate():
        for seed in SEEDS:
            row, speed = trainings[architecture.id, seed], latencies[architecture.id]
            table.writerow(
                [*(architecture[name] for name in space.decisions), seed, row["parameters"], row["flops"]]
                + [speed["latency_ms_1"], speed["latency_ms_64"], row["seconds"], row["test_accuracy"]]
                + row["val_accuracy"]
                + row["val_loss"]
            )
    out.write_bytes(gzip.compress(text.getvalue().encode(), 9, mtime=0))
    print(f"{out}: {out.stat().st_size:,} bytes, SHA256 {hashlib.sha256(out.read_bytes()).hexdigest()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["train", "latency", "pack"])
    parser.add_argument("work", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    space = aw.spaces.create("digits-cells")
    if given.step == "pack":
        if given.out is None:
            parser.error("pack needs the table's path")
        pack(given.work, space, given.out)
    else:
        {"train": train, "latency": latency}[given.step](given.work, space)


if __name__ == "__main__":
    main()
