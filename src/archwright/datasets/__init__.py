"""Labelled data: loading, splits, and preprocessing."""

from archwright.datasets._advice import advice
from archwright.datasets._arrays import to_array
from archwright.datasets._data import Data, Part
from archwright.datasets._load import data
from archwright.datasets._named import registry
from archwright.datasets._preprocess import Column, ImagePreprocess, Normalised, Preprocess, TablePreprocess
from archwright.datasets._preprocess_json import load_preprocess, preprocess_from_json
from archwright.datasets._reading import GIGABYTES, IMAGES, InputError, check_file
from archwright.datasets._split import choose

__all__ = [
    "GIGABYTES",
    "IMAGES",
    "Column",
    "Data",
    "ImagePreprocess",
    "InputError",
    "Normalised",
    "Part",
    "Preprocess",
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
