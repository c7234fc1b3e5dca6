"""Inherited weights: a network begins with the trained weights of another one of its space (network morphism)."""

from archwright.morphism._inherit import Inherited, inherit

__all__ = ["Inherited", "inherit"]
