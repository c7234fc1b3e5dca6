"""The files that let a network take raw inputs: preprocess.json, predict.py, and the end of model.py."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

from torch import nn

from archwright.datasets import InputError, Preprocess
from archwright.export import _predict
from archwright.export._saved import PREPROCESS, SCRIPT
from archwright.space import TensorSpec


def preprocess_files(preprocess: Preprocess) -> dict[str, bytes]:
    """Return the files that make predictions from raw inputs where there is no archwright, by name."""
    return {
        PREPROCESS: f"{json.dumps(preprocess.to_json(), indent=2)}\n".encode(),
        SCRIPT: _script(type(preprocess)).encode(),
    }


def model_source(source: str, preprocess: Preprocess) -> str:
    """Return the source of a network, with its preprocessing and what its outputs mean behind it."""
    return "\n\n\n".join(part for part in (source.rstrip(), preprocess.source().rstrip()) if part) + "\n"


def write_raw_onnx(network: nn.Module, preprocess: Preprocess, example: Sequence[TensorSpec], path: Path) -> None:
    """Write a network as an ONNX file that takes raw inputs, with its preprocessing and classes in the metadata."""
    from archwright.build import write_onnx

    write_onnx(preprocess.adapted(network), example, path)
    import onnx

    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"preprocess": json.dumps(preprocess.to_json())})
    onnx.save(model, path)


@cache
def _script(kind: type[Preprocess]) -> str:
    """Return the modules that read files and predict as one file, which does not need archwright."""
    modules = [inspect.getmodule(each) for each in (InputError, Preprocess, *kind.uses, kind)]
    imports: dict[str, set[str]] = defaultdict(set)
    bodies = [_body(module, imports) for module in (*modules, _predict) if module is not None]
    del imports["__future__"]
    standard = sorted(name for name in imports if name.partition(".")[0] in sys.stdlib_module_names)
    lines = [f'"""{inspect.getdoc(_predict)}\n"""', "", "from __future__ import annotations", ""]
    for group in (standard, sorted(imports.keys() - set(standard))):
        lines += [f"import {name}" for name in group if "" in imports[name]]
        lines += [f"from {name} import {', '.join(each)}" for name in group if (each := sorted(imports[name] - {""}))]
        lines.append("")
    return "\n".join([*lines, *bodies, "", 'if __name__ == "__main__":', "    sys.exit(main())", ""])


def _body(module: ModuleType, imports: dict[str, set[str]]) -> str:
    """Return the text of a module without what stands at its head, and note what it imports."""
    text = inspect.getsource(module)
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import):
            for name in node.names:
                imports[name.name].add("")
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            if not node.module.startswith("archwright."):
                imports[node.module].update(name.name for name in node.names)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            # what follows is the module itself
            return "\n".join(text.splitlines()[node.end_lineno or 0 :])
    raise AssertionError(f"{module.__name__} has no __all__")
