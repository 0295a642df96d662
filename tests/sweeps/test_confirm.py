"""Winners are trained again exactly as they were, on seeds that chose nothing."""

from __future__ import annotations

import dataclasses
import functools
import tomllib

import pandas as pd
import pytest
from optuna.trial import FixedTrial

from analysis.confirm import confirmed
from analysis.load import load
from analysis.schema import HYPERPARAMETERS
from gan_core.config import GanConfig, LossVariant, Normalisation, Penalty
from sweeps.config import parse_config
from sweeps.config_file import load_config, to_toml
from sweeps.confirm import changes, fresh_seed, planned_seeds, winners
from sweeps.overrides import apply_override
from sweeps.settings import SEEDS_APART
from sweeps.space import Space
from sweeps.store import Store
from sweeps.study import StudyOwner
from sweeps.worker import Worker

EVERYTHING = {
    "loss": {"choices": [loss.value for loss in LossVariant]},
    "penalty": {"choices": ["none", *(p.value for p in Penalty)]},
    "lr_g": {"low": 1e-5, "high": 1e-2, "log": True},
    "latent_dim": {"choices": [8, 16]},
    "r1_gamma": {"low": 0.01, "high": 10.0, "log": True},
}


def confirming(config, gans, **options):
    """The config that trains these again, as it is read back from its file."""
    document = tomllib.loads(to_toml(config))
    options = {"seeds": 10, "seed": 3} | options
    for key, value in changes(config, "digits", gans, **options).items():
        apply_override(document, key, value)
    return parse_config(tomllib.loads(to_toml(parse_config(document))))


def every_recipe():
    for loss in LossVariant:
        for penalty in [loss.penalty] if loss.penalty else [None, *Penalty]:
            yield GanConfig(loss=loss, penalty=penalty, lr_g=1 / 3000, latent_dim=16)
    yield GanConfig(loss="r1", r1_gamma=1 / 7, latent_dim=8)
    yield GanConfig(loss="hinge", penalty="r1", r1_gamma=0.25, lr_g=1e-3, latent_dim=8)


@pytest.mark.parametrize(
    ("space", "gans"),
    [
        (EVERYTHING, list(every_recipe())),
        ({"loss": EVERYTHING["loss"]}, [GanConfig(loss=loss) for loss in LossVariant]),
    ],
)
def test_every_hyperparameter_is_as_it_was(space, gans):
    again = confirming(parse_config({"space": space}), dict(enumerate(gans)))
    suggest = Space(again).suggest
    for gan, point in zip(gans, again.search.baseline, strict=True):
        assert GanConfig(**suggest(FixedTrial(point))) == gan


def test_what_the_space_leaves_to_defaults_is_written_down():
    config = parse_config({"space": {"lr_g": EVERYTHING["lr_g"], "beta1": 0.9}})
    gan = GanConfig(lr_g=1e-3, beta1=0.9, d_norm=Normalisation.LAYER, label_smoothing=0.125)
    again = confirming(config, {4: gan})
    assert again.space["d_norm"] == "layer"
    assert again.space["label_smoothing"] == 0.125
    assert again.space["penalty"] == "none"
    assert again.space["beta2"] == 0.999
    assert again.space["lr_g"] == config.space["lr_g"]
    assert "gp_weight" not in again.space
    assert GanConfig(**Space(again).suggest(FixedTrial(again.search.baseline[0]))) == gan


def test_nothing_is_searched_and_all_else_stays():
    config = parse_config(
        {
            "space": {"lr_g": EVERYTHING["lr_g"]},
            "train": {"batch_size": 32, "seeds": 3},
            "search": {"objective": "mode_kl", "pruner": "median", "max_in_flight": 2},
            "resources": {"slots": 6, "workers": 2},
        }
    )
    again = confirming(config, {4: GanConfig(lr_g=1e-3), 2: GanConfig(lr_g=2e-3)})
    search = again.search
    assert (search.trials, search.confirms.sweep, search.confirms.trials) == (2, "digits", (4, 2))
    assert search.baseline == ({"lr_g": 1e-3}, {"lr_g": 2e-3})
    assert (search.pruner, search.objective, search.seed) == ("none", "mode_kl", 3)
    assert again.settings().in_flight == 2  # all at once
    assert again.train == config.train.model_copy(update={"seeds": 10})
    assert (again.data, again.model) == (config.data, config.model)
    assert (again.resources.slots, again.resources.workers) == (10, 2)
    assert confirming(config, {4: GanConfig(lr_g=1e-3)}, seeds=5).resources.slots == 6


