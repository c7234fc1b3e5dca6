"""Build the network of an architecture; lazy layers get their sizes from a twin that is run on the meta device."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.modules.batchnorm import _LazyNormBase
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter

from archwright.build._make import headline, innermost, instantiate, parts_of
from archwright.build._meta import ShapesAlone, zeros_for
from archwright.errors import BuildError
from archwright.space import Call, Graph, Space, TensorSpec, as_specs, mapped, with_modules
from archwright.space import find as find_callee

_MOST = 2**28  # numbers that weights may hold, where a network is made on the CPU for its shapes alone


def build(space: Space, architecture: Mapping[str, Any], example_input: Any = None) -> torch.nn.Module:
    """Return the network of an architecture, in plain PyTorch, initialised with torch's global generator.

    Args:
        space: The space.
        architecture: One of its architectures.
        example_input: The input; by default that of the space. Without one, lazy layers stay lazy.

    Raises:
        BuildError: A layer refuses its arguments or its input; the message names the path.

    Example:
        >>> from archwright.build import build
        >>> build(aw.Space(model=nn.LazyLinear(aw.ordinal(2, 3, name="width")), example_input=(4,)), {"width": 3})
        Linear(in_features=4, out_features=3, bias=True)
    """
    module = _built_on_meta(space, architecture, example_input)
    if module is not None:
        return module
    closed, specs = closed_model(space, architecture, example_input)
    module = instantiate(closed)
    if not isinstance(module, torch.nn.Module):
        raise BuildError(f"the part 'model' makes {type(module).__name__}, and not a torch.nn.Module")
    if specs is not None:
        size_lazy_layers(module, specs)  # a class of the user's own may hold lazy layers: only a real pass sizes those
    return module


def closed_model(
    space: Space, architecture: Mapping[str, Any], example_input: Any
) -> tuple[Any, tuple[TensorSpec, ...] | None]:
    """Return the resolved expression of an architecture's model, without lazy layers if its input is known.

    Example:
        >>> from archwright.build import closed_model
        >>> space = aw.Space(model=nn.LazyLinear(aw.ordinal(2, 3, name="width")))
        >>> closed, specs = closed_model(space, {"width": 3}, (4,))
        >>> closed.target, specs
        ('torch.nn.Linear', (TensorSpec(shape=(4,), dtype='float32'),))
    """
    closed, specs = _open_sizes(space, architecture, example_input)
    return (closed if specs is None else without_lazy_layers(closed, specs)), specs


def _built_on_meta(space: Space, architecture: Mapping[str, Any], example_input: Any) -> torch.nn.Module | None:
    """Return the network where it is made on the meta device: one pass gives its own layers their sizes there."""
    if torch.get_default_device().type != "meta":
        return None
    closed, specs = _open_sizes(space, architecture, example_input)
    if specs is None or not has_lazy_layers(closed):
        return None
    try:
        module, _ = _twin(closed, specs)
    except (BuildError, NotImplementedError):
        return None  # perhaps because the meta device does not know a module: the real device will tell
    is_whole = isinstance(module, torch.nn.Module) and not is_unsized(module)
    return module.train() if is_whole else None


def _open_sizes(
    space: Space, architecture: Mapping[str, Any], example_input: Any
) -> tuple[Any, tuple[TensorSpec, ...] | None]:
    """Return the closed expression of an architecture's model with its lazy layers, and what goes in."""
    if "model" not in space.parts:
        raise BuildError(f"the space has no part named 'model', only {', '.join(space.parts)}")
    return space.resolve(architecture)["model"], as_specs(example_input) or space.example_input


def _twin(
    item: Any, specs: tuple[TensorSpec, ...], device: str = "meta", modules: dict[Call, Any] | None = None
) -> tuple[Any, dict[Call, Any]]:
    """Return the module that a closed expression makes, in evaluation mode, after zeros have given its layers a size.

    Returns:
        The module, and what each call made.

    Raises:
        BuildError: A layer refuses its arguments or its input; the message names the path.
    """
    modules = {} if modules is None else modules
    with torch.random.fork_rng(devices=[]), torch.device(device), ShapesAlone():
        module = instantiate(item, lambda call, result: modules.update({call: result}))
        paths = {id(made): f"{call.path}: {headline(call)}" for call, made in modules.items()}
        _run_with_paths(module.eval(), zeros_for(specs, device), paths)
    return module, modules


def without_lazy_layers(item: Any, specs: tuple[TensorSpec, ...]) -> Any:
    """Return a resolved expression with lazy layers replaced by sized ones.

    Args:
        item: A resolved expression of a module.
        specs: The inputs.

    Raises:
        BuildError: A layer refuses its input, or a lazy layer is never called; the message names the path.

    Example:
        >>> from archwright.build import without_lazy_layers
        >>> without_lazy_layers(nn.LazyLinear(3), (aw.TensorSpec((4,)),)).target
        'torch.nn.Linear'
    """
    if not has_lazy_layers(item):
        return item
    modules: dict[Call, Any] = {}
    try:
        _twin(item, specs, modules=modules)
    except (BuildError, NotImplementedError):  # a module that the meta device does not know: run it for real
        if _numbers(modules.values()) > _MOST:
            raise
        _, modules = _twin(item, specs, "cpu")

    def sized(part: Any) -> Any:
        if isinstance(part, Graph):
            return with_modules(part, sized)
        if isinstance(part, Call) and part in modules and _is_lazy(part):
            return _eager(part, modules[part])
        return mapped(part, sized)

    return sized(item)


