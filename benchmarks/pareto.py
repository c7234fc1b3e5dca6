"""Seconds that sorting, crowding and hypervolume of 10,000 points take: `python benchmarks/pareto.py`."""

import time

import numpy as np

from archwright.trials import crowding, hypervolume, is_on_front, ranks

COUNT = 10_000


def main():
    rng = np.random.default_rng(0)
    for objectives in (2, 3):
        scattered = rng.normal(size=(COUNT, objectives))
        front = np.abs(rng.normal(size=(COUNT, objectives)))
        front /= np.linalg.norm(front, axis=1, keepdims=True)  # none of them beats another
        reference = [-5.0] * objectives
        for label, points in (("scattered", scattered), ("one front", front)):
            told = []
            for name, call in (
                ("front", is_on_front),
                ("sorting", ranks),
                ("crowding", crowding),
                ("hypervolume", lambda given, reference=reference: hypervolume(given, reference)),
            ):
                begun = time.perf_counter()
                call(points)
                told.append(f"{name} {time.perf_counter() - begun:.4f}")
            print(f"{objectives} objectives, {COUNT:,} points, {label}: {', '.join(told)}")


if __name__ == "__main__":
    main()
