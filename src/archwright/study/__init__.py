"""Studies: recorded searches, from the first trial to the final training."""

from archwright.study._baseline import Baseline
from archwright.study._best import Best
from archwright.study._budget import Budget
from archwright.study._callback import Callback
from archwright.study._clock import counting_from
from archwright.study._compared import compare
from archwright.study._describe import restore_evaluator
from archwright.study._ensemble import Ensemble
from archwright.study._folder import check_run_folder
from archwright.study._found import Found, find_studies
from archwright.study._knowledge import KnowledgeBase, KnownRun
from archwright.study._nested import Nested
from archwright.study._optuna import optuna_storage
from archwright.study._progress import Progress
from archwright.study._propose import Planner
from archwright.study._search import load, search
from archwright.study._study import Study
from archwright.study._verify import Verification, verify
from archwright.study._warm import EarlierTrials

__all__ = [
    "Baseline",
    "Best",
    "Budget",
    "Callback",
    "EarlierTrials",
    "Ensemble",
    "Found",
    "KnowledgeBase",
    "KnownRun",
    "Nested",
    "Planner",
    "Progress",
    "Study",
    "Verification",
    "check_run_folder",
    "compare",
    "counting_from",
    "find_studies",
    "load",
    "optuna_storage",
    "restore_evaluator",
    "search",
    "verify",
]
