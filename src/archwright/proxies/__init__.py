"""Zero-cost proxies: scores of untrained networks that correlate with their accuracy after training.

`score` computes several for a network, `aggregate` combines the ranks of a set of networks, and `ProxyEvaluator` is the
evaluator for a search.
"""

from archwright.proxies._aznas import AzNas, aggregate
from archwright.proxies._base import Proxy, create, entries, name_of, names, register
from archwright.proxies._evaluator import ProxyEvaluator
from archwright.proxies._expressivity import Expressivity
from archwright.proxies._fisher import Fisher
from archwright.proxies._flops import Flops
from archwright.proxies._gradnorm import GradNorm
from archwright.proxies._grasp import Grasp
from archwright.proxies._jacov import Jacov
from archwright.proxies._naswot import Naswot
from archwright.proxies._parameters import Parameters
from archwright.proxies._passes import Passes
from archwright.proxies._progressivity import Progressivity
from archwright.proxies._score import score
from archwright.proxies._snip import Snip
from archwright.proxies._synflow import Synflow
from archwright.proxies._trainability import Trainability
from archwright.proxies._zen import Zen
from archwright.proxies._zico import Zico

__all__ = [
    "AzNas",
    "Expressivity",
    "Fisher",
    "Flops",
    "GradNorm",
    "Grasp",
    "Jacov",
    "Naswot",
    "Parameters",
    "Passes",
    "Progressivity",
    "Proxy",
    "ProxyEvaluator",
    "Snip",
    "Synflow",
    "Trainability",
    "Zen",
    "Zico",
    "aggregate",
    "create",
    "entries",
    "name_of",
    "names",
    "register",
    "score",
]
