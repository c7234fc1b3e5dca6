"""What is spared on the meta device gives the shapes that torch works out there, and what torch refuses is refused."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch.utils._pytree import tree_leaves

from archwright.build import ShapesAlone
from archwright.build._meta import _ELEMENTWISE

SHAPES = [(5,), (2, 5), (2, 5, 3), (2, 3, 5), (2, 5, 4, 3), (2, 5, 5, 5, 5), (0, 5)]
DTYPES = [torch.float32, torch.float64, torch.int64]


def ones(*shape, dtype=torch.float32):
    return torch.ones(shape, dtype=dtype)


CALLS = {
    **{function.__name__: function for function in sorted(_ELEMENTWISE, key=lambda function: function.__name__)},
    "linear": lambda x: F.linear(x, ones(7, 5), ones(7)),
    "linear without bias": lambda x: F.linear(x, weight=ones(7, 5)),
    "linear with a bias that does not fit": lambda x: F.linear(x, ones(7, 5), ones(6)),
    "linear of one output": lambda x: F.linear(x, ones(5)),
    "batch_norm": lambda x: F.batch_norm(x, ones(5), ones(5), ones(5), ones(5)),
    "batch_norm in training": lambda x: F.batch_norm(x, None, None, training=True),
    "layer_norm": lambda x: F.layer_norm(x, (5,), ones(5), ones(5)),
    "layer_norm over two": lambda x: F.layer_norm(x, (5, 3)),
    "layer_norm with weights that do not fit": lambda x: F.layer_norm(x, (5,), ones(3)),
}


def convolution(axes, *weight, **options):
    """Convolve with weights of 3 along each axis, unless told otherwise."""
    function = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[axes]
    shape = weight or (6, 5, *[3] * axes)
    return lambda x: function(x, ones(*shape), ones(shape[0]), **options)


CALLS |= {
    "conv1d": convolution(1),
    "conv1d of a stride": convolution(1, 6, 5, 2, stride=2, padding=1),
    "conv2d": convolution(2),
    "conv2d without bias": lambda x: F.conv2d(x, ones(6, 5, 2, 3)),
    "conv2d of several": convolution(2, 6, 5, 3, 2, stride=(2, 1), padding=[1, 0], dilation=(1, 2)),
    "conv2d of the same size": convolution(2, padding="same", dilation=2),
    "conv2d of a stride and the same size": convolution(2, padding="same", stride=2),
    "conv2d without padding": convolution(2, padding="valid", stride=2),
    "conv2d in groups": convolution(2, 10, 1, 3, 3, groups=5, padding=1),
    "conv2d in groups that do not fit": convolution(2, 6, 1, 3, 3, groups=5),
    "conv2d of other channels": convolution(2, 6, 4, 3, 3),
    "conv2d of another type": lambda x: F.conv2d(x, ones(6, 5, 3, 3, dtype=torch.float64)),
    "conv2d with a bias that does not fit": lambda x: F.conv2d(x, ones(6, 5, 1, 1), ones(5)),
    "conv2d of strides that do not fit": convolution(2, stride=(1, 1, 1)),
    "conv2d of no stride": convolution(2, stride=0),
    "conv2d of negative padding": convolution(2, padding=-1),
    "conv2d of an unknown option": convolution(2, colour=1),
    "conv2d that is too large": convolution(2, 6, 5, 5, 5),
    "conv2d of channels last": lambda x: F.conv2d(x.contiguous(memory_format=torch.channels_last), ones(6, 5, 1, 1)),
    "conv3d": convolution(3, padding=1),
    **{
        f"{function.__name__} {options}": partial(function, **options)
        for function in (F.max_pool1d, F.max_pool2d, F.max_pool3d, F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)
        for options in (
            {"kernel_size": 2},
            {"kernel_size": 3, "stride": 1, "padding": 1},
            {"kernel_size": 3, "stride": 2, "padding": 2},
            {"kernel_size": 2, "stride": 2, "ceil_mode": True},
            {"kernel_size": 5},
            {"kernel_size": 0},
        )
    },
    "max_pool2d of several": lambda x: F.max_pool2d(x, (3, 2), (1, 2), (1, 0)),
    "max_pool2d of dilation": lambda x: F.max_pool2d(x, 2, 1, 0, 2),
    "max_pool2d with indices": lambda x: F.max_pool2d(x, 2, return_indices=True),
    "avg_pool2d without what is padded": lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    "avg_pool2d of a divisor": lambda x: F.avg_pool2d(x, 2, divisor_override=3),
    **{
        f"{function.__name__} {size}": partial(function, output_size=size)
        for function in (
            *(F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d),
            *(F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d),
        )
        for size in (1, 2, (3,), (2, 3), (1, 7), 0, -1)
    },
    "adaptive_avg_pool2d of one axis": lambda x: F.adaptive_avg_pool2d(x, (None, 2)),
    "adaptive_max_pool2d with indices": lambda x: F.adaptive_max_pool2d(x, 2, return_indices=True),
    "tanh": torch.tanh,
    "the method tanh": torch.Tensor.tanh,
    "sigmoid": torch.sigmoid,
    "the method sigmoid": torch.Tensor.sigmoid,
    "hardsigmoid": F.hardsigmoid,
    "logsigmoid": F.logsigmoid,
    "dropout": F.dropout,
    "dropout of too much": lambda x: F.dropout(x, 1.5),
    "alpha_dropout": lambda x: F.alpha_dropout(x, 0.1, True),
    "dropout1d": lambda x: F.dropout1d(x, 0.2),
    "dropout2d": lambda x: F.dropout2d(x, p=0.2, training=False),
    "dropout3d": lambda x: F.dropout3d(x, 0.2),
    "relu6": F.relu6,
    "hardtanh": lambda x: F.hardtanh(x, 0.0, 6.0),
    "hardtanh of nothing": lambda x: F.hardtanh(x, 2.0, -2.0),
    "zeros_like": torch.zeros_like,
    "zeros_like of another type": lambda x: torch.zeros_like(x, dtype=torch.float64),
    "pad": lambda x: F.pad(x, (1, 2)),
    "pad of two axes": lambda x: F.pad(x, [-1, 1, 2, -1]),
    "pad of none": lambda x: F.pad(x, ()),
    "pad to nothing": lambda x: F.pad(x, (-5, 0)),
    "pad of half an axis": lambda x: F.pad(x, (1, 1, 1)),
    "pad by a reflection": lambda x: F.pad(x, (1, 1), mode="reflect"),
    "max_pool2d of whole windows": lambda x: F.max_pool2d(x[..., :2], 2, 2, ceil_mode=True),
    "avg_pool1d of whole windows": lambda x: F.avg_pool1d(x, 3, 1, ceil_mode=True),
    "softmax": lambda x: F.softmax(x, 1),
    "softmax of another type": lambda x: F.softmax(x, -1, dtype=torch.float64),
    "softmax of an axis that is not there": lambda x: F.softmax(x, 4),
    "log_softmax": lambda x: F.log_softmax(x, dim=-1),
    "group_norm": lambda x: F.group_norm(x, 5, ones(5), ones(5)),
    "group_norm of groups that do not fit": lambda x: F.group_norm(x, 2),
    "group_norm with weights that do not fit": lambda x: F.group_norm(x, 1, ones(3)),
    "sum": lambda x: x + x,
    "sum of a number": lambda x: x + 1,
    "sum of a multiple": lambda x: torch.add(x, x, alpha=2),
    "sum of a row": lambda x: x + ones(5),
    "sum of another type": lambda x: x + ones(1, dtype=torch.float64),
    "sum of another layout": lambda x: x + x.mT,
    "difference": lambda x: ones(2, 1) - x,
    "product": lambda x: torch.mul(x, 0.5),
    "product of a column": lambda x: x * ones(2, 5, 1),
    "product of a number of another kind": lambda x: x * 1j,
    "one more": lambda x: torch.zeros((), dtype=torch.int64).add_(1) + 0 * x.numel(),
    "concatenation": lambda x: torch.cat([x, x], dim=1),
    "concatenation of other sizes": lambda x: torch.cat((x, ones(2, 3), x), -1),
    "concatenation with an empty one": lambda x: torch.cat([ones(0), x]),
    "concatenation of other types": lambda x: torch.cat([x, x.double()]),
    "concatenation of nothing": lambda x: torch.cat([]),
}


def outcome(call, shape, dtype):
    """The shapes, strides and types of what a call gives on the meta device, or that it is refused."""
    try:
        found = call(ones(*shape, dtype=dtype))
    except (RuntimeError, ValueError, IndexError, NotImplementedError, AssertionError, TypeError, ZeroDivisionError):
        return "refused"
    return [(tuple(each.shape), each.stride(), each.dtype) for each in tree_leaves(found)]


def recurrent(layer, **options):
    return lambda x: layer(3, 4, dtype=x.dtype, **options)(x)


def misfit(x):
    layer = torch.nn.GRU(3, 4, num_layers=2, dtype=x.dtype)
    layer.weight_hh_l1 = torch.nn.Parameter(ones(7, 7, dtype=x.dtype))
    return layer(x)


def packed(x):
    rows = x.reshape(-1, 3)
    sizes = torch.ones(len(rows), dtype=torch.int64, device="cpu")
    _, state = torch.nn.LSTM(3, 4, dtype=x.dtype)(torch.nn.utils.rnn.PackedSequence(rows, sizes))
    return state


CALLS |= {
    "lstm": recurrent(torch.nn.LSTM),
    "lstm of a projection": recurrent(torch.nn.LSTM, num_layers=2, proj_size=2, bidirectional=True, batch_first=True),
    "gru": recurrent(torch.nn.GRU, num_layers=2, bidirectional=True),
    "gru without bias": recurrent(torch.nn.GRU, bias=False, batch_first=True),
    "gru with weights that do not fit": misfit,
    "rnn": recurrent(torch.nn.RNN, nonlinearity="relu"),
    "rnn both ways": recurrent(torch.nn.RNN, bidirectional=True, batch_first=True),
    "lstm of a packed sequence": packed,
}


@pytest.mark.filterwarnings("ignore:dropout")  # of inputs with other axes
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("products", [False, True])
def test_it_gives_what_torch_gives(name, products):
    for shape in SHAPES:
        for dtype in DTYPES:
            with torch.device("meta"), torch.no_grad():
                expected = outcome(CALLS[name], shape, dtype)
                with ShapesAlone(products=products):
                    assert outcome(CALLS[name], shape, dtype) == expected, (shape, dtype)


def test_what_is_not_on_the_meta_device_is_computed():
    x, weight = torch.randn(2, 5), torch.randn(3, 5)
    with ShapesAlone():
        assert torch.equal(F.linear(x, weight), x @ weight.T)
        assert torch.equal(F.relu(x), x.clamp(min=0))
