"""Strategies: functions of the history that propose architectures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archwright._lazy import lazy
from archwright.strategies._annealing import SimulatedAnnealing
from archwright.strategies._bananas import Bananas
from archwright.strategies._base import Strategy, check_space, create, entries, name_of, names, options, register
from archwright.strategies._bo import BayesianOptimisation
from archwright.strategies._botorch import BoTorch
from archwright.strategies._deepq import DeepQ
from archwright.strategies._episode import Episode, episode_layout
from archwright.strategies._evolution import Evolution
from archwright.strategies._genetic import Genetic
from archwright.strategies._grid import Grid
from archwright.strategies._hyperopt import Hyperopt
from archwright.strategies._initial import initial, openings
from archwright.strategies._llm import LLM
from archwright.strategies._local import LocalSearch
from archwright.strategies._mapelites import MapElites
from archwright.strategies._mobo import MultiObjectiveBO
from archwright.strategies._moevolution import MultiObjectiveEvolution
from archwright.strategies._mulambda import MuPlusLambda
from archwright.strategies._nearby import unseen_near
from archwright.strategies._npenas import Npenas
from archwright.strategies._nsga2 import NSGA2
from archwright.strategies._nsga3 import NSGA3
from archwright.strategies._oneshot import DARTS, ENAS, GDAS, PCDARTS, DrNAS, OneShot, ProxylessNAS
from archwright.strategies._optuna import TPE, Optuna
from archwright.strategies._paretolocal import ParetoLocalSearch
from archwright.strategies._portfolio import Portfolio
from archwright.strategies._ppo import PPO
from archwright.strategies._predictor import PredictorGuided
from archwright.strategies._qlearning import QLearning
from archwright.strategies._random import Random
from archwright.strategies._reinforce import Reinforce
from archwright.strategies._scalarised import Scalarised, for_objectives

if TYPE_CHECKING:
    from archwright.strategies._controller import Controller

__all__ = [
    "DARTS",
    "ENAS",
    "GDAS",
    "LLM",
    "NSGA2",
    "NSGA3",
    "PCDARTS",
    "PPO",
    "TPE",
    "Bananas",
    "BayesianOptimisation",
    "BoTorch",
    "Controller",
    "DeepQ",
    "DrNAS",
    "Episode",
    "Evolution",
    "Genetic",
    "Grid",
    "Hyperopt",
    "LocalSearch",
    "MapElites",
    "MuPlusLambda",
    "MultiObjectiveBO",
    "MultiObjectiveEvolution",
    "Npenas",
    "OneShot",
    "Optuna",
    "ParetoLocalSearch",
    "Portfolio",
    "PredictorGuided",
    "ProxylessNAS",
    "QLearning",
    "Random",
    "Reinforce",
    "Scalarised",
    "SimulatedAnnealing",
    "Strategy",
    "check_space",
    "create",
    "entries",
    "episode_layout",
    "for_objectives",
    "initial",
    "name_of",
    "names",
    "openings",
    "options",
    "register",
    "unseen_near",
]

__getattr__ = lazy(__name__, {"_controller": ["Controller"]})  # it needs torch
