import pandas as pd
import pytest

from analysis.load import load
from gan_core.config import ConfigError, GanConfig
from gan_core.export import load_member
from sweeps.members import BEST, described, find_member, gan_config
from sweeps.store import Store
from sweeps.weights import weights_name


@pytest.fixture
def trials(small_sweep):
    return load(small_sweep).trials


def found(trials, trial, seed=None, *, best=1, objective="frechet_distance", kept=None):
    row = find_member(trials, trial, seed, best=best, objective=objective, kept=kept)
    return int(row["trial"]), int(row["seed"])


def test_a_member_is_found_by_trial_and_seed(trials):
    assert found(trials, "3", 7) == (3, 7)
    assert found(trials, BEST, 2) == (1, 2)


@pytest.mark.parametrize("objective", ["frechet_distance", "mode_entropy"])
def test_without_a_seed_it_is_the_best_of_the_trial(trials, objective):
    sound = trials[trials["trial"] == 0].set_index("seed")["objective"]
    best = sound.idxmin() if objective == "frechet_distance" else sound.idxmax()
    assert found(trials, "0", objective=objective) == (0, best)
    assert found(trials, BEST, objective=objective) == (1, 3)  # its other seed diverged


def test_of_those_with_weights_if_that_is_asked(trials):
    assert found(trials, "3", kept={(3, 6)}) == (3, 6)
    assert found(trials, "3", kept={(3, 7)}) == (3, 7)


@pytest.mark.parametrize(
    ("trial", "seed", "message"),
    [
        ("99", None, 'TRIAL = "99": there is no such trial; trials that have ended: 0, 1, 2, 3'),
        ("-1", None, 'TRIAL = "-1": must be a number or "best"; trials that have ended: 0, 1'),
        ("the best", None, 'TRIAL = "the best": must be a number or "best"'),
        ("3", 5, "--seed = 5: there is no such seed; trial 3 has the seeds 6, 7"),
        ("4", None, "(pruned at step 10); there are those of the trials 0, 1, 2, 3; train.keep_"),
        ("4", 8, "--seed = 8: its weights were not kept (pruned at step 10); there are those of"),
        ("1", 2, "(diverged at step 10); of trial 1 there are those of the seeds 3; train.keep_we"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(small_sweep, trials, trial, seed, message):
    with pytest.raises(ConfigError) as refused:
        found(trials, trial, seed, kept=Store(small_sweep).kept_members())
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_where_no_weights_were_kept_that_is_said(trials):
    with pytest.raises(ConfigError, match=r"not kept \(complete at step 40\); nor any others; tr"):
        found(trials, "3", kept=())


def test_before_a_trial_has_ended_there_is_no_best(trials):
    with pytest.raises(ConfigError, match="no trial was trained to its end"):
        found(trials, BEST, best=None)
    with pytest.raises(ConfigError, match="trials that have ended: none"):
        found(trials[:0], "0")


def test_many_trials_are_not_all_listed(trials):
    many = pd.concat([trials.assign(trial=trials["trial"] + 6 * i) for i in range(10)])
    with pytest.raises(ConfigError, match=r"ended: 0, 1, .*, 11, \.\.\. \(60 in all\)"):
        found(many, "99")


def test_a_row_is_the_config_that_was_trained(small_sweep, trials):
    for _, row in trials.iterrows():
        config = gan_config(row)
        assert config.loss == row["loss"]
        if (row["trial"], row["seed"]) in Store(small_sweep).kept_members():
            path = small_sweep / weights_name(row["trial"], row["seed"])
            assert load_member(path)[2].gan == config


def test_plain_values_of_every_hyperparameter_come_back():
    config = GanConfig(seed=2**40, loss="dragan", lr_g=1 / 3, ema_half_life_images=500.0)
    assert gan_config(pd.Series(config.to_dict(), dtype=object)) == config


def test_a_member_is_described_in_a_few_words(trials):
    rows = trials.set_index("seed", drop=False)
    assert described(rows.loc[2]) == "trial 1 at seed 2, diverged at step 10"
    assert described(rows.loc[8]).startswith("trial 4 at seed 8, pruned with ")
