"""Which recipes, a loss with a penalty, a space allows, and what they make of the others."""

from __future__ import annotations

import itertools

import pytest

from gan_core.config import NO_PENALTY, ConfigError, GanConfig, LossVariant, Penalty
from sweeps.domain import (
    HYPERPARAMETERS,
    Choices,
    Range,
    as_written,
    contains,
    parse_domain,
    parse_point,
    parse_space,
    possible_recipes,
    recipe_penalty,
)

LR = {"lr_g": {"low": 1e-4, "high": 1e-2, "log": True}}
PENALTIES = [NO_PENALTY, *(p.value for p in Penalty)]


def refusal(call, *arguments):
    with pytest.raises(ConfigError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_penalty_in_words_is_that_penalty_and_none_is_none():
    assert recipe_penalty(NO_PENALTY) is None
    for penalty in Penalty:
        assert recipe_penalty(penalty.value) is penalty


@pytest.mark.parametrize(
    ("loss", "penalty"),
    [
        (loss, penalty)
        for loss in (None, "hinge", "wgan", Choices(choices=("lsgan", "r3gan")))
        for penalty in (None, "none", "r1", Choices(choices=("none", "clip", "r1r2")))
    ],
)
def test_possible_recipes_are_those_that_the_gans_of_the_space_resolve_to(loss, penalty):
    def values(domain, default):
        if domain is None:
            return [default]
        return domain.choices if isinstance(domain, Choices) else [domain]

    expected = set()
    for one, other in itertools.product(
        values(loss, GanConfig().loss.value), values(penalty, NO_PENALTY)
    ):
        own = LossVariant(one).penalty
        expected.add(GanConfig(loss=one, penalty=None if own else other).to_dict()["penalty"])
    recipes = possible_recipes(loss, penalty)
    assert {(variant.penalty or given) for variant, given in recipes} == expected
    assert all(given is None for variant, given in recipes if variant.penalty is not None)


@pytest.mark.parametrize(
    ("weight", "recipes"),
    [
        ("clip_value", [("wgan", None), ("hinge", "clip")]),
        ("gp_weight", [("wgan-gp", None), ("nonsaturating", "wgan-gp")]),
        ("dragan_weight", [("dragan", None), ("relativistic", "dragan")]),
        ("r1_gamma", [("r1", None), ("r3gan", None), ("lsgan", "r1"), ("minimax", "r1r2")]),
    ],
)
def test_a_weight_may_be_searched_where_some_trial_has_it(weight, recipes):
    space = {weight: {"low": 0.1, "high": 1.0}}
    for loss, penalty in recipes:
        given = space | {"loss": {"choices": ["wasserstein", loss]}}
        given |= {"penalty": {"choices": [NO_PENALTY, penalty]}} if penalty else {}
        assert set(parse_space(given)) == set(given)
        # The penalty of the other losses does not help.
        others = [p for p in PENALTIES if p not in (penalty, NO_PENALTY)]
        if penalty and weight != "r1_gamma":
            given["penalty"] = {"choices": others}
            assert refusal(parse_space, given).startswith(f"space.{weight} = ")


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            LR | {"loss": "hinge", "r1_gamma": 1.0},
            "space.r1_gamma = 1.0: hinge has none, only r1, r3gan or penalty r1, r1r2: "
            "leave it out or search such a loss",
        ),
        (
            LR | {"loss": {"choices": ["wgan", "hinge"]}, "penalty": "r1", "gp_weight": 1.0},
            "space.gp_weight = 1.0: wgan, hinge have none, only wgan-gp or penalty wgan-gp: "
            "leave it out or search such a loss",
        ),
        (
            LR | {"loss": "r3gan", "penalty": "r1"},
            'space.penalty = "r1": r3gan has none, only minimax, nonsaturating, lsgan, hinge, '
            "wasserstein, relativistic: leave it out or search such a loss",
        ),
        (
            LR | {"penalty": "r2"},
            'space.penalty = "r2": there is no such penalty; did you mean "r1r2"?',
        ),
        (
            LR | {"d_norm": {"choices": ["spectral", "weight"]}},
            'space.d_norm.choices = "weight": there is no such d_norm; ',
        ),
        (LR | {"lr_schedule": {"low": 0, "high": 1}}, "must be a name or { choices"),
        (LR | {"instance_noise": -0.1}, "space.instance_noise = -0.1: must be >= 0"),
        (LR | {"ema_half_life_images": {"low": 0, "high": 9}}, "ema_half_life_images.low = 0: mu"),
    ],
)
def test_what_no_trial_of_the_space_has_is_refused_with_who_has_it(space, message):
    assert message in refusal(parse_space, space)


def test_the_recipe_of_a_point_decides_what_else_it_may_have():
    space = parse_space(
        {
            "loss": {"choices": ["hinge", "wgan"]},
            "penalty": {"choices": ["none", "r1"]},
            "r1_gamma": {"low": 0.1, "high": 1.0},
        }
    )
    sound = {"loss": "hinge", "penalty": "r1", "r1_gamma": 0.5}
    assert parse_point(space, sound, "baseline") == sound
    assert parse_point(space, {"r1_gamma": 0.5}, "baseline") == {"r1_gamma": 0.5}
    for point, name in (
        ({"loss": "hinge", "penalty": "none", "r1_gamma": 0.5}, "r1_gamma = 0.5"),
        ({"loss": "wgan", "r1_gamma": 0.5}, "r1_gamma = 0.5"),
        ({"loss": "wgan", "penalty": "r1"}, 'penalty = "r1"'),
    ):
        assert refusal(parse_point, space, point, "baseline").startswith(f"baseline.{name}: ")


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("penalty", {"choices": ["none", "r1"]}),
        ("penalty", "none"),
        ("d_norm", "spectral"),
        ("instance_noise", {"low": 0.0, "high": 0.5, "log": False}),
        ("r1_gamma", {"low": 0.1, "high": 10.0, "log": True}),
        ("d_steps", {"low": 1, "high": 5, "log": False, "step": 2}),
    ],
)
def test_a_domain_is_written_as_it_is_read(name, given):
    domain = parse_domain(name, given, name)
    written = as_written(domain)
    assert parse_domain(name, written, name) == domain
    if isinstance(given, dict) and "choices" in given:
        assert isinstance(domain, Choices)
        assert all(contains(domain, choice) for choice in given["choices"])
    elif isinstance(given, dict):
        assert isinstance(domain, Range)
        assert written == given
        assert contains(domain, given["low"])
        assert not contains(domain, given["high"] + 1)
    else:
        assert written == given


def test_every_hyperparameter_of_a_gan_but_its_seed_can_be_named():
    assert set(HYPERPARAMETERS) == set(GanConfig().to_dict()) - {"seed"}
