"""Fashion-MNIST in a fixed time: what a search finds, against random search and one fixed network.

`python benchmarks/fashion.py --minutes 10 --seeds 0,1,2,3,4 --arms auto,random,fixed` runs each arm once for each seed,
one after the other; nothing else is to run on the machine:

- auto: `aw.search` as it is when nothing is said but data and time;
- random: random search without a scheduler, with the same space and training;
- fixed: a compact residual network (36 M multiply-adds), trained for the whole time, no search.

All learn from the same images (flipped at random), with the same precision, and are tested once. The results go, a line
of JSON for each run, to standard output and to --out, with the best validation accuracy over time; --draw PICTURE draws
those of an --out file. The data is looked for in `$ARCHWRIGHT_DATA/train/fashion`.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import archwright as aw

DATA = Path(os.environ.get("ARCHWRIGHT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
FIXED = {
    "activation": "relu",
    "kernel": 3,
    "stem.width": 32,
    "stages": 2,
    "dropout": 0.0,
    "stage_0.width": 64,
    "stage_0.block": "basic",
    "stage_0.blocks": 1,
    "stage_1.width": 128,
    "stage_1.block": "basic",
    "stage_1.blocks": 1,
}


class Curve(aw.Callback):
    """Notes the best validation accuracy over time, and how many networks were looked at."""

    def __init__(self):
        self.points = []

    def on_trial_end(self, study, trial):
        best = max((each.metrics.get("accuracy", 0.0) for each in study.history.finished), default=0.0)
        self.points.append((round(study.elapsed, 1), best))


def fixed(training, seconds, seed):
    """Train the fixed network for the whole time."""
    space = aw.spaces.create("resnet", input_shape=training.example_input.shape, classes=10, widths=(32, 64))
    start = time.monotonic()
    candidate = aw.Candidate(
        space,
        space.canonical(FIXED),
        seed=seed,
        device=training.device,
        deadline=start + seconds,
        example_input=training.example_input,
    )
    metrics = training.retrain(candidate)
    return {"test": metrics["test_accuracy"], "epochs": metrics["epochs"], "parameters": metrics["parameters"]}


def searched(arm, training, seconds, seed, more):
    """Search, and train what was found."""
    curve = Curve()
    how = {"strategy": "random", "scheduler": "full"} if arm == "random" else more
    study = aw.search("resnet", training, budget=aw.Budget(seconds=seconds), seed=seed, callbacks=[curve], **how)
    architectures = {trial.architecture for trial in study.trials}
    return {
        "test": study.test["test_accuracy"],
        "epochs": study.test.get("epochs"),  # unknown where a trial that was cut short is all there is
        "parameters": study.test["parameters"],
        "looked_at": len(architectures),
        "trials": len(study.trials),
        "best": dict(study.best.architecture),
        "why": study.why,
        "curve": curve.points,
    }


def draw(file, picture):
    """Draw the best validation accuracy over time, seed by seed, and the test accuracies."""
    from matplotlib.figure import Figure

    rows = [json.loads(line) for line in Path(file).read_text().splitlines()]
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    axes = figure.subplots()
    colours = {"auto": "#332288", "random": "#CC6677", "fixed": "#117733"}
    named = set()
    for row in rows:
        colour, label = colours[row["arm"]], None if row["arm"] in named else row["arm"]
        named.add(row["arm"])
        if row.get("curve"):
            times, values = zip(*row["curve"], strict=True)
            axes.step(times, values, where="post", color=colour, alpha=0.7, label=label)
            label = None
        axes.plot([row["seconds"]], [row["test"]], "o", color=colour, label=label)
    axes.set_xlabel("seconds")
    axes.set_ylabel("accuracy: best in validation (lines), test at the end (dots)")
    axes.set_ylim(0.8, 0.95)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(picture, dpi=130)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--arms", default="auto,random,fixed")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--more", default="{}", help="JSON of further arguments of aw.search for the arm auto")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--draw", type=Path)
    given = parser.parse_args()
    if given.draw is not None:
        draw(given.out, given.draw)
        return
    data = aw.data(DATA / "train" / "fashion")
    found = {}
    for seed in map(int, given.seeds.split(",")):
        for arm in given.arms.split(","):
            training = aw.Training(data, augment="flip", precision=given.precision)
            start = time.perf_counter()
            seconds = 60 * given.minutes
            if arm == "fixed":
                result = fixed(training, seconds, seed)
            else:
                result = searched(arm, training, seconds, seed, json.loads(given.more))
            row = {"arm": arm, "seed": seed, "seconds": round(time.perf_counter() - start, 1), **result}
            found.setdefault(arm, []).append(row["test"])
            line = json.dumps(row)
            print(line, flush=True)
            if given.out is not None:
                with given.out.open("a") as file:
                    file.write(line + "\n")
    for arm, tests in found.items():
        spread = statistics.stdev(tests) if len(tests) > 1 else 0.0
        print(f"{arm:8} test {statistics.mean(tests):.4f} +- {spread:.4f} ({min(tests):.4f} to {max(tests):.4f})")


if __name__ == "__main__":
    main()
