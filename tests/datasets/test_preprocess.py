"""The preprocessing of data: files are read in use as they were in training."""

from __future__ import annotations

import csv
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from archwright.datasets import Data, data, preprocess_from_json
from archwright.datasets._preprocess import free_path

CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=4)
NUMBERS = st.floats(-1e30, 1e30).map(repr)


def all_inputs(found: Data) -> torch.Tensor:
    return (found.train + found.validation + found.test).inputs


@given(
    texts=st.lists(CELLS.map(lambda text: f"c{text}".strip()), min_size=1, max_size=4, unique=True),
    numbers=st.lists(NUMBERS, min_size=12, max_size=12),
    named=st.booleans(),
    target=st.sampled_from(["first", "last"]),
    delimiter=st.sampled_from(",;\t|"),
    seed=st.integers(0, 3),
)
def test_each_row_of_a_table_is_read_as_in_training(tmp_path_factory, texts, numbers, named, target, delimiter, seed):
    path = tmp_path_factory.mktemp("table") / "t.csv"
    rows = [[str(row), texts[row % len(texts)], numbers[row]] for row in range(12)]
    names = ["row", "text", "number"]
    for row, cells in enumerate([names, *rows]):
        label = "kind" if row == 0 else "xy"[row % 2]
        cells.insert(0 if target == "first" else 3, label)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([names, *rows] if named else rows)
    found = data(path, header=named, target=("kind" if named else "1" if target == "first" else "4"), seed=seed)
    preprocess = preprocess_from_json(json.loads(json.dumps(found.preprocess.to_json())))
    assert preprocess == found.preprocess
    read = torch.stack([raw for _, raw in preprocess.read(path)])
    assert torch.equal(read[all_inputs(found)[:, 0].long()], all_inputs(found))
    assert torch.equal(preprocess.normalise(read), found.normalise(read))


def test_each_picture_is_read_as_in_training(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="reading images needs Pillow")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(6):
            noise = torch.randint(0, 256, (14 + number, 11, 3), dtype=torch.uint8).numpy()
            image.fromarray(noise).save(tmp_path / name / f"{number}.jpg")
    found = data(tmp_path, size=(7, 9))
    read = [raw for path in tmp_path.glob("*/*.jpg") for _, raw in found.preprocess.read(path)]
    inputs = all_inputs(found)
    assert len(read) == len(inputs)
    assert all((inputs == raw).flatten(1).all(1).any() for raw in read)
    assert torch.equal(found.preprocess.normalise(inputs), found.normalise(inputs))


def test_a_link_to_nothing_is_not_written_through(tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "elsewhere.png")
    assert free_path(tmp_path / "a.png") == tmp_path / "a-2.png"
