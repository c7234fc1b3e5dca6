"""Layers of several sizes that share one set of weights: which part each takes, and that it computes the same."""

from __future__ import annotations

import pytest
import torch
from tests.supernet.helpers import check, inputs, made, weight

import archwright as aw
from archwright import nn
from archwright.errors import RelaxationError
from archwright.supernet import Supernet, elastic
from archwright.supernet.elastic import Slicing, cut, paste

IMAGE, SERIES, VECTOR = (3, 6, 6), (5, 6), (6,)
TOKENS = aw.TensorSpec((5,), "int64")


def width(*sizes):
    return aw.ordinal(*(sizes or (4, 8)), name="width")


def kernel():
    return aw.ordinal(1, 3, 5, name="kernel")


class Last(torch.nn.Module):
    """The last output of a recurrent layer."""

    def forward(self, given):
        return given[0][:, -1]


class Attend(torch.nn.Module):
    """Attention of a sequence to itself, or to a projection of it."""

    def __init__(self, attention: torch.nn.Module, k: int = 0, v: int = 0):
        super().__init__()
        self.attention = attention
        self.k, self.v = k, v

    def forward(self, x):
        key = x[..., : self.k] if self.k else x
        value = x[..., : self.v] if self.v else x
        return self.attention(x, key, value)[0]


class Step(torch.nn.Module):
    """A recurrent cell, two steps from zero."""

    def __init__(self, cell: torch.nn.Module):
        super().__init__()
        self.cell = cell

    def forward(self, x):
        state = self.cell(x, self.cell(x))
        return state[0] if isinstance(state, tuple) else state


def last():
    return aw.lazy(Last)()


def attention(**options):
    wide, heads = aw.ordinal(4, 8, name="wide"), aw.choice(1, 2, name="heads")
    layer = nn.MultiheadAttention(wide, heads, batch_first=True, **options)
    return nn.Sequential(nn.Linear(6, wide), aw.lazy(Attend)(layer, options.get("kdim", 0), options.get("vdim", 0)))


def encoder(**options):
    heads, inner = aw.choice(1, 2, name="heads"), aw.ordinal(4, 8, name="inner")
    return nn.TransformerEncoderLayer(6, heads, dim_feedforward=inner, dropout=0.0, batch_first=True, **options)


def recurrent(make, **options):
    hidden = aw.ordinal(3, 4, 6, name="hidden")
    layers = aw.ordinal(1, 2, name="layers")
    return nn.Sequential(make(6, hidden, num_layers=layers, batch_first=True, **options), last(), nn.LazyLinear(2))


