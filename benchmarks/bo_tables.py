"""Strategies on three more published tables, in spaces that are written here.

    python benchmarks/bo_tables.py [--tables "a;b"] [--strategies bo,predictor] [--seeds 10] [--first 0] [--trials 150]

Printed as Markdown are the regret of the best so far in percentage points after 25, 50, 100 and 150 evaluations, the
mean over the seeds, by what a search sees (two of the tables have no test values); and in brackets the median number of
evaluations to the best network of the table: a dash where half of the seeds did not find it.

- TransNAS-Bench-101, micro (Duan et al., CVPR 2021): cells of six edges with four operations, three tasks;
- Channel-Bench-Macro, MobileNet: widths of seven places;
- NAS-Bench-Graph (Qin et al., NeurIPS 2022): nine patterns of links, nine operations in four places, two data sets.

The tables are looked for in `$ARCHWRIGHT_DATA/benchmarks`.
"""

import argparse
import csv
import gzip
import os
from pathlib import Path

import numpy as np

import archwright as aw
from archwright import nn

DATA = Path(os.environ.get("ARCHWRIGHT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "benchmarks"
STRATEGIES = "random,local-search,evolution,tpe,predictor,bo"


def conv(inputs, outputs, kernel, stride=1):
    layer = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), layer, nn.BatchNorm2d(outputs))


@aw.template
def stage(width):
    options = {"none": None, "skip": nn.Identity(), "conv1x1": conv(width, width, 1), "conv3x3": conv(width, width, 3)}
    return aw.cell(lambda i, j: aw.choice(options), nodes=3, name="cell")


def transnas(columns):
    network = nn.Sequential(
        conv(3, 16, 3), stage(16), conv(16, 32, 3, stride=2), stage(32), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    space = aw.Space(model=network, example_input=(3, 32, 32))
    return space, {name: columns[name.removeprefix("cell.")] for name in space.decisions}


def channels(columns):
    widths = {f"c{place}": [int(width) for width in columns[f"c{place}"]] for place in range(7)}
    return aw.Space(**{name: aw.ordinal(*sorted(set(column))) for name, column in widths.items()}), widths


def graphs(columns):
    names = ("link", "op1", "op2", "op3", "op4")
    space = aw.Space(
        **{name: aw.choice(*sorted(set(columns[name]))) for name in names},
        where=lambda one: {one[name] for name in names[1:]} != {"skip"},  # networks without weights are not listed
    )
    return space, {name: columns[name] for name in names}


TABLES = {
    "transnas-micro, object": ("transnas_micro", transnas, "class_object_val", 1),
    "transnas-micro, segmentation": ("transnas_micro", transnas, "segmentsemantic_val", 1),
    "transnas-micro, autoencoder": ("transnas_micro", transnas, "autoencoder_val", 100),
    "channel-bench, mobilenet": ("channel_bench_mobilenet", channels, "cifar10_test", 1),
    "nas-bench-graph, arxiv": ("nasbench_graph", graphs, "arxiv_val", 100),
    "nas-bench-graph, cora": ("nasbench_graph", graphs, "cora_val", 100),
}


def load(name):
    """A space, and the table of its networks."""
    file, make, value, scale = TABLES[name]
    with gzip.open(DATA / f"{file}.csv.gz", "rt") as text:
        rows = list(csv.DictReader(text))
    columns = {column: [row[column] for row in rows] for column in rows[0]}
    space, decisions = make(columns)
    values = scale * np.array(columns[value], dtype=float)
    listed = [aw.Architecture(dict(zip(decisions, row, strict=True))) for row in zip(*decisions.values(), strict=True)]
    return space, aw.bench.Table(space, listed, {1: values}, objective="max score")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default=";".join(TABLES))
    parser.add_argument("--strategies", default=STRATEGIES)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--trials", type=int, default=150)
    asked = parser.parse_args()
    names, seeds = asked.strategies.split(","), range(asked.first, asked.first + asked.seeds)
    points = [count for count in (25, 50, 100, 150) if count <= asked.trials]
    print(f"| table | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}", flush=True)
    for name in asked.tables.split(";"):
        space, table = load(name)
        print(f"| {name} |", end="", flush=True)
        for strategy in names:
            found = aw.bench.compare(space, table, [strategy], trials=asked.trials, seeds=seeds)
            (result,) = found.results.values()
            means = " / ".join(f"{result.regret[:, count - 1].mean():.2f}" for count in points)
            hits = result.regret <= 1e-9
            first = np.median(np.where(hits.any(1), hits.argmax(1) + 1.0, np.inf))
            print(f" {means} ({'-' if np.isinf(first) else f'{first:g}'}) |", end="", flush=True)
        print(flush=True)


if __name__ == "__main__":
    main()
