"""Labelled data: loading, splits, and preprocessing."""

from archwright.datasets._advice import advice
from archwright.datasets._arrays import to_array
from archwright.datasets._data import Data, Part
from archwright.datasets._image_preprocess import ImagePreprocess
from archwright.datasets._load import data
from archwright.datasets._named import registry
from archwright.datasets._preprocess import (
    Estimate,
    Normalised,
    Prediction,
    Preprocess,
    Result,
    load_preprocess,
    preprocess_from_json,
)
from archwright.datasets._reading import GIGABYTES, IMAGES, InputError, check_file
from archwright.datasets._split import choose
from archwright.datasets._table_preprocess import Column, TablePreprocess

__all__ = [
    "GIGABYTES",
    "IMAGES",
    "Column",
    "Data",
    "Estimate",
    "ImagePreprocess",
    "InputError",
    "Normalised",
    "Part",
    "Prediction",
    "Preprocess",
    "Result",
    "TablePreprocess",
    "advice",
    "check_file",
    "choose",
    "data",
    "load_preprocess",
    "preprocess_from_json",
    "registry",
    "to_array",
]
