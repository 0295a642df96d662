"""What travels with a submitted sweep: its config, and the user's own modules where it has any."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gan_core.config import Architecture, ConfigError
from sweeps.config import SweepConfig
from sweeps.config_file import to_toml
from sweeps.import_path import PACKAGES
from sweeps.naming import CONFIG_NAME
from sweeps.study_url import StudyUrl

__all__ = ["LARGEST_BYTES", "staged"]

LARGEST_BYTES = 20 * 2**20
"""Of all modules that travel; code is small, so more is a mistake in the choice of a directory."""


@contextlib.contextmanager
def staged(config: SweepConfig, code: Path) -> Iterator[Path]:
    """A temporary directory to send: `sweep.toml`, and the modules of a user's architecture.

    Only `*.py` files travel, with their directories: no data, no results and no secrets beside
    them. Hidden directories and virtual environments are left out, and so is what bears the name
    of a package of ours, which the cluster has.

    Args:
        config: of the sweep.
        code: the user's directory.

    Raises:
        ConfigError: the modules are too large together, or the study's password is in the config:
            it does not travel, in a file that the cluster keeps.
    """
    if isinstance(config.study, StudyUrl) and config.study.secrets:
        right = "its password does not travel: PGPASSWORD or ~/.pgpass on the head must hold it"
        raise ConfigError("study", config.study, right)
    with tempfile.TemporaryDirectory(prefix="gansweep-") as temporary:
        folder = Path(temporary)
        (folder / CONFIG_NAME).write_text(to_toml(config), encoding="utf-8")
        if config.model.architecture not in list(Architecture):
            _copy_modules(code, folder)
        yield folder


def _copy_modules(code: Path, folder: Path) -> None:
    total = 0
    for path in _modules(code):
        total += path.stat().st_size
        if total > LARGEST_BYTES:
            right = f"holds more than {LARGEST_BYTES >> 20} MiB of Python: --code takes a smaller"
            raise ConfigError("--code", str(code), right)
        target = folder / path.relative_to(code)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _modules(code: Path) -> Iterator[Path]:
    for folder, inner, files in os.walk(code):
        here = Path(folder)
        inner[:] = [name for name in inner if not _is_left_out(here / name, code)]
        for name in sorted(files):
            path = here / name
            if path.suffix == ".py" and not _is_left_out(path, code):
                yield path


def _is_left_out(path: Path, code: Path) -> bool:
    is_ours = path.parent == code and path.stem in PACKAGES
    is_hidden = path.name.startswith((".", "__pycache__"))
    return is_ours or is_hidden or (path / "pyvenv.cfg").exists()
