"""Saved networks: files, predictions, and measured costs."""

from typing import TYPE_CHECKING

from archwright._lazy import lazy
from archwright.export._best import (
    BEST,
    ENSEMBLE,
    FRONT,
    POOL,
    TOP,
    clear_all_but,
    load_best,
    read_best,
    save_best,
)
from archwright.export._card import Card
from archwright.export._ensemble import Members
from archwright.export._export import FORMATS, export_network
from archwright.export._hub import check_repository, push
from archwright.export._measure import Measured, measure_networks
from archwright.export._saved import Saved

if TYPE_CHECKING:
    from archwright.export._predict import Predictor, load, report
    from archwright.export._serve import make_app, serve

__all__ = [
    "BEST",
    "ENSEMBLE",
    "FORMATS",
    "FRONT",
    "POOL",
    "TOP",
    "Card",
    "Measured",
    "Members",
    "Predictor",
    "Saved",
    "check_repository",
    "clear_all_but",
    "export_network",
    "load",
    "load_best",
    "make_app",
    "measure_networks",
    "push",
    "read_best",
    "report",
    "save_best",
    "serve",
]

__getattr__ = lazy(__name__, {"_predict": ["Predictor", "load", "report"], "_serve": ["make_app", "serve"]})
