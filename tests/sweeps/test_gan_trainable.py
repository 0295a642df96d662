"""The plain mapping, one Tune trial for one configuration, under stock Tune parts."""

import math

import pytest
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from sweeps.config_file import load_config
from sweeps.gan_trainable import GanTrainable


def test_it_runs_under_optuna_search_and_asha(cluster, quick, tmp_path):
    sweep = load_config(None, quick)
    tuner = tune.Tuner(
        tune.with_parameters(GanTrainable, sweep=sweep),
        param_space={
            "lr_g": tune.loguniform(1e-4, 1e-2),
            "loss": tune.choice(["hinge", "wgan-gp"]),
            "latent_dim": tune.choice([4, 16]),
        },
        tune_config=tune.TuneConfig(
            metric="frechet_distance",
            mode="min",
            num_samples=4,
            max_concurrent_trials=2,
            search_alg=OptunaSearch(seed=0),
            scheduler=ASHAScheduler(time_attr="steps", max_t=40, grace_period=20),
        ),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
    )
    results = tuner.fit()
    assert not results.errors
    assert len(results) == 4
    for result in results:
        assert math.isfinite(result.metrics["frechet_distance"])
        assert result.metrics["steps"] in (20, 40)
        assert result.metrics["diverged_share"] == 0
    assert results.get_best_result().config["loss"] in ("hinge", "wgan-gp")


@pytest.fixture
def trainable(cluster, quick):
    made = []

    def make(config):
        made.append(tune.with_parameters(GanTrainable, sweep=load_config(None, quick))(config))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def test_it_ends_after_the_steps_of_the_sweep(trainable):
    one = trainable({"lr_g": 1e-3})
    results = [one.train() for _ in range(4)]
    assert [r["steps"] for r in results] == [10, 20, 30, 40]
    assert [r["done"] for r in results] == [False, False, False, True]


def test_restored_from_a_checkpoint_it_goes_on_as_if_never_stopped(trainable, tmp_path):
    whole, saved, restored = (trainable({"lr_g": 1e-3}) for _ in range(3))
    saved.train()
    restored.restore(saved.save(str(tmp_path)))
    whole.train()
    for _ in range(2):
        expected, got = whole.train(), restored.train()
        for name in ("frechet_distance", "mode_entropy", "feature_spread", "steps"):
            assert got[name] == expected[name]


def test_when_all_seeds_diverge_it_reports_an_untrained_generators_value_and_ends(trainable):
    one = trainable({"lr_d": 1e30, "loss": "lsgan"})
    untrained = sum(one._untrained) / len(one._untrained)
    result = one.train()
    assert result["done"]
    assert result["diverged_share"] == 1
    assert result["frechet_distance"] == pytest.approx(untrained)


def test_without_a_sweep_it_says_how_to_give_one():
    with pytest.raises(ValueError, match=r"tune\.with_parameters"):
        GanTrainable({})


def test_a_wrong_hyperparameter_is_refused_by_name(trainable):
    with pytest.raises(ValueError, match=r"lr_g = -1: must be > 0"):
        trainable({"lr_g": -1})


def test_a_checkpoint_of_another_configuration_is_refused(trainable, tmp_path):
    slow, fast = trainable({"lr_g": 1e-4}), trainable({"lr_g": 1e-3})
    with pytest.raises(ValueError, match="hyperparameters cannot change during training"):
        fast.restore(slow.save(str(tmp_path)))
