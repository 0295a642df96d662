"""A worker and the owner of the study in one process: everything but Ray."""

import dataclasses
import functools
import shutil
import time

import numpy as np
import optuna
import pandas as pd
import pytest
import torch

from analysis.load import load
from analysis.schema import END_METRICS, SPECTRAL_NORMS
from gan_core.config import GanConfig
from gan_core.data import load_dataset
from gan_core.loop import run_interval
from gan_core.metrics.evaluate import Evaluator
from sweeps.assembly import assemble_cohort
from sweeps.config_file import load_config
from sweeps.journal import open_journal
from sweeps.protocol import Reply
from sweeps.space import Space
from sweeps.store import Store
from sweeps.study import StudyOwner
from sweeps.worker import Worker

SMALL = [
    "train.steps=80",
    "train.eval_every=10",
    "train.eval_images=100",
    "search.trials=12",
    "model.generator_widths=[16]",
    "model.discriminator_widths=[16]",
    "space.lr_g={low=1e-4, high=1e-2, log=true}",
]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Sweep:
    """A config, an owner, a store, and as many workers as a test wants."""

    def __init__(self, directory, *changes):
        self.config = load_config(None, [*SMALL, *changes])
        self.directory = directory
        self.owner = self.new_owner("run")
        self.store = Store(directory)

    def new_owner(self, run_id):
        suggest = Space(self.config).suggest
        journal = self.directory / "study.journal"
        return StudyOwner(self.config.settings(), suggest, journal, run_id)

    def killed_and_resumed(self, slots=8):
        """A worker of a run that follows one which a power cut ended."""
        self.owner = self.new_owner(f"resumed-{time.monotonic()}")
        return self.worker(slots=slots)

    def worker(self, name="w", slots=8, exchange=None):
        exchange = exchange or functools.partial(self.owner.exchange, name)
        return Worker(
            self.config, name=name, slots=slots, device="cpu", exchange=exchange, store=self.store
        )

    def table(self, name):
        return pd.read_parquet(self.directory / name)

    @property
    def study(self):
        storage = open_journal(self.directory / "study.journal")
        return optuna.load_study(study_name="gansweep", storage=storage)


def finish(*workers):
    for _ in range(500):
        ends = [worker.advance().done for worker in workers]
        if all(ends):
            return
    raise AssertionError("the sweep does not end")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    sweep = Sweep(tmp_path_factory.mktemp("sweep"))
    worker = sweep.worker()
    worker.write_control()
    finish(worker)
    return sweep


def test_every_trial_ends_once_with_a_row_for_each_seed(done):
    trials = done.table("trials")
    assert sorted(trials["trial"].unique()) == list(range(12))
    assert len(trials) == 24
    assert not trials.duplicated(["trial", "seed"]).any()
    assert set(trials["status"]) <= {"complete", "pruned", "diverged"}
    assert {t.state.name for t in done.study.trials} <= {"COMPLETE", "PRUNED"}


def test_history_has_a_row_for_each_member_and_rung(done):
    history = done.table("history")
    assert not history.duplicated(["trial", "seed", "rung"]).any()
    for _, member in done.table("trials").iterrows():
        rungs = history[(history["trial"] == member["trial"]) & (history["seed"] == member["seed"])]
        assert sorted(rungs["rung"]) == list(range(len(rungs)))
        assert sorted(rungs["step"]) == [10 * rung for rung in range(len(rungs))]
        assert rungs["step"].max() == member["steps"]
        first = rungs[rungs["rung"] == 0].iloc[0]
        assert first["interval_steps"] == 0
        assert np.isnan(first["d_loss_mean"])
        assert np.isfinite(first["frechet_distance"])


def test_rows_say_what_the_study_was_told(done):
    trials = done.table("trials")
    for told in done.study.trials:
        rows = trials[trials["trial"] == told.number]
        assert set(rows["seed"]) == set(told.user_attrs["seeds"])
        for name, value in told.params.items():
            assert (rows[name] == value).all()
        last = told.intermediate_values[max(told.intermediate_values)]
        np.testing.assert_array_equal(rows["trial_objective"], last)
        # No seed diverged here: the trial's objective is the mean of its members'.
        if (rows["status"] != "diverged").all():
            assert rows["objective"].mean() == pytest.approx(last)


