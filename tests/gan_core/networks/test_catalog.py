import textwrap

import pytest
import torch

from gan_core.cohort import Cohort
from gan_core.config import Architecture, CohortConfig, ConfigError, GanConfig, Normalisation
from gan_core.loop import run_interval
from gan_core.networks.catalog import build
from gan_core.networks.mlp import MlpDiscriminator, MlpGenerator

SHAPE = (1, 8, 8)

FACTORY = """
    import torch
    from torch import nn
    from torch.nn.functional import leaky_relu

    class G(nn.Module):
        def __init__(self, latent_dim):
            super().__init__()
            self.first = nn.ConvTranspose2d(latent_dim, 5, 4)
            self.second = nn.ConvTranspose2d(5, 1, 4, stride=2, padding=1, bias=False)

        def forward(self, z):
            return self.second(leaky_relu(self.first(z[:, :, None, None]), 0.2)).tanh()

    class D(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.first = nn.Conv2d(channels, 5, 4, stride=2, padding=1)
            self.second = nn.Linear(80, 1)

        def forward(self, x):
            return self.second(torch.tanh(self.first(x)).flatten(1))[:, 0]

    def players(latent_dim, sample_shape):
        return G(latent_dim), D(sample_shape[0])
"""


@pytest.fixture
def users_module(tmp_path, monkeypatch):
    (tmp_path / "convolutional_players.py").write_text(textwrap.dedent(FACTORY))
    (tmp_path / "unfinished_players.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(str(tmp_path))


def state(seed, architecture="mlp", latent_dim=4, norm=Normalisation.NONE):
    """Of G and of D."""
    config = CohortConfig(architecture=architecture, generator_widths=(6,), channels=1)
    shape = (1, 32, 32) if architecture == "sn_resnet" else SHAPE
    return [m.state_dict() for m in build(config, latent_dim, shape, seed, d_norm=norm)]


def alike(a, b):
    return [
        torch.equal(x, y)
        for one, other in zip(a, b, strict=True)
        for x, y in zip(one.values(), other.values(), strict=True)
    ]


@pytest.mark.parametrize("architecture", [*Architecture, "convolutional_players:players"])
@pytest.mark.usefixtures("users_module")
def test_initial_weights_are_the_seeds_and_torchs_own_stream_is_left_as_it_was(architecture):
    before = torch.random.get_rng_state()
    first, second, other = (state(seed, architecture) for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(alike(first, second))
    for one, another in zip(first, other, strict=True):
        for name, t in one.items():
            # What starts as one number everywhere is no draw.
            assert len(t.unique()) == 1 or not torch.equal(t, another[name])
        assert any(len(t.unique()) > 1 for t in one.values())


def test_a_spectral_ds_vectors_are_the_seeds_as_well():
    first, second, other = (state(seed, norm=Normalisation.SPECTRAL)[1] for seed in (3, 3, 4))
    assert torch.equal(first["layers.1.v"], second["layers.1.v"])
    assert not torch.equal(first["layers.1.v"], other["layers.1.v"])


def test_g_does_not_depend_on_ds_normalisation():
    assert all(alike(state(3)[:1], state(3, norm=Normalisation.SPECTRAL)[:1]))


def test_torchs_own_stream_has_no_say_in_the_state():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = state(3)
        torch.manual_seed(2)
        assert all(alike(first, state(3)))


@pytest.mark.gpu
def test_the_gpus_stream_is_left_as_it_was():
    before = torch.cuda.get_rng_state()
    state(3)
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_the_mlp_has_the_configs_widths():
    config = CohortConfig(generator_widths=(3, 4), discriminator_widths=(9,))
    G, D = build(config, 5, SHAPE, seed=0)
    assert isinstance(G, MlpGenerator)
    assert isinstance(D, MlpDiscriminator)
    assert [tuple(p.shape) for p in G.parameters() if p.dim() == 2] == [(3, 5), (4, 3), (64, 4)]
    assert [tuple(p.shape) for p in D.parameters() if p.dim() == 2] == [(9, 64), (1, 9)]


@pytest.mark.usefixtures("users_module")
def test_a_users_own_players_train_fused_as_alone(solo, digits):
    config = CohortConfig(
        architecture="convolutional_players:players",
        precision="float64",
        latent_dim=6,
        batch_size=16,
    )
    members = [
        GanConfig(seed=1, latent_dim=6, lr_g=1e-3),
        GanConfig(seed=2, latent_dim=2, loss="wgan-gp", d_steps=2),
        GanConfig(seed=3, latent_dim=5, loss="hinge"),
    ]
    cohort = Cohort(config, digits.sample_shape, slots=3)
    handles = cohort.admit(members)
    run_interval(cohort, digits, 6)
    for member, handle in zip(members, handles, strict=True):
        alone = solo(member, config, digits, 6)
        for fused, module in zip(cohort.export(handle), (alone.G, alone.D), strict=True):
            for name, parameter in module.state_dict().items():
                torch.testing.assert_close(fused[name], parameter, rtol=0, atol=1e-9)


def refusal(architecture, shape=SHAPE, d_norm=Normalisation.NONE, classes=0, **config):
    config = CohortConfig(architecture=architecture, **config)
    with pytest.raises(ConfigError) as caught:
        build(config, 4, shape, seed=0, d_norm=d_norm, classes=classes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_unknown_architecture_is_refused_with_those_that_exist():
    assert refusal("unet") == (
        "model.architecture = \"unet\": must be one of 'mlp', 'mlp_bn', 'dcgan', 'sn_resnet', "
        "'stylegan', or \"package.module:factory\""
    )


@pytest.mark.parametrize(
    ("architecture", "shape", "sides"),
    [
        ("dcgan", (1, 12, 12), "8, 16, 28, 32, 64"),
        ("dcgan", (1, 8, 16), "8, 16, 28, 32, 64"),
        ("dcgan", (2,), "8, 16, 28, 32, 64"),
        ("sn_resnet", (1, 28, 28), "32"),
        ("stylegan", (1, 28, 28), "8, 16, 32, 64"),
    ],
)
def test_samples_that_an_architecture_cannot_make_are_refused(architecture, shape, sides):
    assert refusal(architecture, shape) == (
        f'model.architecture = "{architecture}": makes square images of {sides} pixels a side; '
        f"the dataset's samples are {shape}"
    )


@pytest.mark.parametrize("norm", ["batch", "layer", "spectral"])
@pytest.mark.usefixtures("users_module")
def test_a_d_that_cannot_be_normalised_so_is_refused(norm):
    norm = Normalisation(norm)
    assert refusal("stylegan", d_norm=norm) == (
        f'd_norm = "{norm}": stylegan\'s D goes without (it is made for R1): must be none'
    )
    assert refusal("convolutional_players:players", d_norm=norm) == (
        f'd_norm = "{norm}": D of convolutional_players:players is normalised by its own factory: '
        "must be none"
    )
    if norm is not Normalisation.SPECTRAL:
        assert refusal("mlp", d_norm=norm, discriminator_widths=()) == (
            f'd_norm = "{norm}": D has no hidden layers to normalise: must be none or spectral'
        )


def test_activations_are_the_fully_connected_networks_to_choose():
    assert refusal("dcgan", activation="relu") == (
        'model.activation = "relu": dcgan has activations of its own: leave it out'
    )


@pytest.mark.usefixtures("users_module")
def test_conditional_networks_need_classes_and_a_place_for_them():
    assert refusal("mlp", conditional=True) == (
        "model.conditional = True: the dataset has no classes: must be false"
    )
    assert refusal("convolutional_players:players", conditional=True, classes=3) == (
        "model.conditional = True: convolutional_players:players is called without classes: "
        "must be false"
    )


def test_classes_nobody_asks_for_change_nothing():
    config = CohortConfig()
    with_classes, without = (build(config, 4, SHAPE, seed=3, classes=n) for n in (10, 0))
    for one, other in zip(with_classes, without, strict=True):
        assert [*one.state_dict()] == [*other.state_dict()]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("no_such_module:players", "No module named 'no_such_module'"),
        ("convolutional_players:absent", "module 'convolutional_players' has no attribute"),
        ("convolutional_players:", "module 'convolutional_players' has no attribute ''"),
        ("unfinished_players:players", "No module named 'no_such_library'"),
        (":players", "Empty module name"),
        (".relative:players", "the 'package' argument is required"),
    ],
)
@pytest.mark.usefixtures("users_module")
def test_a_factory_that_cannot_be_imported_is_refused_with_the_reason(path, reason):
    message = refusal(path)
    assert message.startswith(f'model.architecture = "{path}": cannot be imported: {reason}')


@pytest.mark.parametrize(
    ("body", "got"),
    [
        ("nn.Linear(1, 1)", "Linear"),
        ("(nn.Linear(1, 1), 3)", "(Linear, int)"),
        ("(nn.Linear(1, 1),) * 3", "(Linear, Linear, Linear)"),
        ("None", "NoneType"),
    ],
)
def test_a_factory_that_returns_no_pair_of_modules_is_refused(body, got, tmp_path, monkeypatch):
    name = f"odd_players_{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(f"from torch import nn\nmake = lambda z, x: {body}\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert refusal(f"{name}:make") == (
        f'model.architecture = "{name}:make": returns {got}: must return (generator, '
        "discriminator), two modules"
    )


def test_a_refusal_leaves_torchs_own_stream_as_it_was():
    before = torch.random.get_rng_state()
    refusal("unet")
    assert torch.equal(torch.random.get_rng_state(), before)
