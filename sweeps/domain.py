"""What one hyperparameter may be: a fixed value, a range or a list of choices."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gan_core.config import (
    NAMED,
    NO_PENALTY,
    ConfigError,
    GanConfig,
    LossVariant,
    Normalisation,
    Penalty,
    applies,
    check_value,
)
from sweeps.mistakes import did_you_mean, shown

__all__ = [
    "HYPERPARAMETERS",
    "Choices",
    "Domain",
    "Range",
    "Recipe",
    "Value",
    "as_written",
    "contains",
    "parse_domain",
    "parse_point",
    "parse_space",
    "parse_value",
    "possible_recipes",
    "recipe_penalty",
]

Value = float | int | str
"""Of a hyperparameter; whole numbers are int and the others float, whatever was written."""

HYPERPARAMETERS = tuple(f.name for f in dataclasses.fields(GanConfig) if f.name != "seed")
"""What a space may name."""

_WHOLE = ("latent_dim", "d_steps")


@dataclass(frozen=True, kw_only=True)
class Range:
    """All numbers from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = False
    """Whether the logarithm is drawn uniformly instead of the number."""
    step: int | None = None
    """Distance of whole numbers; None for 1, and for other numbers."""

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        on_grid = self.step is None or (value - self.low) % self.step == 0
        return self.low <= value <= self.high and on_grid


@dataclass(frozen=True, kw_only=True)
class Choices:
    """One of these."""

    choices: tuple[Value, ...]

    def __contains__(self, value: object) -> bool:
        return value in self.choices


Domain = Value | Range | Choices


def as_written(domain: Domain) -> Any:
    """A domain in the plain types that TOML has."""
    if not isinstance(domain, Range | Choices):
        return domain
    fields = dataclasses.asdict(domain).items()
    return {name: value for name, value in fields if value is not None}


def parse_value(name: str, given: object, key: str) -> Value:
    """A hyperparameter's value of the right type and within its bounds.

    Args:
        name: the hyperparameter.
        given: what was written.
        key: how an error names the place.

    Raises:
        ConfigError: the type or the bound is wrong, or the loss does not exist.
    """
    if name in NAMED:
        known = [member.value for member in NAMED[name]]
        known += [NO_PENALTY] if name == "penalty" else []
        if given not in known:
            right = f"there is no such {name}; {did_you_mean(str(given), known)}"
            raise ConfigError(key, given, right)
        return str(given)
    check_value(name, given, integer=name in _WHOLE, key=key)
    assert isinstance(given, int | float)  # for the type checker: check_value has seen to it
    return given if name in _WHOLE else float(given)


def parse_domain(name: str, given: object, key: str) -> Domain:
    """What a hyperparameter may be, from `2e-4`, `{low, high, log, step}` or `{choices}`.

    Args:
        name: the hyperparameter.
        given: what was written, or a domain already.
        key: how an error names the place.

    Raises:
        ConfigError: an end out of bounds, low >= high, log from 0, no or twice the same choice.
    """
    if isinstance(given, Range | Choices):
        given = as_written(given)
    if not isinstance(given, Mapping):
        return parse_value(name, given, key)
    if "choices" in given:
        return _parse_choices(name, given, key)
    return _parse_range(name, given, key)


def contains(domain: Domain, value: Value) -> bool:
    """Whether a hyperparameter with this domain can take the value."""
    return value in domain if isinstance(domain, Range | Choices) else value == domain


Recipe = tuple[LossVariant, Penalty | None]
"""A loss and the penalty chosen beside it."""


def possible_recipes(loss: Domain | None, penalty: Domain | None) -> tuple[Recipe, ...]:
    """What trials may have, given the domains; `GanConfig`'s defaults where there is none."""
    return tuple(
        (variant, recipe_penalty(given) if applies("penalty", variant) else None)
        for variant in map(LossVariant, _values(loss, GanConfig().loss.value))
        for given in _values(penalty, NO_PENALTY)
    )


def recipe_penalty(given: object) -> Penalty | None:
    """What a config's `penalty` stands for."""
    return None if given == NO_PENALTY else Penalty(str(given))


def _values(domain: Domain | None, default: str) -> list[str]:
    if domain is None:
        return [default]
    return [str(v) for v in (domain.choices if isinstance(domain, Choices) else (domain,))]


def parse_space(given: object) -> dict[str, Domain]:
    """A space: the domain of each hyperparameter that it names.

    Raises:
        ConfigError: an unknown hyperparameter, a wrong domain, one that no loss of the space
            has, or nothing to search.
    """
    if not isinstance(given, Mapping):
        raise ConfigError("space", given, "must be a table of hyperparameters")
    for name in given:
        if name not in HYPERPARAMETERS:
            right = f"there is no such hyperparameter; {did_you_mean(name, HYPERPARAMETERS)}"
            raise ConfigError(f"space.{name}", given[name], right)
    space = {name: parse_domain(name, value, f"space.{name}") for name, value in given.items()}
    recipes = possible_recipes(space.get("loss"), space.get("penalty"))
    for name in space:
        if not any(applies(name, *recipe) for recipe in recipes):
            raise ConfigError(f"space.{name}", given[name], _needs_recipe(name, recipes))
    _check_norms(space.get("d_norm"), recipes)
    if not any(isinstance(domain, Range | Choices) for domain in space.values()):
        example = "lr_g = { low = 1e-5, high = 1e-2, log = true }"
        raise ConfigError("space", given, f"must search at least one hyperparameter: {example}")
    return space


