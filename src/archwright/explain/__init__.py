"""What a search has learned: which decisions matter, what each option does, and what a change would do."""

from archwright.explain._importance import DecisionImportance, Importance, importance
from archwright.explain._sample import Sample, aim, compared

__all__ = [
    "DecisionImportance",
    "Importance",
    "Sample",
    "aim",
    "compared",
    "importance",
]
