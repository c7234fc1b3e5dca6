"""Labelled data: loading, splits, and preprocessing."""

from archwright.datasets._advice import advice
from archwright.datasets._arrays import to_array
from archwright.datasets._data import Data, Part
from archwright.datasets._image_preprocess import ImagePreprocess
from archwright.datasets._load import TASKS, data
from archwright.datasets._masks import Mask, SegmentationPreprocess
from archwright.datasets._moments import moments_of
from archwright.datasets._named import registry
from archwright.datasets._pairs import IGNORED, find_pairs, image_size, read_pairs
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
from archwright.datasets._split import choose, three_parts
from archwright.datasets._table_preprocess import Column, TablePreprocess

__all__ = [
    "GIGABYTES",
    "IGNORED",
    "IMAGES",
    "TASKS",
    "Column",
    "Data",
    "Estimate",
    "ImagePreprocess",
    "InputError",
    "Mask",
    "Normalised",
    "Part",
    "Prediction",
    "Preprocess",
    "Result",
    "SegmentationPreprocess",
    "TablePreprocess",
    "advice",
    "check_file",
    "choose",
    "data",
    "find_pairs",
    "image_size",
    "load_preprocess",
    "moments_of",
    "preprocess_from_json",
    "read_pairs",
    "registry",
    "three_parts",
    "to_array",
]
