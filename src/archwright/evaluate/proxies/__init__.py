"""Zero-cost proxies: how good a network may become, from a look at it before it is trained.

`score` scores a network by several at once, `aggregate` ranks a set of networks by several together, and
`ProxyEvaluator` lets a search go by them.
"""

from archwright.evaluate.proxies._aznas import AzNas, aggregate
from archwright.evaluate.proxies._base import Proxy, create, entries, name_of, names, register
from archwright.evaluate.proxies._evaluator import ProxyEvaluator
from archwright.evaluate.proxies._expressivity import Expressivity
from archwright.evaluate.proxies._fisher import Fisher
from archwright.evaluate.proxies._flops import Flops
from archwright.evaluate.proxies._gradnorm import GradNorm
from archwright.evaluate.proxies._grasp import Grasp
from archwright.evaluate.proxies._jacov import Jacov
from archwright.evaluate.proxies._naswot import Naswot
from archwright.evaluate.proxies._parameters import Parameters
from archwright.evaluate.proxies._passes import Passes
from archwright.evaluate.proxies._progressivity import Progressivity
from archwright.evaluate.proxies._score import score
from archwright.evaluate.proxies._snip import Snip
from archwright.evaluate.proxies._synflow import Synflow
from archwright.evaluate.proxies._trainability import Trainability
from archwright.evaluate.proxies._zen import Zen
from archwright.evaluate.proxies._zico import Zico

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