def test_winners_are_the_first_distinct_configurations_of_a_ranking():
    configs = [GanConfig(seed=5, lr_g=1e-3), GanConfig(lr_g=2e-3), GanConfig(seed=7, lr_g=1e-3)]
    configs += [GanConfig(lr_g=3e-3)]
    rows = [
        gan.to_dict() | {"trial": number, "seed": 10 * number + i}
        for number, gan in enumerate(configs)
        for i in (0, 1)
    ]
    trials = pd.DataFrame(rows, dtype=object)
    found = winners(trials, [2, 0, 3, 1], 2)
    assert list(found) == [2, 3]
    assert [gan.lr_g for gan in found.values()] == [1e-3, 3e-3]
    assert list(winners(trials, [2, 0, 3, 1], 9)) == [2, 3, 1]
    assert winners(trials, [], 3) == {}


@pytest.mark.parametrize(
    ("used", "seed"),
    [
        ([], 0),
        ([0, 127], 1),
        ([999_999], 1),
        ([1_000_000, 3], 2),
        ([7_000_000], 8),
        ([SEEDS_APART * (2**32 - 1) + 5], 0),
        ([SEEDS_APART * (2**32 - 1), 0, 1_000_000, 3_000_000], 2),
    ],
)
def test_a_fresh_seed_lies_above_all_used_ones_where_there_is_room(used, seed):
    assert fresh_seed(used) == seed


@pytest.mark.parametrize("seed", [0, 1, 41, 2**32 - 1])
@pytest.mark.parametrize(("trials", "seeds"), [(1, 1), (64, 2), (99, 20_000)])
def test_no_member_of_it_has_a_seed_of_the_sweep(seed, trials, seeds):
    options = [f"search.seed={seed}", f"search.trials={trials}", f"train.seeds={seeds}"]
    config = load_config(None, options)
    own = planned_seeds(config)
    assert len(own) == trials * seeds
    settings = dataclasses.replace(config.settings(), seed=fresh_seed(own), trials=100, seeds=100)
    fresh = {s for trial in range(100) for s in settings.seeds_of(trial)}
    assert not fresh & {*own}


@pytest.fixture(scope="module")
def pair(small_sweep, tmp_path_factory):
    """The small sweep of six trials, and its best two on five fresh seeds each."""
    original = load(small_sweep)
    config = load_config(small_sweep / "sweep.toml")
    best = winners(original.trials, [1, 3], 2)
    seed = fresh_seed({*original.trials["seed"], *planned_seeds(config)})
    again = confirming(config, best, seeds=5, seed=seed)
    directory = tmp_path_factory.mktemp("again") / "again"
    store = Store(directory)
    store.write_config(to_toml(again))
    owner = StudyOwner(again.settings(), Space(again).suggest, directory / "journal", "run")
    exchange = functools.partial(owner.exchange, "w")
    worker = Worker(again, name="w", slots=10, device="cpu", exchange=exchange, store=store)
    worker.write_control()
    while not worker.advance().done:
        pass
    return original, load(directory)


def test_the_members_have_all_hyperparameters_of_the_winners_and_none_of_their_seeds(pair):
    original, again = pair
    names = list(HYPERPARAMETERS)
    assert len(again.trials) == 10
    for here, there in enumerate((1, 3)):
        wanted = original.trials[original.trials["trial"] == there].iloc[0][names]
        for _, row in again.trials[again.trials["trial"] == here].iterrows():
            pd.testing.assert_series_equal(row[names], wanted, check_names=False)
    assert not {*original.trials["seed"]} & {*again.trials["seed"]}
    assert set(again.trials["seed"]) == set(range(1_000_000, 1_000_010))


def test_what_was_said_is_held_against_them(pair):
    original, again = pair
    table = confirmed(original, again)
    assert table["trial"].tolist() == [1, 3]
    assert table["seeds"].tolist() == [5, 5]
    said = original.trials.drop_duplicates("trial").set_index("trial")["trial_objective"]
    assert table["said"].tolist() == said[[1, 3]].tolist()
    assert (table["iqm_low"] <= table["iqm"]).all()
    assert (table["iqm"] <= table["iqm_high"]).all()
    assert table["finding"].notna().all()
