import pytest

import sweeps.staging
from gan_core.config import ConfigError
from sweeps.config_file import load_config
from sweeps.naming import CONFIG_NAME
from sweeps.staging import staged

OWN = load_config(None, ["model.architecture=nets.mine:factory"], options={"name": "a"})


def sent(config, code):
    with staged(config, code) as folder:
        return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def code(tmp_path):
    for name in (
        "nets/__init__.py",
        "nets/mine.py",
        "nets/weights.bin",
        "helper.py",
        "data.csv",
        ".env",
        ".git/hook.py",
        "analysis.py",
        "sweeps/mine.py",
        "nets/analysis.py",
        "venv/pyvenv.cfg",
        "venv/lib/module.py",
        "__pycache__/helper.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    return tmp_path


def test_a_known_architecture_sends_the_config_alone(code):
    config = load_config(None, options={"name": "a"})
    assert sent(config, code) == [CONFIG_NAME]


def test_an_own_one_sends_modules_and_nothing_beside_them(code):
    assert sent(OWN, code) == sorted(
        [CONFIG_NAME, "helper.py", "nets/__init__.py", "nets/analysis.py", "nets/mine.py"]
    )


def test_the_config_that_is_sent_is_the_one_that_was_given(code):
    with staged(OWN, code) as folder:
        assert load_config(folder / CONFIG_NAME, check_files=False) == OWN
    assert not folder.exists()


def test_a_directory_that_cannot_be_meant_is_refused(code, monkeypatch):
    monkeypatch.setattr(sweeps.staging, "LARGEST_BYTES", 10)
    with pytest.raises(ConfigError, match="--code") as refused:
        sent(OWN, code)
    assert str(code) in str(refused.value)


def test_the_password_of_a_study_does_not_travel(tmp_path):
    config = load_config(None, ["study=postgresql://u:geheim@h/db"])
    with (
        pytest.raises(ConfigError, match="its password does not travel") as refused,
        staged(config, tmp_path),
    ):
        pass
    assert "geheim" not in str(refused.value)
    bare = load_config(None, ["study=postgresql://u@h/db"])
    with staged(bare, tmp_path) as folder:
        assert 'study = "postgresql://u@h/db"' in (folder / "sweep.toml").read_text()