def _check_norms(d_norm: Domain | None, recipes: tuple[Recipe, ...]) -> None:
    """Refuses a space some of whose points `GanConfig` refuses."""
    penalties = [loss.penalty or penalty for loss, penalty in recipes]
    mixed = dict.fromkeys(p.value for p in penalties if p is not None and p.is_per_sample)
    if mixed and Normalisation.BATCH in _values(d_norm, Normalisation.NONE):
        right = (
            "mixes the samples that penalties on single samples' gradients keep apart; the space "
            f"has {', '.join(mixed)}: leave out either"
        )
        raise ConfigError("space.d_norm", Normalisation.BATCH.value, right)


def _needs_recipe(name: str, recipes: tuple[Recipe, ...]) -> str:
    losses = list(dict.fromkeys(loss.value for loss, _ in recipes))
    has = f"{', '.join(losses)} {'has' if len(losses) == 1 else 'have'} none"
    having = [loss.value for loss in LossVariant if applies(name, loss)]
    also = [p.value for p in Penalty if applies(name, LossVariant.NONSATURATING, p)]
    either = ", ".join(having)
    if also and not applies(name, LossVariant.NONSATURATING):
        either += f" or penalty {', '.join(also)}"
    return f"{has}, only {either}: leave it out or search such a loss"


def parse_point(space: Mapping[str, Domain], given: object, key: str) -> dict[str, Value]:
    """A point of a space, perhaps of only some of its hyperparameters.

    Raises:
        ConfigError: a hyperparameter that the space or the point's loss does not have, or a
            value outside of its domain.
    """
    if not isinstance(given, Mapping):
        raise ConfigError(key, given, "must be a table of hyperparameters")
    point: dict[str, Value] = {}
    for name, value in given.items():
        place = f"{key}.{name}"
        if name not in space:
            raise ConfigError(place, value, f"is not in the space; {did_you_mean(name, space)}")
        point[name] = parse_value(name, value, place)
        if not contains(space[name], point[name]):
            right = f"must lie in space.{name} = {shown(as_written(space[name]))}"
            raise ConfigError(place, value, right)
    recipes = possible_recipes(
        point.get("loss", space.get("loss")), point.get("penalty", space.get("penalty"))
    )
    for name in point:
        if not any(applies(name, *recipe) for recipe in recipes):
            raise ConfigError(f"{key}.{name}", point[name], _needs_recipe(name, recipes))
    return point


def _parse_choices(name: str, given: Mapping[str, Any], key: str) -> Choices:
    _known_keys(given, ("choices",), key)
    listed = given["choices"]
    if not isinstance(listed, list | tuple) or not listed:
        raise ConfigError(f"{key}.choices", listed, "must be a list with at least one value")
    values = tuple(parse_value(name, value, f"{key}.choices") for value in listed)
    twice = [value for i, value in enumerate(values) if value in values[:i]]
    if twice:
        raise ConfigError(f"{key}.choices", twice[0], "must stand in the list once only")
    return Choices(choices=values)


def _parse_range(name: str, given: Mapping[str, Any], key: str) -> Range:
    if name in NAMED:
        raise ConfigError(key, dict(given), 'must be a name or { choices = ["...", "..."] }')
    _known_keys(given, ("low", "high", "log", "step"), key)
    for end in ("low", "high"):
        if end not in given:
            raise ConfigError(
                key, dict(given), "must have low and high, or choices, or be a number"
            )
    low = parse_value(name, given["low"], f"{key}.low")
    high = parse_value(name, given["high"], f"{key}.high")
    assert not isinstance(low, str)  # for the type checker: no loss comes here
    assert not isinstance(high, str)
    if low >= high:
        raise ConfigError(f"{key}.low", low, f"must be < high = {high:g}")
    log = given.get("log", False)
    if not isinstance(log, bool):
        raise ConfigError(f"{key}.log", log, "must be true or false")
    if log and low <= 0:
        raise ConfigError(f"{key}.low", low, "must be > 0 where log = true")
    return Range(low=low, high=high, log=log, step=_parse_step(name, given, key))


def _parse_step(name: str, given: Mapping[str, Any], key: str) -> int | None:
    if "step" not in given:
        return None
    step, span = given["step"], given["high"] - given["low"]
    if name not in _WHOLE:
        raise ConfigError(f"{key}.step", step, f"{name} is no whole number: leave step out")
    if given.get("log"):
        raise ConfigError(f"{key}.step", step, "cannot go with log = true: leave one out")
    if isinstance(step, bool) or not isinstance(step, int) or step < 1 or span % step:
        raise ConfigError(f"{key}.step", step, f"must be a whole number that divides {span}")
    return step


def _known_keys(given: Mapping[str, Any], known: tuple[str, ...], key: str) -> None:
    for name in given:
        if name not in known:
            right = f"there is no such key here; {did_you_mean(name, known)}"
            raise ConfigError(f"{key}.{name}", given[name], right)