SPACES = {
    "conv1d": lambda: (nn.Sequential(nn.Conv1d(5, width(), kernel(), padding="same"), nn.LazyConv1d(2, 1)), SERIES),
    "conv2d": lambda: (nn.Sequential(nn.LazyConv2d(width(), kernel(), padding="same"), nn.LazyConv2d(2, 1)), IMAGE),
    "conv3d": lambda: (nn.Sequential(nn.LazyConv3d(width(), kernel(), padding="same"), nn.Flatten()), (2, 3, 3, 3)),
    "conv-bias": lambda: (nn.LazyConv2d(4, 3, bias=aw.choice(True, False)), IMAGE),
    "conv-stride-and-dilation": lambda: (
        nn.Sequential(
            nn.LazyConv2d(4, kernel(), padding="same", dilation=aw.choice(1, 2), padding_mode="circular"),
            nn.LazyConv2d(2, 3, stride=aw.choice(1, 2), padding=1),
            nn.AdaptiveAvgPool2d(1),
        ),
        IMAGE,
    ),
    "groups": lambda: (nn.Sequential(nn.LazyConv2d(width(), 1), nn.LazyConv2d(8, 3, groups=aw.choice(1, 2))), IMAGE),
    "depthwise": lambda: (
        (lambda w: nn.Sequential(nn.LazyConv2d(w, 1), nn.Conv2d(w, w, kernel(), padding="same", groups=w)))(width()),
        IMAGE,
    ),
    "transposed": lambda: (
        nn.Sequential(nn.LazyConvTranspose2d(width(), aw.ordinal(2, 4)), nn.LazyConv2d(2, 1), nn.AdaptiveAvgPool2d(1)),
        IMAGE,
    ),
    "linear": lambda: (nn.Sequential(nn.LazyLinear(width()), nn.Tanh(), nn.LazyLinear(3)), VECTOR),
    "batch-norm": lambda: (nn.Sequential(nn.LazyConv2d(width(), 1), nn.LazyBatchNorm2d(), nn.ReLU()), IMAGE),
    "instance-norm": lambda: (
        nn.Sequential(nn.LazyConv2d(width(), 1), nn.LazyInstanceNorm2d(affine=True, track_running_stats=True)),
        IMAGE,
    ),
    "layer-norm": lambda: (
        (lambda w: nn.Sequential(nn.LazyLinear(w), nn.LayerNorm(w), nn.LazyLinear(2)))(width()),
        VECTOR,
    ),
    "rms-norm": lambda: ((lambda w: nn.Sequential(nn.LazyLinear(w), nn.RMSNorm(w), nn.LazyLinear(2)))(width()), VECTOR),
    "group-norm": lambda: (
        (lambda w: nn.Sequential(nn.LazyConv2d(w, 1), nn.GroupNorm(aw.choice(1, 2, 4), w), nn.PReLU(w)))(width()),
        IMAGE,
    ),
    "embedding": lambda: (
        (lambda w: nn.Sequential(nn.Embedding(11, w, padding_idx=0), nn.GRU(w, 4, batch_first=True), last()))(width()),
        TOKENS,
    ),
    "tokens-to-classes": lambda: (
        (
            lambda w, h: nn.Sequential(
                nn.Embedding(11, w), nn.GRU(w, h, batch_first=True, bidirectional=True), last(), nn.LazyLinear(3)
            )
        )(width(), aw.ordinal(3, 5, name="hidden")),
        TOKENS,
    ),
    "attention": lambda: (attention(), SERIES),
    "attention-bare": lambda: (attention(bias=False, add_bias_kv=True), SERIES),
    "attention-kdim": lambda: (attention(kdim=3, vdim=4), SERIES),
    "encoder-layer": lambda: (encoder(), SERIES),
    "encoder-layer-norm-first": lambda: (encoder(norm_first=True, activation="gelu"), SERIES),
    "encoder": lambda: (nn.TransformerEncoder(encoder(), num_layers=aw.ordinal(1, 2, 3)), SERIES),
    "lstm": lambda: (recurrent(nn.LSTM), SERIES),
    "lstm-both-ways": lambda: (recurrent(nn.LSTM, bidirectional=True), SERIES),
    "lstm-either-way": lambda: (recurrent(nn.LSTM, bidirectional=aw.choice(True, False)), SERIES),
    "lstm-projected": lambda: (recurrent(nn.LSTM, proj_size=aw.ordinal(1, 2), bidirectional=True), SERIES),
    "gru": lambda: (recurrent(nn.GRU, bias=aw.choice(True, False)), SERIES),
    "rnn": lambda: (recurrent(nn.RNN, nonlinearity=aw.choice("tanh", "relu")), SERIES),
    "lstm-cell": lambda: (aw.lazy(Step)(nn.LSTMCell(6, width())), VECTOR),
    "gru-cell": lambda: (aw.lazy(Step)(nn.GRUCell(6, width())), VECTOR),
    "rnn-cell": lambda: (aw.lazy(Step)(nn.RNNCell(6, width())), VECTOR),
    "depth": lambda: (
        (lambda w: nn.Sequential(nn.LazyLinear(w), aw.repeat(lambda i: nn.LazyLinear(w), 0, 3), nn.LazyLinear(2)))(
            width()
        ),
        VECTOR,
    ),
    "bilinear": lambda: (aw.graph(lambda x, y: nn.Bilinear(6, 6, width())(x, y)), [VECTOR, VECTOR]),
}


def _sequence(model):
    return nn.Sequential(model, nn.Flatten(), nn.LazyLinear(2))


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("name", SPACES)
def test_a_part_of_the_weights_computes_as_a_network_of_that_size(name):
    model, example = SPACES[name]()
    if example is not TOKENS and not isinstance(example, list):
        model = _sequence(model)
    supernet = made(model, example)
    keys = {key: tensor.shape for key, tensor in supernet.bank.state_dict().items()}
    check(supernet)
    assert {key: tensor.shape for key, tensor in supernet.bank.state_dict().items()} == keys  # all was found out before


