"""What a search knows of earlier searches and of its user: earlier runs, priors, and the matching of spaces."""

from archwright.transfer._background import Background, EarlierRun
from archwright.transfer._match import Matching, match
from archwright.transfer._prior import Prior

__all__ = ["Background", "EarlierRun", "Matching", "Prior", "match"]
