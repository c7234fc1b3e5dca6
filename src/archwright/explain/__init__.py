"""What a search has learned: which decisions matter, what each option does, and what a change would do."""

from archwright.explain._effects import Effects, Interaction, OptionEffect, effects
from archwright.explain._explanation import Explanation, explain
from archwright.explain._importance import DecisionImportance, Importance, importance
from archwright.explain._sample import Sample, aim, compared, name_of
from archwright.explain._what_if import Change, WhatIf, what_if

__all__ = [
    "Change",
    "DecisionImportance",
    "Effects",
    "Explanation",
    "Importance",
    "Interaction",
    "OptionEffect",
    "Sample",
    "WhatIf",
    "aim",
    "compared",
    "effects",
    "explain",
    "importance",
    "name_of",
    "what_if",
]
