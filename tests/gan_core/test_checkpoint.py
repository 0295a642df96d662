import contextlib
import dataclasses
import json
import resource
import signal
from itertools import pairwise

import pytest
import torch

from gan_core.checkpoint import load, save
from gan_core.cohort import Cohort
from gan_core.config import CohortConfig, GanConfig, LossVariant, LrSchedule
from gan_core.loop import run_interval

CONFIG = CohortConfig(
    generator_widths=(9,),
    discriminator_widths=(7,),
    latent_dim=6,
    batch_size=16,
    noise="uniform",
    schedule_steps=12,
)


def members():
    """Every loss, normalisation and schedule; some with averages, some with noise."""
    norms = ["batch", "layer", "spectral", "none"]
    return [
        GanConfig(
            seed=i,
            loss=loss,
            latent_dim=1 + i % 6,
            d_steps=1 + i % 2,
            lr_g=10 ** (-2 - i / 6),
            d_norm=norms[i % 4] if loss.penalty is None else ["layer", "none"][i % 2],
            lr_schedule=list(LrSchedule)[i % 3],
            ema_half_life_images=[None, 100.0, 1e4][i % 3],
            instance_noise=[0.1, 0.0][i % 2],
        )
        for i, loss in enumerate(LossVariant)
    ]


def started(dataset, slots=12, steps=3, spoil=None, config=CONFIG):
    cohort = Cohort(config, dataset.sample_shape, slots=slots)
    handles = cohort.admit(members())
    if spoil is not None:
        cohort.D.parameters[cohort.slot(handles[spoil]), 3] = torch.nan
    run_interval(cohort, dataset, steps)
    return cohort


def everything(cohort):
    states = [t for stack in (cohort.G, cohort.D) for t in stack.state().values()]
    return [t[: len(cohort.members)] for t in (*states, *cohort.values.values())]


