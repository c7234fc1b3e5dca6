"""The outputs of a network's blocks."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any, NamedTuple

from torch import Tensor, nn

_ENOUGH = 3  # blocks; with fewer, they are opened


class Block(NamedTuple):
    """What a block gave, within the graph of the pass, and the axis of its channels."""

    output: Tensor
    axis: int


def blocks_of(model: nn.Module) -> list[nn.Module]:
    """Return the outermost blocks of a network: its cells, stages or residual blocks, its stem and its head.

    A block is a module that has parts or a matrix of weights; layers of `torch.nn` that have neither, such as
    activations, normalisation and pooling, are none. They are the network's own parts. Where these are fewer than
    three, as in a network of features and a classifier, the parts of these count instead, and so on.
    """
    blocks = [model]
    while len(blocks) < _ENOUGH and any(_has_parts(block) for block in blocks):
        blocks = [part for block in blocks for part in (_parts(block) if _has_parts(block) else [block])]
    return blocks


class BlockOutputs(ExitStack):
    """Listens to the blocks of a network until it is closed."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._channels_first = any(isinstance(module, nn.modules.conv._ConvNd) for module in model.modules())
        self._found: list[Tensor] = []
        for block in blocks_of(model):
            self.callback(block.register_forward_hook(self._note).remove)

    def before(self, outputs: Tensor) -> list[Block]:
        """Return what the blocks gave, without the head, which gives the network's outputs.

        Where there are positions, blocks that give none are the head; where there are none, the last block is.
        """
        axes = max((output.ndim for output in self._found), default=0)
        found = self._found if axes > outputs.ndim else self._found[:-1]
        axis = 1 if axes == 2 or self._channels_first else -1
        return [Block(output, axis) for output in found if output.ndim == axes]

    def _note(self, module: nn.Module, _: Any, output: Any) -> Any:
        if isinstance(output, tuple) and output and isinstance(output[0], Tensor):  # a recurrent layer, with its state
            copy = output[0].clone()
            self._found.append(output[0])
            return (copy, *output[1:])
        if not isinstance(output, Tensor):
            return None
        copy = output.clone()  # the network goes on with the copy: a layer in place leaves this one alone
        self._found.append(output)
        return copy


def _parts(block: nn.Module) -> Iterable[nn.Module]:
    for part in block.children():
        if isinstance(part, nn.ModuleList | nn.ModuleDict):  # never called themselves
            yield from _parts(part)
        elif _is_block(part):
            yield part


def _has_parts(block: nn.Module) -> bool:
    return any(True for _ in _parts(block))


def _is_block(module: nn.Module) -> bool:
    if any(True for _ in module.children()) or not type(module).__module__.startswith("torch.nn."):
        return True
    return any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))
