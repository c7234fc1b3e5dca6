"""Trained networks: kept as parts of a space, and made spaces of their sub-networks."""

from archwright.adapt._elastic import elastic, largest
from archwright.adapt._trained import pretrained

__all__ = ["elastic", "largest", "pretrained"]
