"""The base class of proxies, and their registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from archwright._registry import Classes
from archwright.errors import EvaluationError

if TYPE_CHECKING:
    from archwright.proxies._passes import Passes


class Proxy(ABC):
    """Base class of zero-cost proxies: the score of an untrained network, greater is better.

    A frozen dataclass of its settings.

    Attributes:
        needs: The properties of `Passes` that it reads; proxies that are scored together share them.
        parts: For a proxy that ranks the networks of a set: the proxies that `aggregate` combines.

    Example:
        >>> class Depth(aw.proxies.Proxy):
        ...     def score(self, passes):
        ...         return len(passes.weights)
        >>> inputs, targets = torch.eye(2), torch.tensor([0, 1])
        >>> Depth().score(aw.proxies.Passes(torch.nn.Linear(2, 2), inputs, targets, needs=frozenset()))
        1
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    parts: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def score(self, passes: Passes) -> float:
        """Return the score.

        Args:
            passes: The results of forward and backward passes of the network over a batch.

        Raises:
            EvaluationError: The proxy is undefined for this network; the message gives the reason and what to do.
        """


_classes: Classes[Proxy] = Classes("proxy", EvaluationError)
register = _classes.register
create = _classes.create
names = _classes.names
entries = _classes.entries
name_of = _classes.name_of
