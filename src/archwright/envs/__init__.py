"""A search as an environment, for agents from other libraries.

Gymnasium (`archwright[rl]`) is loaded when an environment is made, and torch only by evaluators that need it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from archwright.envs._reward import Reward
from archwright.errors import require
from archwright.evaluate import Candidate, Evaluator
from archwright.space import Space

if TYPE_CHECKING:
    from archwright.envs._env import Invalid, SearchEnv

__all__ = ["Reward", "SearchEnv", "make"]


def make(
    space: Space,
    evaluator: Evaluator | Callable[[Candidate], Any],
    *,
    reward: Reward | Callable[[Mapping[str, float]], float] | None = None,
    seed: int | None = None,
    invalid: Invalid = "wrap",
    worst: float | None = None,
    cache: bool = False,
) -> SearchEnv:
    """Return a search as a `gymnasium.Env`: `SearchEnv`, whose arguments and errors these are.

    Raises:
        MissingExtra: Gymnasium is not installed.
    """
    require("gymnasium", extra="rl", purpose="archwright.envs")
    from archwright.envs._env import SearchEnv

    return SearchEnv(space, evaluator, reward=reward, seed=seed, invalid=invalid, worst=worst, cache=cache)


def __getattr__(name: str) -> object:
    """Import the environment, and gymnasium with it, when it is asked for."""
    if name == "SearchEnv":
        require("gymnasium", extra="rl", purpose="archwright.envs")
        from archwright.envs._env import SearchEnv

        return SearchEnv
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
