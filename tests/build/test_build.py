"""Building networks: what is in them, how their sizes are found, and what is refused."""

from __future__ import annotations

import copy
import re

import pytest
import torch
from tests.build import blocks
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy

import archwright as aw
from archwright import nn, optim
from archwright.build import instantiate_settings
from archwright.errors import BuildError
from archwright.space import template


def build(model, decisions=None, example=None, **parts):
    return aw.Space(model=model, **parts).build(decisions or {}, example)


def test_a_network_is_plain_pytorch():
    model = nn.Sequential(
        nn.LazyConv2d(8, 3, padding=1),
        aw.choice(nn.ReLU(), nn.Tanh(), name="act"),
        aw.repeat(lambda i: aw.graph(lambda x: nn.LazyBatchNorm2d()(x) + x), 1, 2, name="depth"),
        aw.cell(lambda i, j: nn.Identity(), nodes=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        aw.lazy(blocks.Residual)(nn.LazyLinear(8)),
    )
    built = build(model, {"act": "Tanh()", "depth": 2}, (3, 6, 6))
    assert {type(module).__module__.split(".")[0] for module in built.modules()} == {"torch", "network", "tests"}
    assert not any(isinstance(module, LazyModuleMixin) for module in built.modules())
    assert built(torch.zeros(2, 3, 6, 6)).shape == (2, 8)
    assert copy.deepcopy(built)(torch.zeros(2, 3, 6, 6)).shape == (2, 8)
    assert isinstance(built[1], torch.nn.Tanh)
    assert len(built[2]) == 2


def test_a_user_s_class_is_made_itself():
    built = build(aw.lazy(blocks.Block)(aw.choice(4, 8, name="width"), inner=nn.ReLU()), {"width": 8})
    assert type(built) is blocks.Block
    assert type(built.inner) is torch.nn.ReLU


def test_the_generator_of_torch_decides_the_weights():
    space = aw.Space(model=nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(2)), example_input=(3,))

    def weights(seed):
        torch.manual_seed(seed)
        return [parameter.detach().clone() for parameter in space.build({}).parameters()]

    assert all(map(torch.equal, weights(1), weights(1)))
    assert not torch.equal(weights(1)[0], weights(2)[0])


def test_finding_sizes_does_not_move_the_generator():
    """The weights of the first layer are those of a network without lazy layers after it."""
    torch.manual_seed(0)
    lazy = build(nn.Sequential(nn.Linear(3, 4), nn.LazyLinear(2)), example=(3,))
    torch.manual_seed(0)
    eager = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    assert all(map(torch.equal, lazy.parameters(), eager.parameters()))


def test_checking_a_space_does_not_move_the_generator():
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    aw.Space(model=nn.Sequential(nn.Linear(3, 4), nn.Dropout(), aw.choice(nn.ReLU(), nn.Tanh())), example_input=(3,))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_lazy_layers_of_every_kind():
    rows = {
        (3, 8): [nn.LazyConv1d(4, 3), nn.LazyBatchNorm1d(), nn.LazyInstanceNorm1d(), nn.LazyConvTranspose1d(2, 2)],
        (3, 8, 8): [nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.LazyInstanceNorm2d(), nn.LazyConvTranspose2d(2, 2)],
        (3, 8, 8, 8): [
            nn.LazyConv3d(4, 3),
            nn.LazyBatchNorm3d(),
            nn.LazyInstanceNorm3d(),
            nn.LazyConvTranspose3d(2, 2),
        ],
    }
    for shape, layers in rows.items():
        built = build(nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(2, bias=False)), example=shape)
        assert built(torch.zeros(2, *shape)).shape == (2, 2)
        assert not any(map(is_lazy, built.parameters()))
        assert built[0].in_channels == 3


