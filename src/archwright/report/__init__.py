"""Reports of searches: charts as SVG, pages of HTML, and searches side by side. Reads a study, and starts nothing."""

from archwright.report._comparison import SearchComparison, SearchRow, compared
from archwright.report._html import write
from archwright.report._page import report
from archwright.report._plots import Plots
from archwright.report._searched import Searched, best_so_far, value_of

__all__ = [
    "Plots",
    "SearchComparison",
    "SearchRow",
    "Searched",
    "best_so_far",
    "compared",
    "report",
    "value_of",
    "write",
]
