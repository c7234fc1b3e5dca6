"""Data as it is found in the world; skipped where it is absent."""

from __future__ import annotations

import tarfile
from collections import Counter

import pytest
import torch

from archwright.datasets import data


def test_fashion_mnist(data_file):
    found = data(data_file("train/fashion"))
    assert str(found) == (
        "Data('fashion': 1x28x28 images, 10 classes, 54,000 training + 6,000 validation + 10,000 test samples)"
    )
    assert found.classes == tuple("0123456789")
    for part, each in ((found.train, 5400), (found.validation, 600), (found.test, 1000)):
        assert torch.bincount(part.targets).tolist() == [each] * 10
    # the published values over all 60,000 images are 0.2860 and 0.3530
    assert float(found.mean) / 255 == pytest.approx(0.2860, abs=0.001)
    assert float(found.std) / 255 == pytest.approx(0.3530, abs=0.001)
    assert found.test.targets[:5].tolist() == [9, 2, 1, 1, 6]  # ankle boot, pullover, trousers, trousers, shirt


def test_a_slice_of_cifar10(data_file, tmp_path):
    taken: Counter[str] = Counter()
    with tarfile.open(data_file("train/cifar10_jpg.tar.xz")) as archive:
        for member in archive:  # the test images come first, so little is unpacked
            part, _, name = member.name.partition("/")
            label = name.partition("/")[0]
            if part == "test" and member.isfile() and taken[label] < 30:
                taken[label] += 1
                content = archive.extractfile(member)
                assert content is not None
                (tmp_path / label).mkdir(exist_ok=True)
                (tmp_path / name).write_bytes(content.read())
            if len(taken) == 10 and min(taken.values()) == 30:
                break
    found = data(tmp_path)
    assert found.classes == (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    )
    assert (len(found.train), len(found.validation), len(found.test)) == (210, 30, 60)
    assert found.train.inputs.shape[1:] == (3, 32, 32)
    assert torch.bincount(found.test.targets).tolist() == [6] * 10
    assert (found.mean / 255 - torch.tensor([0.49, 0.48, 0.45])).abs().max() < 0.05