def test_only_losses_that_have_a_hyperparameter_have_a_value_for_it(done):
    trials = done.table("trials")
    has = {
        "label_smoothing": ("minimax", "nonsaturating"),
        "clip_value": ("wgan",),
        "gp_weight": ("wgan-gp",),
        "penalty": ("wgan", "wgan-gp"),
        "r1_gamma": (),
        "dragan_weight": (),
    }
    for name, losses in has.items():
        assert (trials[name].notna() == trials["loss"].isin(losses)).all()
    for name in ("d_norm", "lr_schedule", "instance_noise", "beta2"):
        assert trials[name].notna().all()


def test_a_penalty_beside_the_loss_a_norm_and_a_schedule_reach_the_members(tmp_path):
    changes = [
        "space.loss=hinge",
        "space.label_smoothing=",
        "space.penalty={choices=['r1', 'none']}",
        "space.r1_gamma={low=0.01, high=0.1}",
        "space.d_norm={choices=['spectral', 'layer']}",
        "space.lr_schedule=linear",
        "space.ema_half_life_images=1000",
        "search.baseline=[]",
        "search.trials=6",
        "search.pruner=none",
        "search.sampler=random",
        "train.steps=20",
    ]
    sweep = Sweep(tmp_path, *changes)
    finish(sweep.worker())
    trials = sweep.table("trials")
    assert len(trials) == 12
    assert set(trials["penalty"].dropna()) == {"r1"}
    assert (trials["r1_gamma"].notna() == (trials["penalty"] == "r1")).all()
    assert set(trials["d_norm"]) == {"spectral", "layer"}
    assert (trials["lr_schedule"] == "linear").all()
    assert (trials["ema_half_life_images"] == 1000).all()
    history = sweep.table("history")
    trained = history[history["rung"] > 0].merge(trials[["seed", "penalty"]], on="seed")
    assert (trained["penalty_mean"].notna() == (trained["penalty"] == "r1")).all()


def test_final_and_best_metrics_are_those_of_the_history(done):
    history = done.table("history").sort_values("rung")
    members = history.groupby(["trial", "seed"])
    trials = done.table("trials").set_index(["trial", "seed"])
    final, least = members.last(), members["frechet_distance"].min()
    for name in ("frechet_distance", "mode_entropy", "feature_spread"):
        np.testing.assert_array_equal(trials[f"final_{name}"], final[name].loc[trials.index])
    np.testing.assert_array_equal(trials["best_frechet_distance"], least.loc[trials.index])


def test_who_ends_sound_is_judged_once_more_and_who_is_pruned_as_well(done):
    trials = done.table("trials")
    assert set(trials["status"]) == {"complete", "pruned"}
    for name in END_METRICS:
        assert trials[f"final_{name}"].notna().all(), name
    assert trials["final_coverage_k5"].between(0, 1).all()


def test_spectral_norms_are_recorded_at_every_rung(done):
    history = done.table("history")
    for name in SPECTRAL_NORMS:
        assert (history[name] > 0).all()
        # Trained weights are no longer those at the start.
        at_ends = history.sort_values("rung").groupby("seed")[name].agg(["first", "last"])
        assert (at_ends["first"] != at_ends["last"]).all()


def test_each_member_has_one_grid_of_samples(done):
    samples, trials = done.table("samples"), done.table("trials")
    assert not samples.duplicated(["trial", "seed"]).any()
    assert len(samples) == len(trials)
    assert all(png.startswith(b"\x89PNG") for png in samples["png"])


def test_the_control_holds_real_images_and_an_untrained_generator(done):
    control = done.table("control").set_index("kind")
    assert set(control.index) == {"real", "untrained"}
    history = done.table("history")
    assert control.loc["real", "frechet_distance"] < history["frechet_distance"].min()
    assert (control["eval_images"] == 100).all()
    assert control[list(END_METRICS)].notna().all(axis=None)
    assert control.loc["real", "coverage_k5"] > control.loc["untrained", "coverage_k5"]