def assert_same(a, b):
    assert [m.config for m in a.members] == [m.config for m in b.members]
    for x, y in zip(everything(a), everything(b), strict=True):
        assert x.dtype == y.dtype
        torch.testing.assert_close(x, y, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("spoil", [None, 2])
def test_what_is_resumed_equals_what_was_never_stopped(digits, tmp_path, precision, spoil):
    config = dataclasses.replace(CONFIG, precision=precision, batch_size=64, noise="normal")
    cohort = started(digits, spoil=spoil, config=config)
    assert any("running_mean" in name for name in cohort.D.state())
    save(cohort, tmp_path / "cohort")
    resumed = load(tmp_path / "cohort")
    assert_same(cohort, resumed)
    first, second = (run_interval(c, digits, 5) for c in (cohort, resumed))
    assert_same(cohort, resumed)
    assert [repr(r.statistics) for r in first] == [repr(r.statistics) for r in second]
    diverged = [r.diverged_step for r in second]
    assert diverged == [r.diverged_step for r in first]
    assert sum(step is not None for step in diverged) == (spoil is not None)


def test_all_that_was_configured_comes_back(digits, tmp_path):
    cohort = started(digits)
    save(cohort, tmp_path / "cohort")
    resumed = load(tmp_path / "cohort")
    assert resumed.config == CONFIG
    assert resumed.slots == 12
    assert resumed.sample_shape == digits.sample_shape
    assert resumed.schedule == cohort.schedule
    for old, new in zip(cohort.members, resumed.members, strict=True):
        assert old.config == new.config
        for a, b in zip(cohort.export(old), resumed.export(new), strict=True):
            assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_resumed_cohort_takes_newcomers_as_the_old_one_would(digits, tmp_path):
    cohort = started(digits)
    save(cohort, tmp_path / "cohort")
    pair = (cohort, load(tmp_path / "cohort"))
    for c in pair:
        c.evict([c.members[1]])
        c.admit([GanConfig(seed=77, latent_dim=2, d_steps=2)])
        run_interval(c, digits, 2)
    assert_same(*pair)


def test_who_was_there_and_left_is_no_hindrance(digits, tmp_path):
    # Rows have grown by the batch-normalised member's parameters, and nobody needs that now.
    cohort = Cohort(CONFIG, digits.sample_shape, slots=2)
    stays, leaves = cohort.admit(
        [GanConfig(seed=1, latent_dim=2), GanConfig(seed=2, latent_dim=2, d_norm="batch")]
    )
    run_interval(cohort, digits, 2)
    cohort.evict([leaves])
    save(cohort, tmp_path / "cohort")
    resumed = load(tmp_path / "cohort")
    first, second = (run_interval(c, digits, 3) for c in (cohort, resumed))
    assert repr(first[0].statistics) == repr(second[0].statistics)
    pairs = zip(cohort.export(stays), resumed.export(resumed.members[0]), strict=True)
    assert all(torch.equal(a[name], b[name]) for a, b in pairs for name in a)


def test_a_conditional_cohort_knows_its_classes_again(digits, tmp_path):
    config = dataclasses.replace(CONFIG, conditional=True)
    cohort = Cohort(config, digits.sample_shape, slots=1, classes=10)
    cohort.admit([GanConfig(latent_dim=6)])
    run_interval(cohort, digits, 2)
    save(cohort, tmp_path / "cohort")
    resumed = load(tmp_path / "cohort")
    assert resumed.classes == 10
    for c in (cohort, resumed):
        run_interval(c, digits, 2)
    assert_same(cohort, resumed)


def test_an_empty_cohort_can_be_kept(digits, tmp_path):
    save(Cohort(CONFIG, digits.sample_shape, slots=2), tmp_path / "cohort")
    resumed = load(tmp_path / "cohort")
    assert resumed.members == ()
    assert len(resumed.admit([GanConfig(latent_dim=2)])) == 1


def test_saving_changes_nothing_and_leaves_one_file(digits, tmp_path):
    cohort = started(digits)
    before = [t.clone() for t in everything(cohort)]
    for _ in range(2):
        save(cohort, tmp_path / "cohort")
    assert [path.name for path in tmp_path.iterdir()] == ["cohort"]
    for a, b in zip(everything(cohort), before, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


@contextlib.contextmanager
def full_disk():
    """No file may grow beyond 2,000 bytes: writing more fails, as on a full disk.

    Only for as long as it is needed: pytest's own output may go to a longer file.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_when_writing_fails_the_last_checkpoint_stands(digits, tmp_path):
    cohort = started(digits)
    save(cohort, tmp_path / "cohort")
    kept = (tmp_path / "cohort").read_bytes()
    assert len(kept) > 2000
    run_interval(cohort, digits, 1)
    for name in ("cohort", "another"):
        with full_disk(), pytest.raises(Exception, match=r"[Ff]ile too large"):
            save(cohort, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["cohort"]
    assert (tmp_path / "cohort").read_bytes() == kept


def test_who_is_reading_the_old_checkpoint_reads_it_to_its_end(digits, tmp_path):
    # The new one takes the name at once; nobody ever sees a part of it.
    cohort = started(digits)
    save(cohort, tmp_path / "cohort")
    kept = (tmp_path / "cohort").read_bytes()
    with (tmp_path / "cohort").open("rb") as reader:
        begun = reader.read(100)
        run_interval(cohort, digits, 1)
        save(cohort, tmp_path / "cohort")
        assert begun + reader.read() == kept
    assert (tmp_path / "cohort").read_bytes() != kept


def test_what_cannot_take_its_name_is_cleared_away(digits, tmp_path):
    (tmp_path / "cohort").mkdir()
    with pytest.raises(OSError, match="cohort"):
        save(started(digits), tmp_path / "cohort")
    assert [path.name for path in tmp_path.iterdir()] == ["cohort"]
    assert not any((tmp_path / "cohort").iterdir())


def test_the_file_is_numbers_behind_a_json_header_and_nothing_else(digits, tmp_path):
    # https://huggingface.co/docs/safetensors: 8 bytes of length, the header, then the tensors.
    save(started(digits), tmp_path / "cohort")
    data = (tmp_path / "cohort").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__")
    assert set(metadata) == {"cohort", "members", "sample_shape", "slots", "classes"}
    assert [m["loss"] for m in json.loads(metadata["members"])]
    spans = sorted(entry["data_offsets"] for entry in header.values())
    assert spans[0][0] == 0
    assert all(a[1] == b[0] for a, b in pairwise(spans))
    assert 8 + length + spans[-1][1] == len(data)
    assert {entry["dtype"] for entry in header.values()} == {"F32", "F64", "I64", "BOOL"}


def test_a_checkpoint_that_is_not_there_is_told_as_such(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent")
