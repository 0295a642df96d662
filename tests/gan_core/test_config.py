import dataclasses
import json
import math

import pytest

from gan_core.config import (
    VARIANTS,
    AdversarialLoss,
    CohortConfig,
    ConfigError,
    GanConfig,
    LossVariant,
    Noise,
    Penalty,
    Precision,
    applies,
    check_value,
)

CONDITIONAL = {"label_smoothing": 0.0, "clip_value": 0.01, "gp_weight": 10.0}
OWNERS = {
    "label_smoothing": {LossVariant.MINIMAX, LossVariant.NONSATURATING},
    "clip_value": {LossVariant.WGAN},
    "gp_weight": {LossVariant.WGAN_GP},
}


def refusal(make, *arguments, **values):
    with pytest.raises(ConfigError) as caught:
        make(*arguments, **values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("loss", list(LossVariant))
def test_a_loss_has_its_own_hyperparameters_and_no_others(loss):
    config = GanConfig(loss=loss)
    for name, default in CONDITIONAL.items():
        expected = default if loss in OWNERS[name] else None
        assert getattr(config, name) == expected
        assert applies(name, loss) is (loss in OWNERS[name])


@pytest.mark.parametrize("loss", list(LossVariant))
def test_what_every_gan_has_applies_under_every_loss(loss):
    everyones = {f.name for f in dataclasses.fields(GanConfig)} - set(CONDITIONAL)
    assert all(applies(name, loss) for name in everyones)


@pytest.mark.parametrize("name", list(CONDITIONAL))
@pytest.mark.parametrize("loss", list(LossVariant))
def test_a_hyperparameter_that_the_loss_lacks_is_refused_even_at_its_default(loss, name):
    value = CONDITIONAL[name]
    if loss in OWNERS[name]:
        GanConfig(loss=loss, **{name: value})
    else:
        assert refusal(GanConfig, loss=loss, **{name: value}) == (
            f"{name} = {value}: loss '{loss}' has none: leave it out"
        )


def test_wgan_is_the_critic_loss_with_clipping_and_wgan_gp_with_the_penalty():
    assert set(VARIANTS) == set(LossVariant)
    critics = {v for v in LossVariant if v.adversarial is AdversarialLoss.WASSERSTEIN}
    assert {v: v.penalty for v in critics} == {
        LossVariant.WGAN: Penalty.CLIP,
        LossVariant.WGAN_GP: Penalty.WGAN_GP,
    }
    assert all(v.penalty is None for v in set(LossVariant) - critics)


def test_the_cross_entropy_losses_are_those_with_labels():
    assert {loss for loss in AdversarialLoss if loss.has_labels} == {"minimax", "nonsaturating"}


# Each hyperparameter: values at the bounds that are right, values just beyond that are not.
BOUNDS = {
    "seed": ([0, 2**63 - 1], [-1, 2**63], "must be >= 0 and < 9.22337e+18"),
    "lr_g": ([5e-324, 1e300], [0, -1e-9, math.inf, math.nan], "must be > 0"),
    "lr_d": ([5e-324, 1e300], [0, -1e-9, math.inf, math.nan], "must be > 0"),
    "latent_dim": ([1, 65535], [0, 65536], "must be >= 1 and < 65536"),
    "label_smoothing": ([0, 0.999], [-0.1, 1, math.nan], "must be >= 0 and < 1"),
    "clip_value": ([1e-9, 5], [0, -1, math.inf, math.nan], "must be > 0"),
    "gp_weight": ([0, 1e6], [-1, math.inf, math.nan], "must be >= 0"),
    "beta1": ([0, 0.999], [-0.1, 1, math.nan], "must be >= 0 and < 1"),
    "beta2": ([0, 0.999], [-0.1, 1, math.nan], "must be >= 0 and < 1"),
    "d_steps": ([1, 1023], [0, 1024], "must be >= 1 and < 1024"),
}
LOSS_OF = {"clip_value": "wgan", "gp_weight": "wgan-gp"}


def test_every_hyperparameter_has_bounds():
    assert {f.name for f in dataclasses.fields(GanConfig)} == {*BOUNDS, "loss"}


@pytest.mark.parametrize("name", list(BOUNDS))
def test_bounds_are_where_they_are_said_to_be(name):
    right, wrong, message = BOUNDS[name]
    loss = LOSS_OF.get(name, "minimax")
    for value in right:
        assert getattr(GanConfig(loss=loss, **{name: value}), name) == value
    for value in wrong:
        assert refusal(GanConfig, loss=loss, **{name: value}) == f"{name} = {value}: {message}"


@pytest.mark.parametrize("name", ["seed", "latent_dim", "d_steps"])
@pytest.mark.parametrize("value", [1.0, True, "1", None])
def test_whole_numbers_must_be_whole_numbers(name, value):
    assert refusal(GanConfig, **{name: value}).endswith(": must be a whole number")


@pytest.mark.parametrize("value", ["1e-3", True, [1e-3], None])
def test_rates_must_be_numbers(value):
    assert refusal(GanConfig, lr_g=value).endswith(": must be a number")


def test_the_error_names_the_place_it_is_told():
    assert (
        refusal(check_value, "beta1", 2, key="space.beta1")
        == "space.beta1 = 2: must be >= 0 and < 1"
    )


def test_an_unknown_loss_is_refused_with_those_that_exist():
    assert refusal(GanConfig, loss="vanilla") == (
        "loss = \"vanilla\": must be one of 'minimax', 'nonsaturating', 'lsgan', 'hinge', "
        "'wgan', 'wgan-gp'"
    )


@pytest.mark.parametrize("loss", list(LossVariant))
def test_a_config_survives_json(loss):
    config = GanConfig(seed=2**62 + 1, lr_g=1 / 3, loss=loss, d_steps=3)
    plain = json.loads(json.dumps(config.to_dict()))
    assert type(plain["loss"]) is str
    assert GanConfig(**plain) == config


def test_configs_cannot_be_changed():
    for config in (GanConfig(), CohortConfig()):
        with pytest.raises(dataclasses.FrozenInstanceError):
            config.latent_dim = 3


def test_a_cohort_takes_plain_values_as_a_file_holds_them():
    config = CohortConfig(generator_widths=[8, 16], noise="uniform", precision="float64")
    assert config.generator_widths == (8, 16)
    assert config.noise is Noise.UNIFORM
    assert config.precision is Precision.FLOAT64
    assert CohortConfig(**json.loads(json.dumps(dataclasses.asdict(config)))) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"noise": "cauchy"}, "noise = \"cauchy\": must be one of 'normal', 'uniform'"),
        ({"precision": "half"}, "precision = \"half\": must be one of 'float32', 'float64'"),
        ({"batch_size": 0}, "batch_size = 0: must be a whole number >= 1"),
        ({"batch_size": 64.0}, "batch_size = 64.0: must be a whole number >= 1"),
        ({"latent_dim": 0}, "latent_dim = 0: must be >= 1 and < 65536"),
        (
            {"generator_widths": (8, 0)},
            "generator_widths = [8, 0]: must be a list of whole numbers >= 1",
        ),
        (
            {"discriminator_widths": (8.5,)},
            "discriminator_widths = [8.5]: must be a list of whole numbers >= 1",
        ),
    ],
)
def test_a_cohorts_bad_values_are_refused(values, message):
    assert refusal(CohortConfig, **values) == message
