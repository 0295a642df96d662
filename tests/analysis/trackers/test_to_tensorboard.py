"""TensorBoard's own reader finds in the files what the sweep has."""

import pytest

from analysis.trackers.to_tensorboard import TensorBoardTracker
from analysis.trackers.tracker import TrackerError, track

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


@pytest.fixture
def events(sweep, tmp_path):
    track(sweep, TensorBoardTracker(tmp_path / "tb"))
    read = accumulator.EventAccumulator(str(tmp_path / "tb" / "digits" / "trial-00001"))
    return read.Reload()


def test_curves_are_there_step_by_step(events, sweep):
    rows = sweep.history[sweep.history["trial"] == 1]
    scalars = events.Scalars("frechet_distance/seed1")
    assert [event.step for event in scalars] == list(rows["step"])
    assert [event.value for event in scalars] == pytest.approx(list(rows["frechet_distance"]))


def test_pictures_are_there_with_their_size(events):
    (image,) = events.Images("samples/seed1")
    assert (image.step, image.width, image.height) == (400, 24, 16)
    assert image.encoded_image_string.startswith(b"\x89PNG")


def test_the_hparams_table_gets_the_hyperparameters_and_the_objective(events):
    from tensorboard.plugins.hparams import plugin_data_pb2

    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    assert start.hparams["lr_g"].number_value == 0.1
    assert start.hparams["loss"].string_value == "nonsaturating"
    assert events.Scalars("objective")[0].value == 1.0


def test_doing_it_again_adds_only_what_is_new(sweep, writer, tmp_path):
    tracker = TensorBoardTracker(tmp_path)
    assert track(sweep, tracker) == 3
    files = sorted(tmp_path.rglob("*tfevents*"))
    assert track(sweep, tracker) == 0
    assert sorted(tmp_path.rglob("*tfevents*")) == files
    writer.members(writer.member(3, seed=3))
    assert track(writer.load(), TensorBoardTracker(tmp_path)) == 1
    assert len(list(tmp_path.glob("digits/trial-*"))) == 4


def test_what_a_killed_process_left_half_written_is_written_anew(sweep, tmp_path):
    half = tmp_path / "digits" / ".trial-00000"
    half.mkdir(parents=True)
    (half / "events.out.tfevents.half").write_bytes(b"torn")
    track(sweep, TensorBoardTracker(tmp_path))
    assert not half.exists()
    assert not (tmp_path / "digits" / "trial-00000" / "events.out.tfevents.half").exists()


def test_a_directory_that_cannot_be_written_is_named(sweep, tmp_path):
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(TrackerError, match=r"cannot write .*file/digits/trial-00000"):
        track(sweep, TensorBoardTracker(tmp_path / "file"))
