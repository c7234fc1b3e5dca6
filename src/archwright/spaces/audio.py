"""Networks on waveforms, for speech commands and for speech recognition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archwright import nn
from archwright.errors import SpaceError
from archwright.space import Graph, Space, choice, graph, lazy, merge, ordinal, repeat, template
from archwright.spaces._registry import checked_input, register

__all__ = ["audio", "speech"]

_STAGES = (3, 4, 6)  # the width of each, over 2: 24, 32 and 48 channels after a stem of 16, as in TC-ResNet
_NODES = 3  # of a cell
_LEAST_RATE = 1_000


def _plain(space: Space) -> Iterator[dict[str, Any]]:
    """Yield residual networks of a middle and of the greatest width, then a recurrent one."""
    values = {name: list(decision.values()) for name, decision in space.decisions.items()}
    plain = {"bins": 40, "mask": 0.2, "kernel": 9, "block": "residual", "dropout": 0.2}
    plain |= {name: values[name][0] for name in values if name.endswith(".blocks")}
    for place, normalise, recurrent in ((-2, "bins", "none"), (-1, "utterance", "none"), (-2, "bins", "gru")):
        width = values["width"][max(place, -len(values["width"]))]
        found = {**plain, "width": width, "normalise": normalise, "recurrent": recurrent, "hidden": 64}
        yield {name: value for name, value in found.items() if name in values}


@register("audio", ranks=(1,), starts=_plain, special=True)
def audio(
    *,
    input_shape: Sequence[int] = (8000,),
    classes: int = 10,
    rate: int = 8000,
    widths: Sequence[int] = (16, 24, 32, 48),
    blocks: tuple[int, int] = (1, 2),
) -> Space:
    """Networks on waveforms for speech commands: log-mel spectrogram, temporal convolutions, recurrent layer.

    The first layer computes the spectrogram. A stem and three stages of convolutions over time follow; each stage
    begins with a stride of 2, and the channels of stem and stages are in the ratio 2:3:4:6. The decisions are the mel
    bands, whether they are normalised together or each, and the masks of SpecAugment; the width of the stem, and the
    kernel; the kind of the blocks, residual or cells, and how many there are in each stage; a bidirectional GRU at the
    end or none; and the dropout. A cell is the same everywhere: three nodes with the operations and skip connections of
    NAS-Bench-ASR. Residual blocks with a width of 16 and a kernel of 9 are TC-ResNet8 (one in each stage) and
    TC-ResNet14 (two).

    Choi et al., "Temporal convolution for real-time keyword spotting on mobile devices", Interspeech 2019. Mehrotra et
    al., "NAS-Bench-ASR: Reproducible neural architecture search for speech recognition", ICLR 2021. Park et al.,
    "SpecAugment: A simple data augmentation method for automatic speech recognition", Interspeech 2019.

    Args:
        input_shape: (samples,).
        classes: The number of classes.
        rate: Samples per second.
        widths: The options for the channels of the stem, even and ascending.
        blocks: The minimum and maximum number of blocks in a stage.

    Raises:
        SpaceError: An option is not allowed, or the waveforms are shorter than a frame.

    Example:
        >>> space = aw.spaces.create("audio", input_shape=(8000,), rate=8000)
        >>> list(space.decisions)[:4]
        ['bins', 'normalise', 'mask', 'width']
    """
    shape = checked_input("audio", input_shape, classes)
    layers = _encoder("audio", shape[0], rate, widths, blocks, strides=(2, 2, 2))
    head = [nn.AdaptiveAvgPool1d(1), nn.Flatten(), _dropout(), nn.LazyLinear(classes)]
    return Space(model=nn.Sequential(*layers, *head), example_input=shape, name="audio")


@register("speech", ranks=(1,), starts=_plain, special=True)
def speech(
    *,
    input_shape: Sequence[int] = (16000,),
    classes: int = 28,
    rate: int = 8000,
    widths: Sequence[int] = (32, 48, 64, 96),
    blocks: tuple[int, int] = (1, 2),
) -> Space:
    """Networks on waveforms for speech recognition: those of "audio" with scores for each frame of 20 ms.

    The decisions and papers are those of the space "audio", but only the first stage has a stride. The output has a
    score for each class and frame, (n, classes, frames).

    Args:
        input_shape: (samples,).
        classes: The number of classes: characters and the blank of the CTC loss.
        rate: Samples per second.
        widths: The options for the channels of the stem, even and ascending.
        blocks: The minimum and maximum number of blocks in a stage.

    Raises:
        SpaceError: An option is not allowed, or the waveforms are shorter than a frame.

    Example:
        >>> space = aw.spaces.create("speech", input_shape=(16000,), rate=8000)
        >>> network = space.build(space.sample(np.random.default_rng(0)))
        >>> network(torch.rand(2, 16000)).shape
        torch.Size([2, 28, 99])
    """
    shape = checked_input("speech", input_shape, classes)
    layers = _encoder("speech", shape[0], rate, widths, blocks, strides=(2, 1, 1))
    return Space(
        model=nn.Sequential(*layers, _dropout(), nn.LazyConv1d(classes, 1)), example_input=shape, name="speech"
    )


def _encoder(
    name: str, samples: int, rate: int, widths: Sequence[int], blocks: tuple[int, int], strides: Sequence[int]
) -> list[Any]:
    """Return the layers from waveforms to (n, channels, frames)."""
    if rate < _LEAST_RATE:
        raise SpaceError(f"space {name!r}: rate is {_LEAST_RATE} samples per second or more; {rate!r} was given")
    least = 1 << (rate // 40 - 1).bit_length()
    if samples < least:
        raise SpaceError(
            f"space {name!r}: waveforms have {least} samples or more at rate={rate}, a frame of 25 ms; "
            f"input_shape=({samples},) was given"
        )
    if not widths or any(width < 2 or width % 2 for width in widths):
        raise SpaceError(f"space {name!r}: widths are even and 2 or more; {widths!r} was given")
    if not 1 <= blocks[0] <= blocks[1]:
        raise SpaceError(f"space {name!r}: blocks={blocks} hold 1 <= least <= greatest")
    width = ordinal(*widths, name="width")
    kernel = ordinal(3, 5, 9, 15, name="kernel")
    cells = template(_cell)
    rows: dict[str, list[Any]] = {"residual": [], "cell": []}
    outputs: Any = width
    for index, (ratio, stride) in enumerate(zip(_STAGES, strides, strict=True)):
        inputs, outputs = outputs, width * ratio // 2
        first, rest = _residual(inputs, outputs, kernel, stride), _residual(outputs, outputs, kernel)
        rows["residual"].append(_repeated(first, rest, blocks, f"stage_{index}.blocks"))
        body = cells(outputs)
        rows["cell"] += [_convolution(inputs, outputs, kernel, stride), nn.ReLU()]
        rows["cell"].append(_repeated(body, body, blocks, f"stage_{index}.cells"))
    hidden = ordinal(32, 64, 128, name="hidden")
    recurrent = {
        "none": nn.Identity(),
        "gru": lazy("archwright.spaces._audio:Recurrent")(channels=outputs, hidden=hidden),
    }
    return [
        lazy("archwright.spaces._audio:LogMel")(
            bins=ordinal(20, 32, 40, 64, name="bins"),
            rate=rate,
            normalise=choice("utterance", "bins", name="normalise"),
        ),
        lazy("archwright.spaces._audio:SpectrumMask")(share=ordinal(0.0, 0.1, 0.2, 0.3, name="mask")),
        nn.LazyConv1d(width, 3, padding=1, bias=False),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        choice({kind: nn.Sequential(*layers) for kind, layers in rows.items()}, name="block"),
        choice(recurrent, name="recurrent"),
    ]


def _repeated(first: Any, rest: Any, blocks: tuple[int, int], name: str) -> Any:
    return repeat(lambda place: rest if place else first, *blocks, name=name)


def _residual(inputs: Any, outputs: Any, kernel: Any, stride: int = 1) -> Graph:
    """Return a block of TC-ResNet; where its inputs and outputs are the same, the input is added as it is."""
    branch = nn.Sequential(
        _convolution(inputs, outputs, kernel, stride), nn.ReLU(), _convolution(outputs, outputs, kernel)
    )
    shortcut = None if inputs is outputs else nn.Sequential(_convolution(inputs, outputs, 1, stride), nn.ReLU())

    def body(x: Any) -> Any:
        kept = x if shortcut is None else shortcut(x, name="shortcut")
        return nn.ReLU()(merge(kept, branch(x, name="branch"), name="added"), name="relu")

    return graph(body, name="residual")


def _cell(width: Any) -> Graph:
    """Return a cell of NAS-Bench-ASR: each node has an operation on the one before, and skips from any."""
    options = {
        "linear": _active(width, 1),
        **{f"conv{kernel}{f'd{gap}' * (gap > 1)}": _active(width, kernel, gap) for kernel in (5, 7) for gap in (1, 2)},
        "zero": None,
    }

    def body(x: Any) -> Any:
        values = [x]
        for node in range(1, _NODES + 1):
            taken = [choice(options, name=f"cell.op_{node}")(values[-1], name=f"op_{node}")]
            for source, value in enumerate(values):
                skip = choice({"none": None, "skip": nn.Identity()}, name=f"cell.skip_{source}_{node}")
                taken.append(skip(value, name=f"skip_{source}_{node}"))
            values.append(merge(*taken, name=f"node_{node}"))
        return nn.BatchNorm1d(width)(values[-1], name="norm")

    return graph(body, name="cell")


def _active(width: Any, kernel: int, gap: int = 1) -> Any:
    return nn.Sequential(
        nn.Conv1d(width, width, kernel, padding="same", dilation=gap, bias=False), nn.BatchNorm1d(width), nn.ReLU()
    )


def _convolution(inputs: Any, outputs: Any, kernel: Any, stride: int = 1) -> Any:
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False), nn.BatchNorm1d(outputs)
    )


def _dropout() -> Any:
    return nn.Dropout(ordinal(0.0, 0.1, 0.2, 0.3, 0.4, name="dropout"))
