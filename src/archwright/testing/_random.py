"""Random spaces for property-based tests, drawn by Hypothesis."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import hypothesis.strategies as st

from archwright import nn, optim
from archwright.space import Space, cell, choice, graph, integer, merge, ordinal, real, repeat, subset, template

T = TypeVar("T")

CHANNELS = 4
SHAPE = (CHANNELS, 5, 5)
"""The shape of one sample that a drawn network takes and gives."""


def expressions(*, depth: int = 3) -> st.SearchStrategy[Any]:
    """Hypothesis strategy for expressions of modules that keep the shape of their input, `(batch, 4, 5, 5)`.

    They cover the language: nested, named, tied and ordered choices, depths, cells, graphs with absent operations,
    templates, and arithmetic on decisions.

    Args:
        depth: Maximum depth of nesting.

    Example:
        >>> from hypothesis import given, settings
        >>> @settings(max_examples=3, database=None)
        ... @given(aw.testing.expressions(depth=1))
        ... def test(expression):
        ...     assert aw.Space(model=expression).bound >= 1
        >>> test()
    """
    return st.builds(lambda drawn: drawn, _draw(lambda writer: writer.module(depth)))


def random_spaces(*, networks: bool = True, reals: bool = False, most: float | None = None) -> st.SearchStrategy[Space]:
    """Hypothesis strategy for valid spaces.

    Args:
        networks: Whether they have a model, or settings only, which do not need torch.
        reals: Whether they may have real decisions, which makes a space infinite.
        most: Maximum number of architectures.

    Example:
        >>> from hypothesis import given, settings
        >>> @settings(max_examples=3, database=None)
        ... @given(aw.testing.random_spaces(networks=False, most=10))
        ... def test(space):
        ...     assert 1 <= space.size <= 10
        >>> test()
    """

    def write(writer: _Writer) -> Space:
        parts: dict[str, Any] = {"model": writer.module(3)} if networks else {"first": writer.setting(3)}
        for name in writer.some(("second", "third"), 0, 2):
            parts[name] = writer.setting(2)
        if networks and writer.one((True, False)):
            parts["optimizer"] = optim.SGD(lr=writer.number(), momentum=writer.one((0.0, 0.9)))
        return Space(**parts, example_input=SHAPE if networks else None)

    spaces = _draw(write, reals=reals)
    return spaces if most is None else spaces.filter(lambda space: space.bound <= most)


def _draw(write: Callable[[_Writer], T], *, reals: bool = False) -> st.SearchStrategy[T]:
    @st.composite
    def drawn(draw: Callable[[st.SearchStrategy[Any]], Any]) -> T:
        return write(_Writer(draw, reals))

    return drawn()


class _Writer:
    """Writes one random expression; remembers what it wrote, to use it again in other places."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any], reals: bool) -> None:
        self.draw = draw
        self.reals = reals
        self.numbers: list[Any] = []
        self.modules: list[Any] = []
        self.count = itertools.count()

    def one(self, options: Sequence[T]) -> T:
        drawn: T = self.draw(st.sampled_from(options))
        return drawn

    def some(self, options: Sequence[T], least: int, most: int) -> list[T]:
        drawn: list[T] = self.draw(st.lists(st.sampled_from(options), min_size=least, max_size=most, unique=True))
        return drawn

    def name(self) -> str | None:
        return f"named_{next(self.count)}" if self.one((False, False, True)) else None

    # ------------------------------------------------------------------ numbers and settings

    def number(self) -> Any:
        """A whole number of 1 to 12, or what decides one."""
        kinds = ["constant", "choice", "ordinal", "integer", "arithmetic", *["again"] * 2 * bool(self.numbers)]
        kind = self.one(kinds)
        if kind == "constant":
            return self.one((1, 2, 3))
        if kind == "again":
            return self.one(self.numbers)
        if kind == "arithmetic":
            terms = {"add": lambda n: n + 1, "mul": lambda n: 2 * n, "sub": lambda n: 4 - n, "div": lambda n: n // 1}
            return self.one(list(terms.values()))(self.decided())
        return self.decided(kind)

    def decided(self, kind: str = "ordinal") -> Any:
        """A decision on a whole number of 1 to 3."""
        made: Any
        if kind == "integer":
            settings: dict[str, Any] = self.one(
                ({"high": 2}, {"high": 3}, {"high": 3, "log": True}, {"high": 3, "step": 2})
            )
            made = integer(1, **settings, name=self.name())
        else:
            made = (choice if kind == "choice" else ordinal)(*self.some((1, 2, 3), 1, 3), name=self.name())
        self.numbers.append(made)
        return made

    def setting(self, depth: int) -> Any:
        """A constant or a decision of any kind, nested at most `depth` times."""
        kinds = ["number", "word", *["real"] * self.reals]
        if depth:
            kinds += ["nested", "nested", "labelled", "subset", "list"]
        kind = self.one(kinds)
        if kind == "number":
            return self.number()
        if kind == "word":
            return choice(*self.some(("a", "b", None, True), 1, 3), name=self.name())
        if kind == "real":
            return real(self.one((0.001, 0.1)), 2.0, log=self.one((False, True)), name=self.name())
        if kind == "list":
            return [self.setting(depth - 1), {"in": self.setting(depth - 1)}]
        parts = {f"option_{index}": self.setting(depth - 1) for index in range(self.one((1, 2, 3)))}
        if kind == "labelled":
            return ordinal(parts, name=self.name())
        if kind == "subset":
            low = self.one(range(len(parts) + 1))
            return subset(parts, k=(low, self.one(range(max(1, low), len(parts) + 1))), name=self.name())
        return choice(parts, name=self.name())

    # ------------------------------------------------------------------ modules

    def module(self, depth: int) -> Any:
        """A module that keeps the shape of its input, nested at most `depth` times."""
        kinds = ["layer"] * 2
        if depth:
            kinds += ["row", "choice", "repeat", "graph", "cell", "template", "bottleneck", "bottleneck", "uneven"]
            kinds += ["again"] * bool(self.modules)
        kind = self.one(kinds)
        made = self.one(self.modules) if kind == "again" else getattr(self, f"_{kind}")(depth - 1)
        self.modules.append(made)
        return made

    def _layer(self, _: int) -> Any:
        kind = self.one(("identity", "relu", "pool", "norm", "conv", "lazy", "dropout"))
        if kind == "conv":
            return nn.Conv2d(CHANNELS, CHANNELS, self.number(), padding="same", bias=self.one((True, False)))
        if kind == "dropout":
            return nn.Dropout(choice(0.0, 0.5, name=self.name()))
        return {
            "identity": nn.Identity(),
            "relu": nn.ReLU(),
            "pool": nn.AvgPool2d(3, stride=1, padding=1),
            "norm": nn.LazyBatchNorm2d(),
            "lazy": nn.LazyConv2d(CHANNELS, kernel_size=1),
        }[kind]

    def _bottleneck(self, depth: int, width: Any = None) -> Any:
        inside = choice(nn.ReLU(), nn.Tanh(), name=self.name()) if depth else nn.ReLU()
        width = self.number() if width is None else width
        return nn.Sequential(nn.LazyConv2d(width, 1), inside, nn.LazyConv2d(CHANNELS, 1))

    def _uneven(self, depth: int) -> Any:
        """Options that differ in shape, and what takes them all."""
        options = [nn.LazyConv2d(2, 1), nn.LazyConv2d(5, 3), nn.MaxPool2d(2), nn.ReLU()]
        kinds = choice(*self.some(options, 1, 3), name=self.name())
        norm = [nn.LazyBatchNorm2d()] * self.one((0, 1))
        return nn.Sequential(kinds, *norm, nn.LazyConv2d(CHANNELS, 1), nn.Upsample(size=SHAPE[1:]))

    def _row(self, depth: int) -> Any:
        return nn.Sequential(*[self.module(depth) for _ in range(self.one((1, 2, 3)))])

    def _choice(self, depth: int) -> Any:
        options = {f"option_{index}": self.module(depth) for index in range(self.one((1, 2, 3)))}
        return (choice if self.one((True, False)) else ordinal)(options, name=self.name())

    def _repeat(self, depth: int) -> Any:
        low, high = self.one(((0, 2), (1, 2), (1, 3), (2, 2)))
        same = self.module(depth)
        return repeat(lambda _: same if self.one((True, False)) else self.module(depth), low, high, name=self.name())

    def _template(self, depth: int) -> Any:
        body = template(lambda width: self._bottleneck(depth, width))
        return nn.Sequential(body(self.number()), body(self.number()))

    def _graph(self, depth: int) -> Any:
        kinds = ("residual", "branches", "absent", "subset", "value", "concat", "product", "functions", "open", "pair")
        kind = self.one(kinds)
        first, second = self.module(depth), self.module(depth)
        sizes: list[int | tuple[int, int]] = [1, 2, (0, 2)]
        maybe = choice({"none": None, "some": second})

        def body(x: Any) -> Any:
            if kind == "residual":
                return first(x) + x
            if kind == "branches":
                a = first(x)
                return merge(a, second(a), a, kind=self.one(("sum", "mean", "mul", "max")))
            if kind == "absent":
                return merge(maybe(x), choice({"none": None, "some": first})(x))
            if kind == "subset":
                return merge(subset(first(x), second(x), x, k=self.one(sizes)))
            if kind == "value":
                return choice(first(x), second(first(x)), x) + maybe(x)
            if kind == "product":
                return first(x) * maybe(x)
            if kind == "functions":
                y = nn.functional.leaky_relu(first(x), choice(0.1, 0.5)) - second(x) / 2
                return merge(y[:, :2], y[..., 2:, :, :], kind="concat")
            if kind == "open":
                how = choice(*self.some(("sum", "mean", "mul", "max", "concat"), 1, 3), name=self.name())
                return nn.LazyConv2d(CHANNELS, 1)(merge(first(x), maybe(x), kind=how, axis=self.one((1, -3))))
            if kind == "pair":
                step = graph(lambda pair: (pair[1], first(pair[0])))
                one, other = repeat(lambda _: step, 1, 2)((x, x))
                return second(one) + other
            return nn.LazyConv2d(CHANNELS, 1)(merge(first(x), maybe(x), x, kind="concat"))

        return graph(body)

    def _cell(self, depth: int) -> Any:
        options = {"none": None, "skip": nn.Identity(), "some": self.module(depth)}
        tied = choice(options)
        is_tied = self.one((True, False, False))
        output = self.one(("last", "sum", "mean", "concat"))
        made = cell(
            lambda i, j: tied if is_tied else choice(options),
            nodes=self.one((1, 2)),
            node=(lambda j: choice(nn.ReLU(), nn.Identity())) if self.one((True, False)) else None,
            fan_in=self.one((None, 1)),
            combine=self.one(("sum", "mean", "max")),
            output=output,
            name=f"cell_{next(self.count)}" if self.one((True, False)) else None,
        )
        return nn.Sequential(made, nn.LazyConv2d(CHANNELS, 1)) if output == "concat" else made
