"""What holds of every ready-made space."""

from __future__ import annotations

import functools
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright import spaces
from archwright.build import drawn_for, zeros_for
from archwright.build._meta import ShapesAlone
from archwright.errors import SpaceError
from archwright.space import Architecture, Space

NAMES = spaces.names()
VECTOR, WAVE, SERIES, IMAGE = (12,), (1000,), (24, 12), (3, 8, 8)
SHAPES = [(1, 1, 1), (1, 2, 5), (3, 9, 15), (3, 224, 224)]
FAST: dict[str, dict[str, Any]] = {
    "convnext": {"widths": (4, 8), "blocks": (1, 2), "kernels": (5, 7), "expansions": (2, 4)},
    "darts": {"C": 4, "layers": 3},
    "mobile": {"widths": (4, 8), "blocks": (1, 2), "kernels": (3, 5), "expansions": (3, 6)},
    "mcunet": {"widths": (4, 8), "blocks": (1, 2), "kernels": (3, 5), "expansions": (3, 6)},
    "nasbench101": {"C": 5, "N": 1},
    "nasbench201": {"C": 4, "N": 1},
    "einspace": {"width": 8, "depth": 8},
    "detector": {"widths": (8,), "necks": (8,), "repeats": (1, 2), "depths": (1, 2)},
    "forecaster": {"horizon": 6},
    "language": {"vocabulary": 100, "widths": (16, 32), "layers": (1, 2)},
    "translator": {"length": 6, "widths": (8, 16), "encoder_layers": (2, 3), "decoder_layers": (1, 1)},
    "recommender": {"users": 5, "items": 7, "widths": (2, 4)},
    "unet": {"depths": (1, 2), "widths": (4, 8)},
    "tagger": {"vocabulary": 20, "widths": (8, 16)},
    "text": {"vocabulary": 20, "widths": (8, 16)},
    "vit": {"widths": (8, 16), "layers": (1, 2), "heads": (1, 2), "head_size": 8},
}
OUTPUTS: dict[str, Callable[[tuple[int, ...], int], tuple[int, ...]]] = {  # of one sample, where it is not (classes,)
    "detector": lambda shape, classes: (sum(shape[1] * shape[2] // 4**k for k in (3, 4, 5)), classes + 5),
    "forecaster": lambda shape, classes: (6 if shape == SERIES else 96, classes),
    "language": lambda shape, classes: (*shape, 100),
    "recommender": lambda shape, classes: (1,),
    "speech": lambda shape, classes: (classes, (1 + (shape[0] - 256) // 80 + 1) // 2),
    "tagger": lambda shape, classes: (*shape, classes),
    "translator": lambda shape, classes: (*shape, classes),
    "unet": lambda shape, classes: (classes, *shape[1:]),
}
SMALL: dict[str, dict[str, Any]] = {  # options that leave few enough architectures to list them all
    "convnet": {"filters": (16,), "kernels": (3,)},
    "convnext": {"widths": (16,), "kernels": (5, 7), "expansions": (4,)},
    "mlp": {"depth": (1, 2), "widths": (4, 8)},
    "resnet": {"widths": (16,), "blocks": (1, 2)},
    "vit": {"widths": (8, 16), "layers": (1, 2)},
}


def shape_for(name: str) -> tuple[int, ...]:
    """Return a small input that a space takes."""
    if name in ("audio", "speech"):
        return WAVE
    if name == "forecaster":
        return SERIES
    if name == "recommender":
        return (2,)
    if name == "detector":
        return (3, 32, 32)
    if name == "unet":
        return IMAGE
    return IMAGE if name in spaces.suiting(3) and name != "mlp" else VECTOR


def sampled(space: Space, seed: int) -> Architecture:
    return space.sample(np.random.default_rng(seed))


def shape_of_output(space: Space, architecture: Architecture) -> tuple[int, ...]:
    """Return what comes out for a batch of two; on the meta device, where sizes cost nothing."""
    with torch.device("meta"), torch.no_grad(), ShapesAlone():
        return tuple(space.build(architecture).eval()(*zeros_for(space.example_input, "meta")).shape)


def expected(space: Space, classes: int) -> tuple[int, ...]:
    """Return the shape of the outputs for a batch of two."""
    of_one = OUTPUTS.get(space.name, lambda shape, classes: (classes,))
    return (2, *of_one(space.example_input[-1].shape, classes))


@functools.cache
def made(name: str, shape: tuple[int, ...], classes: int) -> Space:
    return spaces.create(name, input_shape=shape, classes=classes, **FAST.get(name, {}))


@pytest.fixture(scope="module", params=NAMES)
def space(request: pytest.FixtureRequest) -> Space:
    return made(request.param, shape_for(request.param), 2)


def test_networks_are_plain_torch_and_give_one_score_for_each_class(space: Space) -> None:
    torch.manual_seed(0)
    model = space.build(sampled(space, NAMES.index(space.name)))
    # Layers of the library's own are those whose text is copied into written source.
    ours = {type(part).__module__ for part in model.modules() if type(part).__module__.startswith("archwright")}
    assert all(name.startswith("archwright.spaces._") for name in ours)
    scores = model(*drawn_for(space.example_input))
    assert scores.shape == expected(space, 2)
    scores.sum().backward()
    assert torch.isfinite(scores).all()
    assert any(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_the_source_begins_with_the_weights_of_the_same_seed(space: Space) -> None:
    architecture = sampled(space, 7)
    source = space.source(architecture)
    assert Space.from_json(json.loads(json.dumps(space.to_json()))).source(architecture) == source
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    torch.manual_seed(3)
    built = space.build(architecture).state_dict()
    torch.manual_seed(3)
    written = namespace["build"]().state_dict()
    assert list(built) == list(written)
    assert all(torch.equal(built[name], written[name]) for name in built)


def test_formatters_leave_the_source_as_it_is(tmp_path: Path) -> None:
    for name in NAMES:
        space = made(name, shape_for(name), 2)
        for seed in range(2):
            (tmp_path / f"{name}_{seed}.py").write_text(space.source(sampled(space, seed)))
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--diff", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_text_that_source_copies_is_formatted_for_short_lines_and_long_ones() -> None:
    copied = [
        path for path in Path(spaces.__file__).parent.glob("_*.py") if "copied into written source" in path.read_text()
    ]
    assert len(copied) >= 5
    for length in ("88", "120"):
        command = [sys.executable, "-m", "ruff", "format", "--isolated", f"--line-length={length}", "--diff", *copied]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", sorted(SMALL))
def test_the_size_is_the_number_of_architectures(name: str) -> None:
    space = spaces.create(name, input_shape=shape_for(name), **SMALL[name])
    assert space.size == len(set(space.enumerate())) > 1


@pytest.mark.parametrize("name", spaces.suiting(3))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_images_of_every_size_are_served(name: str, shape: tuple[int, ...]) -> None:
    space = made(name, shape, 3)
    assert shape_of_output(space, sampled(space, 0)) == expected(space, 3)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_has_a_default(name: str) -> None:
    space = spaces.create(name)
    assert space.name == name
    classes = inspect.signature(spaces.entry(name).make).parameters["classes"].default
    assert shape_of_output(space, sampled(space, 0)) == expected(space, classes)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=4)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_architecture_is_valid(name: str, seed: int) -> None:
    space = made(name, shape_for(name), 2)
    architecture = sampled(space, seed)
    assert architecture in space
    moved = space.mutate(architecture, np.random.default_rng(seed))
    assert moved in space
    assert moved != architecture
    assert shape_of_output(space, moved) == expected(space, 2)


@pytest.mark.parametrize("name", NAMES)
def test_bad_inputs_are_refused(name: str) -> None:
    with pytest.raises(SpaceError, match=f"{name}.*sizes of 1 or more"):
        spaces.create(name, input_shape=(3, 0, 8))
    with pytest.raises(SpaceError, match=f"{name}.*sizes of 1 or more"):
        spaces.create(name, input_shape=())
    with pytest.raises(SpaceError, match=f"{name}.*tuple of whole numbers, not 12"):
        spaces.create(name, input_shape=12)
    with pytest.raises(SpaceError, match=f"{name}.*classes"):
        spaces.create(name, classes=0)
    with pytest.raises(SpaceError, match=f"{name}.*no option 'depht'"):
        spaces.create(name, depht=2)


@pytest.mark.parametrize("name", [name for name in spaces.suiting(3) if name not in spaces.suiting(1)])
def test_a_table_is_pointed_to_the_spaces_for_it(name: str) -> None:
    with pytest.raises(SpaceError, match=f"{name}.*rank 3.*has rank 1; spaces for it: mlp"):
        spaces.create(name, input_shape=(20,))
