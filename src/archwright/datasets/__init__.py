"""Labelled data: where it comes from, its split, and what a network sees of it."""

from archwright.datasets._data import Data, Part
from archwright.datasets._load import data
from archwright.datasets._named import registry

__all__ = ["Data", "Part", "data", "registry"]
