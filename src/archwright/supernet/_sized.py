"""A layer of a supernet in one of its sizes."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from archwright.evaluate import is_frozen_norm
from archwright.supernet._weights import SharedWeights, Slot
from archwright.supernet.elastic import cut, rule_of

if TYPE_CHECKING:
    from archwright.supernet._execution import Engine

_STATELESS = frozenset(
    getattr(nn, name)
    for name in (
        *("ReLU", "ReLU6", "LeakyReLU", "ELU", "GELU", "SiLU", "Sigmoid", "Tanh", "Hardswish", "Mish", "Softplus"),
        *("MaxPool1d", "MaxPool2d", "MaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "ZeroPad2d", "Hardshrink"),
        *("AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d"),
    )
)
"""Layers that give the same for the same, whenever they are run."""


class SizedLayer:
    """A layer of one size."""

    def __init__(self, module: nn.Module, slots: list[Slot]) -> None:
        self.module = module
        self.slots = slots
        layers = {id(slot.layer): slot.layer for slot in slots}.values()
        rules = [(rule_of(layer), layer) for layer in layers]
        self._bound = [(rule.bound, layer) for rule, layer in rules if rule is not None and rule.bound is not None]
        module.train()
        self._all_norms = [each for each in module.modules() if isinstance(each, _NormBase) and each.training]
        self._norms, self._frozen = self._all_norms, list[nn.Module]()
        self.does = repr(module) if type(module) in _STATELESS and not getattr(module, "inplace", False) else None
        self._version = -1
        self._sliced: list[tuple[Slot, Tensor]] = []
        self._buffers: list[tuple[Slot, Tensor]] = []

    def bind(self, bank: SharedWeights) -> bool:
        """Give the layer its part of the weights; return whether there is such a part."""
        if self._version != bank.version:
            held = [(slot, bank.held(slot.key)) for slot in self.slots]
            known = [(slot, tensor) for slot, tensor in held if tensor is not None]
            if len(known) < len(held) or any(any(map(operator.lt, tensor.shape, slot.shape)) for slot, tensor in known):
                return False
            for slot, tensor in known:
                slot.store[slot.name] = cut(tensor, slot.shape, slot.part)
            self._sliced = [(slot, tensor) for slot, tensor in known if slot.shape != tensor.shape]
            self._buffers = [each for each in known if not each[0].is_parameter and rule_of(each[0].layer) is None]
            self._frozen = [each for each in self._all_norms if is_frozen_norm(each)]
            self._norms = [each for each in self._all_norms if each not in self._frozen]
            self._version = bank.version
        else:
            for slot, tensor in self._sliced:
                slot.store[slot.name] = cut(tensor, slot.shape, slot.part)
        for bound, layer in self._bound:
            bound(layer)
        return True

    def run(self, inputs: tuple[Tensor, ...], engine: Engine) -> Any:
        """Run the layer with the weights that it is bound to."""
        if self.module.training != engine.training:
            self.module.train(engine.training)
        for norm in self._frozen:
            norm.eval()
        if engine.bank.calibrating is None or not self._norms:
            result = self.module(*inputs)
        else:
            result = self._calibrate(inputs, engine.bank.calibrating)
        for slot, tensor in self._buffers:
            self._keep(slot, tensor)
        return result

    def _keep(self, slot: Slot, tensor: Tensor) -> None:
        """Take over a buffer that the layer has put another tensor in the place of."""
        value = slot.store[slot.name]
        if value is not tensor and value.data_ptr() != tensor.data_ptr():
            part = cut(tensor, slot.shape, slot.part)
            part.copy_(value.detach())
            slot.store[slot.name] = part

    def _calibrate(self, inputs: tuple[Tensor, ...], momentum: float) -> Any:
        held = [norm.momentum for norm in self._norms]
        for norm in self._norms:
            norm.train()
            norm.momentum = momentum
        try:
            return self.module(*inputs)
        finally:
            for norm, value in zip(self._norms, held, strict=True):
                norm.eval()
                norm.momentum = value