NORMS = {
    "no scales": (lambda: nn.LazyBatchNorm2d(affine=False), torch.nn.BatchNorm2d(4, affine=False)),
    "no statistics": (
        lambda: nn.LazyBatchNorm2d(track_running_stats=False),
        torch.nn.BatchNorm2d(4, track_running_stats=False),
    ),
    "no tensors": (
        lambda: nn.LazyBatchNorm2d(affine=False, track_running_stats=False),
        torch.nn.BatchNorm2d(4, affine=False, track_running_stats=False),
    ),
    "other defaults than the eager class": (
        nn.LazyInstanceNorm2d,
        torch.nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
    ),
    "a default given by position": (
        lambda: nn.LazyInstanceNorm2d(1e-3, 0.2, False),
        torch.nn.InstanceNorm2d(4, 1e-3, 0.2, affine=False, track_running_stats=True),
    ),
}


@pytest.mark.parametrize("case", NORMS)
def test_lazy_normalization_is_what_torch_makes_of_it(case):
    make, expected = NORMS[case]
    space = aw.Space(model=nn.Sequential(nn.LazyConv2d(4, 3), make()), example_input=(3, 8, 8))
    lazy = make()
    theirs = getattr(torch.nn, lazy.target.removeprefix("torch.nn."))(*lazy.args, **lazy.kwargs)
    theirs(torch.zeros(2, 4, 6, 6))
    namespace = {}
    exec(space.source({}), namespace)
    for norm in (space.build({})[1], namespace["build"]()[1]):
        assert repr(norm) == repr(expected)
        assert norm.state_dict().keys() == theirs.state_dict().keys() == expected.state_dict().keys()


class Normed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.LazyBatchNorm1d(affine=False)

    def forward(self, x):
        return self.norm(x)


def test_a_lazy_layer_inside_a_class_of_which_a_buffer_alone_is_lazy_is_sized():
    built = build(nn.Sequential(nn.LazyLinear(3), aw.lazy(Normed)()), example=(5,))
    assert type(built[1].norm) is torch.nn.BatchNorm1d
    assert built[1].norm.running_mean.shape == (3,)
    assert torch.equal(built[1].norm.running_mean, torch.zeros(3))  # the pass that sizes it leaves no trace
    assert copy.deepcopy(built).training


def test_lazy_layers_written_by_lazy_get_their_sizes_too():
    space = aw.Space(model=aw.lazy(torch.nn.LazyLinear)(3), example_input=(5,))
    assert type(space.build({})) is torch.nn.Linear
    assert "nn.Linear(5, 3)" in space.source({})


def test_without_an_input_lazy_layers_stay_lazy():
    built = build(nn.Sequential(nn.LazyLinear(3)))
    assert is_lazy(built[0].weight)


def test_lazy_layers_inside_a_user_s_class_are_sized_as_well():
    built = build(nn.Sequential(nn.LazyLinear(3), aw.lazy(blocks.Hidden)(4)), example=(5,))
    assert not any(map(is_lazy, built.parameters()))
    assert built[1].layer.in_features == 3
    assert built.training
    assert built[1].layer.training


def test_the_mode_of_the_network_is_training():
    assert build(nn.Sequential(nn.LazyLinear(3), nn.Dropout()), example=(5,)).training


def test_several_inputs_and_whole_numbers():
    space = aw.Space(
        model=aw.lazy(blocks.Two)(
            nn.Sequential(nn.Embedding(10, aw.choice(2, 4, name="width")), nn.Flatten(), nn.LazyLinear(3)),
            nn.LazyLinear(aw.choice(5, 6, name="other")),
        ),
        example_input=(aw.TensorSpec((7,), "int64"), (4,)),
    )
    built = space.build({"width": 2, "other": 6})
    assert built(torch.zeros(2, 7, dtype=torch.int64), torch.zeros(2, 4)).shape == (2, 9)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_recurrent_layers(kind):
    cell = getattr(nn, kind)(
        4, aw.choice(3, 6, name="hidden"), num_layers=aw.integer(1, 2, name="depth"), batch_first=True
    )
    space = aw.Space(model=nn.Sequential(aw.lazy(blocks.Last)(cell), nn.LazyLinear(2)), example_input=(5, 4))
    assert space.size == 4
    for architecture in space.enumerate():
        assert space.build(architecture)(torch.zeros(2, 5, 4)).shape == (2, 2)


