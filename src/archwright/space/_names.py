"""Classes and functions by name, and the names that a file may contain.

A space that a program defines may call anything. A space that is read from a file may not, since its author chooses the
callees and their arguments. A file may name

- layers of torch.nn, optimizers of torch.optim, and the functions of torch that work on tensors alone;
- classes of layers and optimizers in modules that the program has imported, those of torch and archwright excepted;
- the helpers of ready-made spaces and ensembles, of which `_HELPERS` is the list;
- what is defined in a file that the user has named as the code of the space (`load_code`);
- other classes and functions only if the program has itself put them into a space (`aw.lazy`, `where=`).

Anything else, such as `os:system` or `torch:load`, is refused where the file is read.
"""

from __future__ import annotations

import ast
import difflib
import functools
import hashlib
import importlib
import inspect
import itertools
import json
import operator
import re
import sys
import textwrap
from collections.abc import Callable, Mapping
from types import CodeType, ModuleType
from typing import Any

from archwright.errors import SpaceError
from archwright.space._code import loaded_code

OPERATORS = ("add", "sub", "mul", "floordiv")
"""The arithmetic that a space may write down, by the names of the `operator` module."""
_HELPERS = frozenset(
    {
        "archwright.spaces._audio:LogMel",
        "archwright.spaces._audio:Recurrent",
        "archwright.spaces._audio:SpectrumMask",
        "archwright.spaces._dag_cell:conv_norm_relu",
        "archwright.spaces._dag_cell:dag_cell",
        "archwright.spaces._decoder:CausalAttention",
        "archwright.spaces._decoder:Places",
        "archwright.spaces._decoder:Recurrence",
        "archwright.spaces._decoder:TiedModel",
        "archwright.spaces._detector:Joined",
        "archwright.spaces._detector:SharedHead",
        "archwright.spaces._einspace:Col2Im",
        "archwright.spaces._einspace:Im2Col",
        "archwright.spaces._einspace:Product",
        "archwright.spaces._einspace:SinePositions",
        "archwright.spaces._forecast:Attention",
        "archwright.spaces._forecast:CausalConvolution",
        "archwright.spaces._forecast:ColumnMixing",
        "archwright.spaces._forecast:Decomposition",
        "archwright.spaces._forecast:Patches",
        "archwright.spaces._forecast:Recent",
        "archwright.spaces._forecast:ResidualBlock",
        "archwright.spaces._forecast:Restored",
        "archwright.spaces._forecast:StepMixing",
        "archwright.spaces._initialise:initialised",
        "archwright.spaces._mcunet:Resize",
        "archwright.spaces._mobile:SqueezeExcite",
        "archwright.spaces._mobile:inverted_bottleneck",
        "archwright.spaces._recommend:Cross",
        "archwright.spaces._recommend:Field",
        "archwright.spaces._recommend:Fields",
        "archwright.spaces._recommend:Gate",
        "archwright.spaces._recommend:Joined",
        "archwright.spaces._recommend:Mapped",
        "archwright.spaces._recommend:Plus",
        "archwright.spaces._recommend:Product",
        "archwright.spaces._recommend:Times",
        "archwright.spaces._recommend:Total",
        "archwright.spaces._recommend:Wide",
        "archwright.spaces._recurrent:LanguageModel",
        "archwright.spaces._shortcut:shortcut",
        "archwright.spaces._tabular:CategoryEmbedding",
        "archwright.spaces._tabular:ColumnAttention",
        "archwright.spaces._tabular:ColumnLinear",
        "archwright.spaces._tabular:Numbers",
        "archwright.spaces._tabular:Periodic",
        "archwright.spaces._tabular:Piecewise",
        "archwright.spaces._tabular:SummaryToken",
        "archwright.spaces._vision:LayerScale",
        "archwright.spaces._vision:PatchTokens",
        "archwright.spaces._vision:Pooled",
        "archwright.spaces._vision:TokenAttention",
        "archwright.spaces.nasbench101:is_cell",
        "archwright.spaces._translator:AttendingGRU",
        "archwright.spaces._translator:CrossAttention",
        "archwright.spaces._translator:Vectors",
        "archwright.tasks._combination:MeanOutputs",
        "archwright.tasks._combination:MeanProbabilities",
        "archwright.spaces._sequence:Convolution",
        "archwright.spaces._sequence:Masked",
        "archwright.spaces._sequence:MaxPooling",
        "archwright.spaces._sequence:MeanPooling",
        "archwright.spaces._sequence:Positions",
        "archwright.spaces._sequence:Recurrent",
        "archwright.spaces._sequence:SelfAttention",
        "archwright.spaces._sequence:TokenEmbedding",
        "archwright.spaces._sequence:Waves",
        "archwright.spaces._sequence:WeightedPooling",
    }
)
"""The functions and classes that ready-made spaces, tables and ensembles call by name."""