def test_a_stored_member_can_be_trained_again_from_its_row(done):
    trials, history = done.table("trials"), done.table("history")
    row = trials.sort_values(["steps", "trial"]).iloc[-1]
    names = [f.name for f in dataclasses.fields(GanConfig)]
    given = {n: row[n] for n in names if pd.notna(row[n])}
    given = {n: v.item() if hasattr(v, "item") else v for n, v in given.items()}
    dataset = load_dataset("digits")
    cohort = assemble_cohort(done.config, dataset.sample_shape, classes=10, slots=1, device="cpu")
    cohort.admit([GanConfig(**given)])
    (record,) = run_interval(cohort, dataset, 10)
    recorded = history[(history["seed"] == row["seed"]) & (history["rung"] == 1)].iloc[0]
    # Another number of slots: equal to rounding, here over a first rung of ten steps.
    for name in ("d_loss_mean", "g_loss_mean", "grad_norm_d_max"):
        assert record.statistics[name] == pytest.approx(recorded[name], rel=1e-3)
    evaluator = Evaluator(dataset, 100)
    distance = evaluator(cohort.generate(cohort.members, 100)).values["frechet_distance"].item()
    assert distance == pytest.approx(recorded["frechet_distance"], rel=1e-2)


def test_diverging_trials_are_told_as_infeasible_and_their_neighbours_go_on(tmp_path):
    changes = [
        # At 1e30 the next layer's products overflow float32 within two steps.
        "space.lr_d={choices=[1e-4, 1e30]}",
        "space.loss={choices=['lsgan', 'hinge']}",
        "space.label_smoothing=",
        "search.baseline=[]",
        "search.sampler=random",
        "search.pruner=none",
        "train.steps=20",
    ]
    sweep = Sweep(tmp_path, *changes)
    finish(sweep.worker())
    trials = sweep.table("trials")
    wild = trials["lr_d"] > 1
    assert wild.any()
    assert not wild.all()
    assert (trials.loc[wild, "status"] == "diverged").all()
    assert (trials.loc[~wild, "status"] == "complete").all()
    assert trials.loc[wild, "objective"].isna().all()
    assert (trials.loc[wild, "diverged_step"] == trials.loc[wild, "steps"] + 1).all()
    for told in sweep.study.trials:
        diverged = told.params["lr_d"] > 1
        assert told.state.name == ("PRUNED" if diverged else "COMPLETE")
        assert (told.constraints["diverged_share"] > 0) == diverged
    history = sweep.table("history")
    untrained = history[history["rung"] == 0].groupby("trial")["frechet_distance"].mean()
    values = trials[wild].groupby("trial")["trial_objective"].first()
    np.testing.assert_allclose(values, untrained.loc[values.index])


def test_a_seed_that_diverges_alone_leaves_its_slot_and_its_trial_goes_on(tmp_path):
    changes = ["search.allowed_diverged_share=0.5", "search.trials=1", "search.pruner=none"]
    sweep = Sweep(tmp_path, *changes, "space.loss=hinge", "space.label_smoothing=")
    worker = sweep.worker(slots=2)
    worker.advance()
    victim = worker._cohort.members[0]
    worker._cohort.G.parameters[worker._cohort.slot(victim), 0] = torch.nan
    assert worker.advance().members == 1
    finish(worker)
    trials = sweep.table("trials").set_index("seed")
    assert trials.loc[victim.config.seed, "status"] == "diverged"
    assert trials.loc[victim.config.seed, "diverged_step"] == 1
    assert sorted(trials["status"]) == ["complete", "diverged"]
    (told,) = sweep.study.trials
    assert told.state.name == "COMPLETE"
    history = sweep.table("history")
    last = history[history["seed"] != victim.config.seed].sort_values("rung").iloc[-1]
    rows = history[history["seed"] == victim.config.seed]
    untrained = rows[rows["rung"] == 0].iloc[0]
    expected = (last["frechet_distance"] + untrained["frechet_distance"]) / 2
    assert told.value == pytest.approx(expected)


