import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file as load_numpy
from safetensors.torch import load_file, save_file

from gan_core.cohort import Cohort
from gan_core.config import CohortConfig, GanConfig, LossVariant
from gan_core.export import MemberConfig, MemberFileError, load_member, member_bytes, save_member
from gan_core.loop import run_interval
from gan_core.sampling import evaluation_latents, generate

CLASSES = tuple("0123456789")


def trained(dataset, values=None, **shared):
    """A member after three steps, beside another, and its cohort."""
    gan = GanConfig(**{"seed": 3, "latent_dim": 12, **(values or {})})
    small = {"generator_widths": (24, 24), "discriminator_widths": (24,), "batch_size": 8}
    config = CohortConfig(**(small | {"latent_dim": 12, "channels": 8} | shared))
    cohort = Cohort(config, dataset.sample_shape, slots=2, classes=len(CLASSES))
    member, _ = cohort.admit([gan, GanConfig(seed=99, latent_dim=12)])
    run_interval(cohort, dataset, 3)
    return cohort, member


def saved(cohort, member, path, **origin):
    """Written in the form that the path asks for."""
    config = MemberConfig.of(cohort, member, classes=CLASSES, origin=origin)
    G, D = cohort.export(member, average=True)
    if path.suffix:
        path.write_bytes(member_bytes(G, D, config))
    else:
        save_member(path, G, D, config)
    return config


@pytest.fixture(params=["member.safetensors", "directory"])
def path(request, tmp_path):
    return tmp_path / request.param


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_what_is_loaded_is_bitwise_what_was_saved(digits, path, precision):
    gan = {"latent_dim": 5, "loss": "wgan-gp", "d_norm": "spectral"}
    cohort, member = trained(digits, gan, precision=precision, architecture="mlp_bn")
    config = saved(cohort, member, path, sweep="mine", trial=7)
    G, D, loaded = load_member(path)
    assert loaded == config
    for module, state in zip((G, D), cohort.export(member), strict=True):
        assert not module.training
        own = module.state_dict()
        assert set(own) == set(state)
        for name, tensor in state.items():
            assert own[name].dtype == tensor.dtype
            assert torch.equal(own[name], tensor)


SHAPES = [
    ({}, {}),
    ({"latent_dim": 5}, {}),
    ({"latent_dim": 1}, {"noise": "uniform"}),
    ({"ema_half_life_images": 20.0}, {}),
    ({}, {"architecture": "mlp_bn"}),
    ({"latent_dim": 5}, {"conditional": True}),
    ({"latent_dim": 5, "d_norm": "layer"}, {"architecture": "dcgan"}),
    ({}, {"architecture": "stylegan"}),
]


@pytest.mark.parametrize(("gan", "shared"), SHAPES)
@pytest.mark.parametrize(
    # One module and a stack of them sum in different orders; tanh passes no difference on enlarged.
    ("precision", "tolerance"),
    [("float64", 1e-12), ("float32", 1e-5)],
)
def test_the_plain_generator_makes_the_images_of_the_cohort(
    digits, tmp_path, gan, shared, precision, tolerance
):
    cohort, member = trained(digits, gan, precision=precision, **shared)
    saved(cohort, member, tmp_path / "member.safetensors")
    G, _, config = load_member(tmp_path / "member.safetensors")
    images = generate(G, config, evaluation_latents(config, 20))
    torch.testing.assert_close(images, cohort.generate([member], 20)[0], rtol=0, atol=tolerance)


def test_a_padded_member_is_saved_without_its_padding(digits, tmp_path):
    cohort, member = trained(digits, {"latent_dim": 5})
    saved(cohort, member, tmp_path / "directory")
    weights = load_file(tmp_path / "directory" / "G.safetensors")
    assert weights["layers.0.weight"].shape == (24, 5)
    assert load_member(tmp_path / "directory")[2].gan.latent_dim == 5


def test_one_file_names_the_player_of_each_tensor_and_needs_no_torch_to_be_read(digits, tmp_path):
    cohort, member = trained(digits)
    saved(cohort, member, tmp_path / "member.safetensors")
    arrays = load_numpy(tmp_path / "member.safetensors")
    states = dict(zip("GD", cohort.export(member), strict=True))
    expected = {f"{player}.{name}" for player, state in states.items() for name in state}
    assert set(arrays) == expected
    np.testing.assert_array_equal(
        arrays["D.layers.1.weight"], states["D"]["layers.1.weight"].numpy()
    )


