"""wandb's own files hold what the sweep has."""

import json
import struct

import pytest

from analysis.trackers.to_wandb import WandbTracker, _id
from analysis.trackers.tracker import track

wandb = pytest.importorskip("wandb")
wandb_internal_pb2 = pytest.importorskip("wandb.proto.wandb_internal_pb2")


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Without an account or a network."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "wandb-files"


def test_each_trial_is_a_run_once(sweep, offline):
    tracker = WandbTracker(offline)
    assert track(sweep, tracker) == 3
    found = list(offline.glob("wandb/offline-run-*/*.wandb"))
    assert len(found) == 3
    assert track(sweep, WandbTracker(offline)) == 0
    assert list(offline.glob("wandb/offline-run-*/*.wandb")) == found
    assert len(list(offline.glob("wandb/offline-run-*/files/media/images/samples/*.png"))) == 3


def test_curves_and_hyperparameters_are_in_wandbs_files(sweep, offline):
    track(sweep, WandbTracker(offline))
    (file,) = offline.glob(f"wandb/offline-run-*/*{_id('digits', 1)}.wandb")
    records = [wandb_internal_pb2.Record.FromString(data) for data in logged(file.read_bytes())]
    rows = [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in row}
        for row in (record.history.item for record in records if record.history.item)
    ]
    history = sweep.history[sweep.history["trial"] == 1]
    points = [row["frechet_distance/seed1"] for row in rows]
    assert points == pytest.approx(list(history["frechet_distance"]))
    assert [row["_step"] for row in rows] == list(history["step"])
    texts = {u.key: u.value_json for r in records for u in r.run.config.update}
    assert json.loads(texts["lr_g"]) == 0.1


def logged(content: bytes) -> list[bytes]:
    """The records of LevelDB's log format, in which wandb writes; its header has 7 bytes."""
    records, at, block = [], 7, 32768
    while at + 7 <= len(content):
        if block - at % block < 7:
            at += block - at % block
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + 7])
        data = content[at + 7 : at + 7 + length]
        if kind in (1, 2):
            records.append(data)
        else:
            records[-1] += data
        at += 7 + length
    return records


def test_another_project_or_directory_has_none_of_them(sweep, offline, tmp_path):
    tracker = WandbTracker(offline)
    tracker._note("digits", 1).parent.mkdir(parents=True)
    tracker._note("digits", 1).touch()
    assert tracker.tracked("digits", {0, 1, 2}) == {1}
    assert tracker.tracked("other", {0, 1, 2}) == set()
    assert WandbTracker(offline, "elsewhere").tracked("digits", {1}) == set()
    assert WandbTracker(tmp_path / "new").tracked("digits", {1}) == set()