def test_a_lost_reply_loses_and_doubles_nothing(tmp_path):
    sweep = Sweep(tmp_path, "search.trials=8")
    calls = 0

    def unreliable(**message):
        nonlocal calls
        calls += 1
        if calls % 3 == 0:
            sweep.owner.exchange("w", **message)  # its reply is lost, and the call repeated
        return sweep.owner.exchange("w", **message)

    finish(sweep.worker(exchange=unreliable))
    trials = sweep.table("trials").sort_values("attempt")
    assert len(trials.drop_duplicates(["trial", "seed"])) == 16
    assert {t.state.name for t in sweep.study.trials} <= {"COMPLETE", "PRUNED"}


def test_a_worker_that_dies_is_replaced_and_its_trials_begin_again(tmp_path):
    sweep = Sweep(tmp_path, "search.trials=6")
    first = sweep.worker()
    for _ in range(3):
        first.advance()
    finish(sweep.worker())  # the same name: a restart
    trials, history = sweep.table("trials"), sweep.table("history")
    newest = trials.groupby("trial")["attempt"].max()
    assert newest.max() == 1
    assert set(newest.index) == set(range(6))
    assert history.groupby("trial")["attempt"].max().equals(newest)


def test_networks_of_an_attempt_that_came_further_do_not_stay_with_a_pruned_trial(tmp_path):
    sweep = Sweep(tmp_path, "search.trials=8", "search.max_in_flight=8")
    sweep.worker(slots=16).advance()
    for trial in range(8):
        for seed in (2 * trial, 2 * trial + 1):
            sweep.store.write_weights(trial, seed, b"of one that died before it told its end")
    finish(sweep.killed_and_resumed(slots=16))
    trials = load(tmp_path).trials
    complete = trials[trials["status"] == "complete"]
    assert 0 < len(complete) < 16
    assert sweep.store.kept_members() == set(zip(complete.trial, complete.seed, strict=True))


def test_trials_that_another_worker_took_over_are_dropped_without_rows(tmp_path):
    sweep = Sweep(tmp_path, "search.trials=2", "search.pruner=none")
    sleeper = sweep.worker("sleeper")
    sleeper.advance()
    sweep.owner = sweep.new_owner("resumed")  # everything that was running is given out anew
    finish(sweep.worker("w"))
    done = sweep.table("trials")
    sleeper._exchange = functools.partial(sweep.owner.exchange, "sleeper")
    assert sleeper.advance().members == 0
    pd.testing.assert_frame_equal(done, sweep.table("trials"))


def test_a_trial_that_broke_its_workers_again_and_again_is_stored_as_failed(tmp_path):
    sweep = Sweep(tmp_path, "search.trials=2", "search.max_in_flight=1", "search.pruner=none")
    for run in range(2):
        sweep.owner = sweep.new_owner(f"run {run}")
        for _ in range(3 if run else 2):
            sweep.worker(slots=2).advance()  # takes the trial, and dies
    finish(sweep.worker(slots=2))
    trials = sweep.table("trials").set_index("trial")
    assert list(trials.loc[0, "status"]) == ["failed", "failed"]
    assert set(trials.loc[0, "error"]) == {"its worker died 3 times while it trained"}
    assert set(trials.loc[0, "attempt"]) == {5}
    assert list(trials.loc[1, "status"]) == ["complete", "complete"]
    assert sweep.study.trials[0].state.name == "FAIL"


def test_asked_to_stop_a_worker_ends_and_a_resumed_sweep_completes_the_rest(tmp_path):
    sweep = Sweep(tmp_path, "search.trials=4", "search.pruner=none")
    worker = sweep.worker()
    worker.advance()
    sweep.owner.request_stop()
    assert worker.advance().done
    sweep.owner = sweep.new_owner("resumed")
    finish(sweep.worker())
    trials = sweep.table("trials")
    assert len(trials) == 8
    assert (trials["attempt"].max(), set(trials["status"])) == (1, {"complete"})


