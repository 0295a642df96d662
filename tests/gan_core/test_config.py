import dataclasses
import json
import math

import pytest

from gan_core.config import (
    NAMED,
    NO_PENALTY,
    VARIANTS,
    AdversarialLoss,
    CohortConfig,
    ConfigError,
    GanConfig,
    LossVariant,
    Noise,
    Normalisation,
    Penalty,
    Precision,
    applies,
    check_value,
)

DEFAULTS = {
    "label_smoothing": 0.0,
    "clip_value": 0.01,
    "gp_weight": 10.0,
    "dragan_weight": 10.0,
    "r1_gamma": 10.0,
}
LABELLED = {"minimax", "nonsaturating", "dragan", "r1"}
WEIGHT_OF = {
    "clip": "clip_value",
    "wgan-gp": "gp_weight",
    "dragan": "dragan_weight",
    "r1": "r1_gamma",
    "r1r2": "r1_gamma",
}
OWN = {"wgan": "clip", "wgan-gp": "wgan-gp", "dragan": "dragan", "r1": "r1", "r3gan": "r1r2"}
RECIPES = [
    (loss, penalty)
    for loss in LossVariant
    for penalty in ([Penalty(OWN[loss])] if loss in OWN else [None, *Penalty])
]


def owned(loss, penalty):
    """The conditional hyperparameters that the recipe has."""
    names = {"label_smoothing"} if loss in LABELLED else set()
    return names | ({WEIGHT_OF[penalty]} if penalty else set())


def refusal(make, *arguments, **values):
    with pytest.raises(ConfigError) as caught:
        make(*arguments, **values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("loss", "penalty"), RECIPES)
def test_a_recipe_has_its_own_hyperparameters_and_no_others(loss, penalty):
    config = GanConfig(loss=loss, penalty=penalty)
    assert config.penalty is penalty
    for name, default in DEFAULTS.items():
        has = name in owned(loss, penalty)
        assert getattr(config, name) == (default if has else None)
        assert applies(name, loss, penalty) is has


@pytest.mark.parametrize("loss", list(LossVariant))
def test_what_every_gan_has_applies_under_every_loss(loss):
    everyones = {f.name for f in dataclasses.fields(GanConfig)} - {*DEFAULTS, "penalty"}
    assert all(applies(name, loss) for name in everyones)
    assert applies("penalty", loss) is (loss not in OWN)


@pytest.mark.parametrize("name", list(DEFAULTS))
@pytest.mark.parametrize(("loss", "penalty"), RECIPES)
def test_a_hyperparameter_that_the_recipe_lacks_is_refused_even_at_its_default(loss, penalty, name):
    values = {"loss": loss, "penalty": penalty, name: DEFAULTS[name]}
    if name in owned(loss, penalty):
        GanConfig(**values)
        return
    recipe = f"loss '{loss}'"
    recipe += "" if name == "label_smoothing" else f" with penalty {penalty or 'none'}"
    assert refusal(GanConfig, **values) == (
        f"{name} = {DEFAULTS[name]}: {recipe} has none: leave it out"
    )


def test_a_variant_is_a_loss_on_logits_and_perhaps_a_penalty_of_its_own():
    assert set(VARIANTS) == set(LossVariant)
    assert {v: v.penalty for v in LossVariant if v.penalty} == OWN
    assert {v: LossVariant(v).adversarial for v in OWN} == {
        "wgan": "wasserstein",
        "wgan-gp": "wasserstein",
        "dragan": "nonsaturating",
        "r1": "nonsaturating",
        "r3gan": "relativistic",
    }
    plain = set(LossVariant) - set(OWN)
    assert {v.value for v in plain} == {loss.value for loss in AdversarialLoss}
    assert all(v.adversarial == v.value for v in plain)


@pytest.mark.parametrize("loss", list(LossVariant))
def test_none_in_words_is_none(loss):
    given = GanConfig(loss=loss, penalty=NO_PENALTY)
    assert given == GanConfig(loss=loss)
    assert given.penalty == OWN.get(loss)


@pytest.mark.parametrize("loss", list(OWN))
def test_a_variant_with_its_own_penalty_takes_that_name_and_no_other(loss):
    assert GanConfig(loss=loss, penalty=OWN[loss]) == GanConfig(loss=loss)
    for other in set(Penalty) - {OWN[loss]}:
        assert refusal(GanConfig, loss=loss, penalty=other) == (
            f"penalty = \"{other}\": loss '{loss}' has its own, '{OWN[loss]}': leave it out"
        )