def test_transformers():
    heads, depth = aw.choice(1, 2, 4, name="heads"), aw.integer(1, 2, name="depth")
    activation = aw.choice("relu", torch.nn.functional.gelu, name="activation")
    layer = nn.TransformerEncoderLayer(8, heads, dim_feedforward=16, batch_first=True, activation=activation)
    model = nn.Sequential(
        nn.Embedding(20, 8), nn.TransformerEncoder(layer, num_layers=depth), nn.Flatten(), nn.LazyLinear(3)
    )
    space = aw.Space(model=model, example_input=aw.TensorSpec((6,), "int64"))
    built = space.build({"heads": 4, "depth": 2, "activation": "gelu"})
    assert built(torch.zeros(2, 6, dtype=torch.int64)).shape == (2, 3)
    assert len(built[1].layers) == 2
    assert built[1].layers[0].self_attn.num_heads == 4


def test_named_rows():
    layers = {"first": nn.LazyLinear(4), "second": aw.choice(nn.ReLU(), nn.Tanh(), name="act")}
    built = build(nn.Sequential(layers), {"act": "Tanh()"}, (3,))
    assert list(built.state_dict()) == ["first.weight", "first.bias"]
    assert isinstance(built.second, torch.nn.Tanh)


def test_containers_of_modules_inside_a_user_s_class():
    body = nn.Sequential(nn.LazyLinear(4), aw.choice(nn.ReLU(), nn.Tanh(), name="act"))
    space = aw.Space(model=aw.lazy(blocks.Iterating)(body), example_input=(3,))
    assert space.build({"act": "ReLU()"})(torch.zeros(2, 3)).shape == (2, 4)


def test_an_object_of_settings_inside_a_user_s_class():
    settings = aw.lazy(blocks.Settings)(width=aw.choice(3, 5, name="width"))
    space = aw.Space(model=nn.Sequential(nn.Linear(2, 3), aw.lazy(blocks.Configured)(settings)))
    assert space.build({"width": 3})(torch.zeros(2, 2)).shape == (2, 3)


def test_classes_of_layers_as_arguments():
    class Acting(torch.nn.Module):
        def __init__(self, act):
            super().__init__()
            self.act = act()

        def forward(self, x):
            return self.act(x)

    space = aw.Space(model=aw.lazy(Acting)(aw.choice(nn.ReLU, nn.Tanh, torch.nn.SiLU)), example_input=(2,))
    assert space.decisions["model.act"].labels == ("ReLU", "Tanh", "SiLU")
    assert isinstance(space.build({"model.act": "Tanh"}).act, torch.nn.Tanh)
    assert isinstance(space.build({"model.act": "SiLU"}).act, torch.nn.SiLU)


# ---------------------------------------------------------------------- what is refused


def test_a_space_without_a_model():
    with pytest.raises(BuildError, match="the space has no part named 'model', only layers, rate"):
        aw.Space(layers=3, rate=0.1).build({})


@pytest.mark.parametrize("model", [3, None, [1], aw.lazy(blocks.Settings)(3)])
def test_a_model_that_is_no_module(model):
    with pytest.raises(BuildError, match=r"the part 'model' makes \w+, and not a torch.nn.Module"):
        build(model)


def test_arguments_that_a_layer_refuses():
    model = nn.Sequential(
        nn.ReLU(), aw.choice({"conv": nn.Conv2d(3, 4, 3, groups=2), "none": nn.Identity()}, name="kind")
    )
    with pytest.raises(
        BuildError, match=re.escape("model.1.conv: Conv2d(3, 4, 3, groups=2) cannot be made: in_channels must")
    ):
        build(model, {"kind": "conv"})
    assert build(model, {"kind": "none"})


