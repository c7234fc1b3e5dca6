"""Attention in plain layers: what replaces torch's fused modules before a network is traced."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from archwright.errors import RelaxationError


class Attention(nn.Module):
    """Multi-head attention by four linear layers, whose heads can be removed one by one.

    Args:
        width: The width of the input and the output.
        heads: The number of heads.
        size: The width of a head.
        dropout: Of the attention weights.
    """

    def __init__(self, width: int, heads: int, size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, heads * size) for _ in range(3))
        self.out = nn.Linear(heads * size, width)
        self.drop = nn.Dropout(dropout)
        self.heads, self.size, self.dropout = heads, size, dropout

    def forward(self, query: Tensor, key: Tensor, value: Tensor, padding: Any = None, mask: Any = None) -> Tensor:
        """Return (batch, length, width) for queries, keys and values of that shape.

        `padding` (batch, length) is true where keys are ignored; `mask` (length, length) likewise, or is added.
        """
        q, k, v = (
            torch.transpose(torch.unflatten(layer(each), -1, (-1, self.size)), 1, 2)
            for layer, each in ((self.query, query), (self.key, key), (self.value, value))
        )
        scores = torch.matmul(q, torch.transpose(k, 2, 3)) * (1 / math.sqrt(self.size))
        if mask is not None:
            scores = scores + mask
        if padding is not None:
            hidden = torch.unsqueeze(torch.unsqueeze(padding, 1), 1)
            scores = torch.masked_fill(scores, hidden, -1e9)
        mixed = torch.matmul(self.drop(torch.softmax(scores, -1)), v)
        out: Tensor = self.out(torch.flatten(torch.transpose(mixed, 1, 2), 2))
        return out


class TorchAttention(nn.Module):
    """Stands for `nn.MultiheadAttention`."""

    def __init__(self, given: nn.MultiheadAttention, path: str) -> None:
        super().__init__()
        if not given.batch_first:
            raise RelaxationError(
                f"{path}: MultiheadAttention has batch_first=False; only batch_first=True is supported"
            )
        if not given._qkv_same_embed_dim or given.bias_k is not None or given.add_zero_attn:
            raise RelaxationError(
                f"{path}: MultiheadAttention with kdim, vdim, add_bias_kv or add_zero_attn is not supported"
            )
        self.attention = Attention(given.embed_dim, given.num_heads, given.head_dim, given.dropout)
        layers = self.attention.query, self.attention.key, self.attention.value
        for number, layer in enumerate(layers):
            rows = slice(number * given.embed_dim, (number + 1) * given.embed_dim)
            layer.weight = _part(given.in_proj_weight, rows)
            layer.bias = _part(given.in_proj_bias, rows)
        self.attention.out.weight, self.attention.out.bias = given.out_proj.weight, given.out_proj.bias

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, None]:
        """Return the output, and None in place of the attention weights."""
        return self.attention(query, key, value, key_padding_mask, attn_mask), None


class EncoderLayer(nn.Module):
    """Stands for `nn.TransformerEncoderLayer`."""

    def __init__(self, given: nn.TransformerEncoderLayer, path: str) -> None:
        super().__init__()
        self.attention = TorchAttention(given.self_attn, f"{path}.self_attn").attention
        self.norm_first, self.activation = given.norm_first, activation_of(given.activation)
        self.up, self.down, self.drop = given.linear1, given.linear2, given.dropout
        self.norm1, self.norm2 = given.norm1, given.norm2
        self.dropout1, self.dropout2 = given.dropout1, given.dropout2

    def forward(
        self, src: Tensor, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: Any = False
    ) -> Tensor:
        """Return (batch, length, width)."""
        x = src
        if self.norm_first:
            inner = self.norm1(x)
            x = x + self.dropout1(self.attention(inner, inner, inner, src_key_padding_mask, src_mask))
            after: Tensor = x + self._feed(self.norm2(x))
            return after
        x = self.norm1(x + self.dropout1(self.attention(x, x, x, src_key_padding_mask, src_mask)))
        out: Tensor = self.norm2(x + self._feed(x))
        return out

    def _feed(self, x: Tensor) -> Tensor:
        out: Tensor = self.dropout2(self.down(self.drop(self.activation(self.up(x)))))
        return out


class Encoder(nn.Module):
    """Stands for `nn.TransformerEncoder`."""

    def __init__(self, given: nn.TransformerEncoder) -> None:
        super().__init__()
        self.layers, self.norm = given.layers, given.norm

    def forward(self, src: Tensor, mask: Any = None, src_key_padding_mask: Any = None, is_causal: Any = None) -> Tensor:
        """Return (batch, length, width)."""
        for layer in self.layers:
            src = layer(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask)
        out: Tensor = src if self.norm is None else self.norm(src)
        return out


def in_plain_layers(module: nn.Module, path: str = "") -> nn.Module:
    """Return a module whose attention is made of plain layers; the module given is changed.

    Raises:
        RelaxationError: A setting of attention is not supported; the message names the layer.
    """
    for name, part in list(module.named_children()):
        setattr(module, name, in_plain_layers(part, f"{path}.{name}" if path else name))
    if isinstance(module, nn.MultiheadAttention):
        return TorchAttention(module, path)
    if isinstance(module, nn.TransformerEncoder):
        return Encoder(module)
    return module


def replaced(module: nn.Module, path: str = "") -> nn.Module:
    """Return the same with encoder layers replaced first, which read their attention."""
    for name, part in list(module.named_children()):
        setattr(module, name, replaced(part, f"{path}.{name}" if path else name))
    return EncoderLayer(module, path) if isinstance(module, nn.TransformerEncoderLayer) else module


def _part(old: nn.Parameter | None, rows: slice) -> Any:
    return None if old is None else nn.Parameter(old[rows].detach().clone(), requires_grad=old.requires_grad)


def activation_of(given: Any) -> nn.Module:
    """Return an activation as a layer of torch."""
    if type(given).__module__.startswith("torch.nn."):
        made: nn.Module = given
        return made
    kinds: dict[str, type[nn.Module]] = {
        "gelu": nn.GELU,
        "relu": nn.ReLU,
        "silu": nn.SiLU,
        "tanh": nn.Tanh,
        "GELUActivation": nn.GELU,
    }
    name = getattr(given, "__name__", type(given).__name__)
    if name not in kinds:
        raise RelaxationError(f"the activation {name} is not supported; those that are: {', '.join(kinds)}")
    return kinds[name]()
