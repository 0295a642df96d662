import os
import stat

from sweeps.service.own_folder import OwnFolder


def test_a_token_stays_and_is_for_this_user_alone(tmp_path):
    folder = OwnFolder(tmp_path / "own")
    token = folder.token("token")
    assert len(token) >= 32
    assert OwnFolder(tmp_path / "own").token("token") == token
    assert folder.token("other") != token
    assert stat.S_IMODE((tmp_path / "own").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "own" / "token").stat().st_mode) == 0o600
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == ["other", "token"]


def test_storages_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    first, second = (OwnFolder.of(tmp_path / name) for name in ("a", "b"))
    assert first.path != second.path
    assert first.path.is_relative_to(tmp_path / "gansweep")
    assert OwnFolder.of(tmp_path / "a").path == first.path


def test_a_lock_is_shared_among_services_and_the_heads_own(tmp_path):
    folder = OwnFolder(tmp_path / "own")
    assert not folder.is_held("lock")
    first = folder.locked("lock", shared=True)
    second = folder.locked("lock", shared=True)
    assert first is not None
    assert second is not None
    assert folder.is_held("lock")
    assert folder.locked("lock") is None
    os.close(first)
    assert folder.is_held("lock")
    os.close(second)
    alone = folder.locked("lock")
    assert alone is not None
    assert folder.locked("lock", shared=True) is None
    os.close(alone)
