import pytest

from gan_core.config import ConfigError
from sweeps.fetched import place_for, put_whole
from sweeps.mistakes import SweepFailure


def sweep(text):
    return lambda directory: (directory / "sweep.toml").write_text(text)


def test_fetching_again_replaces_what_was_fetched(tmp_path):
    for text in ("first", "second"):
        target = place_for("digits", tmp_path / "here")
        put_whole(target, "http://elsewhere", sweep(text))
    assert (target / "sweep.toml").read_text() == "second"
    assert (target / ".fetched").read_text() == "http://elsewhere\n"
    assert [path.name for path in target.parent.iterdir()] == ["digits"]


def test_a_sweep_that_was_run_here_is_not_replaced(tmp_path):
    (tmp_path / "digits").mkdir()
    with pytest.raises(ConfigError, match="holds a sweep of that name that was not fetched"):
        place_for("digits", tmp_path)
    with pytest.raises(ConfigError, match="SWEEP"):
        place_for("../digits", tmp_path)


def test_what_is_no_sweep_leaves_what_was_there(tmp_path):
    target = place_for("digits", tmp_path)
    put_whole(target, "there", sweep("sound"))
    with pytest.raises(SweepFailure, match="digits has no results yet"):
        put_whole(target, "there", lambda directory: None)
    assert (target / "sweep.toml").read_text() == "sound"
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]
