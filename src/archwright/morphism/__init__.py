"""Inherited weights (network morphism): initialisation with the trained weights of a similar architecture."""

from archwright.morphism._inherit import Inherited, inherit

__all__ = ["Inherited", "inherit"]
