"""Boxes, masks and forecasts: short searches and their predictions, drawn.

`python benchmarks/pictures.py [FOLDER] [MINUTES]` makes the data and the pictures, those of docs/tasks.md too. It
needs `pip install "archwright[detection,plots]"`.
"""

import csv
import math
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import archwright as aw

SIDE = 128
OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


def scene(rng):
    """Return a noisy picture with a few shapes, a mask of them, and their names and boxes."""
    noise = rng.normal(70, 25, (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)
    picture, mask = Image.fromarray(noise), Image.new("L", (SIDE, SIDE))
    objects = []
    for _ in range(rng.integers(2, 6)):
        name, size = ("disc", "square")[rng.integers(2)], int(rng.integers(14, 34))
        left, top = (int(place) for place in rng.integers(0, SIDE - size, 2))
        box = (left, top, left + size, top + size)
        for canvas, colour in ((picture, tuple(map(int, rng.integers(110, 255, 3)))), (mask, 255)):
            draw = ImageDraw.Draw(canvas)
            (draw.ellipse if name == "disc" else draw.rectangle)(box, fill=colour)
        objects.append((name, *box))
    return picture, mask, objects


def pictures(folder, count=240):
    """Write pictures of shapes in the layouts of Pascal VOC and of images and masks, and one to predict on."""
    rng = np.random.default_rng(0)
    for kind in ("boxes/JPEGImages", "boxes/Annotations", "masks/images", "masks/masks"):
        (folder / kind).mkdir(parents=True)
    for number in range(count):
        picture, mask, objects = scene(rng)
        picture.save(folder / f"boxes/JPEGImages/{number}.jpg")
        picture.save(folder / f"masks/images/{number}.jpg")
        mask.save(folder / f"masks/masks/{number}.png")
        size = f"<size><width>{SIDE}</width><height>{SIDE}</height><depth>3</depth></size>"
        written = "".join(OBJECT.format(*each) for each in objects)
        (folder / f"boxes/Annotations/{number}.xml").write_text(f"<annotation>{size}{written}</annotation>")
    scene(rng)[0].resize((3 * SIDE, 3 * SIDE)).save(folder / "new.png")


def series(file, days=120):
    """Write hourly values with a daily and a weekly season."""
    rng = np.random.default_rng(0)
    with file.open("w", newline="") as opened:
        table = csv.writer(opened)
        table.writerow(["time", "load"])
        for hour in range(24 * days):
            day, week = math.sin(hour * math.pi / 12), math.cos(hour * math.pi / 84)
            time = np.datetime64("2026-01-01T00") + hour
            table.writerow([str(time), round(100 + 20 * day + 10 * week + rng.normal(0, 3), 2)])


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    budget = aw.Budget(minutes=float(sys.argv[2]) if len(sys.argv) > 2 else 2)
    pictures(folder)
    series(folder / "load.csv")
    for source, file in (("boxes", "new.png"), ("masks", "new.png"), ("load.csv", "load.csv")):
        task = aw.task(folder / source)
        study = aw.search(task.space, task, budget=budget, path=folder / "runs" / source)
        print(source, {name: round(value, 3) for name, value in study.test.items()})
        for prediction in study.predict(folder / file):
            print(*prediction.save(folder))
