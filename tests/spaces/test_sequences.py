"""The spaces of token ids, and the layers that they are made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import archwright as aw
from archwright import spaces
from archwright.errors import SpaceError
from archwright.spaces import _sequence as layers

LENGTHS = (5, 2, 7)


def padded(width: int = 8, *, more: int = 0) -> torch.Tensor:
    """Return sequences of three lengths, (3, 7 + more, width)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.zeros(3, max(LENGTHS) + more, width)
    for row, length in enumerate(LENGTHS):
        x[row, :length] = torch.randn(length, width, generator=generator)
    return x


def tokens(*, more: int = 0) -> torch.Tensor:
    x = torch.zeros(3, max(LENGTHS) + more, dtype=torch.int64)
    for row, length in enumerate(LENGTHS):
        x[row, :length] = torch.arange(2, 2 + length) + row
    return x


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_both_directions_are_those_of_a_packed_sequence(cell: str) -> None:
    layer = layers.Recurrent(8, 6, directions=2, cell=cell)
    referee = (nn.LSTM if cell == "lstm" else nn.GRU)(8, 6, batch_first=True, bidirectional=True)
    weights = layer.ahead.state_dict() | {f"{name}_reverse": each for name, each in layer.back.state_dict().items()}
    referee.load_state_dict(weights)
    packed = pack_padded_sequence(padded(), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    wanted = pad_packed_sequence(referee(packed)[0], batch_first=True)[0]
    torch.testing.assert_close(layer(padded()), wanted)


def test_attention_is_that_of_torch() -> None:
    layer, referee = layers.SelfAttention(8, 2), nn.MultiheadAttention(8, 2, batch_first=True)
    referee.in_proj_weight.data, referee.in_proj_bias.data = layer.taken.weight.data, layer.taken.bias.data
    referee.out_proj.load_state_dict(layer.given.state_dict())
    x = padded()
    mask = layers.mask_of(x)
    wanted = referee(x, x, x, key_padding_mask=~mask[..., 0])[0] * mask
    torch.testing.assert_close(layer(x, x), wanted)


def test_causal_attention_does_not_look_ahead() -> None:
    layer = layers.SelfAttention(8, 2, causal=True)
    x = padded()
    other = x.clone()
    other[2, 4:] += 1
    assert torch.equal(layer(x, x)[2, :4], layer(other, other)[2, :4])
    assert not torch.allclose(layer(x, x)[2, 4:], layer(other, other)[2, 4:])


@pytest.mark.parametrize("kernel", [1, 2, 3, 6])
def test_a_convolution_keeps_the_length_and_the_padding(kernel: int) -> None:
    layer, x = layers.Convolution(8, 5, kernel), padded()
    y = layer(x)
    assert y.shape == (3, 7, 5)
    assert torch.equal(layers.mask_of(y), layers.mask_of(x))
    valid = layer.convolution(x[2].T[None])[0].T
    first = (kernel - 1) // 2
    torch.testing.assert_close(y[2, first : first + len(valid)], valid)


def test_pooling_leaves_padding_out() -> None:
    x = torch.tensor([[[-1.0, 4.0], [-3.0, 2.0], [0.0, 0.0]]])
    assert layers.MaxPooling()(x).tolist() == [[-1.0, 4.0]]
    assert layers.MeanPooling()(x).tolist() == [[-2.0, 3.0]]
    scores = torch.tensor([[[0.0], [float(np.log(3.0))], [50.0]]])
    torch.testing.assert_close(layers.WeightedPooling()(x, scores), torch.tensor([[-2.5, 2.5]]))


def test_a_sequence_of_padding_alone_is_finite() -> None:
    x = torch.zeros(2, 4, 8)
    made = [layers.Recurrent(8, 4, directions=2), layers.Convolution(8, 4, 3), layers.MaxPooling()]
    for layer in (*made, layers.MeanPooling(), layers.Positions(4, 8), layers.Waves(4, 8)):
        assert layer(x).eq(0).all()
    assert layers.SelfAttention(8, 2)(x, x).eq(0).all()
    assert layers.WeightedPooling()(x, torch.ones(2, 4, 1)).eq(0).all()


def test_waves_are_those_of_the_paper() -> None:
    waves = layers.Waves(6, 8).weight / 0.1
    for position in range(6):
        for place in range(4):
            angle = position / 10_000 ** (2 * place / 8)
            assert waves[position, 2 * place].item() == pytest.approx(np.sin(angle), abs=1e-5)
            assert waves[position, 2 * place + 1].item() == pytest.approx(np.cos(angle), abs=1e-5)


@pytest.fixture(scope="module", params=["text", "tagger"])
def space(request: pytest.FixtureRequest) -> aw.Space:
    return spaces.create(request.param, input_shape=(12,), classes=3, vocabulary=20, widths=(8, 16))


def drawn(space: aw.Space) -> list[aw.Architecture]:
    rng = np.random.default_rng(0)
    return [*spaces.starts(space), *(space.sample(rng) for _ in range(8))]


def test_outputs_do_not_depend_on_the_padding(space: aw.Space) -> None:
    for architecture in drawn(space):
        torch.manual_seed(0)
        model = space.build(architecture)
        for weight in model.parameters():  # also biases and norms, which would show in padding
            if weight.ndim == 1:
                nn.init.normal_(weight)
        with torch.no_grad():
            short, long = model.eval()(tokens()), model(tokens(more=5))
        torch.testing.assert_close(short, long if space.name == "text" else long[:, :7])
        alone = model(tokens()[1:2, :2])
        torch.testing.assert_close(alone, short[1:2] if space.name == "text" else short[1:2, :2])


def test_known_designs_are_those_published(space: aw.Space) -> None:
    encoders = [each["encoder"] for each in spaces.starts(space)]
    assert encoders == (["cnn"] if space.name == "text" else []) + ["recurrent", "transformer"]
    if space.name == "text":
        published = spaces.create("text", vocabulary=20)
        model = published.build(spaces.starts(published)[0])
        kernels = [each for each in model.modules() if isinstance(each, nn.Conv1d)]
        assert [(each.in_channels, each.out_channels, each.kernel_size) for each in kernels] == [
            (128, 100, (kernel,)) for kernel in (3, 4, 5)
        ]


def test_every_size_shows_in_parameters_and_flops(space: aw.Space) -> None:
    sizes = {"width", "cnn.maps", "recurrent.hidden", "recurrent.directions", "recurrent.layers"}
    sizes |= {"transformer.layers", "transformer.feed_forward"}
    for start in spaces.starts(space):
        for name in sizes & start.keys():
            values = list(space.decisions[name].values())
            counts = [aw.cost.measures(space, {**start, name: value}) for value in (values[0], values[-1])]
            assert counts[0][0] < counts[1][0], name
            assert counts[0][1] < counts[1][1], name


def test_embeddings_of_padding_stay_zero(space: aw.Space) -> None:
    model = space.build(spaces.starts(space)[0])
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model(tokens()).square().sum().backward()
        optimizer.step()
    embedding = next(each for each in model.modules() if isinstance(each, nn.Embedding))
    assert embedding.weight[0].eq(0).all()
    assert embedding.weight[2].ne(0).all()


@pytest.mark.parametrize("name", ["text", "tagger"])
def test_bad_options_are_refused(name: str) -> None:
    with pytest.raises(SpaceError, match=f"{name}.*multiples of 8.*12"):
        spaces.create(name, widths=(12,))
    with pytest.raises(SpaceError, match=f"{name}.*2 or more; not 1"):
        spaces.create(name, vocabulary=1)
    with pytest.raises(SpaceError, match=f"{name}.*rank 1"):
        spaces.create(name, input_shape=(3, 8, 8))


def test_spaces_of_tokens_are_not_for_tables() -> None:
    assert not {"text", "tagger"} & set(spaces.suiting(1))