# ---------------------------------------------------------------------- known answers


def extracted(supernet, **decisions):
    return supernet.extract(supernet.space.canonical({**_first(supernet), **decisions}))


def _first(supernet):
    return {name: next(iter(decision.values())) for name, decision in supernet.space.decisions.items()}


def test_a_convolution_takes_the_first_channels_and_the_middle_of_the_kernel():
    supernet = made(nn.Sequential(nn.Conv2d(3, width(4, 8), kernel(), padding="same"), nn.LazyConv2d(2, 1)), IMAGE)
    full = weight(supernet, "0/Conv2d/weight")
    assert full.shape == (8, 3, 5, 5)
    network = extracted(supernet, width=4, kernel=3)
    assert torch.equal(network[0].weight, full[:4, :, 1:4, 1:4])
    assert torch.equal(network[1].weight, weight(supernet, "1/Conv2d/weight")[:, :4])
    assert torch.equal(network[0].bias, weight(supernet, "0/Conv2d/bias")[:4])


def test_depthwise_and_full_convolutions_have_weights_apart():
    groups = aw.choice(1, 4)
    supernet = made(nn.Sequential(nn.LazyConv2d(4, 1), nn.Conv2d(4, 4, 3, groups=groups)), IMAGE)
    assert weight(supernet, "1/Conv2d/weight").shape == (4, 4, 3, 3)
    assert weight(supernet, "1/Conv2d(depthwise)/weight").shape == (4, 1, 3, 3)


def test_gates_of_a_recurrent_layer_are_taken_one_by_one():
    supernet = made(_sequence(nn.Sequential(nn.LSTM(6, aw.ordinal(2, 3, name="h"), batch_first=True), last())), SERIES)
    full = weight(supernet, "weight_ih_l0")
    assert full.shape == (12, 6)
    small = extracted(supernet, h=2)[0][0].weight_ih_l0
    assert torch.equal(small, full[[0, 1, 3, 4, 6, 7, 9, 10]])


def test_directions_of_a_recurrent_layer_are_taken_one_by_one():
    hidden = aw.ordinal(2, 3, name="h")
    layer = nn.GRU(6, hidden, num_layers=2, bidirectional=True, batch_first=True)
    supernet = made(_sequence(nn.Sequential(layer, last())), SERIES)
    full = weight(supernet, "weight_ih_l1")
    assert full.shape == (9, 6)
    small = extracted(supernet, h=2)[0][0].weight_ih_l1
    assert torch.equal(small, full[[0, 1, 3, 4, 6, 7]][:, [0, 1, 3, 4]])


def _any(architecture):
    return True


def test_first_weights_are_those_of_the_largest_layer_whichever_was_met_first():
    hidden = aw.choice(100, 2, 3, 4, 5, name="h")
    model = _sequence(nn.Sequential(nn.LSTM(6, hidden, batch_first=True), last()))
    space = aw.Space(model=model, example_input=SERIES, where=_any)
    largest = weight(Supernet(space, "path"), "weight_hh_l0").abs().max()
    assert 0.099 < largest <= 0.1  # one over the root of the hidden size


def test_queries_keys_and_values_are_taken_one_by_one():
    supernet = made(_sequence(attention()), SERIES)
    full = weight(supernet, "in_proj_weight")
    assert full.shape == (24, 8)
    small = extracted(supernet, wide=4, heads=1)[0][1].attention.in_proj_weight
    assert torch.equal(small, torch.cat([full[0:4, :4], full[8:12, :4], full[16:20, :4]]))


def test_the_layers_of_an_encoder_are_copies_with_weights_of_their_own():
    supernet = made(nn.TransformerEncoder(encoder(), num_layers=aw.ordinal(1, 2)), SERIES)
    names = [name for name in supernet.bank.state_dict() if name.endswith("linear1/Linear/weight")]
    assert len(names) == 2
    first, second = (supernet.bank.state_dict()[name] for name in names)
    assert torch.equal(first, second)  # at first, for torch copies the layer that it is given
    with torch.no_grad():
        first.zero_()
    assert second.any()
    assert not supernet.branches