@pytest.mark.parametrize(("loss", "penalty"), RECIPES)
@pytest.mark.parametrize("norm", list(Normalisation))
def test_batch_statistics_are_refused_where_a_gradient_at_single_samples_is_taken(
    loss, penalty, norm
):
    per_sample = penalty in {"wgan-gp", "dragan", "r1", "r1r2"}
    assert penalty is None or penalty.is_per_sample is per_sample
    if norm is not Normalisation.BATCH or not per_sample:
        assert GanConfig(loss=loss, penalty=penalty, d_norm=norm).d_norm is norm
        return
    assert refusal(GanConfig, loss=loss, penalty=penalty, d_norm="batch") == (
        f"d_norm = \"batch\": penalty '{penalty}' takes D's gradient at single samples, which "
        "batch statistics mix: must be none, layer or spectral"
    )


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
    "dragan_weight": ([0, 1e6], [-1, math.inf, math.nan], "must be >= 0"),
    "r1_gamma": ([0, 1e6], [-1, math.inf, math.nan], "must be >= 0"),
    "instance_noise": ([0, 3.5], [-1e-9, math.inf, math.nan], "must be >= 0"),
    "ema_half_life_images": ([1e-3, 1e9], [0, -1, math.inf, math.nan], "must be > 0"),
    "beta1": ([0, 0.999], [-0.1, 1, math.nan], "must be >= 0 and < 1"),
    "beta2": ([0, 0.999], [-0.1, 1, math.nan], "must be >= 0 and < 1"),
    "d_steps": ([1, 1023], [0, 1024], "must be >= 1 and < 1024"),
}
LOSS_OF = {
    "clip_value": "wgan",
    "gp_weight": "wgan-gp",
    "dragan_weight": "dragan",
    "r1_gamma": "r3gan",
}


def test_every_hyperparameter_has_bounds_or_names():
    assert {f.name for f in dataclasses.fields(GanConfig)} == {*BOUNDS, *NAMED}


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


@pytest.mark.parametrize("name", ["lr_g", "instance_noise", "beta1"])
@pytest.mark.parametrize("value", ["1e-3", True, [1e-3], None])
def test_rates_must_be_numbers(name, value):
    assert refusal(GanConfig, **{name: value}).endswith(": must be a number")


def test_an_average_may_be_left_out_but_is_a_number_where_there_is_one():
    assert GanConfig(ema_half_life_images=None).ema_half_life_images is None
    for value in ("500", True):
        assert refusal(GanConfig, ema_half_life_images=value).endswith(": must be a number")


def test_the_error_names_the_place_it_is_told():
    assert (
        refusal(check_value, "beta1", 2, key="space.beta1")
        == "space.beta1 = 2: must be >= 0 and < 1"
    )


@pytest.mark.parametrize("name", list(NAMED))
def test_an_unknown_name_is_refused_with_those_that_exist(name):
    known = ", ".join(f"'{member.value}'" for member in NAMED[name])
    assert refusal(GanConfig, **{name: "vanilla"}) == f'{name} = "vanilla": must be one of {known}'


@pytest.mark.parametrize(("loss", "penalty"), RECIPES)
def test_a_config_survives_json(loss, penalty):
    config = GanConfig(
        seed=2**62 + 1,
        lr_g=1 / 3,
        loss=loss,
        penalty=penalty,
        d_norm="spectral",
        lr_schedule="cosine",
        instance_noise=0.1,
        ema_half_life_images=1e4,
    )
    plain = json.loads(json.dumps(config.to_dict()))
    assert all(type(plain[name]) in (str, type(None)) for name in NAMED)
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
        (
            {"precision": "half"},
            "precision = \"half\": must be one of 'float32', 'float64', 'bfloat16'",
        ),
        ({"batch_size": 0}, "batch_size = 0: must be a whole number >= 1"),
        ({"batch_size": 64.0}, "batch_size = 64.0: must be a whole number >= 1"),
        ({"channels": None}, "channels = None: must be a whole number >= 1"),
        ({"schedule_steps": 0}, "schedule_steps = 0: must be a whole number >= 1"),
        ({"schedule_steps": True}, "schedule_steps = True: must be a whole number >= 1"),
        ({"activation": "tanh"}, "activation = \"tanh\": must be one of 'leaky_relu', 'relu'"),
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


@pytest.mark.parametrize("values", [{"architecture": "dcgan"}, {"conditional": True}])
def test_bfloat16_is_refused_where_it_would_change_nothing(values):
    with pytest.raises(ConfigError) as refused:
        CohortConfig(precision="bfloat16", **values)
    assert str(refused.value) == (
        'precision = "bfloat16": is only for the architecture "mlp" without conditional = true'
    )
