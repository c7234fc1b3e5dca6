"""What is spared on the meta device gives the shapes that torch works out there, and what torch refuses is refused."""

from __future__ import annotations

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


def outcome(call, shape, dtype):
    """The shapes, strides and types of what a call gives on the meta device, or that it is refused."""
    try:
        found = call(ones(*shape, dtype=dtype))
    except (RuntimeError, ValueError, IndexError, NotImplementedError, AssertionError):
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