def test_the_config_beside_the_weights_says_what_it_is_and_how_it_is_built(digits, tmp_path):
    cohort, member = trained(digits, {"latent_dim": 5, "loss": "hinge"})
    saved(cohort, member, tmp_path / "directory", sweep="mine", trial=7)
    assert {path.name for path in (tmp_path / "directory").iterdir()} == {
        "G.safetensors",
        "D.safetensors",
        "config.json",
    }
    config = json.loads((tmp_path / "directory" / "config.json").read_text())
    assert config["gan"] == member.config.to_dict()
    assert config["origin"] == {"sweep": "mine", "trial": 7}
    assert "Linear(in_features=5, out_features=24" in "\n".join(config["modules"]["G"])


@pytest.mark.parametrize("loss", LossVariant)
def test_every_config_comes_back_from_plain_values(loss):
    config = MemberConfig(
        gan=GanConfig(seed=2**62, loss=loss, lr_g=1 / 3),
        cohort=CohortConfig(noise="uniform", generator_widths=()),
        sample_shape=(2,),
        origin={"trial": 1, "sweep": "mine", "step": None},
    )
    assert MemberConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_directory_is_never_written_over_and_appears_whole(digits, tmp_path):
    cohort, member = trained(digits)
    target = tmp_path / "directory"
    target.mkdir()
    saved(cohort, member, target)  # an empty one is as good as none
    before = (target / "config.json").read_bytes()
    other = cohort.members[1]
    with pytest.raises(MemberFileError, match="directory: cannot be written: ") as refused:
        saved(cohort, other, target)
    assert "\n" not in str(refused.value)
    assert (target / "config.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["directory"]


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip_header(path):
    content = bytearray(path.read_bytes())
    content[20] ^= 0xFF
    path.write_bytes(content)


def drop_config(path):
    save_file(load_file(path), path)


def drop_a_tensor(path):
    rewrite(path, lambda tensors, _: tensors.popitem())


def newer_format(path):
    rewrite(path, lambda _, config: config.update(format=2))


def unknown_field(path):
    rewrite(path, lambda _, config: config["gan"].update(warp=9))


def other_widths(path):
    rewrite(path, lambda _, config: config["cohort"].update(generator_widths=[7]))


def foreign_tensor(path):
    rewrite(path, lambda tensors, _: tensors.update({"H.weight": torch.zeros(1)}))


def rewrite(path, change):
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors, config = load_file(path), json.loads(metadata["gansweep_member"])
    change(tensors, config)
    save_file(tensors, path, {"gansweep_member": json.dumps(config)})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "cannot be read: "),
        (lambda path: path.write_bytes(b""), "is damaged, or no saved GAN: "),
        (lambda path: path.write_text("a picture, perhaps"), "is damaged, or no saved GAN: "),
        (truncate, "is damaged, or no saved GAN: "),
        (flip_header, "is damaged, or no saved GAN: "),
        (drop_config, "is damaged, or no saved GAN: no 'gansweep_member'"),
        (foreign_tensor, "is damaged, or no saved GAN: no 'H'"),
        (newer_format, "was written by a newer gansweep, in format 2"),
        (unknown_field, "is damaged, or no saved GAN: "),
        (drop_a_tensor, "do not fit its config: "),
        (other_widths, "the weights of G do not fit its config: "),
    ],
)
def test_a_damaged_file_is_refused_in_one_line_that_names_it(digits, tmp_path, damage, message):
    cohort, member = trained(digits)
    path = tmp_path / "member.safetensors"
    saved(cohort, member, path)
    damage(path)
    with pytest.raises(MemberFileError) as refused:
        load_member(path)
    text = str(refused.value)
    assert text.startswith(f"{path}: ")
    assert message in text
    assert "\n" not in text
    assert len(text) < 600


@pytest.mark.parametrize("name", ["G.safetensors", "config.json"])
def test_a_directory_that_lacks_a_part_is_refused(digits, tmp_path, name):
    cohort, member = trained(digits)
    saved(cohort, member, tmp_path / "directory")
    (tmp_path / "directory" / name).unlink()
    with pytest.raises(MemberFileError, match="directory: cannot be read: "):
        load_member(tmp_path / "directory")