def test_inputs_that_a_layer_refuses():
    model = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(9, 3), nn.LazyLinear(2)))
    with pytest.raises(BuildError, match=r"model.1.0: Linear\(9, 3\): .*shapes cannot be multiplied \(2x8 and 9x3\)"):
        build(model, example=(2, 4))


def test_errors_inside_graphs_and_classes_name_the_innermost_layer():
    inner = aw.lazy(blocks.Residual)(nn.Sequential(nn.Linear(3, 3)), shortcut=nn.Linear(4, 3))
    with pytest.raises(BuildError, match=r"model.block.shortcut: Linear\(4, 3\): "):
        build(aw.graph(lambda x: inner(nn.LazyLinear(3)(x), name="block")), example=(3,))
    widening = aw.lazy(blocks.Residual)(nn.LazyLinear(5))
    with pytest.raises(BuildError, match=r"model.1: Residual\(LazyLinear\(5\)\): The size of tensor a \(5\)"):
        build(nn.Sequential(nn.ReLU(), widening), example=(3,))


def test_lazy_layers_that_are_never_reached():
    class Ignoring(torch.nn.Module):
        def __init__(self, unused):
            super().__init__()
            self.unused = unused

        def forward(self, x):
            return x

    with pytest.raises(BuildError, match=r"model.unused: LazyLinear\(3\) is never reached, so its sizes are not known"):
        build(aw.lazy(Ignoring)(nn.LazyLinear(3)), example=(3,))


def test_an_error_of_a_long_row_is_short():
    row = nn.Sequential(*[nn.Linear(3, 3) for _ in range(40)], nn.Linear(4, 4))
    with pytest.raises(BuildError) as refused:
        build(nn.Sequential(row, nn.LazyLinear(2)), example=(3,))
    assert str(refused.value).startswith("model.0.40: Linear(4, 4): ")
    assert len(str(refused.value)) < 200


# ---------------------------------------------------------------------- settings


def test_settings_are_made_and_optimizers_wait():
    space = aw.Space(
        model=nn.Linear(2, 2),
        optimizer=aw.choice(
            {"sgd": optim.SGD(lr=aw.real(0.1, 1.0), momentum=0.9), "adam": optim.Adam()}, name="optimizer"
        ),
        batch_size=aw.ordinal(16, 32),
        betas=[aw.choice(0.8, 0.9), {"x": (1, aw.integer(2, 3))}],
        loss=nn.CrossEntropyLoss(label_smoothing=0.1),
    )
    decided = {"optimizer": "sgd", "optimizer.sgd.lr": 0.5, "batch_size": 32, "betas.0": 0.9, "betas.1.x.1": 3}
    made = instantiate_settings(space.resolve(decided))
    assert set(made) == {"optimizer", "batch_size", "betas", "loss"}
    assert made["batch_size"] == 32
    assert made["betas"] == [0.9, {"x": (1, 3)}]
    assert isinstance(made["loss"], torch.nn.CrossEntropyLoss)
    optimizer = made["optimizer"](torch.nn.Linear(2, 2).parameters())
    assert isinstance(optimizer, torch.optim.SGD)
    assert optimizer.defaults["lr"] == 0.5
    assert optimizer.defaults["momentum"] == 0.9


def test_templates_are_made_anew_for_each_use():
    stage = template(lambda n: nn.Sequential(nn.LazyLinear(n), aw.choice(nn.ReLU(), nn.Tanh(), name="act")))
    built = build(nn.Sequential(stage(4), stage(4)), {"act": "Tanh()"}, (4,))
    assert built[0][0] is not built[1][0]
    assert not torch.equal(built[0][0].weight, built[1][0].weight)
    assert [type(row[1]).__name__ for row in built] == ["Tanh", "Tanh"]
