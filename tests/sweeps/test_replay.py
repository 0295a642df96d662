import functools
import shutil

import pyarrow.parquet as pq
import pytest
import torch

from analysis.load import load
from gan_core.config import GanConfig
from sweeps.cli import main
from sweeps.config_file import load_config, to_toml
from sweeps.replay import members_beside, replay
from sweeps.space import Space
from sweeps.store import Store
from sweeps.study import StudyOwner
from sweeps.worker import Worker


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(capsys):
    def call(sweep, *arguments):
        code = main(["replay", str(sweep), *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def continued_sweep(tmp_path):
    """Two trials that went on in another worker after their first rung."""
    directory = tmp_path / "continued"
    changes = ["search.trials=2", "search.pruner=none", "train.steps=30", "train.eval_every=10"]
    changes += ["train.eval_images=100", "train.checkpoint_every_s=0"]
    changes += ["model.generator_widths=[16]", "model.discriminator_widths=[16]"]
    config = load_config(None, changes, options={"name": "continued"})
    store = Store(directory)
    store.write_config(to_toml(config))
    for run_id, advances in (("first", 2), ("resumed", 4)):
        torch.set_num_threads(1)
        journal, suggest = directory / "study.journal", Space(config).suggest
        owner = StudyOwner(config.settings(max_in_flight=2), suggest, journal, run_id)
        exchange = functools.partial(owner.exchange, "w")
        worker = Worker(config, name="w", slots=4, device="cpu", exchange=exchange, store=store)
        for _ in range(advances):
            worker.advance()
    return directory


@pytest.mark.parametrize(
    ("trial", "seed", "rungs"),
    [("best", 3, 5), ("0", 0, 5), ("3", 7, 5), ("4", 8, 2), ("5", 11, 3)],
)
def test_a_replay_is_bitwise_what_the_sweep_recorded(run, small_sweep, trial, seed, rungs):
    code, out, _ = run(small_sweep, trial, "--seed", str(seed))
    assert f"Bitwise equal at all {rungs} rungs." in out
    assert f"at seed {seed}, " in out
    assert code == 0


@pytest.mark.parametrize("slots", ["same", "3"])
def test_among_more_copies_it_is_the_same_bit_for_bit(run, small_sweep, slots):
    code, out, _ = run(small_sweep, "0", "--seed", "0", "--slots", slots)
    assert "Bitwise equal at all 5 rungs." in out
    assert code == 0


def test_alone_it_is_the_same_to_a_rounding(run, small_sweep):
    # On the CPU's of today one member's kernels are others than those of several.
    code, out, _ = run(small_sweep, "0", "--seed", "0", "--slots", "1")
    assert "equal" in out
    assert code == 0


def test_the_first_steps_alone_can_be_replayed(run, small_sweep):
    code, out, _ = run(small_sweep, "3", "--steps", "20")
    assert "Bitwise equal at all 3 rungs." in out
    assert code == 0


def test_a_member_whose_end_had_a_cause_outside_is_told_from_its_replay(run, small_sweep):
    # The NaN of seed 2 came from the test, not from its training.
    code, out, _ = run(small_sweep, "1", "--seed", "2")
    assert "Not bitwise equal, and near" in out
    assert code == 0


def edit_history(directory, change):
    for path in (directory / "history").glob("[!.]*.parquet"):
        table = pq.read_table(path)
        frame = table.to_pandas()
        change(frame)
        pq.write_table(table.from_pandas(frame, schema=table.schema), path)


def test_what_is_not_what_was_recorded_ends_with_exit_code_1(run, own_sweep):
    def change(frame):
        frame.loc[frame["seed"] == 7, "g_loss_mean"] *= 1.1

    edit_history(own_sweep, change)
    code, out, _ = run(own_sweep, "3", "--seed", "7")
    assert "Not what was recorded: g_loss beyond the tolerance." in out
    assert code == 1
    assert run(own_sweep, "3", "--seed", "6")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("99",), 'TRIAL = "99": there is no such trial'),
        (("0", "--seed", "9"), "--seed = 9: there is no such seed; trial 0 has the seeds 0, 1"),
        (("0", "--steps", "15"), "--steps = 15: must be a multiple of train.eval_every = 10"),
        (
            ("4", "--steps", "20"),
            "--steps = 20: must be a multiple of train.eval_every = 10 and at",
        ),
        (("0", "--slots", "0"), '--slots = "0": must be "auto", "same" or a whole number >= 1'),
        (("0", "--slots", "all"), '--slots = "all": must be "auto", "same" or'),
    ],
)
def test_a_mistake_is_one_line(run, small_sweep, arguments, message):
    code, out, err = run(small_sweep, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_member_without_history_is_refused(run, own_sweep):
    for path in (own_sweep / "history").glob("*"):
        path.unlink()
    code, _, err = run(own_sweep, "0", "--seed", "0")
    assert code == 2
    assert "TRIAL = 0: complete before its first rung: there is nothing to compare with" in err


def test_how_many_trained_together_is_read_from_the_parts(small_sweep):
    trials = load(small_sweep).trials.set_index("seed", drop=False)
    # Trials 0 and 1 began together; seed 2 left after two rungs.
    assert members_beside(Store(small_sweep), trials.loc[0]) == {0: 4, 1: 4, 2: 4, 3: 3, 4: 3}
    assert members_beside(Store(small_sweep), trials.loc[2]) == {0: 4, 1: 4, 2: 4}


def rewritten(directory, *, without=()):
    """All of the history in one part."""
    folder = directory / "history"
    table = pq.read_table(folder).drop_columns(list(without))
    shutil.rmtree(folder)
    folder.mkdir()
    pq.write_table(table, folder / "all.parquet")


def test_how_many_trained_together_is_in_the_rows(own_sweep):
    rewritten(own_sweep)
    trials = load(own_sweep).trials.set_index("seed", drop=False)
    assert members_beside(Store(own_sweep), trials.loc[0]) == {0: 4, 1: 4, 2: 4, 3: 3, 4: 3}


def test_in_older_rows_the_parts_tell_how_many_trained_together(own_sweep):
    for path in (own_sweep / "history").glob("[!.]*.parquet"):
        pq.write_table(pq.read_table(path).drop_columns(["members"]), path)
    trials = load(own_sweep).trials.set_index("seed", drop=False)
    assert members_beside(Store(own_sweep), trials.loc[0]) == {0: 4, 1: 4, 2: 4, 3: 3, 4: 3}


def test_a_member_that_was_continued_is_replayed_bit_for_bit(run, continued_sweep):
    rewritten(continued_sweep)
    trials = load(continued_sweep).trials
    assert set(trials["attempt"]) == {1}
    assert members_beside(Store(continued_sweep), trials.iloc[0]) == {0: 4, 1: 4, 2: 4, 3: 4}
    code, out, _ = run(continued_sweep, "1")
    assert "Bitwise equal at all 4 rungs." in out
    assert code == 0


def test_a_member_that_diverges_ends_its_replay(small_sweep):
    config = load_config(small_sweep / "sweep.toml")
    explosive = GanConfig(seed=1, lr_d=1e200, loss="lsgan", latent_dim=4)
    rows = list(replay(config, explosive, rungs=3, slots=lambda rung: 2, device="cpu"))
    assert len(rows) == 2
    assert rows[1]["nonfinite_steps"] == 1
    assert rows[1]["step"] < 10


def test_the_number_of_copies_may_change_at_any_rung(small_sweep):
    config = load_config(small_sweep / "sweep.toml")
    gan = GanConfig(seed=1, latent_dim=4)
    changing = list(replay(config, gan, rungs=4, slots=[2, 3, 2, 5, 2].__getitem__, device="cpu"))
    constant = list(replay(config, gan, rungs=4, slots=lambda rung: 2, device="cpu"))
    assert repr(changing) == repr(constant)
