"""Bring your own loop: the study proposes, you measure, you tell. No network and no data are needed."""

import math

import archwright as aw

space = aw.Space(
    shape=aw.choice("round", "square"),
    size=aw.integer(1, 64, log=True),
    tilt=aw.real(-1.0, 1.0),
)


def measure(architecture):
    best = 3.0 if architecture["shape"] == "round" else 2.0
    return best - abs(math.log2(architecture["size"] / 8)) - architecture["tilt"] ** 2


if __name__ == "__main__":
    study = aw.Study(space, strategy=aw.strategies.create("evolution", population=20, sample=5), seed=0)
    for _ in range(200):
        trial = study.ask()
        study.tell(trial, measure(trial.architecture))
    print(f"{study.best.metrics['value']:.3f} of 3 at {dict(study.best.architecture)}")
