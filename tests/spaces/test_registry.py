"""Ready-made spaces by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from archwright import spaces
from archwright.errors import SpaceError, UnknownName
from archwright.space import Space
from archwright.spaces import _registry

SPECIAL = (
    "audio",
    "detector",
    "forecaster",
    "language",
    "recommender",
    "speech",
    "tagger",
    "text",
    "translator",
    "unet",
)  # whose inputs or outputs are others


def test_listing_loads_no_torch() -> None:
    code = (
        "import sys; from archwright import spaces; found = spaces.names(); spaces.entries(); "
        "assert spaces.default_for((3, 32, 32)) in found; assert 'torch' not in sys.modules; print(*found)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == spaces.names()


def test_names_are_found_by_pattern_and_described() -> None:
    assert spaces.names() == sorted(spaces.names())
    assert {"convnet", "darts", "mlp", "nasbench101", "nasbench201", "natsbench-size", "resnet"} < set(spaces.names())
    assert spaces.names("*net") == ["convnet", "mcunet", "resnet", "unet"]
    assert spaces.names("nas*") == ["nasbench101", "nasbench201"]
    assert [entry.name for entry in spaces.entries()] == spaces.names()
    assert spaces.entry("mlp").make is spaces.mlp.mlp
    assert all(entry.summary.endswith(".") for entry in spaces.entries())


def test_an_unknown_name_brings_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match=r"unknown space 'resnt'\. Did you mean 'resnet'"):
        spaces.create("resnt")


def test_spaces_by_the_rank_of_their_input() -> None:
    assert spaces.suiting(1) == ["mlp", "tabular"]
    assert spaces.suiting(2) == ["mlp"]
    assert spaces.suiting(3) == [name for name in spaces.names() if name not in (*SPECIAL, "tabular")]


@pytest.mark.parametrize("shape", [(7,), (5, 7), (3, 8, 8), (3, 4, 8, 8)])
def test_the_default_takes_the_input(shape: tuple[int, ...]) -> None:
    space = spaces.create(spaces.default_for(shape), input_shape=shape)
    assert space.example_input is not None
    assert space.example_input[0].shape == shape


def test_the_default_for_images_convolves_and_for_tables_does_not() -> None:
    assert spaces.default_for((1, 8, 8)) == "convnet"
    assert spaces.default_for((30,)) == "tabular"
    assert spaces.default_for((3000,)) == "mlp"


def test_a_space_of_ones_own_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_registry._registry, "_entries", dict(_registry._registry._entries))
    monkeypatch.setattr(_registry, "_ranks", dict(_registry._ranks))

    @spaces.register("doubled", ranks=(2,))
    def doubled(*, input_shape: tuple[int, ...] = (4, 4), classes: int = 2) -> Space:
        """Twice as good."""
        return spaces.create("mlp", input_shape=input_shape, classes=2 * classes)

    assert spaces.create("doubled", classes=3).name == "mlp"
    assert spaces.entry("doubled").summary == "Twice as good."
    assert spaces.suiting(2) == ["doubled", "mlp"]
    spaces.register("loose")(lambda **options: spaces.create("mlp", **options))
    assert spaces.create("loose", widths=(8,)).decisions["layer_0.width"].size == 1
    assert spaces.suiting(7) == ["loose", "mlp"]
    with pytest.raises(ValueError, match="'doubled' is registered already"):
        spaces.register("doubled")(lambda: spaces.create("mlp"))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("convnet", {"kernels": (2, 3)}),
        ("convnet", {"filters": ()}),
        ("darts", {"C": 15}),
        ("darts", {"layers": 2}),
        ("mlp", {"depth": (3, 2)}),
        ("mlp", {"widths": (0, 8)}),
        ("nasbench101", {"C": 4}),
        ("nasbench101", {"N": 0}),
        ("nasbench201", {"C": 0}),
        ("nasbench201", {"N": 0}),
        ("resnet", {"blocks": (0, 1)}),
        ("resnet", {"stages": (3, 2)}),
        ("resnet", {"widths": (15,)}),
    ],
)
def test_an_option_out_of_range_is_named(name: str, options: dict[str, object]) -> None:
    (option,) = options
    with pytest.raises(SpaceError, match=rf"space '{name}'.*\b{option}"):
        spaces.create(name, **options)
