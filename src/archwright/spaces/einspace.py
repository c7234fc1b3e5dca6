"""einspace: networks of fundamental operations, by a grammar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from archwright import nn
from archwright.errors import ArchitectureError, SpaceError
from archwright.space import Decision, Space, Symbol, Value, choice, graph, lazy, merge, ordinal, rules
from archwright.spaces._registry import checked_input, register

__all__ = ["einspace"]

_OWN = "archwright.spaces._einspace"
_POSITIONS = 256  # of an image after the first layer, at most
_LEAST = 4  # features of a group
_COPIES = (4, 8)  # of one module, beside two different ones


def _known(space: Space) -> Iterator[dict[str, Any]]:
    """Yield a residual network and a transformer."""
    identity, norm, linear = ("compute", "identity"), ("compute", "norm"), ("compute", "linear")
    convolution = ("row", "route", 3, *norm, "compute", "relu")
    residual = ("branch", "add", *convolution, *identity)
    yield from _scripted(space, ("row", "im", *residual, "row", "reduce", *norm, "im", *residual))
    scores = ("softmax", "product", *linear, *linear, True)
    attention = ("branch", "add", "row", *norm, "branch", "product", *scores, *linear, *identity)
    expanded = ("branch", "add", "row", *norm, "compute", "expand", 4, *identity)
    yield from _scripted(space, ("im", "route", 1, "row", "compute", "positions", "row", *attention, *expanded))


def _scripted(space: Space, script: Sequence[Value]) -> Iterator[dict[str, Any]]:
    """Yield the architecture whose decisions have the values of a script in their order, if it is one."""
    left = iter(script)

    def rule(name: str, decision: Decision) -> Value:
        return decision.decode([0.0]) if name == "patch" else decision.check(next(left, "nothing"))

    try:
        yield dict(space.decide(rule))
    except ArchitectureError:  # deeper than the space
        return


@register("einspace", ranks=(3,), starts=_known)
def einspace(
    *,
    input_shape: Sequence[int] = (3, 32, 32),
    classes: int = 10,
    width: int = 32,
    depth: int = 12,
    growth: float = 1.0,
) -> Space:
    """Networks of fundamental operations by a grammar: convolutional networks, transformers and others (einspace).

    Ericsson et al., "einspace: searching for neural architectures from fundamental operations", NeurIPS 2024. Values
    are images (mode Im) or columns, a row of feature vectors (mode Col). A module is two modules in a row; a branching
    of clones or groups of features, whose results are added, concatenated or multiplied (matrix product); a routing
    from Im to Col (im2col) and back, or with rows and columns of the image exchanged; or a computation: identity,
    linear map, normalisation, leaky ReLU, softmax, positions. Two branches are different modules; 4 or 8 are one
    module with weights of their own.

    The published grammar refuses derivations whose shapes do not fit, which depends on the context. Here all fit, by
    these simplifications: a first layer cuts the image into patches and makes `width` features of each; modules keep
    the shape, with a rule for each mode and number of features, and linear maps to another width ("expand") stand
    around an activation; im2col (1x1 or 3x3) is followed by a linear map to the old width; images are halved
    ("reduce") outside of branchings alone; the matrix product of two column modules, the scores, is multiplied with a
    third; features and positions are not exchanged, and positions are sines instead of learned vectors. The head is
    the mean over the positions and a linear layer.

    Args:
        input_shape: (channels, height, width).
        classes: The number of classes.
        width: Features of an image or a column, at least 4.
        depth: How many modules may be nested.
        growth: How many modules another one opens on average in a sample: see `aw.rules`.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> space = aw.spaces.create("einspace", input_shape=(1, 8, 8), depth=4)
        >>> space.size, space.is_recursive
        (1009222, True)
    """
    shape = checked_input("einspace", input_shape, classes)
    if width < _LEAST:
        raise SpaceError(f"space 'einspace': width is {_LEAST} or more, not {width}")
    sizes = [size for size in (1, 2, 4, 8, 16, 32) if size <= min(shape[1:])]
    patches = [size for size in sizes if (shape[1] // size) * (shape[2] // size) <= _POSITIONS][:2] or sizes[-1:]
    patch = ordinal(*patches, name="patch")
    stem = nn.Conv2d(shape[0], width, kernel_size=patch, stride=patch)
    modules = rules(net=_net(width), **_modules(width), depth=depth, growth=growth)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))
    return Space(model=nn.Sequential(stem, modules, head), example_input=shape, name="einspace")


def _modules(width: int) -> dict[str, Callable[..., Any]]:
    """Return the rules of the modes Im and Col, and of scores, for a number of features and its parts."""
    found: dict[str, Callable[..., Any]] = {}
    for parts in (1, 2, 4, 8):
        if width % parts == 0 and width // parts >= _LEAST:
            each = width // parts
            found |= {f"im_{each}": _im(each), f"col_{each}": _col(each), f"scores_{each}": _scores(each)}
    return found


def _net(width: int) -> Callable[..., Any]:
    """Return the rule of what stands outside of branchings, where images may be halved."""

    def net(**uses: Symbol) -> Any:
        row = nn.Sequential(uses["net"], uses["net"])
        return choice({"im": uses[f"im_{width}"], "reduce": _routed(width, uses[f"col_{width}"], 3, 2), "row": row})

    return net


def _im(width: int) -> Callable[..., Any]:
    """Return the rule of modules from images to images."""

    def im(**uses: Symbol) -> Any:
        this = uses[f"im_{width}"]
        computed = choice(
            {
                "identity": nn.Identity(),
                "linear": nn.Conv2d(width, width, 1),
                "norm": nn.BatchNorm2d(width),
                "relu": nn.LeakyReLU(),
                "softmax": nn.Softmax(dim=1),
            }
        )
        exchange = lazy("torch:transpose")
        options = {
            "compute": computed,
            "row": nn.Sequential(this, this),
            "branch": choice(_branches(width, "im", uses)),
            "route": _routed(width, uses[f"col_{width}"], choice(1, 3)),
            "exchange": graph(lambda x: exchange(this(exchange(x, 2, 3)), 2, 3)),
        }
        return choice(options)

    return im


def _col(width: int) -> Callable[..., Any]:
    """Return the rule of modules from columns to columns."""

    def col(**uses: Symbol) -> Any:
        this, scores = uses[f"col_{width}"], uses[f"scores_{width}"]
        factor = choice(2, 4)
        computed = choice(
            {
                "identity": nn.Identity(),
                "linear": nn.Linear(width, width),
                "expand": nn.Sequential(
                    nn.Linear(width, width * factor), nn.LeakyReLU(), nn.Linear(width * factor, width)
                ),
                "norm": nn.LayerNorm(width),
                "relu": nn.LeakyReLU(),
                "softmax": nn.Softmax(dim=-1),
                "positions": lazy(f"{_OWN}:SinePositions")(),
            }
        )
        product = graph(lambda x: scores(x) @ this(x))
        branches = {**_branches(width, "col", uses), "product": product}
        return choice({"compute": computed, "row": nn.Sequential(this, this), "branch": choice(branches)})

    return col


def _scores(width: int) -> Callable[..., Any]:
    """Return the rule of modules from columns to a number for each pair of positions."""

    def scores(**uses: Symbol) -> Any:
        col, this = uses[f"col_{width}"], uses[f"scores_{width}"]
        product = lazy(f"{_OWN}:Product")(scaled=choice(True, False))
        return choice(
            {
                "product": graph(lambda x: product(col(x), col(x))),
                "softmax": nn.Sequential(this, nn.Softmax(dim=-1)),
                "relu": nn.Sequential(this, nn.LeakyReLU()),
            }
        )

    return scores


def _branches(width: int, mode: str, uses: Mapping[str, Symbol]) -> dict[str, Any]:
    """Return the branchings into clones, which are added, and into groups of features, which are concatenated."""
    this, axis = uses[f"{mode}_{width}"], 1 if mode == "im" else 2
    found: dict[str, Any] = {"add": graph(lambda x: this(x) + this(x))}
    for count in _COPIES:
        found[f"add_{count}"] = _added(nn.Sequential(this), count)
    for count in (2, *_COPIES):
        inner = uses.get(f"{mode}_{width // count}")
        if inner is not None and width % count == 0:
            parts = [inner, inner] if count == 2 else [nn.Sequential(inner)] * count
            found[f"group_{count}"] = _grouped(parts, width // count, axis)
    return found


def _added(module: Any, count: int) -> Any:
    """Return the sum of what a module gives, with weights of its own each time."""
    return graph(lambda x: merge(*(module(x) for _ in range(count))))


def _grouped(parts: Sequence[Any], size: int, axis: int) -> Any:
    """Return what modules give for the groups of features of a size."""

    def groups(x: Any) -> Any:
        narrow = lazy("torch:narrow")
        values = [part(narrow(x, axis, place * size, size)) for place, part in enumerate(parts)]
        return merge(*values, kind="concat", axis=axis)

    return graph(groups)


def _routed(width: int, col: Symbol, kernel: Any, stride: int = 1) -> Any:
    """Return the way from an image to columns, through a module, and back."""
    columns = nn.Sequential(
        lazy(f"{_OWN}:Im2Col")(kernel=kernel, stride=stride), nn.Linear(kernel * kernel * width, width), col
    )
    return graph(lambda x: lazy(f"{_OWN}:Col2Im")(stride=stride)(columns(x), x))
