"""Trained networks: kept as parts of a space, made spaces of their sub-networks, and shrunk."""

from archwright.adapt._elastic import elastic
from archwright.adapt._program import BlockProgram
from archwright.adapt._shrink import Shrunk, shrink
from archwright.adapt._trained import pretrained

__all__ = ["BlockProgram", "Shrunk", "elastic", "pretrained", "shrink"]