# Enough for all at once: what is proposed later depends on what was known by then.
AT_ONCE = [
    "search.trials=6",
    "search.pruner=none",
    "search.sampler=random",
    "train.steps=60",
    # Members alone of their kind would round unlike two of them.
    "space.loss={choices=['hinge', 'wgan-gp']}",
    "space.label_smoothing=",
    "search.baseline=[]",
]
KEPT = [*AT_ONCE, "train.checkpoint_every_s=0"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    sweep = Sweep(tmp_path_factory.mktemp("undisturbed"), *AT_ONCE)
    finish(sweep.worker(slots=12))
    return load(sweep.directory)


def assert_same(sweep, undisturbed):
    """Every row, but for who wrote it and when."""
    found = load(sweep.directory)
    unlike = ["sweep", "attempt", "seconds"]
    pd.testing.assert_frame_equal(
        found.history.drop(columns=unlike),
        undisturbed.history.drop(columns=unlike),
        check_exact=True,
    )
    unlike += ["ended_at"]
    pd.testing.assert_frame_equal(
        found.trials.drop(columns=unlike), undisturbed.trials.drop(columns=unlike), check_exact=True
    )
    assert list(found.samples["png"]) == list(undisturbed.samples["png"])


def test_a_killed_and_resumed_sweep_is_bit_for_bit_what_it_is_undisturbed(tmp_path, undisturbed):
    sweep = Sweep(tmp_path, *KEPT)
    worker = sweep.worker(slots=12)
    for _ in range(3):
        worker.advance()
    shutil.copytree(tmp_path / "members", tmp_path / "older")
    worker.advance()  # reported, and lost: it is trained and reported again
    shutil.rmtree(tmp_path / "members")
    (tmp_path / "older").rename(tmp_path / "members")
    resumed = sweep.killed_and_resumed(slots=12)
    resumed.advance()
    assert resumed.advance().member_steps == 12 * 10  # the first of the two only asked for work
    finish(resumed)
    assert_same(sweep, undisturbed)
    assert set(load(tmp_path).trials["attempt"]) == {1}
    assert {t.state.name for t in sweep.study.trials} == {"COMPLETE"}
    for told in sweep.study.trials:
        assert sorted(told.intermediate_values) == [10, 20, 30, 40, 50, 60]


def test_it_can_be_killed_at_every_rung(tmp_path, undisturbed):
    sweep = Sweep(tmp_path, *KEPT)
    sweep.worker(slots=12).advance()
    for _ in range(5):
        worker = sweep.killed_and_resumed(slots=12)
        worker.advance()
        worker.advance()
    finish(sweep.killed_and_resumed(slots=12))
    assert_same(sweep, undisturbed)
    assert set(load(tmp_path).trials["attempt"]) == {6}


def test_among_other_members_the_same_trials_are_the_same(tmp_path, undisturbed):
    sweep = Sweep(tmp_path, *KEPT)
    worker = sweep.worker(slots=12)
    for _ in range(3):
        worker.advance()
    sweep.owner = sweep.new_owner("resumed")
    names = ("a", "b", "c")
    finish(*(sweep.worker(name, slots=4) for name in names))
    found, whole = load(tmp_path).history, undisturbed.history
    assert (found["members"] == 4).any()
    for name in ("g_loss_mean", "d_loss_mean", "frechet_distance"):
        # Of four members one may be alone of its kind, whose kernels round unlike.
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-3)


def test_what_is_asked_to_stop_is_kept_and_goes_on_from_there(tmp_path):
    sweep = Sweep(tmp_path, *AT_ONCE)
    worker = sweep.worker(slots=12)
    for _ in range(3):
        worker.advance()
    assert Store(tmp_path).kept_trials() == set()  # it is not a minute yet
    sweep.owner.request_stop()
    assert worker.advance().done
    assert Store(tmp_path).kept_trials() == set(range(6))
    resumed = sweep.killed_and_resumed(slots=12)
    finish(resumed)
    assert resumed._member_steps == 12 * 30
    assert Store(tmp_path).kept_trials() == set()


