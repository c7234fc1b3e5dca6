"""ONNX files against PyTorch, on batches of other sizes than they are checked with."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from torch import nn

from archwright.build import write_onnx
from archwright.errors import BuildError
from archwright.space import TensorSpec

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

IMAGES = (TensorSpec((1, 4, 4)),)


class Head(nn.Module):
    """Ends like a network; what comes before is for the kind to say."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.token = nn.Parameter(torch.randn(1, 16))
        self.conv, self.linear = nn.Conv2d(1, 1, 3, padding=1), nn.Linear(16, 3)

    def forward(self, x):
        return self.linear(self.before(x))


class ReadsItsSize(Head):
    def before(self, x):
        return self.conv(x).reshape(len(x), -1) + self.token.repeat(int(x.shape[0]), 1)


class RowByRow(Head):
    def before(self, x):
        return torch.cat([self.conv(x[index : index + 1]).flatten(1) for index in range(len(x))])


class SingleApart(Head):
    def before(self, x):
        return x.flatten(1) - x.flatten(1).mean(0) if len(x) > 1 else 2 * x.flatten(1)


class FewApart(Head):
    def before(self, x):
        return x.flatten(1) if len(x) > 3 else 2 * x.flatten(1)


class OfTwo(Head):
    def before(self, x):
        return x.reshape(2, 16)


class ByTheData(Head):
    def before(self, x):
        return x.flatten(1) if x.sum() > 0 else self.token


@pytest.mark.parametrize("kind", [ReadsItsSize, RowByRow, SingleApart])
def test_networks_that_ask_for_the_size_of_the_batch(kind, tmp_path):
    network, file = kind().eval(), tmp_path / "model.onnx"
    write_onnx(network, IMAGES, file)
    session = onnxruntime.InferenceSession(file)
    assert session.get_inputs()[0].shape == ["batch", 1, 4, 4]
    for size in (1, 2, 3, 7):
        x = torch.randn(size, 1, 4, 4)
        (found,) = session.run(None, {"input": x.numpy()})
        assert found.shape == (size, 3)
        np.testing.assert_allclose(found, network(x).detach().numpy(), atol=1e-5)


def test_several_inputs_and_outputs_whichever_way_they_are_exported(tmp_path):
    class Rows(nn.Module):
        def forward(self, one, other):
            return {"sum": torch.stack([row.sum() for row in one]) + other, "twice": 2 * one}

    file, one, other = tmp_path / "model.onnx", torch.randn(3, 2, 2), torch.randn(3)
    write_onnx(Rows(), (TensorSpec((2, 2)), TensorSpec(())), file)
    found = onnxruntime.InferenceSession(file).run(None, {"input_0": one.numpy(), "input_1": other.numpy()})
    for made, wanted in zip(found, Rows()(one, other).values(), strict=True):
        np.testing.assert_allclose(made, wanted.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (FewApart, "its forward pass depends on how many samples there are"),
        (OfTwo, r"the network does not run on a batch of 1: RuntimeError: shape '\[2, 16\]' is invalid"),
        (ByTheData, "its forward pass depends on the values of the data"),
    ],
)
def test_what_no_file_can_do_is_one_plain_sentence(kind, message, tmp_path, capfd):
    with pytest.raises(BuildError, match=message) as told:
        write_onnx(kind(), IMAGES, tmp_path / "model.onnx")
    assert "\n" not in str(told.value)
    assert "\x1b" not in str(told.value)
    assert "github" not in str(told.value).lower()
    assert not list(tmp_path.iterdir())
    assert "".join(capfd.readouterr()) == ""
    assert logging.root.manager.disable == logging.NOTSET
