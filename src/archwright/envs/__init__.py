"""Gymnasium environments of searches, for reinforcement learning agents of other libraries.

Gymnasium (`archwright[rl]`) is loaded when an environment is made, and torch only by evaluators that need it.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from archwright.envs._reward import Reward
from archwright.errors import StrategyError, require
from archwright.evaluate import Candidate, Evaluator
from archwright.space import Space

if TYPE_CHECKING:
    from archwright.envs._base import Invalid
    from archwright.envs._edit import EditEnv
    from archwright.envs._env import SearchEnv

__all__ = ["EditEnv", "Reward", "SearchEnv", "make"]


@overload
def make(
    space: Space,
    evaluator: Evaluator | Callable[[Candidate], Any],
    *,
    form: Literal["build"] = "build",
    reward: Reward | Callable[[Mapping[str, float]], float] | None = None,
    seed: int | None = None,
    invalid: Invalid = "wrap",
    worst: float | None = None,
    cache: bool = False,
) -> SearchEnv: ...


@overload
def make(
    space: Space,
    evaluator: Evaluator | Callable[[Candidate], Any],
    *,
    form: Literal["edit"],
    reward: Reward | Callable[[Mapping[str, float]], float] | None = None,
    seed: int | None = None,
    invalid: Invalid = "wrap",
    worst: float | None = None,
    cache: bool = False,
    start: Mapping[str, Any] | None = None,
    steps: int = 20,
    discount: float = 0.99,
    observe: Sequence[str] | None = None,
) -> EditEnv: ...


def make(
    space: Space, evaluator: Evaluator | Callable[[Candidate], Any], *, form: str = "build", **settings: Any
) -> SearchEnv | EditEnv:
    """Return a `gymnasium.Env` of a search.

    Args:
        space: The space.
        evaluator: An `Evaluator`, or a function `f(candidate) -> float | dict`.
        form: "build": an episode makes the decisions of an architecture one by one, with a reward at its end
            (`SearchEnv`). "edit": each step of an episode adds, removes or changes a layer of an architecture, with a
            reward (`EditEnv`).
        **settings: Further arguments of that class.

    Raises:
        MissingExtra: Gymnasium is not installed.
        StrategyError: The form or a setting is unknown, or a setting is out of range.
        SpaceError: The space has no decisions, or has parts that the evaluator does not support.
        ShapeError: The space's networks do not fit the evaluator's data.
        EvaluationError: The evaluator is neither an `Evaluator` nor a function.

    Example:
        >>> space = aw.Space(x=aw.choice(0, 5), y=aw.choice(0, 1))
        >>> env = aw.envs.make(space, lambda candidate: candidate.settings["x"] + candidate.settings["y"], seed=0)
        >>> observation, info = env.reset()
        >>> [env.step(action)[1] for action in (1, 1)]
        [0.0, 6.0]
    """
    require("gymnasium", extra="rl", purpose="archwright.envs")
    from archwright.envs._edit import EditEnv
    from archwright.envs._env import SearchEnv

    forms: dict[str, type[SearchEnv | EditEnv]] = {"build": SearchEnv, "edit": EditEnv}
    if form not in forms:
        raise StrategyError(f"form must be one of {', '.join(map(repr, forms))}, not {form!r}")
    known = [name for name in inspect.signature(forms[form]).parameters if name not in ("space", "evaluator")]
    for name in settings:
        if name not in known:
            raise StrategyError(f"an environment of form={form!r} has no setting {name!r}; it has: {', '.join(known)}")
    return forms[form](space, evaluator, **settings)


def __getattr__(name: str) -> object:
    """Import an environment, and gymnasium with it, when it is asked for."""
    if name in ("EditEnv", "SearchEnv"):
        require("gymnasium", extra="rl", purpose="archwright.envs")
        return getattr(importlib.import_module(f"archwright.envs.{'_edit' if name == 'EditEnv' else '_env'}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
