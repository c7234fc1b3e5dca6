"""Networks that forecast time series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archwright import nn
from archwright.errors import SpaceError
from archwright.space import Space, choice, graph, lazy, merge, ordinal, repeat
from archwright.spaces._registry import checked_input, register

__all__ = ["forecaster"]

_MODULE = "archwright.spaces._forecast"
_TIMES = 5  # options for the lookback


def _known(space: Space) -> Iterator[dict[str, Any]]:
    """Yield linear models with a long and a short lookback, and a small PatchTST."""
    values: dict[str, list[Any]] = {name: list(decision.values()) for name, decision in space.decisions.items()}
    lookbacks = values.get("lookback", [0])
    plain: dict[str, Any] = {"dropout": 0.2, "hidden": 16, "heads": 4, "layers": 3, "normalisation": "instance"}
    if "patch" in values:
        plain["patch"] = values["patch"][0]
    for family, normalisation, lookback in (
        ("linear", "none", lookbacks[-1]),
        ("linear", "instance", lookbacks[-1]),
        ("linear", "last", lookbacks[0]),
        ("patchtst", "instance", lookbacks[len(lookbacks) // 2]),
    ):
        found = {**plain, "family": family, "normalisation": normalisation, "lookback": lookback}
        yield {name: value for name, value in found.items() if name in values}


@register("forecaster", ranks=(2,), starts=_known, special=True)
def forecaster(
    *,
    input_shape: Sequence[int] = (480, 7),
    classes: int = 7,
    horizon: int = 96,
    lookbacks: Sequence[int] | None = None,
) -> Space:
    """Networks that forecast time series, with a searched lookback and family.

    The decisions are the lookback; what is taken from each column before and put back into its forecast: nothing, its
    last value, or its mean over the lookback, with a division by its deviation; and the family with its own decisions:

    - "linear": one linear map from the lookback to the horizon; with the last value taken away, this is NLinear;
    - "dlinear": linear maps of the moving average, over 11, 25 or 51 steps, and of the rest (Zeng et al., "Are
      transformers effective for time series forecasting?", AAAI 2023, also NLinear);
    - "patchtst": a transformer on pieces of the series (Nie et al., "A time series is worth 64 words", ICLR 2023);
    - "tsmixer": layers that mix steps and columns (Chen et al., "TSMixer: An all-MLP architecture for time series
      forecasting", TMLR 2023);
    - "tcn": causal convolutions (Bai, Kolter and Koltun, "An empirical evaluation of generic convolutional and
      recurrent networks for sequence modeling", 2018);
    - "nbeats": residual blocks of fully connected layers (Oreshkin et al., "N-BEATS", ICLR 2020, the generic variant).

    All but "tsmixer" forecast each column from its own steps, with the same weights. The normalisation by the instance
    is that of Kim et al., "Reversible instance normalization", ICLR 2022, without learned scales.

    Args:
        input_shape: (steps, columns); the steps are the largest lookback.
        classes: The number of columns that are forecast, the first ones.
        horizon: The number of steps that are forecast.
        lookbacks: The options for the lookback, ascending; by default one to five times the horizon, up to the steps
            that come in, or fifths of these where they are more.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> space = aw.spaces.create("forecaster", input_shape=(48, 3), classes=1, horizon=12)
        >>> space.build(space.sample(np.random.default_rng(0)))(torch.zeros(2, 48, 3)).shape
        torch.Size([2, 12, 1])
    """
    steps, columns = checked_input("forecaster", input_shape, classes)
    if not 1 <= classes <= columns:
        raise SpaceError(f"space 'forecaster': classes={classes} are columns of input_shape, at most {columns}")
    if horizon < 1:
        raise SpaceError(f"space 'forecaster': horizon is 1 or more, not {horizon!r}")
    if lookbacks is None:
        unit = horizon if steps <= _TIMES * horizon else steps // _TIMES
        lookbacks = sorted({*(times * unit for times in range(1, _TIMES + 1) if times * unit <= steps), steps})
    if not lookbacks or not 1 <= min(lookbacks) <= max(lookbacks) <= steps:
        raise SpaceError(f"space 'forecaster': lookbacks are 1 to {steps}, the steps that come in; not {lookbacks!r}")
    shortest = min(lookbacks)
    lookback: Any = ordinal(*lookbacks, name="lookback") if len(lookbacks) > 1 else lookbacks[0]
    normalisation = choice("none", "last", "instance", name="normalisation")
    dropout = ordinal(0.0, 0.1, 0.2, 0.3, name="dropout")
    windows = [window for window in (11, 25, 51) if window <= shortest] or [3]
    patches = [patch for patch in (16, 24) if 2 * patch <= shortest] or [max(1, shortest // 4)]
    hidden, heads = ordinal(16, 128, 256, name="hidden"), ordinal(4, 16, name="heads")
    width = ordinal(16, 32, 64, 128, name="mixing_width")
    channels, kernel = ordinal(16, 32, 64, name="channels"), ordinal(3, 5, 7, name="kernel")

    def tokens(x: Any) -> Any:
        attention = lazy(f"{_MODULE}:Attention")(hidden, heads)
        y = merge(x, nn.Sequential(nn.LayerNorm(hidden), attention, nn.Dropout(dropout))(x))
        layers = nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, hidden)
        return merge(y, nn.Sequential(nn.LayerNorm(hidden), *layers, nn.Dropout(dropout))(y))

    def mixing(x: Any) -> Any:
        steps = lazy(f"{_MODULE}:StepMixing")(columns, lookback)
        y = merge(x, nn.Sequential(steps, nn.Dropout(dropout))(x))
        return merge(
            y, nn.Sequential(lazy(f"{_MODULE}:ColumnMixing")(columns, lookback, width), nn.Dropout(dropout))(y)
        )

    def causal(x: Any, index: int) -> Any:
        convolution = lazy(f"{_MODULE}:CausalConvolution")(channels, kernel, 2**index)
        part = convolution, nn.ReLU(), nn.Dropout(dropout)
        return nn.ReLU()(merge(x, nn.Sequential(*part, *part)(x)))

    stack = lazy(f"{_MODULE}:ResidualBlock")(
        lookback, horizon, ordinal(2, 3, 4, name="stack_layers"), ordinal(64, 128, 256, 512, name="stack_width")
    )
    networks = {
        "linear": nn.Linear(lookback, horizon),
        "dlinear": lazy(f"{_MODULE}:Decomposition")(lookback, horizon, _one_of(windows, "window")),
        "patchtst": nn.Sequential(
            lazy(f"{_MODULE}:Patches")(lookback, _one_of(patches, "patch"), hidden),
            repeat(lambda _: graph(tokens), 1, 3, name="layers"),
            nn.Flatten(2),
            nn.LazyLinear(horizon),
        ),
        "tsmixer": nn.Sequential(repeat(lambda _: graph(mixing), 1, 8, name="blocks"), nn.Linear(lookback, horizon)),
        "tcn": nn.Sequential(
            nn.Unflatten(1, (1, classes)),
            nn.Conv2d(1, channels, 1),
            repeat(lambda index: graph(lambda x: causal(x, index)), 2, 6, name="levels"),
            graph(lambda x: lazy("torch:transpose")(x[..., -1], 1, 2), name="last_step"),
            nn.Linear(channels, horizon),
        ),
        "nbeats": nn.Sequential(
            nn.ConstantPad1d((0, horizon), 0.0),
            repeat(lambda _: stack, 1, 6, name="stack_blocks"),
            graph(lambda x: x[..., -horizon:], name="tail"),
        ),
    }
    recent, restored = lazy(f"{_MODULE}:Recent"), lazy(f"{_MODULE}:Restored")

    def family(name: str) -> Any:
        seen = recent(lookback, columns if name == "tsmixer" else classes, normalisation)
        back = restored(lookback, classes, normalisation)
        return graph(lambda x: back(networks[name](seen(x)), x))

    families = {name: family(name) for name in networks}
    return Space(model=choice(families, name="family"), example_input=(steps, columns), name="forecaster")


def _one_of(options: Sequence[int], name: str) -> Any:
    return ordinal(*options, name=name) if len(options) > 1 else options[0]
