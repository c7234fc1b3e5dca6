"""The space of networks from sequence to sequence, and its layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import archwright as aw
from archwright import spaces
from archwright.build import write_onnx
from archwright.errors import SpaceError
from archwright.spaces import _translator as layers

SOURCE = torch.tensor([[5, 6, 7, 3], [8, 3, 0, 0]])
TARGET = torch.tensor([[2, 4, 5, 6, 7], [2, 5, 4, 0, 0]])


@pytest.fixture(scope="module")
def space() -> aw.Space:
    options = {"widths": (8, 16), "encoder_layers": (2, 4), "decoder_layers": (1, 2)}
    return spaces.create("translator", input_shape=(6,), length=7, read=10, classes=9, **options)


def drawn(space: aw.Space) -> list[aw.Architecture]:
    rng = np.random.default_rng(0)
    return [*spaces.starts(space), *(space.sample(rng) for _ in range(6))]


def test_known_designs_are_transformers_and_a_gru(space: aw.Space) -> None:
    assert [each["model"] for each in spaces.starts(space)] == ["recurrent", "transformer", "transformer"]
    full = spaces.starts(spaces.create("translator"))
    assert [each.get("decoder.layers") for each in full] == [None, "3", "2"]


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_attention_is_that_of_torch_to_so_many_layers(parts: int) -> None:
    layer = layers.CrossAttention(8, 6, 2, parts)
    referee = nn.MultiheadAttention(8, 2, kdim=6, vdim=6, batch_first=True)
    referee.q_proj_weight.data = layer.query.weight.data
    referee.k_proj_weight.data, referee.v_proj_weight.data = layer.memory.weight.data.chunk(2)
    referee.in_proj_bias.data = torch.cat([layer.query.bias.data, layer.memory.bias.data])
    referee.out_proj.load_state_dict(layer.given.state_dict())
    x, memory = torch.randn(2, 5, 8), torch.randn(2, 12, 6)
    memory[1, [2, 3, 6, 7, 10, 11]] = 0  # a sequence of two rows, and outputs of three layers
    seen = memory[:, : 4 * parts]
    wanted = referee(x, seen, seen, key_padding_mask=seen.eq(0).all(2))[0]
    torch.testing.assert_close(layer(x, memory), wanted)


def test_outputs_depend_on_the_source_and_on_what_was_written_alone(space: aw.Space) -> None:
    for architecture in drawn(space):
        torch.manual_seed(0)
        model = space.build(architecture).eval()
        for weight in model.parameters():  # also biases and norms, which would show in padding
            if weight.ndim == 1:
                nn.init.normal_(weight)
        with torch.no_grad():
            wanted = model(SOURCE, TARGET)
            assert wanted.shape == (2, 5, 9)
            torch.testing.assert_close(model(SOURCE[1:, :2], TARGET[1:, :3]), wanted[1:, :3])
            more = nn.functional.pad(SOURCE, (0, 2)), nn.functional.pad(TARGET, (0, 2))
            torch.testing.assert_close(model(*more)[:, :3], wanted[:, :3])
            other = TARGET.clone()
            other[0, 3] = 8
            torch.testing.assert_close(model(SOURCE, other)[0, :3], wanted[0, :3])
            assert not torch.allclose(model(SOURCE, other)[0, 3:], wanted[0, 3:])
            source = SOURCE.clone()
            source[0, 1] = 9
            assert not torch.allclose(model(source, TARGET)[0], wanted[0])


def test_every_size_shows_in_parameters_and_flops(space: aw.Space) -> None:
    rest = {name: next(iter(decision.values())) for name, decision in space.decisions.items()}
    ends = (".width", ".layers", ".feed_forward", ".hidden", ".directions")
    for start in spaces.starts(space)[:2]:
        for name in (name for name in start if name.endswith(ends)):
            values = list(space.decisions[name].values())
            counts = [aw.cost.measures(space, {**rest, **start, name: value}) for value in (values[0], values[-1])]
            assert counts[0][0] < counts[1][0], name
            assert counts[0][1] < counts[1][1], name


def test_the_vectors_of_the_target_are_those_of_the_scores(space: aw.Space) -> None:
    model = space.build(spaces.starts(space)[1])
    shapes = [tuple(weight.shape) for weight in model.parameters()]
    assert shapes.count((9, 8)) == 1
    model(SOURCE, TARGET).sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_a_network_is_written_as_onnx(space: aw.Space, tmp_path: Path) -> None:
    least = {name: next(iter(decision.values())) for name, decision in space.decisions.items()}
    network = space.build(space.canonical({**least, "model": "transformer"}))
    write_onnx(network, space.example_input, tmp_path / "network.onnx")  # which compares outputs


def test_bad_options_are_refused() -> None:
    for options, message in (
        ({"widths": (12,)}, "multiples of 8.*12"),
        ({"read": 1}, "read 2 or more; not 32 and 1"),
        ({"encoder_layers": (1, 2)}, "2 <= least"),
        ({"decoder_layers": (3, 2)}, "1 <= least"),
        ({"input_shape": (3, 8, 8)}, "rank 1"),
    ):
        with pytest.raises(SpaceError, match=f"translator.*{message}"):
            spaces.create("translator", **options)
    assert "translator" not in spaces.suiting(1)