# ---------------------------------------------------------------------- sharing


def test_a_step_of_a_small_network_changes_the_large_one():
    supernet = made(nn.Sequential(nn.Linear(6, width(4, 8)), nn.Tanh(), nn.LazyLinear(2)), VECTOR)
    (x,) = inputs(supernet)
    small, large = supernet.select({"width": 4}), supernet.select({"width": 8})
    before = large(x).detach()
    alone = supernet.extract({"width": 8})
    small(x).square().sum().backward()
    with torch.no_grad():
        for parameter in supernet.weight_parameters():
            parameter -= 0.1 * parameter.grad
    assert not torch.allclose(large(x), before)
    assert torch.equal(alone(x), before)


def test_a_gradient_reaches_the_part_that_was_used_and_no_other():
    model = nn.Sequential(
        nn.Conv2d(3, width(4, 8), kernel(), padding="same"), nn.LazyBatchNorm2d(), nn.LazyConv2d(2, 1)
    )
    supernet = made(model, IMAGE)
    path = supernet.select({"width": 4, "kernel": 3})
    network = supernet.extract({"width": 4, "kernel": 3})
    (x,) = inputs(supernet)
    for each in (path, network):
        each.train()(x).pow(3).sum().backward()
    grad = weight(supernet, "0/Conv2d/weight").grad
    torch.testing.assert_close(grad[:4, :, 1:4, 1:4], network[0].weight.grad, rtol=1e-9, atol=1e-12)
    assert network[0].weight.grad.abs().min() > 0
    grad[:4, :, 1:4, 1:4] = 0
    assert not grad.any()
    torch.testing.assert_close(weight(supernet, "1/BatchNorm2d/weight").grad[:4], network[1].weight.grad)
    assert not weight(supernet, "1/BatchNorm2d/weight").grad[4:].any()


def test_statistics_of_a_small_network_are_the_first_of_the_large_one():
    supernet = made(nn.Sequential(nn.Conv2d(3, width(4, 8), 1), nn.LazyBatchNorm2d()), IMAGE)
    mean = weight(supernet, "running_mean")
    held = mean.clone()
    supernet.train().select({"width": 4})(*inputs(supernet, seed=1))
    assert not torch.equal(mean[:4], held[:4])
    assert torch.equal(mean[4:], held[4:])


def test_training_and_evaluation_reach_the_layers():
    supernet = made(nn.Sequential(nn.Linear(6, 8), nn.Dropout(aw.ordinal(0.5, 0.9))), VECTOR)
    path = supernet.select(next(supernet.space.enumerate()))
    (x,) = inputs(supernet)
    assert (path.train()(x) == 0).any()
    assert not (path.eval()(x) == 0).any()
    assert supernet.training is False


# ---------------------------------------------------------------------- parts of tensors


@pytest.mark.parametrize(
    ("full", "shape", "part"),
    [
        ((6, 4), (3, 2), Slicing()),
        ((8, 3), (4, 3), Slicing(blocks=(2,))),
        ((8, 6), (4, 2), Slicing(blocks=(4, 2))),
        ((4, 2, 5), (2, 2, 3), Slicing(centred=(2,))),
        ((4, 5), (4, 4), Slicing(centred=(1,))),
        ((3,), (3,), Slicing(blocks=(3,))),
        ((6, 5), (4, 3), Slicing(blocks=(2,), centred=(1,))),
    ],
)
def test_what_is_pasted_is_what_is_cut(full, shape, part):
    large, small = torch.zeros(full), torch.arange(1.0, 1.0 + torch.Size(shape).numel()).view(shape)
    paste(large, small, part)
    assert torch.equal(cut(large, small.shape, part), small)
    assert large.count_nonzero() == small.numel()


def test_a_rule_needs_a_class_that_can_fill_its_weights():
    class Bare(torch.nn.Module):
        pass

    with pytest.raises(RelaxationError, match=r"Bare has no method reset_parameters"):
        elastic.register(Bare)
