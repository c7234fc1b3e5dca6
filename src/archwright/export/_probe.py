"""Runs the exported files of a folder, in a process of its own: `python _probe.py FOLDER GIVEN FOUND FORMAT...`.

GIVEN holds the inputs, FOUND receives the outputs of each format, or what went wrong. The process has no archwright.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

import torch

SEED = 0  # for networks that draw numbers


def main(folder: str, given: str, found: str, *formats: str) -> None:
    """Run the network of each format on the inputs."""
    sys.path.insert(0, folder)
    sys.modules["archwright"] = None  # type: ignore[assignment]  # importing it is an error from here on
    inputs = torch.load(given, weights_only=True)
    results: dict[str, Any] = {}
    for name in formats:
        torch.manual_seed(SEED)
        try:
            with torch.no_grad():
                outputs = _RUNS[name](Path(folder), inputs)
            results[name] = [
                leaf.detach() for leaf in torch.utils._pytree.tree_leaves(outputs) if torch.is_tensor(leaf)
            ]
        except Exception as error:  # whatever the code of a network raises
            results[name] = f"{type(error).__name__}: {error}"
    torch.save(results, found)


def _torch(folder: Path, inputs: list[torch.Tensor]) -> Any:
    if (folder / "predict.py").exists():
        network = importlib.import_module("predict").load(folder).network
    else:
        from safetensors.torch import load_file

        network = importlib.import_module("model").build()
        network.load_state_dict(load_file(folder / "weights.safetensors"))
    torch.manual_seed(SEED)
    return network.eval()(*inputs)


def _onnx(folder: Path, inputs: list[torch.Tensor]) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    feed = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
    return [torch.as_tensor(each) for each in session.run(None, feed)]


def _pt2(folder: Path, inputs: list[torch.Tensor]) -> Any:
    return torch.export.load(str(folder / "model.pt2")).module()(*inputs)


def _executorch(folder: Path, inputs: list[torch.Tensor]) -> Any:
    from executorch.runtime import Runtime

    method = Runtime.get().load_program(folder / "model.pte").load_method("forward")
    # Sample by sample; outputs lie in the arena, where those of the next call take their place.
    each = [
        [output.clone() for output in method.execute([part[place : place + 1] for part in inputs])]
        for place in range(len(inputs[0]))
    ]
    return [torch.cat(outputs) for outputs in zip(*each, strict=True)]


_RUNS = {"torch": _torch, "onnx": _onnx, "pt2": _pt2, "executorch": _executorch}

if __name__ == "__main__":
    main(*sys.argv[1:])