def test_what_was_kept_never_begins_again_from_its_first_step(tmp_path):
    sweep = Sweep(tmp_path, *AT_ONCE, "train.checkpoint_every_s='never'")
    worker = sweep.worker(slots=12)
    worker.advance()
    sweep.owner.request_stop()
    worker.advance()
    assert not (tmp_path / "members").exists()
    resumed = sweep.killed_and_resumed(slots=12)
    finish(resumed)
    assert resumed._member_steps == 12 * 60


def test_a_trial_goes_on_without_its_diverged_seed_whose_record_travels(tmp_path):
    changes = [*KEPT, "search.allowed_diverged_share=0.5", "search.trials=2"]
    sweep = Sweep(tmp_path, *changes)
    worker = sweep.worker(slots=4)
    worker.advance()
    worker.advance()
    victim = worker._cohort.members[0]
    worker._cohort.G.parameters[worker._cohort.slot(victim), 0] = torch.nan
    assert worker.advance().members == 3
    resumed = sweep.killed_and_resumed(slots=4)
    assert resumed.advance().members == 3
    before = load(tmp_path)
    finish(resumed)
    after = load(tmp_path)
    seed = victim.config.seed
    row = after.trials.set_index("seed").loc[seed]
    assert (row["status"], row["diverged_step"], row["attempt"]) == ("diverged", 11, 1)
    pd.testing.assert_frame_equal(
        *(sweep.history[sweep.history["seed"] == seed] for sweep in (before, after))
    )
    assert sorted(after.history[after.history["seed"] == seed]["rung"]) == [0, 1, 2]
    assert sorted(after.samples["seed"]) == sorted(after.trials["seed"])
    assert sorted(after.trials["status"]) == ["complete", "complete", "complete", "diverged"]


def test_a_worker_that_dies_before_its_end_is_told_leaves_the_trial_to_be_gone_on_with(tmp_path):
    sweep = Sweep(tmp_path, *KEPT)

    def unreachable(**message):
        if message["finals"]:
            raise ConnectionError
        return sweep.owner.exchange("w", **message)

    with pytest.raises(ConnectionError):
        finish(sweep.worker(slots=12, exchange=unreachable))
    assert Store(tmp_path).kept_trials() == set(range(6))
    resumed = sweep.killed_and_resumed(slots=12)
    finish(resumed)
    assert resumed._member_steps == 12 * 10
    assert Store(tmp_path).kept_trials() == set()
    assert len(load(tmp_path).trials) == 12


def test_a_worker_without_work_waits_for_others(tmp_path):
    sweep = Sweep(tmp_path)
    idle = sweep.worker(exchange=lambda **message: Reply())
    advance = idle.advance()
    assert (advance.members, advance.done) == (0, False)


def test_conditional_networks_are_judged_by_the_classes_asked_for(tmp_path):
    sweep = Sweep(tmp_path, "model.conditional=true", "search.trials=2", "train.steps=20")
    worker = sweep.worker()
    worker.write_control()
    finish(worker)
    history, control = sweep.table("history"), sweep.table("control").set_index("kind")
    assert history["class_agreement"].between(0, 1).all()
    assert (history["least_class_agreement"] <= history["class_agreement"]).all()
    assert control.loc["real", "class_agreement"] > 0.9


def test_unconditional_networks_have_no_classes_to_agree_with(done):
    assert done.table("history")["class_agreement"].isna().all()


def test_points_are_swept_too_and_drawn_as_points(tmp_path):
    sweep = Sweep(tmp_path, "data.dataset=ring8", "search.trials=2", "train.steps=20")
    finish(sweep.worker())
    assert sweep.table("history")["hq_share"].between(0, 1).all()
    assert all(png.startswith(b"\x89PNG") for png in sweep.table("samples")["png"])