PURE = ("torch.nn.functional", "torch.nn.init", "torch", "torch.special", "torch.fft", "torch.linalg")
"""Modules of torch with functions that work on tensors alone."""
_ORIGINS = ("torch.nn.functional", "torch.nn.init", "torch.functional", "torch._C._nn")
"""Where these are defined; what such a module has from elsewhere is not among them."""
_RAW = re.compile("from|fbgemm|cudnn|miopen|mkldnn|quantize|fake_|fused|sym_|choose_|batch_norm_")
"""Beginnings of the names of functions of torch that read files or memory, or belong to one kind of hardware."""

_ARGUMENTS = ("where", "example_input", "name", "imports")
"""What a space takes besides its parts."""

_REMEDY = (
    "or name the file that defines it (--code FILE on the command line, aw.load(path, code=FILE) in Python), or give "
    "the space again (space=...)"
)
_NOTHING: Any = object()
_restored: dict[int, tuple[Any, str]] = {}
"""What was found in files of code, with the name by which a record knows it: it is written down as it was."""

_declared: dict[str, Any] = {}
"""What this program itself has put into a space, by name; None where it gave the name alone."""


def digest(data: Any) -> str:
    """Return 16 hexadecimal digits that depend on a JSON value alone."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def plain(item: Any) -> Any:
    """Return the class of torch for a name of `archwright.nn` or `archwright.optim`, and anything else unchanged.

    Example:
        >>> from archwright.space import plain
        >>> plain(nn.ReLU)
        <class 'torch.nn.modules.activation.ReLU'>
    """
    wrapped = getattr(item, "__wrapped__", None) if inspect.isfunction(item) else None
    return wrapped if inspect.isclass(wrapped) and _is_from(wrapped, "torch") else item


def is_target(target: str) -> bool:
    """Tell whether a text has the form of what a call names; what it names is another question."""
    return re.fullmatch(r"(torch\.nn|torch\.optim|operator)\.\w+|\w+(\.\w+)*:[\w<>]+(\.[\w<>]+)*", target) is not None


def check_part_names(parts: Mapping[str, Any]) -> None:
    """Refuse parts whose names are misspelt arguments: as parts they would be taken without a word, and do nothing."""
    for name in parts:
        near = difflib.get_close_matches(name, _ARGUMENTS, n=1, cutoff=0.85)
        if near:
            raise SpaceError(f"a space has no argument {name!r}; did you mean {near[0]!r}? A part needs another name")


def package_names(names: Any) -> tuple[str, ...]:
    """Return names of packages, after a check.

    Raises:
        SpaceError: A name is not that of a package.

    Example:
        >>> from archwright.space import package_names
        >>> package_names(["torchvision"])
        ('torchvision',)
    """
    found = [names] if isinstance(names, str) else list(names)
    for name in found:
        if not isinstance(name, str) or not name.isidentifier():
            raise SpaceError(f"imports are the names of packages, such as ['torchvision'], not {name!r}")
    return tuple(dict.fromkeys(found))


# ---------------------------------------------------------------------- names in a program


def parameter_names(
    callee: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], *, partial: bool = False
) -> tuple[str, ...]:
    """Return the names of the parameters of positional arguments, up to the first without a name.

    Args:
        callee: The function or class.
        args: Positional arguments.
        kwargs: Keyword arguments.
        partial: Whether arguments may be missing.

    Raises:
        SpaceError: The arguments do not fit the signature.

    Example:
        >>> from archwright.space import parameter_names
        >>> parameter_names(torch.nn.Conv2d, (3, 8), {"kernel_size": 3})
        ('in_channels', 'out_channels')
    """
    try:
        signature = inspect.signature(callee)
    except (TypeError, ValueError):  # a callable written in C that does not tell
        return ()
    try:
        (signature.bind_partial if partial else signature.bind)(*args, **kwargs)
    except TypeError as error:
        raise SpaceError(f"{getattr(callee, '__name__', callee)}{signature}: {error}") from None
    positional = itertools.takewhile(
        lambda parameter: parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD),
        signature.parameters.values(),
    )
    return tuple(parameter.name for parameter in positional)[: len(args)]


def declare(item: Any) -> None:
    """Note that this program itself puts a class or function, or its name, into a space: a file may name it then."""
    item = item.func if isinstance(item, functools.partial) else item
    name = item if isinstance(item, str) else _name(item)
    if name is not None:
        _declared[name] = None if isinstance(item, str) else item


def find(target: str, callee: Any) -> Any:
    """Return the function or class that a call refers to.

    Args:
        target: "torch.nn.Name", "torch.optim.Name" or "operator.name", else "package.module:Name", which is imported if
            necessary.
        callee: The object itself, if known.

    Raises:
        SpaceError: The target does not exist, or is not allowed in a space.

    Example:
        >>> from archwright.space import find
        >>> find("torch.nn.ReLU", None)
        <class 'torch.nn.modules.activation.ReLU'>
    """
    if callee is not None:
        return callee
    if ":" not in target:
        return _find_built_in(target)
    module_name, _, name = target.partition(":")
    _refuse_own(module_name, target)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise SpaceError(f"the space uses {target}, and {module_name} cannot be imported: {error}") from error
    return _look_up(module, name, target)


def _find_built_in(target: str) -> Any:
    module_name, _, name = target.rpartition(".")
    if module_name == "operator" and name in OPERATORS:
        return getattr(operator, name)
    if module_name in ("torch.nn", "torch.optim"):
        found = getattr(importlib.import_module(module_name), name, None)
        if _is_torch_class(found):
            return found
    raise SpaceError(f"{target!r} is no layer of torch.nn, no optimizer of torch.optim and no arithmetic of a space")


# ---------------------------------------------------------------------- names in a file


def write_callable(item: Any) -> dict[str, Any]:
    """Return how a class or function is found again; what has no name of its own is only described.

    Example:
        >>> from archwright.space import write_callable
        >>> write_callable(torch.nn.ReLU)
        {'import': 'torch.nn:ReLU'}
    """
    item = plain(item)
    name = _name(item)
    return {"opaque": _description(item)} if name is None else {"import": name}


def write_predicate(item: Any) -> dict[str, Any]:
    """Return how a constraint is found again, and what tells whether it has changed meanwhile."""
    written = write_callable(item)
    if "import" in written and inspect.isfunction(item):
        try:
            text = ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(item))))
        except (OSError, SyntaxError):  # typed at a prompt, or part of a longer line
            return written
        written["code"] = digest(text)
    return written


def restore(written: Mapping[str, Any]) -> Any:
    """Return the class, function or torch dtype that a file names, the inverse of `write_callable`.

    Raises:
        SpaceError: It has no name of its own, or a file may not name it.

    Example:
        >>> from archwright.space import restore
        >>> restore({"import": "torch.nn:ReLU"})
        <class 'torch.nn.modules.activation.ReLU'>
    """
    if "import" not in written:
        raise SpaceError(
            f"the space holds {written.get('opaque', written)}, which cannot be loaded from a file; give the space "
            f"again (space=...)"
        )
    return allowed(str(written["import"]))


def allowed_call(target: str) -> Any:
    """Return what a call in a file calls, if a file may name it; None where `find` will know.

    No torch is loaded for torch's own layers: `find` looks at them when they are made.
    """
    if ":" not in target or target in _HELPERS:
        return None
    found = allowed(target)
    is_constant = target.startswith("torch") and not inspect.isclass(found)  # what layers take, and nothing to call
    if is_constant and target not in _declared:
        raise SpaceError(f"the space calls {target}, which makes no layer and no optimizer")
    return found


def allowed(target: str) -> Any:
    """Return the class, function or torch dtype that a file names, if a file may name it."""
    if target in _declared or target in _HELPERS:
        return find(target, _declared.get(target))
    module_name, _, name = target.partition(":")
    _refuse_own(module_name, target)
    if module_name in ("torch.nn", *PURE):
        importlib.import_module(module_name)
        if name.removeprefix("Tensor.") in functions_of(module_name):
            return operator.attrgetter(name)(sys.modules[module_name])
    module = _module(module_name, name)
    if module is None:
        raise SpaceError(f"the space uses {target}, and {module_name} is not imported; import it first, {_REMEDY}")
    found = _look_up(module, name, target)
    if getattr(found, "__module__", None) in loaded_code():
        _restored[id(found)] = found, target
        return found
    is_dtype = type(found).__module__ == "torch" and type(found).__name__ == "dtype"
    is_known = module_name.split(".")[0] != "torch" or _public(found) is not None
    if not (is_dtype or (_is_torch_class(found) and is_known)):
        raise SpaceError(
            f"the space uses {target}, which is no class of layers or optimizers: a file may name other things only "
            f"where the program itself has used them with aw.lazy or where=, {_REMEDY}"
        )
    return found


class Unread:
    """Stands for code that a file names, where the file is only shown and never executed."""

    def __init__(self, written: Mapping[str, Any]) -> None:
        name = str(written.get("import", "")).partition(":")[2]
        self.__name__ = self.__qualname__ = name or re.sub(" [0-9a-f]{16}$", "", str(written.get("opaque")))

    def __call__(self, *_: Any) -> bool:
        """Hold: a constraint that is not read refuses nothing."""
        return True


def _look_up(module: ModuleType, name: str, target: str) -> Any:
    first, *rest = name.split(".")
    found = vars(module).get(first, _NOTHING)  # `getattr` may import what a module has on demand
    for part in rest:
        found = getattr(found, part, _NOTHING)
    if found is _NOTHING and module.__name__ == "__main__":
        told = "which the program that wrote it defines, and this program does not"
        raise SpaceError(f"the space uses {target}, {told}; {_REMEDY[3:]}")
    if found is _NOTHING:
        raise SpaceError(f"{module.__name__} has no {name}, which the space uses as {target}")
    return found


def _module(module_name: str, name: str) -> ModuleType | None:
    """Return a module that is imported; in place of `__main__` a file of code that has the name."""
    if module_name == "__main__":
        having = [module for module in loaded_code().values() if name.partition(".")[0] in vars(module)]
        return having[-1] if having else sys.modules[module_name]
    return sys.modules.get(module_name)


@functools.cache
def functions_of(module_name: str) -> Mapping[str, Any]:
    """Return the functions of a module of torch that work on tensors alone, by name."""
    if module_name not in PURE:
        return {}
    module = sys.modules[module_name]
    return {
        name: item
        for name, item in vars(module).items()
        if not name.startswith("_") and inspect.isroutine(item) and _is_pure(module, name, item)
    }


def _is_pure(module: ModuleType, name: str, item: Any) -> bool:
    origin = str(getattr(item, "__module__", ""))
    if origin in _ORIGINS or origin == f"torch._C._{module.__name__.rpartition('.')[2]}":
        return True
    torch = sys.modules["torch"]  # which has much else, such as torch.load
    return getattr(torch._C._VariableFunctions, name, None) is item and _RAW.match(name) is None


def _refuse_own(module_name: str, target: str) -> None:
    if module_name.split(".")[0] == "archwright" and target not in _HELPERS:
        raise SpaceError(f"{target} is not a helper of archwright.spaces, and cannot be called by that name")


def name_in_torch(item: Any) -> str | None:
    """Return the "module:name" of a public class of torch, or of a function of tensors.

    Example:
        >>> from archwright.space import name_in_torch
        >>> name_in_torch(torch.nn.functional.relu)
        'torch.nn.functional:relu'
    """
    if inspect.ismethoddescriptor(item) and _is_from(getattr(item, "__objclass__", None), "torch"):
        return f"torch:Tensor.{item.__name__}" if item.__name__ in functions_of("torch") else None
    if not _is_from(item, "torch"):
        return None
    return _public(item) or next(
        (f"{module}:{name}" for module in PURE for name, function in functions_of(module).items() if function is item),
        None,  # a function may bear another name than the one under which it is found
    )


def _public(item: Any) -> str | None:
    """Return the name under which torch offers one of its classes of layers or optimizers."""
    name = getattr(item, "__name__", "")
    for module_name in ("torch.nn", "torch.optim"):
        if getattr(sys.modules.get(module_name), name, None) is item:
            return f"{module_name}:{name}"
    return None


def _is_torch_class(item: Any) -> bool:
    """Tell whether an item is a class of layers or of optimizers; without torch there are none."""
    torch = sys.modules.get("torch")
    return torch is not None and inspect.isclass(item) and issubclass(item, torch.nn.Module | torch.optim.Optimizer)


def _is_from(item: Any, package: str) -> bool:
    return str(getattr(item, "__module__", "")).split(".")[0] == package


def _name(item: Any) -> str | None:
    """Return "module:name" for what is found again by it; None for lambdas, local functions and objects."""
    if type(item).__module__ == "torch" and type(item).__name__ == "dtype":
        return str(item).replace(".", ":")
    held, restored = _restored.get(id(item), (None, ""))
    known = restored if held is item else name_in_torch(item)
    if known is not None:
        return known
    if not (inspect.isclass(item) or inspect.isroutine(item)):
        return None
    module, name = getattr(item, "__module__", None), item.__qualname__
    is_bound = inspect.ismethod(item) and not inspect.isclass(item.__self__)
    return None if module is None or "<" in name or is_bound else f"{module}:{name}"


def _description(item: Any) -> str:
    """Return a text that changes with what an item does, as far as can be seen, and is the same in every process."""
    if isinstance(item, functools.partial):
        inside = [_describe(value) for value in (item.func, *item.args)]
        return f"partial({', '.join(inside + [f'{key}={_describe(value)}' for key, value in item.keywords.items()])})"
    if inspect.ismethod(item):
        return f"{_describe(item.__self__)}.{item.__name__}"
    if inspect.isfunction(item):
        cells = [cell.cell_contents for cell in item.__closure__ or ()]
        held = [*cells, *(item.__defaults__ or ()), *(item.__kwdefaults__ or {}).values()]
        return f"{item.__qualname__} {digest([_code(item.__code__), [_describe(value) for value in held]])}"
    text = repr(item)
    return text if " at 0x" not in text else f"{type(item).__module__}.{type(item).__qualname__} object"


def _describe(value: Any) -> str:
    if not callable(value):
        return _description(value)
    return str(next(iter(write_callable(value).values())))


def _code(code: CodeType) -> list[Any]:
    constants = [
        _code(constant)
        if isinstance(constant, CodeType)
        else sorted(map(repr, constant))  # the order of a set differs from process to process
        if isinstance(constant, frozenset)
        else repr(constant)
        for constant in code.co_consts
    ]
    return [code.co_code.hex(), constants, list(code.co_names)]
