"""Drawings of spaces and architectures: SVG, trees for terminals, and differences. Drawing loads torch."""

from archwright.draw._difference import Difference, difference
from archwright.draw._drawing import Drawing, svg, tree

__all__ = ["Difference", "Drawing", "difference", "svg", "tree"]