def _eager(call: Call, module: Any) -> Call:
    """Return the call that makes what a lazy layer has become."""
    if isinstance(module, LazyModuleMixin):
        raise BuildError(f"{call.path}: {call!r} is never reached, so its sizes are not known")
    eager = type(module)
    first = next(iter(inspect.signature(eager).parameters))
    args, names = (getattr(module, first), *call.args), (first, *call.names)
    kwargs = {**call.kwargs, **_other_defaults(call, eager)}
    return Call(f"torch.nn.{eager.__name__}", args, kwargs, names, None, call.path)


def _other_defaults(call: Call, eager: type) -> dict[str, Any]:
    """Return the defaults of a lazy layer's arguments, where they are not those of the layer that it becomes."""
    lazy = inspect.signature(find_callee(call.target, call.callee)).parameters
    own = inspect.signature(eager).parameters
    given = {*call.kwargs, *list(lazy)[: len(call.args)]}
    return {
        name: parameter.default
        for name, parameter in lazy.items()
        if name not in given and name in own and parameter.default != own[name].default
    }


def _numbers(modules: Iterable[Any]) -> int:
    """Return how many numbers the weights of modules hold, those without a size left out."""
    made = [module for module in modules if isinstance(module, torch.nn.Module)]
    weights = [weight for module in made for weight in module.parameters()]
    return sum(weight.numel() for weight in weights if not isinstance(weight, UninitializedParameter))


def check_architecture(space: Space, architecture: Mapping[str, Any], example_input: Any = None) -> None:
    """Check that the network of one architecture is built and runs, by a forward pass of zeros on the meta device.

    Where a module does not support the meta device, the pass runs on the CPU, if the network is not too large. Nothing
    is checked where the input is not known.

    Args:
        space: The space.
        architecture: One of its architectures.
        example_input: The input; by default that of the space.

    Raises:
        BuildError: A layer refuses its arguments or its input; the message names the path.

    Example:
        >>> from archwright.build import check_architecture
        >>> space = aw.Space(model=nn.Sequential(nn.Linear(4, aw.ordinal(2, 3, name="width")), nn.Linear(2, 1)))
        >>> check_architecture(space, {"width": 3}, (4,))
        Traceback (most recent call last):
        archwright.errors.BuildError: model.1: Linear(2, 1): mat1 and mat2 shapes cannot be multiplied (2x3 and 2x1)
    """
    if "model" not in space.parts:
        return
    closed, specs = _open_sizes(space, architecture, example_input)
    if specs is None:
        return
    modules: dict[Call, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whoever trains the network will hear of it
        try:
            _twin(closed, specs, modules=modules)
        except (BuildError, NotImplementedError):
            if _numbers(modules.values()) > _MOST:
                raise
            _twin(closed, specs, "cpu")


def has_lazy_layers(item: Any) -> bool:
    """Tell whether a resolved expression contains a lazy layer of torch.

    Example:
        >>> from archwright.build import has_lazy_layers
        >>> has_lazy_layers(nn.LazyLinear(3)), has_lazy_layers(nn.Linear(4, 3))
        (True, False)
    """
    return _is_lazy(item) or any(map(has_lazy_layers, parts_of(item)))


def _is_lazy(item: Any) -> bool:
    if not isinstance(item, Call) or not item.target.startswith("torch.nn.Lazy"):
        return False
    return issubclass(find_callee(item.target, item.callee), LazyModuleMixin)


def is_unsized(module: torch.nn.Module) -> bool:
    """Tell whether a module contains uninitialised lazy parameters or buffers.

    Example:
        >>> from archwright.build import is_unsized
        >>> is_unsized(torch.nn.LazyLinear(3)), is_unsized(torch.nn.Linear(4, 3))
        (True, False)
    """
    layers = [layer for layer in module.modules() if isinstance(layer, LazyModuleMixin)]
    return any(layer.cls_to_become is not None or layer.has_uninitialized_params() for layer in layers)


def size_lazy_layers(module: torch.nn.Module, specs: tuple[TensorSpec, ...]) -> None:
    """Initialise the lazy layers of a module, if any, by a forward pass over zeros on the CPU.

    Args:
        module: A module on the CPU; its mode is not changed.
        specs: The inputs.

    Raises:
        BuildError: A layer refuses its input.

    Example:
        >>> from archwright.build import size_lazy_layers
        >>> layer = torch.nn.LazyLinear(3)
        >>> size_lazy_layers(layer, (aw.TensorSpec((4,)),))
        >>> layer.weight.shape
        torch.Size([3, 4])
    """
    if is_unsized(module):
        was_training = module.training
        _run_with_paths(module.eval(), zeros_for(specs, "cpu"), {})
        module.train(was_training)


def _run_with_paths(module: torch.nn.Module, inputs: list[torch.Tensor], paths: dict[int, str]) -> Any:
    """Run a module; where it fails, say in which layer."""
    try:
        with torch.no_grad(), counting_channels(module):
            return module(*inputs)
    except Exception as error:  # whatever a layer raises, the path must be known
        raise BuildError(f"{innermost(error, paths) or 'model'}: {error}") from error


@contextmanager
def counting_channels(module: torch.nn.Module) -> Iterator[None]:
    """Context manager in which lazy normalisation without tensors sets its number of channels, which torch leaves at 0.

    Example:
        >>> from archwright.build import counting_channels
        >>> layer = torch.nn.LazyBatchNorm1d(affine=False, track_running_stats=False)
        >>> with counting_channels(layer):
        ...     _ = layer(torch.zeros(2, 5))
        >>> layer.num_features
        5
    """
    norms = [layer for layer in module.modules() if isinstance(layer, _LazyNormBase)]
    hooks = [norm.register_forward_pre_hook(_count_channels) for norm in norms]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _count_channels(norm: Any, inputs: tuple[torch.Tensor, ...]) -> None:
    norm.num_features = inputs[0].shape[1]
