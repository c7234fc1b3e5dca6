"""Arrays in numpy files."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from archwright.datasets import data
from archwright.errors import DataError


class Trap:
    """Sets off when unpickled."""

    sprung = False

    def __reduce__(self):
        return (setattr, (Trap, "sprung", True))


def test_x_and_y(tmp_path):
    table, labels = np.random.default_rng(0).normal(size=(30, 4)), np.array(["a", "b", "c"] * 10)
    np.savez(tmp_path / "t.npz", x=table, y=labels)
    found, known = data(tmp_path / "t.npz", seed=2), data((table, labels), seed=2)
    assert found.name == "t"
    assert torch.equal(found.test.inputs, known.test.inputs)
    assert torch.equal(found.test.inputs, data(**found.spec).test.inputs)


def test_an_official_test_part(tmp_path):
    images = np.zeros((20, 5, 5), dtype=np.uint8)
    labels = np.arange(20) % 2
    np.savez_compressed(tmp_path / "t.npz", x_train=images, y_train=labels, x_test=images[:6] + 9, y_test=labels[:6])
    found = data(tmp_path / "t.npz")
    assert (len(found.train), len(found.validation), len(found.test)) == (18, 2, 6)
    assert (found.test.inputs == 9).all()


def test_parts_of_different_types_are_refused(tmp_path):
    images, labels = np.zeros((20, 5, 5), dtype=np.uint8), np.arange(20) % 2
    np.savez(tmp_path / "t.npz", x_train=images, y_train=labels, x_test=images / 255, y_test=labels)
    with pytest.raises(DataError, match=r"uint8, but test samples torch\.float32"):
        data(tmp_path / "t.npz")


@pytest.mark.parametrize("names", [("x",), ("a", "b"), ("x", "y", "z"), ("x_train", "y_train")])
def test_other_names_are_refused(tmp_path, names):
    np.savez(tmp_path / "t.npz", **{name: np.zeros(4) for name in names})
    with pytest.raises(DataError, match=f"holds the arrays {', '.join(sorted(names))}; it should hold x and y"):
        data(tmp_path / "t.npz")


def test_no_pickle_is_opened(tmp_path):
    np.savez(tmp_path / "t.npz", x=np.zeros((4, 2)), y=np.array([Trap()] * 4, dtype=object))
    (tmp_path / "u.npz").write_bytes(pickle.dumps(Trap()))
    for name in ("t.npz", "u.npz"):
        with pytest.raises(DataError, match="cannot be read as arrays"):
            data(tmp_path / name)
    assert not Trap.sprung


def test_a_damaged_file_is_named(tmp_path):
    np.savez(tmp_path / "t.npz", x=np.zeros((4, 2)), y=np.zeros(4))
    whole = (tmp_path / "t.npz").read_bytes()
    for content in (b"", b"hello", whole[: len(whole) // 2]):
        (tmp_path / "t.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"t\.npz cannot be read"):
            data(tmp_path / "t.npz")
