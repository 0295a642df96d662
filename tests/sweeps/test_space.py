"""The space asks Optuna for what the trial's loss has, within the ranges."""

from __future__ import annotations

import warnings

import optuna
import pytest

from gan_core.config import GanConfig, LossVariant, applies
from sweeps.config import parse_config
from sweeps.config_file import load_config
from sweeps.domain import contains
from sweeps.sampler import make_sampler
from sweeps.settings import Sampler
from sweeps.space import Space

optuna.logging.set_verbosity(optuna.logging.WARNING)


def everything():
    return parse_config(
        {
            "space": {
                "lr_g": {"low": 1e-5, "high": 1e-2, "log": True},
                "lr_d": {"low": 1e-3, "high": 2e-3},
                "latent_dim": {"low": 8, "high": 64, "step": 8},
                "loss": {"choices": [loss.value for loss in LossVariant]},
                "label_smoothing": {"low": 0.0, "high": 0.3},
                "penalty": {"choices": ["none", "clip", "wgan-gp", "dragan", "r1", "r1r2"]},
                "clip_value": {"low": 0.001, "high": 0.1, "log": True},
                "gp_weight": {"choices": [1, 10]},
                "dragan_weight": {"low": 1, "high": 20},
                "r1_gamma": {"low": 0.01, "high": 10, "log": True},
                "d_norm": {"choices": ["none", "layer", "spectral"]},
                "lr_schedule": {"choices": ["constant", "linear", "cosine"]},
                "instance_noise": {"low": 0.0, "high": 0.2},
                "ema_half_life_images": {"low": 100, "high": 10000, "log": True},
                "beta1": 0.5,
                "d_steps": {"low": 1, "high": 16, "log": True},
            }
        }
    )


def study_of(sampler):
    return optuna.create_study(sampler=sampler)


def draws(config, n, sampler=None):
    study = study_of(sampler or make_sampler(Sampler.RANDOM, 0, 0))
    return [Space(config).suggest(study.ask()) for _ in range(n)]


def test_every_draw_is_in_range_and_a_sound_gan():
    config = everything()
    for values in draws(config, 200):
        assert all(contains(config.space[name], value) for name, value in values.items())
        GanConfig(**values, seed=1)


def test_a_trial_has_what_its_loss_has_and_nothing_else():
    config = everything()
    seen = set()
    for values in draws(config, 400):
        gan = GanConfig(**values)
        recipe = gan.loss, gan.penalty
        assert set(values) == {name for name in config.space if applies(name, *recipe)}
        # Whatever is drawn changes something, and nothing that would is missing.
        resolved = gan.to_dict()
        drawn = {name for name in config.space if resolved[name] is not None}
        assert drawn - {"penalty"} == set(values) - {"penalty"}
        seen.add(recipe)
    assert {loss for loss, _ in seen} == set(LossVariant)
    # Most of the 41: each penalty of a free loss has a chance of 1 in 66 at every draw.
    assert len(seen) > 35


def test_a_penalty_of_the_space_is_for_the_losses_that_have_none_of_their_own():
    space = {
        "loss": {"choices": ["hinge", "wgan"]},
        "penalty": "r1",
        "r1_gamma": {"low": 0.1, "high": 1.0},
        "clip_value": 0.02,
    }
    for values in draws(parse_config({"space": space}), 20):
        if values["loss"] == "hinge":
            assert set(values) == {"loss", "penalty", "r1_gamma"}
            assert GanConfig(**values).penalty == "r1"
        else:
            assert values == {"loss": "wgan", "clip_value": 0.02}


def test_both_ends_and_every_step_of_a_whole_range_are_drawn():
    config = parse_config({"space": {"latent_dim": {"low": 8, "high": 24, "step": 8}}})
    assert {values["latent_dim"] for values in draws(config, 100)} == {8, 16, 24}


def test_logarithmic_rates_are_spread_over_orders_of_magnitude():
    rates = [values["lr_g"] for values in draws(everything(), 200)]
    # A third of the draws lies in each decade; 4 standard deviations of a binomial are 27 of 200.
    assert 40 < sum(rate < 1e-4 for rate in rates) < 94


def test_fixed_values_pass_through_and_are_no_parameters_of_the_trial():
    config = parse_config({"space": {"lr_g": {"low": 1e-4, "high": 1e-3}, "loss": "hinge"}})
    trial = study_of(make_sampler(Sampler.RANDOM, 0, 0)).ask()
    values = Space(config).suggest(trial)
    assert values["loss"] == "hinge"
    assert list(trial.params) == ["lr_g"]


def test_an_unnamed_loss_is_the_default_one():
    config = parse_config({"space": {"label_smoothing": {"low": 0.0, "high": 0.3}}})
    (values,) = draws(config, 1)
    assert list(values) == ["label_smoothing"]


@pytest.mark.parametrize(
    ("domain", "extremes"),
    [
        ({"choices": [16, 64, 8]}, (8, 64)),
        ({"low": 4, "high": 20}, (4, 20)),
        (7, (7, 7)),
        (None, (64, 64)),
    ],
)
def test_the_extreme_latent_dimensions(domain, extremes):
    space = {"lr_g": {"low": 1e-4, "high": 1e-3}, "latent_dim": domain}
    config = parse_config({"space": {k: v for k, v in space.items() if v is not None}})
    assert Space(config).latent_dims == extremes


def test_enqueued_baselines_come_first_and_as_they_are():
    config = load_config(None, ["search.baseline=[{loss='wgan', lr_g=1e-3}, {latent_dim=16}]"])
    study = study_of(make_sampler(Sampler.TPE, 0, 0))
    for point in config.settings().baselines:
        study.enqueue_trial(dict(point))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = (Space(config).suggest(study.ask()) for _ in range(2))
    assert (first["loss"], first["lr_g"]) == ("wgan", 1e-3)
    assert "label_smoothing" not in first
    assert second["latent_dim"] == 16


def test_tpe_learns_in_the_conditional_space():
    config = everything()
    study = study_of(make_sampler(Sampler.TPE, 3, 0))
    losses = []
    for _ in range(60):
        trial = study.ask()
        values = Space(config).suggest(trial)
        losses.append(values["loss"])
        study.tell(trial, float(values["loss"] != "hinge"))
    # Chance gives 5 of 30; a sampler that could not model the space would stay there.
    assert losses[30:].count("hinge") > 12
