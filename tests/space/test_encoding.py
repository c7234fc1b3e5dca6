"""What models see of an architecture: vectors, cells, paths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

import archwright as aw
from archwright import nn
from archwright.errors import SpaceError
from archwright.testing import random_spaces


def nb201(keep_unused=False):
    def edge(i, j):
        return aw.choice({"none": None, "skip": nn.Identity(), "conv": nn.Conv2d(4, 4, 1)})

    return aw.Space(model=nn.Sequential(aw.cell(edge, nodes=3, name="cell", keep_unused=keep_unused)))


def edges(**labels):
    names = ["0_1", "0_2", "1_2", "0_3", "1_3", "2_3"]
    return {f"cell.edge_{name}": labels.get(f"e{name.replace('_', '')}", "none") for name in names}


def test_a_vector_has_a_slot_for_every_value_of_a_choice_and_one_for_what_is_ordered():
    space = aw.Space(
        a=aw.choice("x", "y", "z"),
        b=aw.ordinal(1, 10, 100),
        c=aw.integer(0, 10),
        d=aw.subset(*"pqr", k=(0, 3)),
        e=aw.real(1.0, 100.0, log=True),
        f=aw.choice({"none": None, "some": aw.choice(1, 2, name="inner")}, name="outer"),
    )
    architecture = {"a": "y", "b": 10, "c": 5, "d": ("p", "r"), "e": 10.0, "outer": "none"}
    vector = space.encode(architecture)
    expected = [0, 1, 0, 0.5, 0.5, 1, 0, 1, 0.5, 1, 0, 0, 0]  # inner is not active: zeros
    np.testing.assert_allclose(vector, expected)
    assert space.decode(vector) == space.canonical(architecture)
    some = space.encode({**architecture, "outer": "some", "inner": 2})
    np.testing.assert_allclose(some, [*expected[:9], 0, 1, 0, 1])


@given(random_spaces(networks=False, most=300))
def test_vectors_tell_all_architectures_apart(space):
    listed = list(space.enumerate())
    vectors = {space.encode(architecture).tobytes() for architecture in listed}
    assert len(vectors) == len(listed)
    assert all(space.decode(space.encode(architecture)) == architecture for architecture in listed)


def test_what_is_inactive_is_not_looked_at():
    space = aw.Space(a=aw.choice({"none": None, "some": aw.choice(1, 2)}))
    assert space.decode([1, 0, 0, 1]) == space.canonical({"a": "none"})
    assert space.decode([0.4, 0.6, 0.2, 0.3]) == space.canonical({"a": "some", "a.some": 2})


def test_vectors_of_another_length_are_refused():
    space = aw.Space(a=aw.choice(1, 2))
    with pytest.raises(SpaceError, match=r"a vector of this space has shape \(2,\), not \(3,\)"):
        space.decode([0, 1, 0])


def test_unknown_encodings_are_refused():
    space = nb201()
    first = next(space.enumerate())
    with pytest.raises(SpaceError, match="an encoding is 'vector', 'cells', 'paths' or 'tree', not 'graph'"):
        space.encode(first, "graph")
    for kind in ("cells", "paths"):
        with pytest.raises(SpaceError, match=rf"the {kind} encoding needs a cell \(aw.cell\)"):
            aw.Space(a=aw.choice(1, 2)).encode({"a": 1}, kind)


def test_a_cell_as_matrices():
    encoded = nb201().encode(edges(e01="conv", e12="skip", e03="conv", e23="skip"), "cells")["cell"]
    np.testing.assert_array_equal(encoded.adjacency, [[0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    assert encoded.edges.tolist() == [
        ["", "conv", "", "conv"],
        ["", "", "skip", ""],
        ["", "", "", "skip"],
        ["", "", "", ""],
    ]
    assert encoded.nodes == ("", "", "", "")
    assert (encoded.inputs, encoded.outputs) == (1, (3,))


def test_operations_that_lead_nowhere_are_not_in_the_network_nor_in_its_matrix():
    space = nb201()
    architecture = edges(e01="conv", e02="conv", e12="conv", e03="skip")
    encoded = space.encode(architecture, "cells")["cell"]
    assert encoded.adjacency.sum() == 1
    assert len(list(space.build(architecture).parameters())) == 0


def test_a_cell_as_paths():
    space = nb201()
    paths = space.encode(edges(e01="conv", e12="skip", e02="conv", e23="skip", e03="skip"), "paths")
    assert paths == {"cell": (("conv", "skip"), ("conv", "skip", "skip"), ("skip",))}
    assert space.encode(edges(), "paths") == {"cell": ()}
    assert space.encode(edges(e01="conv"), "paths") == {"cell": ()}


def test_operations_on_nodes_and_several_inputs():
    made = aw.cell(
        lambda i, j: nn.Identity(),
        nodes=2,
        inputs=2,
        node=lambda j: aw.choice({"relu": nn.ReLU(), "tanh": nn.Tanh()}),
        fan_in=2,
        output="concat",
        name="cell",
    )
    space = aw.Space(model=made)
    architecture = {"cell.op_2": "relu", "cell.op_3": "tanh", "cell.node_3": ("0", "2")}
    encoded = space.encode(architecture, "cells")["cell"]
    np.testing.assert_array_equal(encoded.adjacency, [[0, 0, 1, 1], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    assert encoded.nodes == ("", "", "relu", "tanh")
    assert (encoded.inputs, encoded.outputs) == (2, (2, 3))
    assert space.encode(architecture, "paths") == {
        "cell": (("Identity()", "relu"), ("Identity()", "relu", "Identity()", "tanh"), ("Identity()", "tanh"))
    }


def test_a_node_that_nothing_leads_to_has_no_operation():
    made = aw.cell(
        lambda i, j: nn.Identity(), nodes=2, fan_in=1, node=lambda j: aw.choice({"relu": nn.ReLU()}), name="cell"
    )
    space = aw.Space(model=made)
    encoded = space.encode({"cell.node_2": ("0",), "cell.op_2": "relu"}, "cells")["cell"]
    assert encoded.nodes == ("", "", "relu")
    np.testing.assert_array_equal(encoded.adjacency, [[0, 0, 1], [0, 0, 0], [0, 0, 0]])


def test_all_cells_are_encoded_by_name_and_absent_ones_are_left_out():
    def cell(name=None):
        return aw.cell(lambda i, j: aw.choice({"none": None, "skip": nn.Identity()}), nodes=1, name=name)

    normal = cell("normal")
    space = aw.Space(
        model=nn.Sequential(normal, cell(), normal, aw.choice({"plain": nn.ReLU(), "extra": cell("extra")}))
    )
    plain = {"normal.edge_0_1": "skip", "model.1.edge_0_1": "none", "model.3": "plain"}
    assert set(space.encode(plain, "cells")) == {"normal", "cell"}
    extra = {**plain, "model.3": "extra", "extra.edge_0_1": "skip"}
    assert set(space.encode(extra, "cells")) == {"normal", "cell", "extra"}
