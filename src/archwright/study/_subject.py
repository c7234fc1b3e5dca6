"""What the mixins of results read."""

from __future__ import annotations

from archwright.space import Space
from archwright.trials import History


class Subject:
    """Base class of the mixins of results: what they are about."""

    @property
    def space(self) -> Space:
        """The search space."""
        raise NotImplementedError

    @property
    def history(self) -> History:
        """The history."""
        raise NotImplementedError
