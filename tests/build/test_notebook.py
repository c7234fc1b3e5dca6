"""What is defined in the cells of a notebook, in a kernel of its own."""

import sys

import nbformat
import pytest
import torch
from nbclient import NotebookClient

import archwright as aw
from archwright import nn, optim

CELLS = [
    "import math\nimport torch\nimport archwright as aw\nfrom archwright import nn",
    "SCALE = 2.0\nOFFSET = math.sqrt(4.0)\n\ndef helper(x):\n    return x * 100",
    "class Base(torch.nn.Module):\n    size = 4",
    """class Block(Base):
    def __init__(self, width):
        super().__init__()
        self.layer = torch.nn.Linear(width, width)
    def forward(self, x):
        return x""",
    "SCALE = 3.0\ndef helper(x):\n    return x * SCALE + OFFSET",  # cells that are changed and run again
    """class Block(Base):
    def __init__(self, width):
        super().__init__()
        self.layer = torch.nn.Linear(width, self.size)
    def forward(self, x):
        return helper(self.layer(x))""",
    """space = aw.Space(model=nn.Sequential(aw.lazy(Block)(width=4), aw.choice(nn.ReLU(), nn.SiLU())))
architecture = next(space.enumerate())
text = space.source(architecture)
network = space.build(architecture)
scope = {"__name__": "copied"}
exec(text, scope)
copied = scope["build"]()
copied.load_state_dict(network.state_dict())
assert torch.equal(copied(torch.ones(2, 4)), network(torch.ones(2, 4)))
assert "__main__" not in text and "archwright" not in text
print(text)""",
    """Block.forward = lambda self, x: x
try:
    space.source(architecture)
except aw.errors.BuildError as error:
    print(error)""",
]


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    return ["".join(part.text for part in cell.outputs if part.output_type == "stream") for cell in notebook.cells]


def test_its_classes_and_helpers_are_in_the_source(printed):
    for part in ("class Base", "class Block", "SCALE = 3.0", "OFFSET = 2.0", "def helper"):
        assert part in printed[-2]
    assert "100" not in printed[-2]


def test_a_replaced_method_is_refused(printed):
    assert "Block.forward is not what the text" in printed[-1]


def test_names_are_completed():
    layers = [name for name in dir(torch.nn) if isinstance(getattr(torch.nn, name), type)]
    layers = [name for name in layers if issubclass(getattr(torch.nn, name), torch.nn.Module)]
    assert {*layers, "functional"} == set(dir(nn))
    assert {"AdamW", "SGD"} <= set(dir(optim))
    assert {"gelu", "scaled_dot_product_attention"} <= set(dir(nn.functional))
    for mirror in (nn, optim, nn.functional, aw):
        assert all(getattr(mirror, name) is not None for name in dir(mirror))
    assert sys.modules["archwright"].__all__ == dir(aw)
